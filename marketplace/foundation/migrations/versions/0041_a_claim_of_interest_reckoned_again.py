"""a claim of late interest can be withdrawn, so that its days are reckoned again with what came to be known"""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

STANDS = sa.text("NOT withdrawn")


def upgrade() -> None:
    op.drop_index("uq_late_interest_days", table_name="late_interest")
    with op.batch_alter_table("late_interest") as table:
        table.add_column(sa.Column("withdrawn", sa.Boolean(), server_default=sa.false(), nullable=False))
        table.create_check_constraint(op.f("ck_late_interest_withdrawn"), "NOT withdrawn OR state = 'WAIVED'")
    op.create_index("uq_late_interest_days", "late_interest", ["order_id", "from_on"], unique=True, sqlite_where=STANDS, postgresql_where=STANDS)


def downgrade() -> None:
    op.drop_index("uq_late_interest_days", table_name="late_interest")
    with op.batch_alter_table("late_interest") as table:
        table.drop_constraint(op.f("ck_late_interest_withdrawn"), type_="check")
        table.drop_column("withdrawn")
    op.create_index("uq_late_interest_days", "late_interest", ["order_id", "from_on"], unique=True)
