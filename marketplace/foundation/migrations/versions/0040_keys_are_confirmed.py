"""A new key of a payment channel is believed once a second person confirmed it; those that were switched to had been seen by one."""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BY_ANOTHER = "confirmed_by_id IS NULL OR confirmed_by_id <> added_by_id"


def upgrade() -> None:
    op.add_column("channel_key", sa.Column("confirmed_at", UtcDateTime(timezone=True), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        # With its check and its person in one statement: the table is not made anew, and keeps the checks it has.
        op.execute(
            "ALTER TABLE channel_key ADD COLUMN confirmed_by_id INTEGER CONSTRAINT fk_channel_key_confirmed_by_id REFERENCES person (id)"
            f" CONSTRAINT ck_channel_key_confirmed_by_another CHECK ({BY_ANOTHER})"
        )
    else:
        op.add_column("channel_key", sa.Column("confirmed_by_id", BIGINT, nullable=True))
        op.create_foreign_key(op.f("fk_channel_key_confirmed_by_id"), "channel_key", "person", ["confirmed_by_id"], ["id"])
        op.create_check_constraint(op.f("ck_channel_key_confirmed_by_another"), "channel_key", BY_ANOTHER)
    op.execute("UPDATE channel_key SET confirmed_at = switched_at, confirmed_by_id = switched_by_id WHERE switched_by_id IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table("channel_key") as table:
        table.drop_constraint(op.f("ck_channel_key_confirmed_by_another"), type_="check")
        table.drop_column("confirmed_by_id")
        table.drop_column("confirmed_at")
