"""Rules between a unit's duty and what happened to its orders: what its scorecard counts is what the records say."""

from collections import Counter
from collections.abc import Callable

from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.order import Order, OrderLine
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import scorecard
from marketplace.procurement.directed_order import AcceptanceLine
from marketplace.procurement.price_cut import PriceCut


def counted_is_what_records_say() -> list[str]:
    """A unit's counted, over all its years, is max(0, min(accepted − returned, paid − refunded)) of each of its orders, goods only.

    The scorecard adds up what happened, day by day, from payments, refunds and acceptances; here each order's own state and the lines
    of its acceptance are asked, which other rules hold against the ledger.
    """
    recorded = _recorded()
    first = db.session.scalar(select(func.min(Order.placed_on)).where(Order.kind == "DIRECTED"))
    if first is None:
        return []
    said: Counter[int] = Counter()
    known = sorted(db.session.scalars(select(Organisation.id).where(Organisation.id.in_(recorded))))
    for year in range(first.year, clock.business_date().year + 1):
        for figures in scorecard.of_units(known, year):
            said[figures.organisation_id] += figures.counted_fen + figures.union.counted_fen
    return [f"unit {unit}: {said[unit]} fen counted, {fen} by the records" for unit, fen in sorted(recorded.items()) if said[unit] != fen]


def _recorded() -> Counter[int]:
    """Unit → fen of goods that count now, order by order."""
    goods = select(func.sum(OrderLine.goods_fen)).where(OrderLine.order_id == Order.id)
    # What a line's accepted packs cost, its discount in proportion.
    accepted = select(func.sum(OrderLine.goods_fen * AcceptanceLine.accepted // OrderLine.quantity))
    accepted = accepted.join(AcceptanceLine, AcceptanceLine.order_line_id == OrderLine.id).where(OrderLine.order_id == Order.id)
    cut = select(func.sum(PriceCut.fen)).where(PriceCut.order_id == Order.id, PriceCut.state == "APPROVED")
    query = select(
        Order.buyer_id, Order.paid_fen, Order.refunded_fen, Order.short_fen, *(func.coalesce(each.scalar_subquery(), 0) for each in (goods, accepted, cut))
    ).where(Order.kind == "DIRECTED")
    counted: Counter[int] = Counter()
    for unit, paid_fen, refunded_fen, short_fen, goods_fen, accepted_fen, cut_fen in db.session.execute(query):
        # Freight is paid last: what was paid beyond the goods is not goods.
        paid = min(paid_fen, goods_fen)
        kept = paid - min(refunded_fen, paid)
        # What went back of goods that are short was never accepted, and is no return of what was.
        returned = max(0, refunded_fen - short_fen + cut_fen)
        counted[unit] += max(0, min(accepted_fen - returned, kept))
    return counted


RULES: tuple[Callable[[], list[str]], ...] = (counted_is_what_records_say,)
