"""what refunds take beyond a collective's or the fund's share waits on accounts of its own, and remittances recover it"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BEFORE = "'alipay', 'stripe', 'bank', 'receivable', 'pool_recoverable', "
NEW = "'village_recoverable', 'fund_recoverable', "
AFTER = (
    "'unapplied', 'buyer_funds', 'accepted_unpaid', 'refunds_payable', 'household_pool', 'household', "
    "'in_transit', 'village_collective', 'relief_fund', 'revenue', 'freight', 'interest', 'fees', 'outside'"
)


def upgrade() -> None:
    _kinds(BEFORE + AFTER, BEFORE + NEW + AFTER)
    op.add_column("remittance", sa.Column("recovered_fen", BIGINT, nullable=False, server_default="0"))


def downgrade() -> None:
    with op.batch_alter_table("remittance") as batch:
        batch.drop_column("recovered_fen")
    _kinds(BEFORE + NEW + AFTER, BEFORE + AFTER)


def _kinds(was: str, become: str) -> None:
    """Let the closed list of kinds say something else without touching the table: accounts are history, which nothing may copy or delete."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.drop_constraint(op.f("ck_account_kind"), "account", type_="check")
        op.create_check_constraint(op.f("ck_account_kind"), "account", f"kind IN ({become})")
        return
    # SQLite's own advice for a change that leaves every row as it is.
    told = connection.exec_driver_sql("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = 'account'").scalar_one()
    if become in told:
        return
    assert told.count(was) == 1
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.exec_driver_sql(
        "UPDATE sqlite_schema SET sql = ? WHERE type = 'table' AND name = 'account'", (told.replace(was, become),)
    )
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA schema_version = {int(version) + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = OFF")
