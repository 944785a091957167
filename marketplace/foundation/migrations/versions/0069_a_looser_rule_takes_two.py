"""a looser rule of approval waits for another approver"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
WAITS = sa.text("state = 'PROPOSED'")


def upgrade() -> None:
    op.create_table(
        "approval_rule_change",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("rule_version", BIGINT, nullable=False),
        sa.Column("second_before_fen", BIGINT, nullable=False),
        sa.Column("second_from_fen", BIGINT, nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("returned_reason", sa.String(length=300), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_approval_rule_change_state")),
        sa.CheckConstraint("(state = 'PROPOSED') = (decided_by_id IS NULL)", name=op.f("ck_approval_rule_change_decided")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_approval_rule_change_two_people")),
        sa.CheckConstraint("second_from_fen IS NULL OR second_from_fen > second_before_fen", name=op.f("ck_approval_rule_change_looser")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_approval_rule_change_organisation_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_approval_rule_change_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_approval_rule_change_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approval_rule_change")),
        sa.UniqueConstraint("public_id", name=op.f("uq_approval_rule_change_public_id")),
    )
    op.create_index("ix_approval_rule_change_organisation_id", "approval_rule_change", ["organisation_id"])
    op.create_index("uq_approval_rule_change_waiting", "approval_rule_change", ["organisation_id"], unique=True, sqlite_where=WAITS, postgresql_where=WAITS)


def downgrade() -> None:
    op.drop_table("approval_rule_change")
