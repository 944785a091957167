"""A fee that a card channel kept in another currency is a difference, with what the channel said of it."""

import sqlalchemy as sa
from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None

KIND = "ck_bill_difference_kind"
BEFORE = "kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT','TWICE')"
AFTER = "kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT','TWICE','CURRENCY')"


def upgrade() -> None:
    op.add_column("bill_difference", sa.Column("said", sa.String(length=60), nullable=False, server_default=""))
    _become(AFTER)


def downgrade() -> None:
    op.execute("DELETE FROM bill_difference WHERE kind = 'CURRENCY'")
    _become(BEFORE)
    op.drop_column("bill_difference", "said")


def _become(kinds: str) -> None:
    """On SQLite the table is copied, with this check as it should be and all else as it is. Nothing refers to it."""
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f(KIND), "bill_difference", type_="check")
        op.create_check_constraint(op.f(KIND), "bill_difference", kinds)
        return
    table = sa.Table("bill_difference", sa.MetaData(), autoload_with=op.get_bind())
    for each in [each for each in table.constraints if isinstance(each, sa.CheckConstraint) and each.name == KIND]:
        table.constraints.remove(each)
    table.append_constraint(sa.CheckConstraint(kinds, name=op.f(KIND)))
    with op.batch_alter_table("bill_difference", copy_from=table, recreate="always"):
        pass
