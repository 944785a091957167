"""Expiry: a purchase that was not paid in time gives its stock back. What is paid after that is refunded by itself."""

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.cancellation import call_off
from marketplace.orders.order import Order, Purchase, locked_order


def due(limit: int = 200) -> list[int]:
    """Ids of unpaid orders whose purchase has expired, oldest first."""
    query = (
        select(Order.id)
        .join(Purchase, Purchase.id == Order.purchase_id)
        .where(Purchase.expires_at <= clock.now(), Order.kind == "PUBLIC", Order.fulfilment == "WAITING", Order.payment == "UNPAID")
        .order_by(Order.id)
        .limit(limit)
    )
    return list(db.session.scalars(query))


def expire(order_id: int) -> bool:
    """Call off one unpaid order whose time is over; False if it was paid or cancelled meanwhile."""
    order = locked_order(order_id)
    purchase = db.session.get_one(Purchase, order.purchase_id)
    expired = purchase.expires_at is not None and purchase.expires_at <= clock.now()
    if not expired or order.fulfilment != "WAITING" or order.payment != "UNPAID":
        return False
    call_off(order, "expired", person_id=None)
    return True


def expire_due(limit: int = 200) -> int:
    """Call off what is due in the open transaction; how many orders."""
    return sum(expire(order_id) for order_id in due(limit))
