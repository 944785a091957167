"""shares say who recorded and ended them; wages, rent and relief as records; rows brought from Excel"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from marketplace.foundation.database import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "household_benefit",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("group_id", BIGINT, nullable=False),
        sa.Column("household_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("recorded_by_id", BIGINT, nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('WAGE','LEASE','RELIEF')", name=op.f("ck_household_benefit_kind")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_household_benefit_fen")),
        sa.ForeignKeyConstraint(
            ["group_id"], ["linkage_group.id"], name=op.f("fk_household_benefit_group_id")
        ),
        sa.ForeignKeyConstraint(
            ["household_id"], ["household.id"], name=op.f("fk_household_benefit_household_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_household_benefit_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by_id"], ["person.id"], name=op.f("fk_household_benefit_recorded_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household_benefit")),
    )
    with op.batch_alter_table("household_benefit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_household_benefit_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_household_benefit_household_id"), ["household_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_household_benefit_organisation_id"), ["organisation_id"], unique=False
        )

    op.create_table(
        "member_import",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("linkage_group_id", BIGINT, nullable=False),
        sa.Column("batch_id", BIGINT, nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("rows", JSON, nullable=False),
        sa.Column("declared_shares", BIGINT, nullable=True),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("made_by_id", BIGINT, nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("applied_by_id", BIGINT, nullable=True),
        sa.Column("applied_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('SHARES','DELIVERIES')", name=op.f("ck_member_import_kind")),
        sa.CheckConstraint("state IN ('CHECKED','APPLIED')", name=op.f("ck_member_import_state")),
        sa.ForeignKeyConstraint(
            ["applied_by_id"], ["person.id"], name=op.f("fk_member_import_applied_by_id")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_member_import_batch_id")),
        sa.ForeignKeyConstraint(
            ["linkage_group_id"], ["linkage_group.id"], name=op.f("fk_member_import_linkage_group_id")
        ),
        sa.ForeignKeyConstraint(["made_by_id"], ["person.id"], name=op.f("fk_member_import_made_by_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_member_import_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member_import")),
        sa.UniqueConstraint("public_id", name=op.f("uq_member_import_public_id")),
    )
    with op.batch_alter_table("member_import", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_member_import_organisation_id"), ["organisation_id"], unique=False
        )

    with op.batch_alter_table("linkage_share", schema=None) as batch_op:
        batch_op.add_column(sa.Column("recorded_by_id", BIGINT, nullable=True))
        batch_op.add_column(sa.Column("ended_by_id", BIGINT, nullable=True))
        batch_op.add_column(sa.Column("end_reason", sa.String(length=200), server_default="", nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("linkage_share", schema=None) as batch_op:
        batch_op.drop_column("end_reason")
        batch_op.drop_column("ended_by_id")
        batch_op.drop_column("recorded_by_id")

    with op.batch_alter_table("member_import", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_member_import_organisation_id"))

    op.drop_table("member_import")
    with op.batch_alter_table("household_benefit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_household_benefit_organisation_id"))
        batch_op.drop_index(batch_op.f("ix_household_benefit_household_id"))
        batch_op.drop_index(batch_op.f("ix_household_benefit_group_id"))

    op.drop_table("household_benefit")
