"""a refund that was refused may be given up, by two people"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0076"
down_revision = "0075"
branch_labels = None
depends_on = None

WAITS = sa.text("state = 'PROPOSED'")
BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "refund_waiver",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("refund_id", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_refund_waiver_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_refund_waiver_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_refund_waiver_organisation_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_waiver_refund_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_refund_waiver_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_refund_waiver_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_waiver")),
        sa.UniqueConstraint("public_id", name=op.f("uq_refund_waiver_public_id")),
    )
    op.create_index("ix_refund_waiver_organisation_id", "refund_waiver", ["organisation_id"])
    op.create_index("ix_refund_waiver_refund_id", "refund_waiver", ["refund_id"])
    op.create_index("uq_refund_waiver_waits", "refund_waiver", ["refund_id"], unique=True, sqlite_where=WAITS, postgresql_where=WAITS)


def downgrade() -> None:
    op.drop_table("refund_waiver")
