"""packs that were paid back before they left come off an order; an order that was called off ends for its unit too"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0068"
down_revision = "0067"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    whole = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    # With its check in one statement: SQLite would copy the table for a check of its own, which other tables refer to.
    op.execute(
        f"ALTER TABLE order_line ADD COLUMN taken_off {whole} DEFAULT 0 NOT NULL"
        " CONSTRAINT ck_order_line_taken_off CHECK (taken_off >= 0 AND shipped + taken_off <= quantity)"
    )
    op.add_column("return_request", sa.Column("unsent", JSON, nullable=True))
    op.execute(
        """UPDATE directed_order SET approval = 'CANCELLED' WHERE approval = 'CONFIRMED'
           AND order_id IN (SELECT id FROM "order" WHERE fulfilment = 'CANCELLED')"""
    )


def downgrade() -> None:
    op.drop_column("return_request", "unsent")
    op.drop_column("order_line", "taken_off")
