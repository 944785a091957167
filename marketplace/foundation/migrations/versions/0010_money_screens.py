"""withdrawals say why; results files, remittances and corrections of bank accounts are kept"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def _columns(*more: sa.Column[Any]) -> list[sa.Column[Any]]:
    return [sa.Column("id", BIGINT, nullable=False), sa.Column("public_id", sa.String(16), nullable=False), *more]


def _person(name: str, *, nullable: bool = True) -> sa.Column[Any]:
    return sa.Column(name, BIGINT, nullable=nullable)


def upgrade() -> None:
    # Added one by one: SQLite would copy and drop the table otherwise, which its rows elsewhere forbid.
    op.add_column("distribution", sa.Column("withdrawn_at", MOMENT, nullable=True))
    op.add_column("distribution", sa.Column("withdrawn_by_id", BIGINT, nullable=True))
    op.add_column("distribution", sa.Column("withdrawn_reason", sa.Text(), nullable=False, server_default=""))

    op.create_table(
        "payout_results",
        *_columns(
            sa.Column("organisation_id", BIGINT, nullable=False),
            sa.Column("batch_id", BIGINT, nullable=False),
            sa.Column("file_id", BIGINT, nullable=False),
            sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("lines", BIGINT, nullable=False),
            sa.Column("received_at", MOMENT, nullable=False),
            _person("received_by_id", nullable=False),
            sa.Column("applied_at", MOMENT, nullable=True),
            _person("applied_by_id"),
        ),
        sa.CheckConstraint("(applied_at IS NULL) = (applied_by_id IS NULL)", name=op.f("ck_payout_results_applied")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_payout_results_organisation_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["payout_batch.id"], name=op.f("fk_payout_results_batch_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_payout_results_file_id")),
        sa.ForeignKeyConstraint(["received_by_id"], ["person.id"], name=op.f("fk_payout_results_received_by_id")),
        sa.ForeignKeyConstraint(["applied_by_id"], ["person.id"], name=op.f("fk_payout_results_applied_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payout_results")),
        sa.UniqueConstraint("public_id", name=op.f("uq_payout_results_public_id")),
        sa.UniqueConstraint("batch_id", "sha256", name=op.f("uq_payout_results_batch_id_sha256")),
    )
    op.create_index("ix_payout_results_organisation_id", "payout_results", ["organisation_id"])
    op.create_index("ix_payout_results_batch_id", "payout_results", ["batch_id"])

    op.create_table(
        "remittance",
        *_columns(
            sa.Column("organisation_id", BIGINT, nullable=False),
            sa.Column("kind", sa.String(12), nullable=False),
            sa.Column("village_id", BIGINT, nullable=True),
            sa.Column("number", sa.String(30), nullable=False),
            sa.Column("fen", BIGINT, nullable=False),
            sa.Column("note", sa.String(200), nullable=False),
            sa.Column("state", sa.String(10), nullable=False),
            sa.Column("proposed_at", MOMENT, nullable=False),
            _person("proposed_by_id", nullable=False),
            sa.Column("approved_at", MOMENT, nullable=True),
            _person("approved_by_id"),
            sa.Column("paid_on", sa.Date(), nullable=True),
            sa.Column("bank_serial", sa.String(40), nullable=False),
            sa.Column("recorded_at", MOMENT, nullable=True),
            sa.Column("withdrawn_at", MOMENT, nullable=True),
            sa.Column("withdrawn_reason", sa.String(300), nullable=False),
            sa.Column("version", BIGINT, nullable=False),
        ),
        sa.CheckConstraint("kind IN ('COLLECTIVE','FUND','REVENUE')", name=op.f("ck_remittance_kind")),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','PAID','WITHDRAWN')", name=op.f("ck_remittance_state")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_remittance_fen")),
        sa.CheckConstraint("(kind = 'COLLECTIVE') = (village_id IS NOT NULL)", name=op.f("ck_remittance_village")),
        sa.CheckConstraint("approved_by_id IS NULL OR approved_by_id <> proposed_by_id", name=op.f("ck_remittance_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_remittance_organisation_id")),
        sa.ForeignKeyConstraint(["village_id"], ["region.id"], name=op.f("fk_remittance_village_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_remittance_proposed_by_id")),
        sa.ForeignKeyConstraint(["approved_by_id"], ["person.id"], name=op.f("fk_remittance_approved_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittance")),
        sa.UniqueConstraint("public_id", name=op.f("uq_remittance_public_id")),
        sa.UniqueConstraint("number", name=op.f("uq_remittance_number")),
    )
    op.create_index("ix_remittance_organisation_id", "remittance", ["organisation_id"])

    op.create_table(
        "account_correction",
        *_columns(
            sa.Column("organisation_id", BIGINT, nullable=False),
            sa.Column("household_id", BIGINT, nullable=False),
            sa.Column("bank_before", sa.String(80), nullable=False),
            sa.Column("account_before_sealed", sa.String(600), nullable=False),
            sa.Column("last4_before", sa.String(4), nullable=False),
            sa.Column("last4_after", sa.String(4), nullable=False),
            sa.Column("reason", sa.String(200), nullable=False),
            sa.Column("at", MOMENT, nullable=False),
            _person("by_id", nullable=False),
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_account_correction_organisation_id")),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_account_correction_household_id")),
        sa.ForeignKeyConstraint(["by_id"], ["person.id"], name=op.f("fk_account_correction_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_correction")),
        sa.UniqueConstraint("public_id", name=op.f("uq_account_correction_public_id")),
    )
    op.create_index("ix_account_correction_organisation_id", "account_correction", ["organisation_id"])
    op.create_index("ix_account_correction_household_id", "account_correction", ["household_id"])


def downgrade() -> None:
    op.drop_table("account_correction")
    op.drop_table("remittance")
    op.drop_table("payout_results")
    for name in ("withdrawn_reason", "withdrawn_by_id", "withdrawn_at"):
        op.drop_column("distribution", name)
