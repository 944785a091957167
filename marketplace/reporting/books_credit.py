"""The rule of what units owe: the receivable in the books is what acceptance, price cuts, payments and claims of interest say."""

from collections.abc import Callable

from sqlalchemy import func, or_, select

from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.payments.refund import Refund
from marketplace.procurement.acceptance import SHORTAGE
from marketplace.procurement.late_interest import LateInterest
from marketplace.reporting.books_posted import by_book, differences


def receivables_are_owed() -> list[str]:
    """receivable = what orders owe and interest claimed and not paid; of goods not divided yet the money is to come (accepted_unpaid)."""
    goods = select(Order.organisation_id, func.sum(Order.owed_fen)).group_by(Order.organisation_id)
    claims = (
        select(LateInterest.organisation_id, func.sum(LateInterest.fen - LateInterest.paid_fen))
        .where(LateInterest.state != "WAIVED")
        .group_by(LateInterest.organisation_id)
    )
    owed: dict[int, int] = {}
    for query in (goods, claims):
        for book, fen in db.session.execute(query):
            owed[book] = owed.get(book, 0) + int(fen)
    undivided: dict[int, int] = {book: int(fen) for book, fen in db.session.execute(goods.where(Order.settled_at.is_(None)))}
    return differences("receivable", by_book("receivable"), owed) + differences("accepted_unpaid", by_book("accepted_unpaid"), undivided)


def no_order_owes_beyond_its_price() -> list[str]:
    """No order owes before something was accepted, or more than what was accepted costs, less what was cut and paid and did not go back for being short."""
    short = select(func.sum(Refund.fen)).where(Refund.order_id == Order.id, Refund.reason == SHORTAGE, Refund.state.not_in(("requested", "failed")))
    price = Order.accepted_fen - Order.cut_fen + Order.freight_fen
    left = price - Order.paid_fen + func.coalesce(short.scalar_subquery(), 0)
    query = select(Order.id, Order.owed_fen).where(Order.owed_fen > 0, or_(Order.received_at.is_(None), Order.owed_fen > left))
    return [f"order {number}: {fen} fen receivable, more than what arrived is worth" for number, fen in db.session.execute(query.order_by(Order.id))]


RULES: tuple[Callable[[], list[str]], ...] = (receivables_are_owed, no_order_owes_beyond_its_price)
