"""what is not paid of late interest may be waived when a part was paid"""

import sqlalchemy as sa
from alembic import op

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("late_interest") as table:
        table.add_column(sa.Column("waived_fen", BIGINT, nullable=False, server_default="0"))
        table.drop_constraint(op.f("ck_late_interest_fen"), type_="check")
        table.create_check_constraint(op.f("ck_late_interest_fen"), "fen > 0 AND paid_fen >= 0 AND waived_fen >= 0 AND paid_fen + waived_fen <= fen")
    op.execute("UPDATE late_interest SET waived_fen = fen - paid_fen WHERE state = 'WAIVED'")


def downgrade() -> None:
    with op.batch_alter_table("late_interest") as table:
        table.drop_constraint(op.f("ck_late_interest_fen"), type_="check")
        table.create_check_constraint(op.f("ck_late_interest_fen"), "fen > 0 AND paid_fen >= 0 AND paid_fen <= fen")
        table.drop_column("waived_fen")
