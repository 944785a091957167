"""a receipt is never over or unmatched, which nothing ever made it; what was agreed to go back to a wrong account is taken back or corrected"""

import sqlalchemy as sa
from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# (table, what its list of states was, what it becomes)
STATES = (
    ("bank_receipt", "'imported','partial','matched','over','unmatched','returned','unrelated'", "'imported','partial','matched','returned','unrelated'"),
    ("receipt_return", "'PROPOSED','APPROVED','PAID','REFUSED'", "'PROPOSED','APPROVED','PAID','REFUSED','WITHDRAWN'"),
)


def upgrade() -> None:
    op.add_column("receipt_return", sa.Column("recalled_by_id", BIGINT, nullable=True))
    op.add_column("receipt_return", sa.Column("recall_reason", sa.String(300), nullable=False, server_default=""))
    if op.get_bind().dialect.name == "sqlite":
        # With its reference in one statement: the table is not made anew.
        op.execute("ALTER TABLE bank_refund ADD COLUMN corrects_id INTEGER CONSTRAINT fk_bank_refund_corrects_id REFERENCES bank_refund (id)")
    else:
        op.add_column("bank_refund", sa.Column("corrects_id", BIGINT, nullable=True))
        op.create_foreign_key(op.f("fk_bank_refund_corrects_id"), "bank_refund", "bank_refund", ["corrects_id"], ["id"])
    op.create_index("ix_bank_refund_corrects_id", "bank_refund", ["corrects_id"])
    for table, was, become in STATES:
        _replace(table, was, become)


def downgrade() -> None:
    op.drop_index("ix_bank_refund_corrects_id", "bank_refund")
    with op.batch_alter_table("bank_refund") as batch:
        batch.drop_constraint(op.f("fk_bank_refund_corrects_id"), type_="foreignkey")
        batch.drop_column("corrects_id")
    for table, was, become in STATES:
        _replace(table, become, was)
    with op.batch_alter_table("receipt_return") as batch:
        batch.drop_column("recall_reason")
        batch.drop_column("recalled_by_id")


def _replace(table: str, was: str, become: str) -> None:
    """Let the list of states say something else without touching the table, which others point to."""
    connection, name = op.get_bind(), op.f(f"ck_{table}_state")
    if connection.dialect.name == "postgresql":
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, f"state IN ({become})")
        return
    # SQLite's own advice for a change that leaves every row as it is.
    told = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", (table,)).scalar_one()
    assert told.count(f"({was})") == 1, table
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql("UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = ?", (told.replace(f"({was})", f"({become})"), table))
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA schema_version = {int(version) + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
