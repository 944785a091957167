"""Cancelling an order before anything was shipped: the stock goes back to the shelf, the money back whole."""

from collections.abc import Callable

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db
from marketplace.foundation.language import N_
from marketplace.orders import order_refund
from marketplace.orders.order import Order, WrongState, lines_of, locked_order, must_concern, waiting_packs
from marketplace.organisations.actor import Actor
from marketplace.payments import payment as payments
from marketplace.supply import stock

# What else ends with an order that was called off, by the module that says so; given the order and whose doing it was.
CalledOff = Callable[[Order, int | None], None]
_called_off: dict[str, CalledOff] = {}


def hears_of_called_off(hook: CalledOff) -> CalledOff:
    """Register who has a row of their own beside the order: a return that is asked for, a unit's side of it. One a module."""
    _called_off[hook.__module__] = hook
    return hook


def tell(order: Order, *, person_id: int | None) -> None:
    """An order has ended before anything was shipped: what hung on it ends, too."""
    for hook in _called_off.values():
        hook(order, person_id)


def cancel(order_id: int, *, actor: Actor, reason: str = "") -> Order:
    """The buyer, the cooperative or the operator calls an order off. WrongState once a part of it was shipped."""
    order = locked_order(order_id)
    must_concern(order, actor)
    if order.kind != "PUBLIC":
        raise WrongState("order.state", N_("单位订单请在采购页面撤回。"), state=order.fulfilment)
    return call_off(order, reason or "cancelled", person_id=actor.person_id)


def call_off(order: Order, reason: str, *, person_id: int | None) -> Order:
    """Call off a locked order (see ``cancel``); ``reason`` is a short code. Attempts to pay it are closed."""
    order.must_be("WAITING", "READY")
    order.fulfilment = "CANCELLED"
    order.cancelled_at = clock.now()
    order.cancel_reason = reason[:40]
    order.version += 1
    db.session.flush()
    stock.release(waiting_packs(lines_of(order.id)), source_type="order", source_id=order.id)
    payments.cancel_open("order", order.id)
    left = order.paid_fen - order.refunded_fen
    if left:
        order_refund.pay_back(order, left, reason, person_id=person_id)
    tell(order, person_id=person_id)
    audit.record("order.cancelled", order, person_id=person_id, reason=order.cancel_reason)
    return order
