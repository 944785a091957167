"""a draft of a payout keeps the form of its layout as it was chosen: what is approved is what was looked at"""

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "UPDATE payout_batch SET form = (SELECT payout_layout.form FROM payout_layout WHERE payout_layout.id = payout_batch.layout_id)"
        " WHERE state = 'DRAFT' AND form IS NULL AND layout_id IS NOT NULL"
    )


def downgrade() -> None:
    """A form that is kept early harms nobody."""
