"""Days whose bill of Alipay's was asked for and did not come: asked for until they are here, and shown until then."""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "missing_bill",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("asked", BIGINT, nullable=False),
        sa.Column("ask_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('trade','account')", name=op.f("ck_missing_bill_kind")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_missing_bill_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_missing_bill")),
        sa.UniqueConstraint("organisation_id", "kind", "day", name=op.f("uq_missing_bill_organisation_id_kind_day")),
        sa.UniqueConstraint("public_id", name=op.f("uq_missing_bill_public_id")),
    )
    op.create_index("ix_missing_bill_day", "missing_bill", ["day"])


def downgrade() -> None:
    op.drop_table("missing_bill")
