"""signing out counts up: a cookie that was copied before is over"""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("person", sa.Column("session_no", BIGINT, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("person", "session_no")
