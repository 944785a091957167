"""a refused notice is dealt with by a person, who says how"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("alipay_notice") as table:
        table.add_column(sa.Column("handled_at", UtcDateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("handled_by_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
        table.add_column(sa.Column("handling", sa.String(length=300), server_default="", nullable=False))
        table.create_foreign_key(op.f("fk_alipay_notice_handled_by_id"), "person", ["handled_by_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("alipay_notice") as table:
        table.drop_constraint(op.f("fk_alipay_notice_handled_by_id"), type_="foreignkey")
        for name in ("handling", "handled_by_id", "handled_at"):
            table.drop_column(name)
