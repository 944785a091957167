"""transfers whose answers contradict each other end by two people's word and the evidence"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
LIVES = sa.text("state <> 'RETURNED'")


def upgrade() -> None:
    op.create_table(
        "transfer_ending",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("transfer_id", BIGINT, nullable=False),
        sa.Column("outcome", sa.String(length=6), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("row_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name=op.f("ck_transfer_ending_state")),
        sa.CheckConstraint("outcome IN ('PAID','UNPAID')", name=op.f("ck_transfer_ending_outcome")),
        sa.CheckConstraint("(outcome = 'PAID') = (order_id <> '' AND paid_on IS NOT NULL)", name=op.f("ck_transfer_ending_evidence")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_transfer_ending_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_transfer_ending_organisation_id")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfer.id"], name=op.f("fk_transfer_ending_transfer_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_transfer_ending_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_transfer_ending_decided_by_id")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_transfer_ending_row_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer_ending")),
        sa.UniqueConstraint("public_id", name=op.f("uq_transfer_ending_public_id")),
    )
    op.create_index("ix_transfer_ending_organisation_id", "transfer_ending", ["organisation_id"])
    op.create_index("ix_transfer_ending_transfer_id", "transfer_ending", ["transfer_id"])
    op.create_index("uq_transfer_ending_lives", "transfer_ending", ["transfer_id"], unique=True, sqlite_where=LIVES, postgresql_where=LIVES)


def downgrade() -> None:
    op.drop_table("transfer_ending")
