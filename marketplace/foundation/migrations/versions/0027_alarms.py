"""alarms: what was found wrong with money, when people were told, and when it was over"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alarm",
        sa.Column("name", sa.String(length=30), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=True),
        sa.Column("fen", BIGINT, nullable=True),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.Column("solved_at", MOMENT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alarm_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
    )
    op.create_index("uq_alarm_subject", "alarm", ["name", "subject"], unique=True)
    op.create_index("ix_alarm_open", "alarm", ["solved_at", "told_at"])
    op.create_index("ix_alarm_organisation_id", "alarm", ["organisation_id"])


def downgrade() -> None:
    op.drop_table("alarm")
