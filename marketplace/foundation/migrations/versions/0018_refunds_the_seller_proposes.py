"""a cooperative may propose a refund itself, when the buyer's time to ask is over"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("return_request", sa.Column("by_seller", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("return_request", "by_seller")
