"""a red letter names the goods that it reverses"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("red_invoice", sa.Column("lines", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("red_invoice", "lines")
