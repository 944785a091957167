"""Receipt of a public order: the buyer's word, or ten days after the last shipment. It starts the return window.

A unit's order is received by its acceptance instead.
"""

from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.foundation.errors import NotAllowed
from marketplace.foundation.language import N_
from marketplace.orders.order import Order, WrongState, is_buyers, locked_order, must_concern
from marketplace.organisations.actor import Actor


def confirm(order_id: int, *, actor: Actor) -> Order:
    """The buyer (or who placed it for them) says that everything arrived. WrongState unless it is wholly shipped."""
    order = locked_order(order_id)
    must_concern(order, actor)
    if not is_buyers(order, actor):
        raise NotAllowed("receipt.buyer", N_("要由买家本人确认收货。"))
    return _receive(order, person_id=actor.person_id)


def due(limit: int = 200) -> list[int]:
    """Ids of public orders whose last shipment left more than ``CONFIRM_DAYS`` ago and which nobody confirmed."""
    before = clock.now() - timedelta(days=settings().confirm_days)
    query = select(Order.id).where(Order.kind == "PUBLIC", Order.fulfilment == "SHIPPED", Order.shipped_at <= before)
    return list(db.session.scalars(query.order_by(Order.shipped_at, Order.id).limit(limit)))


def confirm_due(limit: int = 200) -> int:
    """Count as received what is due, in the open transaction; how many orders."""
    confirmed = 0
    for order_id in due(limit):
        order = locked_order(order_id)
        if order.fulfilment == "SHIPPED":
            _receive(order, person_id=None)
            confirmed += 1
    return confirmed


def _receive(order: Order, *, person_id: int | None) -> Order:
    if order.kind != "PUBLIC":
        raise WrongState("order.state", N_("单位订单要办理验收，不能直接确认收货。"), state=order.fulfilment)
    order.must_be("SHIPPED")
    order.fulfilment = "RECEIVED"
    order.received_at = clock.now()
    order.return_until = order.received_at + timedelta(days=settings().return_days)
    order.version += 1
    db.session.flush()
    audit.record("order.received", order, person_id=person_id)
    return order
