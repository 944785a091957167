"""the shelf's version, the index of words on PostgreSQL, and an index for each way in which the shelf is sorted"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INDEXES = {
    "ix_product_by_township": ["state", "township_id", "id"],
    "ix_product_by_price": ["state", "from_price_fen", "id"],
    "ix_product_by_category_price": ["state", "category", "from_price_fen", "id"],
    "ix_product_by_sold": ["state", "sold_count", "id"],
    "ix_product_by_category_sold": ["state", "category", "sold_count", "id"],
}


def upgrade() -> None:
    version = op.create_table(
        "shelf_version",
        sa.Column("id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("number", BIGINT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shelf_version")),
    )
    op.bulk_insert(version, [{"id": 1, "number": 1}])
    op.create_table(
        "search_document",
        sa.Column("product_id", BIGINT, autoincrement=False, nullable=False),
        sa.Column("terms", TSVECTOR().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_search_document_product_id")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_search_document")),
    )
    op.create_table(
        "search_term",
        sa.Column("term", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("term", name=op.f("pk_search_term")),
    )
    if op.get_context().dialect.name == "postgresql":
        op.create_index("ix_search_document_terms", "search_document", ["terms"], postgresql_using="gin")
    for name, columns in INDEXES.items():
        op.create_index(name, "product", columns)


def downgrade() -> None:
    for name in INDEXES:
        op.drop_index(name, table_name="product")
    for table in ("search_term", "search_document", "shelf_version"):
        op.drop_table(table)
