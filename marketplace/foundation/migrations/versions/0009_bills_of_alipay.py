"""bills of Alipay: days imported, their rows, and what does not fit"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alipay_bill",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("rows", BIGINT, nullable=False),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alipay_bill_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alipay_bill")),
        sa.UniqueConstraint("organisation_id", "day", name=op.f("uq_alipay_bill_organisation_id_day")),
        sa.UniqueConstraint("public_id", name=op.f("uq_alipay_bill_public_id")),
    )
    op.create_table(
        "alipay_bill_row",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("bill_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(6), nullable=False),
        sa.Column("trade_no", sa.String(64), nullable=False),
        sa.Column("out_trade_no", sa.String(64), nullable=False),
        sa.Column("out_request_no", sa.String(64), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("fee_fen", BIGINT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alipay_bill_row_organisation_id")),
        sa.ForeignKeyConstraint(["bill_id"], ["alipay_bill.id"], name=op.f("fk_alipay_bill_row_bill_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alipay_bill_row")),
        sa.UniqueConstraint("organisation_id", "kind", "trade_no", "out_request_no", name="uq_alipay_bill_row_movement"),
    )
    with op.batch_alter_table("alipay_bill_row") as batch:
        batch.create_index(batch.f("ix_alipay_bill_row_bill_id"), ["bill_id"])
        batch.create_index("ix_alipay_bill_row_number", ["out_trade_no"])
    op.create_table(
        "bill_difference",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("bill_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("out_trade_no", sa.String(64), nullable=False),
        sa.Column("out_request_no", sa.String(64), nullable=False),
        sa.Column("ours_fen", BIGINT, nullable=False),
        sa.Column("theirs_fen", BIGINT, nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("explained_at", MOMENT, nullable=True),
        sa.Column("explained_by_id", BIGINT, nullable=True),
        sa.Column("explanation", sa.String(300), nullable=False),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("kind IN ('ONLY_THEIRS','ONLY_OURS','AMOUNT')", name=op.f("ck_bill_difference_kind")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_bill_difference_organisation_id")),
        sa.ForeignKeyConstraint(["bill_id"], ["alipay_bill.id"], name=op.f("fk_bill_difference_bill_id")),
        sa.ForeignKeyConstraint(["explained_by_id"], ["person.id"], name=op.f("fk_bill_difference_explained_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bill_difference")),
        sa.UniqueConstraint("organisation_id", "out_trade_no", "out_request_no", "kind", name="uq_bill_difference_subject"),
        sa.UniqueConstraint("public_id", name=op.f("uq_bill_difference_public_id")),
    )
    with op.batch_alter_table("bill_difference") as batch:
        batch.create_index(batch.f("ix_bill_difference_found_at"), ["found_at"])
    with op.batch_alter_table("payment_call") as batch:
        batch.create_index("ix_payment_call_answered", ["organisation_id", "answered_at"])


def downgrade() -> None:
    with op.batch_alter_table("payment_call") as batch:
        batch.drop_index("ix_payment_call_answered")
    for table in ("bill_difference", "alipay_bill_row", "alipay_bill"):
        op.drop_table(table)
