"""The rule of what units owe: the receivable in the books is what acceptance, price cuts, payments and claims of interest say."""

from collections.abc import Callable

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.orders.order import Order, owed
from marketplace.procurement.late_interest import LateInterest
from marketplace.reporting.books_posted import by_book, differences


def receivables_are_owed() -> list[str]:
    """receivable = what orders owe and interest claimed, neither paid nor waived; of goods not divided yet the money is to come (accepted_unpaid)."""
    goods = select(Order.organisation_id, func.sum(owed())).group_by(Order.organisation_id)
    left = LateInterest.fen - LateInterest.paid_fen - LateInterest.waived_fen
    claims = select(LateInterest.organisation_id, func.sum(left)).group_by(LateInterest.organisation_id)
    said: dict[int, int] = {}
    for query in (goods, claims):
        for book, fen in db.session.execute(query):
            said[book] = said.get(book, 0) + int(fen)
    undivided: dict[int, int] = {book: int(fen) for book, fen in db.session.execute(goods.where(Order.settled_at.is_(None)))}
    return differences("receivable", by_book("receivable"), said) + differences("accepted_unpaid", by_book("accepted_unpaid"), undivided)


RULES: tuple[Callable[[], list[str]], ...] = (receivables_are_owed,)
