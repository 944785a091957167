"""what the relief fund's holder gives back to a cooperative"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "fund_return",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("holder_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=30), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("received_on", sa.Date(), nullable=True),
        sa.Column("bank_serial", sa.String(length=40), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=True),
        sa.Column("recorded_by_id", BIGINT, nullable=True),
        sa.Column("row_id", BIGINT, nullable=True),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("withdrawn_at", MOMENT, nullable=True),
        sa.Column("withdrawn_reason", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RECEIVED','WITHDRAWN')", name=op.f("ck_fund_return_state")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_fund_return_fen")),
        sa.CheckConstraint("holder_id <> organisation_id", name=op.f("ck_fund_return_holder")),
        sa.CheckConstraint("approved_by_id IS NULL OR approved_by_id <> proposed_by_id", name=op.f("ck_fund_return_two_people")),
        sa.CheckConstraint("(state = 'RECEIVED') = (entry_id IS NOT NULL)", name=op.f("ck_fund_return_entry")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_fund_return_organisation_id")),
        sa.ForeignKeyConstraint(["holder_id"], ["organisation.id"], name=op.f("fk_fund_return_holder_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_fund_return_proposed_by_id")),
        sa.ForeignKeyConstraint(["approved_by_id"], ["person.id"], name=op.f("fk_fund_return_approved_by_id")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["person.id"], name=op.f("fk_fund_return_recorded_by_id")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_fund_return_row_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fund_return")),
        sa.UniqueConstraint("number", name=op.f("uq_fund_return_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_fund_return_public_id")),
    )
    op.create_index("ix_fund_return_organisation_id", "fund_return", ["organisation_id"])
    op.create_index("ix_fund_return_holder_id", "fund_return", ["holder_id"])


def downgrade() -> None:
    op.drop_table("fund_return")
