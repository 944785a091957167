"""When Stripe last refused a call for a permission that its key lacks: what nothing waits for any more is no trouble."""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0088"
down_revision = "0087"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM lacking_permission")  # said again with the next call
    with op.batch_alter_table("lacking_permission") as table:
        table.add_column(sa.Column("seen_at", UtcDateTime(timezone=True), nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("lacking_permission") as table:
        table.drop_column("seen_at")
