"""a household leaves, dies out or divides by a document and on two people's word; an heir is paid in its place"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
WAITING = sa.text("state = 'PROPOSED'")


def upgrade() -> None:
    op.create_table(
        "household_change",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("file_id", BIGINT, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("people_before", BIGINT, nullable=False),
        sa.Column("other_name_sealed", sa.String(length=600), nullable=False),
        sa.Column("other_id_number_sealed", sa.String(length=600), nullable=False),
        sa.Column("other_bank", sa.String(length=80), nullable=False),
        sa.Column("other_account_sealed", sa.String(length=600), nullable=False),
        sa.Column("other_code", sa.String(length=30), nullable=False),
        sa.Column("other_people", BIGINT, nullable=False),
        sa.Column("other_unable", BIGINT, nullable=False),
        sa.Column("shares_bp", BIGINT, nullable=False),
        sa.Column("credit_bp", BIGINT, nullable=False),
        sa.Column("other_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('LEAVES','DIES','SPLITS')", name=op.f("ck_household_change_kind")),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name=op.f("ck_household_change_state")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_household_change_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_household_change_organisation_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_household_change_household_id")),
        sa.ForeignKeyConstraint(["other_id"], ["household.id"], name=op.f("fk_household_change_other_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_household_change_file_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_household_change_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_household_change_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_change")),
        sa.UniqueConstraint("public_id", name=op.f("uq_household_change_public_id")),
    )
    op.create_index("ix_household_change_organisation_id", "household_change", ["organisation_id"])
    op.create_index("ix_household_change_household_id", "household_change", ["household_id"])
    op.create_index("uq_household_change_waiting", "household_change", ["household_id"], unique=True, sqlite_where=WAITING, postgresql_where=WAITING)
    for name in ("payee_name_sealed", "payee_id_number_sealed"):
        op.add_column("household", sa.Column(name, sa.String(length=600), server_default="", nullable=False))


def downgrade() -> None:
    for name in ("payee_id_number_sealed", "payee_name_sealed"):
        op.drop_column("household", name)
    op.drop_table("household_change")
