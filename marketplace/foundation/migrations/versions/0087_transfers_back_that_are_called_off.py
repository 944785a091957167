"""a transfer back that was agreed may be called off, by two people; every refund of a return request knows it"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0087"
down_revision = "0086"
branch_labels = None
depends_on = None

WAITS = sa.text("state = 'PROPOSED'")
BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "refund_recall",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("refund_id", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", UtcDateTime(timezone=True), nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", UtcDateTime(timezone=True), nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_refund_recall_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_refund_recall_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_refund_recall_organisation_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_refund_recall_refund_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_refund_recall_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_refund_recall_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_recall")),
        sa.UniqueConstraint("public_id", name=op.f("uq_refund_recall_public_id")),
    )
    op.create_index("ix_refund_recall_organisation_id", "refund_recall", ["organisation_id"])
    op.create_index("ix_refund_recall_refund_id", "refund_recall", ["refund_id"])
    op.create_index("uq_refund_recall_waits", "refund_recall", ["refund_id"], unique=True, sqlite_where=WAITS, postgresql_where=WAITS)
    op.add_column("refund", sa.Column("return_id", BIGINT, nullable=True))
    op.execute(
        "UPDATE refund SET return_id = (SELECT min(return_request.id) FROM return_request WHERE return_request.refund_id = refund.id)"
        " WHERE id IN (SELECT refund_id FROM return_request)"
    )


def downgrade() -> None:
    with op.batch_alter_table("refund") as batch:
        batch.drop_column("return_id")
    op.drop_table("refund_recall")
