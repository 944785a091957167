"""a refund that was made again may leave after all: a difference that no bill need tell"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KIND = "ck_bill_difference_kind"
BEFORE = "kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT')"
AFTER = "kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT','TWICE')"


def upgrade() -> None:
    _become(AFTER, nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM bill_difference WHERE kind = 'TWICE' OR bill_id IS NULL")
    _become(BEFORE, nullable=False)


def _become(kinds: str, *, nullable: bool) -> None:
    """On SQLite the table is copied, which forgets its check: it is named anew. Nothing refers to the table."""
    if op.get_bind().dialect.name == "sqlite":
        named = (sa.CheckConstraint(kinds, name=op.f(KIND)),)
        with op.batch_alter_table("bill_difference", recreate="always", table_args=named) as table:
            table.alter_column("bill_id", existing_type=BIGINT, nullable=nullable)
        return
    op.alter_column("bill_difference", "bill_id", existing_type=BIGINT, nullable=nullable)
    op.drop_constraint(op.f(KIND), "bill_difference", type_="check")
    op.create_check_constraint(op.f(KIND), "bill_difference", kinds)
