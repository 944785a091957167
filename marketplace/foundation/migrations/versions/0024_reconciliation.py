"""withdrawals from Alipay, its account bills, money that goes back to a payer, what a row is, and differences as tasks"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alipay_withdrawal",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(30), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("serial", sa.String(64), nullable=False),
        sa.Column("ordered_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("recorded_by_id", BIGINT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("closed_by_id", BIGINT, nullable=True),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('SENT','ARRIVED','FAILED')", name=op.f("ck_alipay_withdrawal_state")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_alipay_withdrawal_fen")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["person.id"], name=op.f("fk_alipay_withdrawal_recorded_by_id")),
        sa.ForeignKeyConstraint(["closed_by_id"], ["person.id"], name=op.f("fk_alipay_withdrawal_closed_by_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alipay_withdrawal_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alipay_withdrawal")),
        sa.UniqueConstraint("number", name=op.f("uq_alipay_withdrawal_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_alipay_withdrawal_public_id")),
        sa.UniqueConstraint("organisation_id", "serial", name=op.f("uq_alipay_withdrawal_organisation_id_serial")),
    )
    op.create_index(op.f("ix_alipay_withdrawal_organisation_id"), "alipay_withdrawal", ["organisation_id"])
    op.create_table(
        "alipay_account_bill",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("rows", BIGINT, nullable=False),
        sa.Column("opening_fen", BIGINT, nullable=True),
        sa.Column("closing_fen", BIGINT, nullable=True),
        sa.Column("imported_at", MOMENT, nullable=False),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_alipay_account_bill_organisation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alipay_account_bill")),
        sa.UniqueConstraint("public_id", name=op.f("uq_alipay_account_bill_public_id")),
        sa.UniqueConstraint("organisation_id", "day", name=op.f("uq_alipay_account_bill_organisation_id_day")),
    )
    op.create_table(
        "receipt_return",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("receipt_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(30), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("payee_name", sa.String(120), nullable=False),
        sa.Column("payee_account_sealed", sa.String(600), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(300), nullable=False),
        sa.Column("reference", sa.String(40), nullable=True),
        sa.Column("paid_on", sa.Date(), nullable=True),
        sa.Column("recorded_by_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','PAID','REFUSED')", name=op.f("ck_receipt_return_state")),
        sa.CheckConstraint("fen > 0", name=op.f("ck_receipt_return_fen")),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_receipt_return_two_people")),
        sa.ForeignKeyConstraint(["receipt_id"], ["bank_receipt.id"], name=op.f("fk_receipt_return_receipt_id")),
        sa.ForeignKeyConstraint(["recorded_by_id"], ["person.id"], name=op.f("fk_receipt_return_recorded_by_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_receipt_return_proposed_by_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_receipt_return_organisation_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_receipt_return_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_return")),
        sa.UniqueConstraint("public_id", name=op.f("uq_receipt_return_public_id")),
        sa.UniqueConstraint("organisation_id", "reference", name=op.f("uq_receipt_return_organisation_id_reference")),
        sa.UniqueConstraint("number", name=op.f("uq_receipt_return_number")),
    )
    op.create_index(op.f("ix_receipt_return_organisation_id"), "receipt_return", ["organisation_id"])
    op.create_index(op.f("ix_receipt_return_receipt_id"), "receipt_return", ["receipt_id"])
    op.create_table(
        "row_decision",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("row_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("receipt_id", BIGINT, nullable=True),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("proposed_at", MOMENT, nullable=False),
        sa.Column("proposed_by_id", BIGINT, nullable=False),
        sa.Column("decided_at", MOMENT, nullable=True),
        sa.Column("decided_by_id", BIGINT, nullable=True),
        sa.Column("answer", sa.String(300), nullable=False),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name=op.f("ck_row_decision_two_people")),
        sa.CheckConstraint("state IN ('PROPOSED','APPROVED','REFUSED')", name=op.f("ck_row_decision_state")),
        sa.CheckConstraint("(kind = 'TAKES_BACK') = (receipt_id IS NOT NULL)", name=op.f("ck_row_decision_receipt")),
        sa.CheckConstraint("kind IN ('UNRELATED','WITHDRAWAL','TAKES_BACK')", name=op.f("ck_row_decision_kind")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_row_decision_row_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_row_decision_organisation_id")),
        sa.ForeignKeyConstraint(["receipt_id"], ["bank_receipt.id"], name=op.f("fk_row_decision_receipt_id")),
        sa.ForeignKeyConstraint(["proposed_by_id"], ["person.id"], name=op.f("fk_row_decision_proposed_by_id")),
        sa.ForeignKeyConstraint(["decided_by_id"], ["person.id"], name=op.f("fk_row_decision_decided_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_row_decision")),
        sa.UniqueConstraint("public_id", name=op.f("uq_row_decision_public_id")),
    )
    op.create_index(op.f("ix_row_decision_organisation_id"), "row_decision", ["organisation_id"])
    op.create_index("uq_row_decision_open", "row_decision", ["row_id"], unique=True, sqlite_where=sa.text("state = 'PROPOSED'"), postgresql_where=sa.text("state = 'PROPOSED'"))
    op.create_table(
        "difference",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("side", sa.String(6), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("subject", sa.String(30), nullable=False),
        sa.Column("entry_id", BIGINT, nullable=True),
        sa.Column("row_id", BIGINT, nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("number", sa.String(80), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("owner_id", BIGINT, nullable=True),
        sa.Column("explanation", sa.String(300), nullable=False),
        sa.Column("explained_at", MOMENT, nullable=True),
        sa.Column("explained_by_id", BIGINT, nullable=True),
        sa.Column("gone_at", MOMENT, nullable=True),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint("state IN ('OPEN','EXPLAINED','GONE')", name=op.f("ck_difference_state")),
        sa.CheckConstraint("kind IN ('ONLY_OURS','ONLY_THEIRS','AMOUNT','MISSING_ROWS','BEFORE')", name=op.f("ck_difference_kind")),
        sa.CheckConstraint("(state = 'EXPLAINED') = (explained_by_id IS NOT NULL)", name=op.f("ck_difference_explained")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_difference_row_id")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_difference_organisation_id")),
        sa.ForeignKeyConstraint(["explained_by_id"], ["person.id"], name=op.f("fk_difference_explained_by_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["person.id"], name=op.f("fk_difference_owner_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_difference")),
        sa.UniqueConstraint("public_id", name=op.f("uq_difference_public_id")),
    )
    op.create_index("ix_difference_open", "difference", ["state", "found_at"])
    op.create_index("uq_difference_subject", "difference", ["organisation_id", "side", "subject"], unique=True)
    op.create_table(
        "reconciled_day",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("side", sa.String(6), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ours_fen", BIGINT, nullable=False),
        sa.Column("theirs_fen", BIGINT, nullable=True),
        sa.Column("items", BIGINT, nullable=False),
        sa.Column("differences", BIGINT, nullable=False),
        sa.Column("reconciled_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_reconciled_day_organisation_id")),
        sa.PrimaryKeyConstraint("organisation_id", "side", "day", name=op.f("pk_reconciled_day")),
    )


def downgrade() -> None:
    for table in ("reconciled_day", "difference", "row_decision", "receipt_return", "alipay_account_bill", "alipay_withdrawal"):
        op.drop_table(table)
