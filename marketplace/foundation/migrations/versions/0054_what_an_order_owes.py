"""what an accepted order owes stands on the order, as the books know it"""

import sqlalchemy as sa
from alembic import op

revision = "0054"
down_revision = "0053"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OWED = "owed_fen >= 0 AND paid_fen + owed_fen <= total_fen"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # With its check in one statement: a table that others point to is not made anew.
        op.execute(f"""ALTER TABLE "order" ADD COLUMN owed_fen INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_order_owed CHECK ({OWED})""")
    else:
        op.add_column("order", sa.Column("owed_fen", BIGINT, nullable=False, server_default="0"))
        op.create_check_constraint(op.f("ck_order_owed"), "order", OWED)
    # As it was posted: on credit is what was accepted and not paid. What was short and paid went back, and paid nothing.
    op.execute(
        """UPDATE "order" SET owed_fen = accepted_fen - cut_fen + freight_fen - paid_fen + (
            SELECT coalesce(sum(fen), 0) FROM refund
            WHERE refund.order_id = "order".id AND reason = 'SHORTAGE' AND state NOT IN ('requested', 'failed'))
        WHERE received_at IS NOT NULL AND settled_at IS NULL AND payment <> 'PAID' AND accepted_fen - cut_fen + freight_fen > paid_fen
        AND EXISTS (SELECT 1 FROM directed_order WHERE directed_order.order_id = "order".id AND terms = 'POSTPAY')"""
    )
    # All that was paid so far went back, and the rest is owed: that is not the end of it.
    op.execute("""UPDATE "order" SET payment = 'PARTLY_PAID' WHERE owed_fen > 0 AND payment = 'REFUNDED'""")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute('ALTER TABLE "order" DROP COLUMN owed_fen')
    else:
        op.drop_constraint(op.f("ck_order_owed"), "order", type_="check")
        op.drop_column("order", "owed_fen")
