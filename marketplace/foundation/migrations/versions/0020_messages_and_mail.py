"""messages to people, what they wish to be told by e-mail, and letters that are given up"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import Json, UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.add_column("outbox_message", sa.Column("given_up_at", MOMENT, nullable=True))
    op.add_column("person", sa.Column("unread_messages", BIGINT, server_default="0", nullable=False))
    op.create_table(
        "message",
        sa.Column("person_id", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=80), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("written_at", MOMENT, nullable=False),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_message_organisation_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_message_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("number", name=op.f("uq_message_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_message_public_id")),
    )
    op.create_index("ix_message_inbox", "message", ["person_id", "id"])
    op.create_index("ix_message_organisation_id", "message", ["organisation_id"])
    op.create_table(
        "mail_wish",
        sa.Column("person_id", BIGINT, nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("address_sealed", sa.String(length=600), nullable=False),
        sa.Column("confirmed_at", MOMENT, nullable=True),
        sa.Column("asked", BIGINT, nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("alarms", sa.Boolean(), nullable=False),
        sa.Column("digest", sa.Boolean(), nullable=False),
        sa.Column("by_mail", sa.Boolean(), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("language IN ('zh','en')", name=op.f("ck_mail_wish_language")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_mail_wish_organisation_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_mail_wish_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mail_wish")),
        sa.UniqueConstraint("person_id", name=op.f("uq_mail_wish_person_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_mail_wish_public_id")),
    )
    op.create_index("ix_mail_wish_organisation_id", "mail_wish", ["organisation_id"])


def downgrade() -> None:
    op.drop_table("mail_wish")
    op.drop_table("message")
    op.drop_column("person", "unread_messages")
    op.drop_column("outbox_message", "given_up_at")
