"""A permission that the key of a Stripe account lacks: what needs it waits, and is told by name until it is there."""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0084"
down_revision = "0083"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "lacking_permission",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("permission", sa.String(length=60), nullable=False),
        sa.Column("since", UtcDateTime(timezone=True), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_lacking_permission_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lacking_permission")),
        sa.UniqueConstraint("organisation_id", "account", "kind", name=op.f("uq_lacking_permission_organisation_id_account_kind")),
        sa.UniqueConstraint("public_id", name=op.f("uq_lacking_permission_public_id")),
    )


def downgrade() -> None:
    op.drop_table("lacking_permission")
