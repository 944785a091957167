"""money that nobody claimed goes to the relief fund by a list of two people's, and back to who turns up"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
OPEN = sa.text("state IN ('DRAFTED','APPROVED','PUBLISHED')")
STANDS = sa.text("state <> 'RETURNED'")


def upgrade() -> None:
    op.create_table(
        "unclaimed",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=30), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("total_fen", BIGINT, nullable=False),
        sa.Column("households", BIGINT, nullable=False),
        sa.Column("moved_fen", BIGINT, nullable=False),
        sa.Column("drafted_at", MOMENT, nullable=False),
        sa.Column("drafted_by_id", BIGINT, nullable=False),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("published_at", MOMENT, nullable=True),
        sa.Column("notice_id", BIGINT, nullable=True),
        sa.Column("posted_at", MOMENT, nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("withdrawn_reason", sa.String(length=300), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('DRAFTED','APPROVED','PUBLISHED','POSTED','WITHDRAWN')", name=op.f("ck_unclaimed_state")),
        sa.CheckConstraint("approved_by_id IS NULL OR approved_by_id <> drafted_by_id", name=op.f("ck_unclaimed_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_unclaimed_organisation_id")),
        sa.ForeignKeyConstraint(["drafted_by_id"], ["person.id"], name=op.f("fk_unclaimed_drafted_by_id")),
        sa.ForeignKeyConstraint(["approved_by_id"], ["person.id"], name=op.f("fk_unclaimed_approved_by_id")),
        sa.ForeignKeyConstraint(["notice_id"], ["public_notice.id"], name=op.f("fk_unclaimed_notice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unclaimed")),
        sa.UniqueConstraint("number", name=op.f("uq_unclaimed_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_unclaimed_public_id")),
    )
    op.create_index("ix_unclaimed_organisation_id", "unclaimed", ["organisation_id"])
    op.create_index("uq_unclaimed_open", "unclaimed", ["organisation_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "unclaimed_line",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("unclaimed_id", BIGINT, nullable=False),
        sa.Column("distribution_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("fen > 0", name=op.f("ck_unclaimed_line_fen")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_unclaimed_line_organisation_id")),
        sa.ForeignKeyConstraint(["unclaimed_id"], ["unclaimed.id"], name=op.f("fk_unclaimed_line_unclaimed_id")),
        sa.ForeignKeyConstraint(["distribution_id"], ["distribution.id"], name=op.f("fk_unclaimed_line_distribution_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_unclaimed_line_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unclaimed_line")),
    )
    op.create_index("ix_unclaimed_line_of", "unclaimed_line", ["unclaimed_id", "household_id"])
    op.create_index("ix_unclaimed_line_household_id", "unclaimed_line", ["household_id"])
    op.create_table(
        "unclaimed_return",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("unclaimed_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_unclaimed_return_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_unclaimed_return_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_unclaimed_return_organisation_id")),
        sa.ForeignKeyConstraint(["unclaimed_id"], ["unclaimed.id"], name=op.f("fk_unclaimed_return_unclaimed_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_unclaimed_return_household_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_unclaimed_return_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_unclaimed_return_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unclaimed_return")),
        sa.UniqueConstraint("public_id", name=op.f("uq_unclaimed_return_public_id")),
    )
    op.create_index("ix_unclaimed_return_organisation_id", "unclaimed_return", ["organisation_id"])
    op.create_index("ix_unclaimed_return_unclaimed_id", "unclaimed_return", ["unclaimed_id"])
    op.create_index(
        "uq_unclaimed_return_stands", "unclaimed_return", ["unclaimed_id", "household_id"], unique=True,
        sqlite_where=STANDS, postgresql_where=STANDS,
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("unclaimed_return")
    op.drop_table("unclaimed_line")
    op.drop_table("unclaimed")
