"""every row of a bank's statement is kept, in and out, with what it is; a layout that was chosen is kept; a receipt may go back"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from marketplace.foundation.database import UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = UtcDateTime(timezone=True)
RETURNED = "returned_fen >= 0 AND matched_fen + returned_fen <= fen"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # With its check in one statement: a table that others point to is not made anew.
        op.execute(f"ALTER TABLE bank_receipt ADD COLUMN returned_fen INTEGER DEFAULT '0' NOT NULL CONSTRAINT ck_bank_receipt_returned CHECK ({RETURNED})")
    else:
        op.add_column("bank_receipt", sa.Column("returned_fen", BIGINT, nullable=False, server_default="0"))
        op.create_check_constraint(op.f("ck_bank_receipt_returned"), "bank_receipt", RETURNED)
    for name, kind in (("taken_at", MOMENT), ("first_day", sa.Date()), ("last_day", sa.Date()), ("opening_fen", BIGINT), ("closing_fen", BIGINT)):
        op.add_column("bank_statement", sa.Column(name, kind, nullable=True))
    op.execute("UPDATE bank_statement SET taken_at = imported_at")
    op.create_table(
        "bank_layout",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("header_sha256", sa.String(64), nullable=False),
        sa.Column("columns", JSON, nullable=False),
        sa.Column("chosen_at", MOMENT, nullable=False),
        sa.Column("chosen_by_id", BIGINT, nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_bank_layout_organisation_id")),
        sa.ForeignKeyConstraint(["chosen_by_id"], ["person.id"], name=op.f("fk_bank_layout_chosen_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bank_layout")),
        sa.UniqueConstraint("organisation_id", "header_sha256", name=op.f("uq_bank_layout_organisation_id_header_sha256")),
    )
    op.create_table(
        "statement_row",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("side", sa.String(6), nullable=False),
        sa.Column("statement_id", BIGINT, nullable=True),
        sa.Column("serial", sa.String(80), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("balance_fen", BIGINT, nullable=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("number", sa.String(64), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("account_sealed", sa.String(600), nullable=False),
        sa.Column("remark", sa.String(300), nullable=False),
        sa.Column("public_id", sa.String(16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("fen <> 0", name=op.f("ck_statement_row_fen")),
        sa.CheckConstraint("side IN ('bank','alipay')", name=op.f("ck_statement_row_side")),
        sa.CheckConstraint("(side = 'bank') = (statement_id IS NOT NULL)", name=op.f("ck_statement_row_whence")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_statement_row_organisation_id")),
        sa.ForeignKeyConstraint(["statement_id"], ["bank_statement.id"], name=op.f("fk_statement_row_statement_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_row")),
        sa.UniqueConstraint("organisation_id", "side", "serial", name=op.f("uq_statement_row_organisation_id_side_serial")),
        sa.UniqueConstraint("public_id", name=op.f("uq_statement_row_public_id")),
    )
    op.create_table(
        "statement_link",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("row_id", BIGINT, nullable=False),
        sa.Column("entry_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("linked_at", MOMENT, nullable=False),
        sa.Column("linked_by_id", BIGINT, nullable=True),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("fen <> 0", name=op.f("ck_statement_link_fen")),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisation.id"], name=op.f("fk_statement_link_organisation_id")),
        sa.ForeignKeyConstraint(["row_id"], ["statement_row.id"], name=op.f("fk_statement_link_row_id")),
        sa.ForeignKeyConstraint(["linked_by_id"], ["person.id"], name=op.f("fk_statement_link_linked_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement_link")),
        sa.UniqueConstraint("row_id", "entry_id", name=op.f("uq_statement_link_row_id_entry_id")),
    )
    op.create_index(op.f("ix_statement_row_statement_id"), "statement_row", ["statement_id"])
    op.create_index("ix_statement_row_day", "statement_row", ["organisation_id", "side", "day"])
    op.create_index(op.f("ix_statement_link_organisation_id"), "statement_link", ["organisation_id"])
    op.create_index("ix_statement_link_entry", "statement_link", ["entry_id"])
    # What came in was kept before; what went out was only counted, and its statements can be brought again.
    op.execute(
        "INSERT INTO statement_row (organisation_id, side, statement_id, serial, day, fen, kind, number, name, account_sealed, remark, public_id) "
        "SELECT organisation_id, 'bank', statement_id, serial, received_on, fen, '', '', payer_name, '', remark, public_id "
        "FROM bank_receipt ORDER BY id"
    )
    op.execute(
        "INSERT INTO statement_link (organisation_id, row_id, entry_id, fen, linked_at) "
        "SELECT receipt.organisation_id, statement_row.id, entry.id, receipt.fen, entry.posted_at FROM bank_receipt receipt "
        "JOIN statement_row ON statement_row.organisation_id = receipt.organisation_id AND statement_row.serial = receipt.serial "
        "JOIN journal_entry entry ON entry.source_type = 'bank_receipt' AND entry.source_id = receipt.id AND entry.kind = 'bank_received'"
    )


def downgrade() -> None:
    for table in ("statement_link", "statement_row", "bank_layout"):
        op.drop_table(table)
    for name in ("closing_fen", "opening_fen", "last_day", "first_day", "taken_at"):
        op.drop_column("bank_statement", name)
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_bank_receipt_returned"), "bank_receipt", type_="check")
    op.drop_column("bank_receipt", "returned_fen")
