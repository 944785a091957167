"""a change of a split scheme is proposed and approved"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "scheme_proposal",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("cooperative_bp", BIGINT, nullable=False),
        sa.Column("household_pool_bp", BIGINT, nullable=False),
        sa.Column("village_collective_bp", BIGINT, nullable=False),
        sa.Column("relief_fund_bp", BIGINT, nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("made_by_id", BIGINT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("scheme_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "state IN ('SUBMITTED','APPROVED','RETURNED','WITHDRAWN')", name=op.f("ck_scheme_proposal_state")
        ),
        sa.CheckConstraint(
            "cooperative_bp + household_pool_bp + village_collective_bp + relief_fund_bp = 10000",
            name=op.f("ck_scheme_proposal_whole"),
        ),
        sa.CheckConstraint(
            "cooperative_bp >= 0 AND household_pool_bp > 0 AND village_collective_bp >= 0 AND relief_fund_bp >= 0",
            name=op.f("ck_scheme_proposal_positive"),
        ),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_scheme_proposal_category")),
        sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_scheme_proposal_made_by_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_scheme_proposal_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["scheme_id"], ["split_scheme.id"], name=op.f("fk_scheme_proposal_scheme_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheme_proposal")),
        sa.UniqueConstraint("public_id", name=op.f("uq_scheme_proposal_public_id")),
    )
    with op.batch_alter_table("scheme_proposal", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_scheme_proposal_organisation_id"), ["organisation_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_scheme_proposal_state"), ["state"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("scheme_proposal", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_scheme_proposal_state"))
        batch_op.drop_index(batch_op.f("ix_scheme_proposal_organisation_id"))

    op.drop_table("scheme_proposal")
