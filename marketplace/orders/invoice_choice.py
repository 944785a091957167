"""What waits for an invoice: orders a buyer may still ask one for, and issued invoices of which a part must be reversed."""

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select

from marketplace.foundation.database import db
from marketplace.orders.invoice import Invoice, InvoiceOrder
from marketplace.orders.order import Order, owed
from marketplace.organisations.organisation import Organisation


def invoiceable() -> ColumnElement[int]:
    """``invoice.invoiceable_fen`` as a column."""
    waits = and_(Order.payment.not_in(("PAID", "REFUNDED")), owed() == 0)
    return case((or_(Order.cancelled_at.is_not(None), waits), 0), else_=Order.paid_fen - Order.refunded_fen + owed())


def open_orders(buyer_id: int, seller_id: int, limit: int = 100) -> list[tuple[Order, int]]:
    """A buyer's orders of one cooperative that no invoice stands on, newest first, with what it would say, in fen."""
    query = select(Order, invoiceable()).where(_open(buyer_id), Order.organisation_id == seller_id).order_by(Order.id.desc()).limit(limit)
    return [(order, fen) for order, fen in db.session.execute(query)]


def open_sellers(buyer_id: int) -> list[tuple[Organisation, int, int]]:
    """The cooperatives a buyer may still ask invoices of, with the number of orders and their fen."""
    query = (
        select(Organisation, func.count(Order.id), func.sum(invoiceable()))
        .join(Order, Organisation.id == Order.organisation_id)
        .where(_open(buyer_id))
        .group_by(Organisation.id)
        .order_by(Organisation.name_zh)
    )
    return [(seller, count, int(fen)) for seller, count, fen in db.session.execute(query)]


def to_reverse(organisation_id: int) -> Select[Invoice, int]:
    """A cooperative's issued invoices of which money went back since, with the fen to be reversed."""
    still = func.sum(case((invoiceable() < InvoiceOrder.fen, invoiceable()), else_=InvoiceOrder.fen))
    due = Invoice.fen - Invoice.red_fen - still
    return (
        select(Invoice, due.label("due_fen"))
        .join(InvoiceOrder, InvoiceOrder.invoice_id == Invoice.id)
        .join(Order, Order.id == InvoiceOrder.order_id)
        .where(Invoice.organisation_id == organisation_id, Invoice.state == "ISSUED")
        .group_by(Invoice.id)
        .having(due > 0)
    )


def _open(buyer_id: int) -> ColumnElement[bool]:
    lives = select(InvoiceOrder.id).where(InvoiceOrder.order_id == Order.id, InvoiceOrder.lives).exists()
    return and_(Order.buyer_id == buyer_id, invoiceable() > 0, ~lives)
