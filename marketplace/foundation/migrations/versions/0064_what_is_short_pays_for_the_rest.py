"""what of a unit's refunds was for goods that it did not accept: only that part pays for the others"""

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0063"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("order", sa.Column("short_fen", BIGINT, server_default="0", nullable=False))
    op.execute(
        """UPDATE "order" SET short_fen = coalesce((SELECT sum(refund.fen) FROM refund WHERE refund.order_id = "order".id
           AND refund.reason = 'SHORTAGE' AND refund.state NOT IN ('requested', 'failed')), 0) WHERE kind = 'DIRECTED'"""
    )


def downgrade() -> None:
    op.drop_column("order", "short_fen")
