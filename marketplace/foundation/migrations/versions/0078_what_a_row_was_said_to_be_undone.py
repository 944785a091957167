"""what a row of the statement was said to be, or taken for, is undone by two people"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
OPEN = sa.text("state = 'PROPOSED'")


def upgrade() -> None:
    op.add_column("row_decision", sa.Column("undone_at", MOMENT, nullable=True))
    op.create_table(
        "row_undo",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("row_id", BIGINT, nullable=False),
        sa.Column("entry_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("decision_id", BIGINT, nullable=True),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_row_undo_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_row_undo_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_row_undo_organisation_id")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_row_undo_row_id")),
        sa.ForeignKeyConstraint(["decision_id"], ["row_decision.id"], name=op.f("fk_row_undo_decision_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_row_undo_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_row_undo_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_row_undo")),
        sa.UniqueConstraint("public_id", name=op.f("uq_row_undo_public_id")),
    )
    op.create_index("ix_row_undo_organisation_id", "row_undo", ["organisation_id"])
    op.create_index("ix_row_undo_row_id", "row_undo", ["row_id"])
    op.create_index("uq_row_undo_open", "row_undo", ["row_id", "entry_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)


def downgrade() -> None:
    op.drop_table("row_undo")
    op.drop_column("row_decision", "undone_at")
