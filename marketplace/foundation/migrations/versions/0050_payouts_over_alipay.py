"""payouts over Alipay: households' accounts there with their owner's name, transfers, and batches that stop when the balance is short"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)
_SEALED = sa.String(length=600)


def upgrade() -> None:
    op.add_column("household", sa.Column("alipay_name_sealed", _SEALED, server_default="", nullable=False))
    with op.batch_alter_table("account_proposal") as table:
        table.add_column(sa.Column("kind", sa.String(length=8), server_default="bank", nullable=False))
        table.add_column(sa.Column("name_before_sealed", _SEALED, server_default="", nullable=False))
        table.add_column(sa.Column("payee_name_sealed", _SEALED, server_default="", nullable=False))
        table.create_check_constraint(op.f("ck_account_proposal_kind"), "kind IN ('bank','alipay')")
    op.add_column("account_correction", sa.Column("kind", sa.String(length=8), server_default="bank", nullable=False))
    op.add_column("account_correction", sa.Column("name_before_sealed", _SEALED, server_default="", nullable=False))
    op.add_column("payout_item", sa.Column("payee_name_sealed", _SEALED, server_default="", nullable=False))
    op.add_column("payout_batch", sa.Column("stopped_at", MOMENT, nullable=True))
    op.add_column("payout_batch", sa.Column("stopped_code", sa.String(length=60), server_default="", nullable=False))
    op.add_column("payout_batch", sa.Column("stopped_item_id", BIGINT, nullable=True))
    op.create_table(
        "transfer",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("payable_kind", sa.String(length=20), nullable=False),
        sa.Column("payable_id", BIGINT, nullable=False),
        sa.Column("bundle_id", BIGINT, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("seller_id", sa.String(length=64), nullable=False),
        sa.Column("out_biz_no", sa.String(length=64), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("payee_account_sealed", _SEALED, nullable=False),
        sa.Column("payee_name_sealed", _SEALED, nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("sent", BIGINT, nullable=False),
        sa.Column("refused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("sub_code", sa.String(length=60), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.Column("succeeded_at", MOMENT, nullable=True),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.CheckConstraint("fen BETWEEN 10 AND 5000000", name=op.f("ck_transfer_fen")),
        sa.CheckConstraint("state IN ('waiting','sending','unknown','succeeded','failed','returned')", name=op.f("ck_transfer_state")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_transfer_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfer")),
        sa.UniqueConstraint("out_biz_no", name=op.f("uq_transfer_out_biz_no")),
        sa.UniqueConstraint("payable_kind", "payable_id", name=op.f("uq_transfer_payable_kind_payable_id")),
        sa.UniqueConstraint("public_id", name=op.f("uq_transfer_public_id")),
    )
    op.create_index("ix_transfer_organisation_id", "transfer", ["organisation_id"])
    op.create_index("ix_transfer_bundle", "transfer", ["payable_kind", "bundle_id", "state"])


def downgrade() -> None:
    op.drop_table("transfer")
    for table, columns in (
        ("payout_batch", ("stopped_item_id", "stopped_code", "stopped_at")),
        ("payout_item", ("payee_name_sealed",)),
        ("account_correction", ("name_before_sealed", "kind")),
        ("household", ("alipay_name_sealed",)),
    ):
        with op.batch_alter_table(table) as its:
            for column in columns:
                its.drop_column(column)
    with op.batch_alter_table("account_proposal") as its:
        its.drop_constraint(op.f("ck_account_proposal_kind"), type_="check")
        for column in ("payee_name_sealed", "name_before_sealed", "kind"):
            its.drop_column(column)
