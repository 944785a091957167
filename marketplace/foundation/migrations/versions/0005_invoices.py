"""invoices, their red letters, and how goods are taxed"""

import sqlalchemy as sa
from alembic import op

from marketplace.foundation.database import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = UtcDateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "invoice",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("buyer_id", BIGINT, nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("tax_number", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=100), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("bank_name", sa.String(length=100), nullable=False),
        sa.Column("bank_account", sa.String(length=30), nullable=False),
        sa.Column("note", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("red_fen", BIGINT, nullable=False),
        sa.Column("requested_at", MOMENT, nullable=False),
        sa.Column("requested_by_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=20), nullable=True),
        sa.Column("issued_on", sa.Date(), nullable=True),
        sa.Column("issued_by_id", BIGINT, nullable=True),
        sa.Column("file_id", BIGINT, nullable=True),
        sa.Column("closed_reason", sa.String(length=200), nullable=False),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("version", BIGINT, nullable=False),
        sa.CheckConstraint(
            "(number IS NOT NULL) = (state IN ('ISSUED','REVERSED'))", name=op.f("ck_invoice_issued")
        ),
        sa.CheckConstraint("kind IN ('VAT_GENERAL','VAT_SPECIAL')", name=op.f("ck_invoice_kind")),
        sa.CheckConstraint(
            "state IN ('REQUESTED','ISSUED','REFUSED','WITHDRAWN','REVERSED')", name=op.f("ck_invoice_state")
        ),
        sa.CheckConstraint("fen > 0 AND red_fen >= 0 AND red_fen <= fen", name=op.f("ck_invoice_fen")),
        sa.ForeignKeyConstraint(["buyer_id"], ["organisation.id"], name=op.f("fk_invoice_buyer_id")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_invoice_file_id")),
        sa.ForeignKeyConstraint(["issued_by_id"], ["person.id"], name=op.f("fk_invoice_issued_by_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_invoice_organisation_id")
        ),
        sa.ForeignKeyConstraint(["requested_by_id"], ["person.id"], name=op.f("fk_invoice_requested_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_invoice_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_invoice_public_id")),
    )
    op.create_index("ix_invoice_buyer", "invoice", ["buyer_id", "id"], unique=False)
    op.create_index("ix_invoice_seller", "invoice", ["organisation_id", "state", "id"], unique=False)
    op.create_table(
        "invoice_tax",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("category", sa.String(length=30), nullable=False),
        sa.Column("class_code", sa.String(length=19), nullable=False),
        sa.Column("rate_bp", BIGINT, nullable=False),
        sa.Column("exempt", sa.Boolean(), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("NOT exempt OR rate_bp = 0", name=op.f("ck_invoice_tax_exempt")),
        sa.CheckConstraint("rate_bp >= 0 AND rate_bp <= 2000", name=op.f("ck_invoice_tax_rate")),
        sa.ForeignKeyConstraint(["category"], ["category.code"], name=op.f("fk_invoice_tax_category")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_invoice_tax_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_tax")),
        sa.UniqueConstraint(
            "organisation_id", "category", name=op.f("uq_invoice_tax_organisation_id_category")
        ),
    )
    op.create_table(
        "red_invoice",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("invoice_id", BIGINT, nullable=False),
        sa.Column("number", sa.String(length=20), nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("recorded_at", MOMENT, nullable=False),
        sa.Column("recorded_by_id", BIGINT, nullable=False),
        sa.Column("file_id", BIGINT, nullable=True),
        sa.Column("public_id", sa.String(length=16), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("fen > 0", name=op.f("ck_red_invoice_fen")),
        sa.ForeignKeyConstraint(["file_id"], ["stored_file.id"], name=op.f("fk_red_invoice_file_id")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_red_invoice_invoice_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_red_invoice_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["recorded_by_id"], ["person.id"], name=op.f("fk_red_invoice_recorded_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_red_invoice")),
        sa.UniqueConstraint("number", name=op.f("uq_red_invoice_number")),
        sa.UniqueConstraint("public_id", name=op.f("uq_red_invoice_public_id")),
    )
    op.create_index(op.f("ix_red_invoice_invoice_id"), "red_invoice", ["invoice_id"], unique=False)
    op.create_index(op.f("ix_red_invoice_organisation_id"), "red_invoice", ["organisation_id"], unique=False)
    op.create_table(
        "invoice_order",
        sa.Column("organisation_id", BIGINT, nullable=False),
        sa.Column("invoice_id", BIGINT, nullable=False),
        sa.Column("order_id", BIGINT, nullable=False),
        sa.Column("fen", BIGINT, nullable=False),
        sa.Column("lives", sa.Boolean(), nullable=False),
        sa.Column("id", BIGINT, nullable=False),
        sa.CheckConstraint("fen > 0", name=op.f("ck_invoice_order_fen")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_invoice_order_invoice_id")),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name=op.f("fk_invoice_order_order_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name=op.f("fk_invoice_order_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoice_order")),
    )
    op.create_index(op.f("ix_invoice_order_invoice_id"), "invoice_order", ["invoice_id"], unique=False)
    op.create_index(op.f("ix_invoice_order_order_id"), "invoice_order", ["order_id"], unique=False)
    op.create_index(
        "uq_invoice_order_lives",
        "invoice_order",
        ["order_id"],
        unique=True,
        sqlite_where=sa.text("lives"),
        postgresql_where=sa.text("lives"),
    )


def downgrade() -> None:
    for table in ("invoice_order", "red_invoice", "invoice_tax", "invoice"):
        op.drop_table(table)
