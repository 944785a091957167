"""what each product has sold is counted from what was settled: until now nobody counted"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        UPDATE product SET sold_count = COALESCE((
            SELECT SUM(COALESCE(order_line.accepted, order_line.quantity))
            FROM settlement_line JOIN order_line ON order_line.id = settlement_line.order_line_id
            WHERE order_line.product_id = product.id AND settlement_line.base_fen > 0
        ), 0)
        """
    )
    # Lists sorted by it are never kept; what a page shows did not change.


def downgrade() -> None:
    op.execute("UPDATE product SET sold_count = 0")
