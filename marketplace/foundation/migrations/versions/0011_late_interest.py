"""deadlines of units: one extension, and interest on what is paid late"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "late_interest",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("unit_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("from_on", sa.Date(), nullable=False),
        sa.Column("through_on", sa.Date(), nullable=False),
        sa.Column("rate", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("paid_fen", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("claimed_at", MOMENT, nullable=False),
        sa.Column("claimed_by_id", BIGINT, nullable=False),
        sa.Column("waived_reason", sa.String(length=300), nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('CLAIMED','PAID','WAIVED')", name=op.f("ck_late_interest_state")),
        sa.CheckConstraint(
            "fen > 0 AND paid_fen >= 0 AND paid_fen <= fen", name=op.f("ck_late_interest_fen")
        ),
        sa.CheckConstraint("from_on <= through_on", name=op.f("ck_late_interest_days")),
        sa.ForeignKeyConstraint(
            ["claimed_by_id"], ["person.id"], name=op.f("fk_late_interest_claimed_by_id")
        ),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_late_interest_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_late_interest_organisation_id")
        ),
        sa.ForeignKeyConstraint(["unit_id"], ["organisation.id"], name=op.f("fk_late_interest_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_late_interest")),
        sa.UniqueConstraint("public_id", name=op.f("uq_late_interest_public_id")),
    )
    op.create_index(op.f("ix_late_interest_order_id"), "late_interest", ["order_id"], unique=False)
    op.create_index(
        op.f("ix_late_interest_organisation_id"), "late_interest", ["organisation_id"], unique=False
    )
    op.create_index(op.f("ix_late_interest_unit_id"), "late_interest", ["unit_id"], unique=False)
    op.create_index("uq_late_interest_days", "late_interest", ["order_id", "from_on"], unique=True)
    op.add_column("directed_order", sa.Column("extended_at", MOMENT, nullable=True))
    op.add_column("directed_order", sa.Column("extended_by_id", BIGINT, nullable=True))


def downgrade() -> None:
    op.drop_column("directed_order", "extended_by_id")
    op.drop_column("directed_order", "extended_at")
    op.drop_table("late_interest")
