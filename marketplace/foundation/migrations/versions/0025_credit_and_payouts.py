"""what a household's credit is besides its shares; payouts over a second channel and under a cap of the month"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "credit_move",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("distribution_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("paper_type", sa.String(length=40), nullable=False),
        sa.Column("paper_id", BIGINT, nullable=False),
        sa.Column("moved_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('FUND','BACK','SPLIT','HEIR')", name=op.f("ck_credit_move_kind")),
        sa.CheckConstraint("fen <> 0", name=op.f("ck_credit_move_fen")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_credit_move_organisation_id")),
        sa.ForeignKeyConstraint(["distribution_id"], ["distribution.id"], name=op.f("fk_credit_move_distribution_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_credit_move_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_move")),
    )
    op.create_index("ix_credit_move_organisation_id", "credit_move", ["organisation_id"])
    op.create_index("ix_credit_move_household_id", "credit_move", ["household_id"])
    op.create_index("ix_credit_move_distribution", "credit_move", ["distribution_id", "household_id"])
    op.create_index("ix_credit_move_paper", "credit_move", ["paper_type", "paper_id"])
    op.add_column("payout_batch", sa.Column("channel", sa.String(length=8), server_default="bank", nullable=False))
    for name in ("cap_fen", "held_back_fen", "held_back_households"):
        op.add_column("payout_batch", sa.Column(name, BIGINT, server_default="0", nullable=False))
    op.add_column("payout_item", sa.Column("moved", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("household", sa.Column("alipay_account_sealed", sa.String(length=600), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("household", "alipay_account_sealed")
    op.drop_column("payout_item", "moved")
    for name in ("held_back_households", "held_back_fen", "cap_fen", "channel"):
        op.drop_column("payout_batch", name)
    op.drop_table("credit_move")
