"""The rule of what units owe: the receivable in the books is what acceptance, price cuts, payments and claims of interest say."""

from collections.abc import Callable

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest
from marketplace.reporting.books_posted import by_book, differences
from marketplace.reporting.overdue import open_fen


def receivables_are_owed() -> list[str]:
    """receivable = accepted on credit and not paid, plus interest claimed and not paid."""
    goods = (
        select(Order.organisation_id, func.sum(open_fen()))
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .where(DirectedOrder.terms == "POSTPAY", Order.received_at.is_not(None), Order.payment.in_(("UNPAID", "PARTLY_PAID")))
        .group_by(Order.organisation_id)
    )
    claims = (
        select(LateInterest.organisation_id, func.sum(LateInterest.fen - LateInterest.paid_fen))
        .where(LateInterest.state != "WAIVED")
        .group_by(LateInterest.organisation_id)
    )
    owed: dict[int, int] = {}
    for query in (goods, claims):
        for book, fen in db.session.execute(query):
            owed[book] = owed.get(book, 0) + int(fen)
    return differences("receivable", by_book("receivable"), owed)


RULES: tuple[Callable[[], list[str]], ...] = (receivables_are_owed,)
