"""rows that are an entry that stands already, or a buyer's money after all; and pairings that were taken apart"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
KINDS = "kind IN ('UNRELATED','WITHDRAWAL','TAKES_BACK'{})"


def upgrade() -> None:
    op.create_table(
        "pair_undo",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("row_id", BIGINT, nullable=False),
        sa.Column("entry_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("linked_at", MOMENT, nullable=False),
        sa.Column("linked_by_id", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("undone_at", MOMENT, nullable=False),
        sa.Column("undone_by_id", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_pair_undo_organisation_id")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_pair_undo_row_id")),
        sa.ForeignKeyConstraint(["linked_by_id"], ["person.id"], name=op.f("fk_pair_undo_linked_by_id")),
        sa.ForeignKeyConstraint(["undone_by_id"], ["person.id"], name=op.f("fk_pair_undo_undone_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pair_undo")),
    )
    op.create_index("ix_pair_undo_organisation_id", "pair_undo", ["organisation_id"])
    op.create_index("ix_pair_undo_row_id", "pair_undo", ["row_id"])
    with op.batch_alter_table("row_decision") as table:
        table.add_column(sa.Column("entry_id", BIGINT, nullable=True))
        table.drop_constraint(op.f("ck_row_decision_kind"), type_="check")
        table.create_check_constraint(op.f("ck_row_decision_kind"), KINDS.format(",'STANDS','RECEIPT'"))
        table.create_check_constraint(op.f("ck_row_decision_entry"), "(kind = 'STANDS') = (entry_id IS NOT NULL)")


def downgrade() -> None:
    with op.batch_alter_table("row_decision") as table:
        table.drop_constraint(op.f("ck_row_decision_entry"), type_="check")
        table.drop_constraint(op.f("ck_row_decision_kind"), type_="check")
        table.create_check_constraint(op.f("ck_row_decision_kind"), KINDS.format(""))
        table.drop_column("entry_id")
    op.drop_table("pair_undo")
