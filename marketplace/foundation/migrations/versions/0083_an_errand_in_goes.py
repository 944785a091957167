"""an errand may be done in many goes, each of which stands: how far it came"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import Json

revision = "0083"
down_revision = "0082"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("errand", sa.Column("gone", Json, nullable=True))


def downgrade() -> None:
    op.drop_column("errand", "gone")
