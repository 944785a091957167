"""what a results file says is kept as it was read, so that it is read once; an errand tells how far its reading is"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import Json, UtcDateTime

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("errand", sa.Column("told", BIGINT, nullable=True))
    op.add_column("errand", sa.Column("told_of", BIGINT, nullable=True))
    op.add_column("payout_results", sa.Column("read_at", UtcDateTime(timezone=True), nullable=True))
    op.add_column("payout_results", sa.Column("words", Json, nullable=True))
    op.create_table(
        "payout_results_line",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("results_id", BIGINT, nullable=False),
        sa.Column("sequence", BIGINT, nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=120), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("outcome IN ('paid','returned','refused','unknown')", name=op.f("ck_payout_results_line_outcome")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_results_line_organisation_id")),
        sa.ForeignKeyConstraint(["results_id"], ["payout_results.id"], name=op.f("fk_payout_results_line_results_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_results_line")),
        sa.UniqueConstraint("results_id", "sequence", name=op.f("uq_payout_results_line_results_id_sequence")),
    )


def downgrade() -> None:
    op.drop_table("payout_results_line")
    op.drop_column("payout_results", "words")
    op.drop_column("payout_results", "read_at")
    op.drop_column("errand", "told_of")
    op.drop_column("errand", "told")
