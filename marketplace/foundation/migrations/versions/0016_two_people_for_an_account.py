"""a household's bank account changes only when a second person approves"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
WAITING = sa.text("state = 'PROPOSED'")


def upgrade() -> None:
    op.create_table(
        "account_proposal",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("bank_before", sa.String(length=80), nullable=False),
        sa.Column("account_before_sealed", sa.String(length=600), nullable=False),
        sa.Column("bank_name", sa.String(length=80), nullable=False),
        sa.Column("account_sealed", sa.String(length=600), nullable=False),
        sa.Column("last4", sa.String(length=4), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("returned_reason", sa.String(length=300), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_account_proposal_state")),
        sa.CheckConstraint("(state = 'PROPOSED') = (decided_by_id IS NULL)", name=op.f("ck_account_proposal_decided")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_account_proposal_two_people")),
        sa.CheckConstraint("state <> 'RETURNED' OR returned_reason <> ''", name=op.f("ck_account_proposal_returned_reason")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_account_proposal_organisation_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_account_proposal_household_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_account_proposal_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_account_proposal_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_proposal")),
        sa.UniqueConstraint("public_id", name=op.f("uq_account_proposal_public_id")),
    )
    op.create_index("ix_account_proposal_organisation_id", "account_proposal", ["organisation_id"])
    op.create_index("ix_account_proposal_household_id", "account_proposal", ["household_id"])
    op.create_index(
        "uq_account_proposal_waiting", "account_proposal", ["organisation_id", "household_id"], unique=True,
        sqlite_where=WAITING, postgresql_where=WAITING,
    )  # fmt: skip
    op.add_column("account_correction", sa.Column("approved_by_id", BIGINT, nullable=True))


def downgrade() -> None:
    op.drop_column("account_correction", "approved_by_id")
    op.drop_table("account_proposal")
