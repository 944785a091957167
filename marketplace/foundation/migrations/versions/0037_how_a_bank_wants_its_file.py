"""how a bank wants its payout file and says what became of it; a batch's files; payments of which the bank does not know yet"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import Json, UtcDateTime

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
UNKNOWN = sa.text("state = 'unknown'")
CHECKS = (
    sa.CheckConstraint("state IN ('DRAFT','APPROVED','SENT','DONE','CANCELLED')", name="ck_payout_batch_state"),
    sa.CheckConstraint("approved_by_id IS NULL OR approved_by_id <> made_by_id", name="ck_payout_batch_two_people"),
)


def upgrade() -> None:
    op.create_table(
        "payout_layout",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("form", Json, nullable=False),
        sa.Column("answer", Json, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("made_by_id", BIGINT, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
        sa.Column("changed_by_id", BIGINT, nullable=False),
        sa.Column("retired_at", MOMENT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_layout_organisation_id")),
        sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_payout_layout_made_by_id")),
        sa.ForeignKeyConstraint(["changed_by_id"], ["person.id"], name=op.f("fk_payout_layout_changed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_layout")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payout_layout_public_id")),
        sa.UniqueConstraint("organisation_id", "name", name=op.f("uq_payout_layout_organisation_id_name")),
    )
    op.create_table(
        "payout_part",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=False),
        sa.Column("part", BIGINT, nullable=False),
        sa.Column("file_id", BIGINT, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("rows", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("first", BIGINT, nullable=False),
        sa.Column("last", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_part_organisation_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["payout_batch.id"], name=op.f("fk_payout_part_batch_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_payout_part_file_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_part")),
        sa.UniqueConstraint("batch_id", "part", name=op.f("uq_payout_part_batch_id_part")),
    )
    op.create_index("ix_payout_part_organisation_id", "payout_part", ["organisation_id"])
    # What was frozen before is one file, all of the batch in the first form.
    op.execute(
        "INSERT INTO payout_part (organisation_id, batch_id, part, file_id, sha256, rows, fen, first, last) "
        "SELECT organisation_id, id, 1, file_id, sha256, items, total_fen, 1, items FROM payout_batch WHERE file_id IS NOT NULL AND sha256 IS NOT NULL"
    )
    op.add_column("payout_batch", sa.Column("form", Json, nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        # Neither does the table have to be written again for it, nor could Alembic add a reference here.
        op.execute("ALTER TABLE payout_batch ADD COLUMN layout_id INTEGER REFERENCES payout_layout (id)")
    else:
        op.add_column("payout_batch", sa.Column("layout_id", BIGINT, nullable=True))
        op.create_foreign_key(op.f("fk_payout_batch_layout_id"), "payout_batch", "payout_layout", ["layout_id"], ["id"])
    op.add_column("payout_item", sa.Column("debited", BIGINT, nullable=True))
    op.add_column("payout_item", sa.Column("unknown_since", MOMENT, nullable=True))
    op.create_index("ix_payout_item_unknown", "payout_item", ["organisation_id"], sqlite_where=UNKNOWN, postgresql_where=UNKNOWN)


def downgrade() -> None:
    op.drop_index("ix_payout_item_unknown", "payout_item")
    op.drop_column("payout_item", "unknown_since")
    op.drop_column("payout_item", "debited")
    with op.batch_alter_table("payout_batch", table_args=CHECKS, recreate="auto") as batch:
        if op.get_bind().dialect.name != "sqlite":
            batch.drop_constraint(op.f("fk_payout_batch_layout_id"), type_="foreignkey")
        batch.drop_column("layout_id")
        batch.drop_column("form")
    op.drop_table("payout_part")
    op.drop_table("payout_layout")
