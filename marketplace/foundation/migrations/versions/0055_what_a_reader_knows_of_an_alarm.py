"""what each reader knows of an alarm; since when something waits to be done outside"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alarm_told",
        sa.Column("alarm_id", BIGINT, nullable=False),
        sa.Column("person_id", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("told_at", MOMENT, nullable=False),
        sa.Column("over", sa.Boolean(), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name=op.f("fk_alarm_told_alarm_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_alarm_told_person_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alarm_told_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_told")),
    )
    op.create_index("uq_alarm_told_reader", "alarm_told", ["alarm_id", "person_id", "organisation_id"], unique=True)
    op.create_index("ix_alarm_told_organisation_id", "alarm_told", ["organisation_id"])
    op.create_index("ix_alarm_told_told_at", "alarm_told", ["told_at"])
    # Who was told of an open alarm before was not kept: everybody hears of it once more.
    with op.batch_alter_table("alarm") as table:
        table.drop_index("ix_alarm_open")
        table.drop_column("told_at")
        table.create_index("ix_alarm_open", ["solved_at"])
    op.add_column("outbox_message", sa.Column("made_at", MOMENT, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("outbox_message") as table:
        table.drop_column("made_at")
    with op.batch_alter_table("alarm") as table:
        table.drop_index("ix_alarm_open")
        table.add_column(sa.Column("told_at", MOMENT, nullable=True))
        table.create_index("ix_alarm_open", ["solved_at", "told_at"])
    op.drop_table("alarm_told")
