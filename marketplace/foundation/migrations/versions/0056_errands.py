"""errands: steps that a worker takes for the person who asked, because they last longer than a page may"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import Json, UtcDateTime

revision = "0056"
down_revision = "0055"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
OPEN = sa.text("state = 'ASKED'")


def upgrade() -> None:
    op.create_table(
        "errand",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("step", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("given", Json, nullable=False),
        sa.Column("households", BIGINT, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("asked_by_id", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", BIGINT, nullable=False),
        sa.Column("began_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.Column("outcome", Json, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.CheckConstraint("state IN ('ASKED','DONE','REFUSED','FAILED')", name=op.f("ck_errand_state")),
        sa.CheckConstraint("(state = 'ASKED') = (ended_at IS NULL)", name=op.f("ck_errand_ended")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_errand_organisation_id")),
        sa.ForeignKeyConstraint(["asked_by_id"], ["person.id"], name=op.f("fk_errand_asked_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_errand")),
        sa.UniqueConstraint("public_id", name=op.f("uq_errand_public_id")),
    )
    op.create_index("ix_errand_organisation_id", "errand", ["organisation_id"])
    op.create_index("ix_errand_subject", "errand", ["subject", "id"])
    op.create_index("uq_errand_under_way", "errand", ["subject"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)


def downgrade() -> None:
    op.drop_table("errand")
