"""files of batches that were handed out and never reached the bank, and payments that were recorded as not made and were"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
LIVES = sa.text("state <> 'RETURNED'")
MOVES = "kind IN ('FUND','BACK','SPLIT','HEIR'{})"


def upgrade() -> None:
    op.create_table(
        "payout_recall",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.Column("said_by_id", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_recall_organisation_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["payout_batch.id"], name=op.f("fk_payout_recall_batch_id")),
        sa.ForeignKeyConstraint(["said_by_id"], ["person.id"], name=op.f("fk_payout_recall_said_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_recall")),
        sa.UniqueConstraint("batch_id", name=op.f("uq_payout_recall_batch_id")),
    )
    op.create_index("ix_payout_recall_organisation_id", "payout_recall", ["organisation_id"])
    op.create_table(
        "payout_found",
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
        sa.Column("was", sa.String(length=10), nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("beyond_fen", BIGINT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("ended_by_id", BIGINT, nullable=True),
        sa.Column("ending", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name=op.f("ck_payout_found_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_payout_found_two_people")),
        sa.CheckConstraint("(state = 'DONE') = (entry_id IS NOT NULL)", name=op.f("ck_payout_found_entry")),
        sa.CheckConstraint("beyond_fen >= 0 AND beyond_fen <= fen", name=op.f("ck_payout_found_beyond")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_found_organisation_id")),
        sa.ForeignKeyConstraint(["item_id"], ["payout_item.id"], name=op.f("fk_payout_found_item_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_payout_found_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_payout_found_decided_by_id")),
        sa.ForeignKeyConstraint(["ended_by_id"], ["person.id"], name=op.f("fk_payout_found_ended_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_found")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payout_found_public_id")),
    )
    op.create_index("ix_payout_found_organisation_id", "payout_found", ["organisation_id"])
    op.create_index("uq_payout_found_item", "payout_found", ["item_id"], unique=True, sqlite_where=LIVES, postgresql_where=LIVES)
    _moves(MOVES.format(",'TWICE'"))


def downgrade() -> None:
    _moves(MOVES.format(""))
    op.drop_table("payout_found")
    op.drop_table("payout_recall")


def _moves(check: str) -> None:
    with op.batch_alter_table("credit_move") as table:
        table.drop_constraint(op.f("ck_credit_move_kind"), type_="check")
        table.create_check_constraint(op.f("ck_credit_move_kind"), check)
