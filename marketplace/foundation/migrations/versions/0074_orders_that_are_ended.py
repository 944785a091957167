"""units ask for the end of an order that was taken on"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0074"
down_revision = "0073"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
OPEN = sa.text("state = 'OPEN'")


def upgrade() -> None:
    op.create_table(
        "end_request",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("unit_id", BIGINT, nullable=False),
        sa.Column("directed_order_id", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("asked_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('OPEN','APPROVED','RETURNED','WITHDRAWN')", name=op.f("ck_end_request_state")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_end_request_organisation_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["organisation.id"], name=op.f("fk_end_request_unit_id")),
        sa.ForeignKeyConstraint(["directed_order_id"], ["directed_order.id"], name=op.f("fk_end_request_directed_order_id")),
        sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name=op.f("fk_end_request_asked_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_end_request_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_end_request")),
        sa.UniqueConstraint("public_id", name=op.f("uq_end_request_public_id")),
    )
    op.create_index("ix_end_request_organisation_id", "end_request", ["organisation_id"])
    op.create_index("ix_end_request_unit_id", "end_request", ["unit_id"])
    op.create_index("ix_end_request_directed_order_id", "end_request", ["directed_order_id"])
    op.create_index("uq_end_request_open", "end_request", ["directed_order_id"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)


def downgrade() -> None:
    op.drop_table("end_request")
