"""roles that decide about money, and links of those who have them, wait for a second administrator"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
WAITS = sa.text("state = 'PROPOSED'")


def upgrade() -> None:
    op.create_table(
        "sign_in_proposal",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("person_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("roles_before", sa.String(length=200), nullable=False),
        sa.Column("roles", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("returned_reason", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('ROLES','LINK')", name=op.f("ck_sign_in_proposal_kind")),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_sign_in_proposal_state")),
        sa.CheckConstraint("(state = 'PROPOSED') = (decided_at IS NULL)", name=op.f("ck_sign_in_proposal_decided")),
        sa.CheckConstraint(
            "decided_by_id IS NULL OR (decided_by_id <> proposed_by_id AND decided_by_id <> person_id)", name=op.f("ck_sign_in_proposal_two_people")
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_sign_in_proposal_organisation_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_sign_in_proposal_person_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_sign_in_proposal_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_sign_in_proposal_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_proposal")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sign_in_proposal_public_id")),
    )
    op.create_index("ix_sign_in_proposal_organisation_id", "sign_in_proposal", ["organisation_id"])
    op.create_index("uq_sign_in_proposal_waiting", "sign_in_proposal", ["person_id"], unique=True, sqlite_where=WAITS, postgresql_where=WAITS)


def downgrade() -> None:
    op.drop_table("sign_in_proposal")
