"""refunds by another way: over the bank, made again after a refusal, or made at the channel"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from marketplace.foundation.database import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("refund") as batch:
        batch.add_column(sa.Column("way", sa.String(8), nullable=False, server_default="alipay"))
        batch.add_column(sa.Column("sub_code", sa.String(60), nullable=False, server_default=""))
        batch.add_column(sa.Column("reissues_id", BIGINT, nullable=True))
        batch.add_column(sa.Column("elsewhere", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch.create_check_constraint(op.f("ck_refund_way"), "way IN ('alipay','bank')")
        batch.create_foreign_key(op.f("fk_refund_reissues_id"), "refund", ["reissues_id"], ["id"])
        batch.create_unique_constraint(op.f("uq_refund_reissues_id"), ["reissues_id"])
    op.execute(
        "UPDATE refund SET way = 'bank' WHERE payment_id IN (SELECT id FROM payment WHERE channel NOT LIKE 'alipay%')"
    )
    with op.batch_alter_table("payment") as batch:
        batch.add_column(sa.Column("precreated", sa.String(400), nullable=True))
    with op.batch_alter_table("return_request") as batch:
        batch.add_column(sa.Column("lines", JSON, nullable=True))
    op.create_table(
        "bank_refund",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("refund_id", BIGINT, nullable=True),
        sa.Column("replaces_id", BIGINT, nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("payee_name_sealed", sa.String(600), nullable=False),
        sa.Column("payee_account_sealed", sa.String(600), nullable=False),
        sa.Column("payee_bank", sa.String(80), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("approved_at", MOMENT, nullable=True),
        sa.Column("approved_by_id", BIGINT, nullable=True),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("reference", sa.String(40), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("recorded_at", MOMENT, nullable=True),
        sa.Column("recorded_by_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED','PAID')", name=op.f("ck_bank_refund_state")),
        sa.CheckConstraint("approved_by_id IS NULL OR approved_by_id <> proposed_by_id", name=op.f("ck_bank_refund_two_people")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_bank_refund_organisation_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refund.id"], name=op.f("fk_bank_refund_refund_id")),
        sa.ForeignKeyConstraint(["replaces_id"], ["refund.id"], name=op.f("fk_bank_refund_replaces_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_bank_refund_proposed_by_id")),
        sa.ForeignKeyConstraint(["approved_by_id"], ["person.id"], name=op.f("fk_bank_refund_approved_by_id")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["person.id"], name=op.f("fk_bank_refund_recorded_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_refund")),
        sa.UniqueConstraint("organisation_id", "reference", name=op.f("uq_bank_refund_organisation_id_reference")),
        sa.UniqueConstraint("public_id", name=op.f("uq_bank_refund_public_id")),
        sa.UniqueConstraint("refund_id", name=op.f("uq_bank_refund_refund_id")),
    )
    with op.batch_alter_table("bank_refund") as batch:
        batch.create_index(batch.f("ix_bank_refund_organisation_id"), ["organisation_id"])
        batch.create_index(batch.f("ix_bank_refund_replaces_id"), ["replaces_id"])


def downgrade() -> None:
    op.drop_table("bank_refund")
    with op.batch_alter_table("return_request") as batch:
        batch.drop_column("lines")
    with op.batch_alter_table("payment") as batch:
        batch.drop_column("precreated")
    with op.batch_alter_table("refund") as batch:
        batch.drop_constraint(op.f("uq_refund_reissues_id"), type_="unique")
        batch.drop_constraint(op.f("fk_refund_reissues_id"), type_="foreignkey")
        batch.drop_constraint(op.f("ck_refund_way"), type_="check")
        for name in ("elsewhere", "reissues_id", "sub_code", "way"):
            batch.drop_column(name)
