"""late interest that unit and cooperative agreed on: null is the market's"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("directed_order", sa.Column("late_rate", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("directed_order") as table:
        table.drop_column("late_rate")
