"""what Stripe says every day of a key in use; money of a refund that left twice, and a remittance, that come back without our number"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = "kind IN ('UNRELATED','WITHDRAWAL','TAKES_BACK','STANDS','RECEIPT'{})"


def upgrade() -> None:
    op.add_column("channel_key", sa.Column("wrong_since", UtcDateTime(timezone=True), nullable=True))
    op.add_column("channel_key", sa.Column("wrong_code", sa.String(length=40), nullable=False, server_default=""))
    with op.batch_alter_table("row_decision") as table:
        table.add_column(sa.Column("refund_id", BIGINT, nullable=True))
        table.add_column(sa.Column("remittance_id", BIGINT, nullable=True))
        table.create_foreign_key(op.f("fk_row_decision_refund_id"), "refund", ["refund_id"], ["id"])
        table.drop_constraint(op.f("ck_row_decision_kind"), type_="check")
        table.create_check_constraint(op.f("ck_row_decision_kind"), KINDS.format(",'SENT_BACK'"))
        table.create_check_constraint(op.f("ck_row_decision_refund"), "refund_id IS NULL OR kind = 'UNRELATED'")
        table.create_check_constraint(op.f("ck_row_decision_remittance"), "(kind = 'SENT_BACK') = (remittance_id IS NOT NULL)")
    op.create_index("ix_row_decision_refund_id", "row_decision", ["refund_id"])


def downgrade() -> None:
    op.drop_index("ix_row_decision_refund_id", table_name="row_decision")
    with op.batch_alter_table("row_decision") as table:
        table.drop_constraint(op.f("ck_row_decision_remittance"), type_="check")
        table.drop_constraint(op.f("ck_row_decision_refund"), type_="check")
        table.drop_constraint(op.f("ck_row_decision_kind"), type_="check")
        table.create_check_constraint(op.f("ck_row_decision_kind"), KINDS.format(""))
        table.drop_constraint(op.f("fk_row_decision_refund_id"), type_="foreignkey")
        table.drop_column("remittance_id")
        table.drop_column("refund_id")
    op.drop_column("channel_key", "wrong_code")
    op.drop_column("channel_key", "wrong_since")
