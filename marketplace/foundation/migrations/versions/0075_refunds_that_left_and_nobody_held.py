"""what left twice and no order holds money for is borne by the cooperative, by two people's word"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0075"
down_revision = "0074"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
LIVES = sa.text("state <> 'RETURNED'")


def upgrade() -> None:
    op.create_table(
        "refund_loss",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("refund_id", BIGINT, nullable=False),
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
        sa.CheckConstraint("fen > 0", name=op.f("ck_refund_loss_fen")),
        sa.CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name=op.f("ck_refund_loss_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_refund_loss_two_people")),
        sa.CheckConstraint("(state = 'DONE') = (entry_id IS NOT NULL)", name=op.f("ck_refund_loss_entry")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_refund_loss_organisation_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_loss_refund_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_refund_loss_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_refund_loss_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_loss")),
        sa.UniqueConstraint("public_id", name=op.f("uq_refund_loss_public_id")),
    )
    op.create_index("ix_refund_loss_organisation_id", "refund_loss", ["organisation_id"])
    op.create_index("uq_refund_loss_refund", "refund_loss", ["refund_id"], unique=True, sqlite_where=LIVES, postgresql_where=LIVES)


def downgrade() -> None:
    op.drop_table("refund_loss")
