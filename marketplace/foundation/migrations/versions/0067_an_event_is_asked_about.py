"""an event of Stripe's is kept with what it names until Stripe has been asked about it"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("alipay_notice", sa.Column("claim", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("alipay_notice", "claim")
