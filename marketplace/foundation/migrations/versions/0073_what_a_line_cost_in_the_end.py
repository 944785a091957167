"""what of a line a unit did not pay: of packs that are short, and its part of a cut; no more goes back of it than it cost"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Connection, text

revision = "0073"
down_revision = "0072"
branch_labels = None
depends_on = None

BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Lines of units' orders that were accepted, in order: what each settled at and still has of that, if it did.
_LINES = """
    SELECT l.order_id, l.id, l.goods_fen, l.quantity, l.accepted, l.refunded_fen, o.cut_fen,
        (SELECT s.base_fen - coalesce((SELECT sum(t.cooperative_fen + t.pool_fen + t.village_fen + t.fund_fen) FROM taken_back t
            WHERE t.settlement_line_id = s.id), 0) FROM settlement_line s WHERE s.order_line_id = l.id) AS divided
    FROM order_line l JOIN "order" o ON o.id = l.order_id
    WHERE o.kind = 'DIRECTED' AND l.accepted IS NOT NULL ORDER BY l.order_id, l.id
"""


def upgrade() -> None:
    for name in ("unpaid_fen", "cut_fen"):
        op.add_column("order_line", sa.Column(name, BIGINT, server_default="0", nullable=False))
    _reckon(op.get_bind())


def _reckon(connection: Connection) -> None:
    """A line that was settled lacks what it did not settle at; of the others a cut comes off what they cost, from the first one on."""
    cut_of: dict[int, int] = {}
    for order_id, line_id, goods, quantity, accepted, refunded, cut, divided in connection.execute(text(_LINES)).all():
        unpaid = max(0, goods - goods * accepted // quantity - refunded)
        left = max(0, goods - unpaid - refunded)
        if divided is not None:
            off = max(0, left - divided)
        else:
            off = min(left, cut_of.setdefault(order_id, cut))
            cut_of[order_id] -= off
        if unpaid or off:
            connection.execute(
                text("UPDATE order_line SET unpaid_fen = :unpaid, cut_fen = :off WHERE id = :id"), {"unpaid": unpaid, "off": off, "id": line_id}
            )


def downgrade() -> None:
    for name in ("unpaid_fen", "cut_fen"):
        op.drop_column("order_line", name)
