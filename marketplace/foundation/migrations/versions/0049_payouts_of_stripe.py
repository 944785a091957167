"""What a row of the bank's statement was said to be may be a payout of Stripe's: a withdrawal names the channel that it came from."""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("row_decision", sa.Column("channel", sa.String(8), nullable=False, server_default="alipay"))


def downgrade() -> None:
    with op.batch_alter_table("row_decision") as table:
        table.drop_column("channel")
