"""Days whose bill of Alipay can never come, closed by two people with a reason."""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0086"
down_revision = "0085"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WAITS = sa.text("state = 'PROPOSED'")


def upgrade() -> None:
    op.create_table(
        "bill_closure",
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("closed", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("proposed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("version", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_bill_closure_two_people")),
        sa.CheckConstraint("first_day <= last_day", name=op.f("ck_bill_closure_days")),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_bill_closure_state")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_bill_closure_decided_by_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_bill_closure_organisation_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_bill_closure_proposed_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_closure")),
        sa.UniqueConstraint("public_id", name=op.f("uq_bill_closure_public_id")),
    )
    op.create_index("ix_bill_closure_organisation_id", "bill_closure", ["organisation_id"])
    op.create_index("uq_bill_closure_waits", "bill_closure", ["organisation_id"], unique=True, sqlite_where=WAITS, postgresql_where=WAITS)


def downgrade() -> None:
    op.drop_table("bill_closure")
