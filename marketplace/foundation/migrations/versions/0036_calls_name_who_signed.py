"""A call to a payment channel names the channel and the account whose key signed it: a refused key stops what it signs, and nothing else."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_PAYMENT = (
    "(CASE WHEN payment_call.kind IN ('refund', 'refund_query')"
    " THEN (SELECT r.payment_id FROM refund r WHERE r.id = payment_call.subject_id) ELSE payment_call.subject_id END)"
)


def upgrade() -> None:
    op.add_column("payment_call", sa.Column("channel", sa.String(16), nullable=False, server_default="alipay"))
    op.add_column("payment_call", sa.Column("account", sa.String(64), nullable=False, server_default=""))
    op.execute(
        f"UPDATE payment_call SET channel = COALESCE((SELECT p.channel FROM payment p WHERE p.id = {_PAYMENT}), 'alipay'),"  # noqa: S608 -- no input
        f" account = COALESCE((SELECT p.app_id FROM payment p WHERE p.id = {_PAYMENT}), '')"
    )
    op.create_index("ix_payment_call_account", "payment_call", ["account", "answered_at"])


def downgrade() -> None:
    op.drop_index("ix_payment_call_account", "payment_call")
    with op.batch_alter_table("payment_call") as table:
        table.drop_column("account")
        table.drop_column("channel")
