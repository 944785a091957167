"""a word on one payment that no results file said, and payments that were recorded as paid and never made"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
LIVES = sa.text("state <> 'RETURNED'")


def upgrade() -> None:
    op.create_table(
        "payout_word",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("item_id", BIGINT, nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.Column("said_by_id", BIGINT, nullable=True),
        sa.Column("row_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("outcome IN ('paid','returned','refused')", name=op.f("ck_payout_word_outcome")),
        sa.CheckConstraint("(said_by_id IS NULL) <> (row_id IS NULL)", name=op.f("ck_payout_word_whose")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_word_organisation_id")),
        sa.ForeignKeyConstraint(["item_id"], ["payout_item.id"], name=op.f("fk_payout_word_item_id")),
        sa.ForeignKeyConstraint(["said_by_id"], ["person.id"], name=op.f("fk_payout_word_said_by_id")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_payout_word_row_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_word")),
    )
    op.create_index("ix_payout_word_organisation_id", "payout_word", ["organisation_id"])
    op.create_index("ix_payout_word_item_id", "payout_word", ["item_id"])
    op.create_table(
        "payout_reversal",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("item_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name=op.f("ck_payout_reversal_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_payout_reversal_two_people")),
        sa.CheckConstraint("(state = 'DONE') = (entry_id IS NOT NULL)", name=op.f("ck_payout_reversal_entry")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_reversal_organisation_id")),
        sa.ForeignKeyConstraint(["item_id"], ["payout_item.id"], name=op.f("fk_payout_reversal_item_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_payout_reversal_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_payout_reversal_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_reversal")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payout_reversal_public_id")),
    )
    op.create_index("ix_payout_reversal_organisation_id", "payout_reversal", ["organisation_id"])
    op.create_index("uq_payout_reversal_item", "payout_reversal", ["item_id"], unique=True, sqlite_where=LIVES, postgresql_where=LIVES)


def downgrade() -> None:
    op.drop_table("payout_reversal")
    op.drop_table("payout_word")
