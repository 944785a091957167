"""How orders are paid: opens attempts for several orders at once, and counts in what came. An order is never paid twice."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.driver import Row
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.orders import order_refund
from marketplace.orders.order import Order, Purchase, locked_order
from marketplace.payments import payment as payments
from marketplace.payments.payable import Counting, Payable, handlers
from marketplace.payments.payment import Payment
from marketplace.payments.stripe_api import LEAST_FEN, MOST_FEN


def open_for_orders(order_ids: Sequence[int], *, key: str, channel: str = "alipay") -> list[Payment]:
    """Attempts to pay these orders of one purchase over a channel, one cashier page for all. The same ``key``: the same attempts.

    Raises Conflict ``order.unpayable`` if one is cancelled or paid, ``purchase.expired`` after its time, ``channel.closed`` or
    ``channel.amount`` if the channel does not take it, InvalidInput ``orders.mixed``.
    """
    # Held, so that none is cancelled between this look and the attempt: nobody would close that one.
    query = select(Order).where(Order.id.in_(order_ids)).order_by(Order.id)
    orders = list(db.session.scalars(query.with_for_update().execution_options(populate_existing=True)))
    if not orders or len(orders) != len(set(order_ids)) or len({order.purchase_id for order in orders}) != 1:
        raise InvalidInput("orders.mixed", N_("这些订单不能一起付款。"))
    for order in orders:
        if order.kind != "PUBLIC" or order.fulfilment != "WAITING" or order.payment != "UNPAID":
            raise Conflict("order.unpayable", N_("订单已经付过款或已经取消，不用再付。"), state=order.payment)
        if not may_pay_over(channel, order.total_fen):
            raise Conflict("channel.amount", N_("这个金额不能用银行卡付，请用支付宝。"), fen=order.total_fen)
    purchase = db.session.get_one(Purchase, orders[0].purchase_id)
    if purchase.expires_at is None or purchase.expires_at <= clock.now():
        raise Conflict("purchase.expired", N_("付款时间已过，货已放回货架。请重新下单。"))
    payables = [
        Payable(
            kind="order",
            id=order.id,
            organisation_id=order.organisation_id,
            amount_fen=order.total_fen,
            subject=f"靖安消费帮扶订单 {order.public_id}",
            expires_at=purchase.expires_at,
        )
        for order in orders
    ]
    return payments.open_for(payables, key=key, channel=channel)


def may_pay_over(channel: str, fen: int) -> bool:
    """Whether a channel takes a payment of ``fen``."""
    return channel != "stripe" or LEAST_FEN <= fen <= MOST_FEN


def count_in(order: Order, fen: int, *, at: datetime | None = None) -> bool:
    """Count ``fen`` that came for a locked order; False, and nothing counted, if it is cancelled or would be paid beyond its total."""
    changes = _counted_in(order, fen, at)
    for name, value in (changes or {}).items():
        setattr(order, name, value)
    db.session.flush()
    return changes is not None


class _Counted(NamedTuple):
    """What of an order decides whether a payment can be counted in."""

    kind: str
    fulfilment: str
    paid_fen: int
    total_fen: int


def _counted_in(order: Order | _Counted, fen: int, at: datetime | None) -> dict[str, Any] | None:
    """What changes on an order when ``fen`` comes; None if it is cancelled or would be paid beyond its total."""
    paid_fen = order.paid_fen + fen
    if order.fulfilment == "CANCELLED" or paid_fen > order.total_fen:
        return None
    if paid_fen < order.total_fen:
        return {"paid_fen": paid_fen, "payment": "PARTLY_PAID"}
    ready = order.kind == "PUBLIC" and order.fulfilment == "WAITING"
    return {"paid_fen": paid_fen, "payment": "PAID", "paid_at": at or clock.now()} | ({"fulfilment": "READY"} if ready else {})


def count_out(order: Order, fen: int) -> None:
    """Count ``fen`` out of a locked order again: what was believed to have paid it did not. What was accepted is owed again."""
    may_count_out(order, fen)
    order.paid_fen -= fen
    order.paid_at = None
    order.payment = "PARTLY_PAID" if order.paid_fen else "UNPAID"
    db.session.flush()


def may_count_out(order: Order, fen: int) -> None:
    """Raise Conflict ``order.refunded`` if ``fen`` can no longer be counted out."""
    if order.paid_fen - fen < order.refunded_fen:
        raise Conflict("order.refunded", N_("这张单已经退过款，核销不能撤销。"))


def _wholly_counted_in(decided: Row, fen: int, at: datetime) -> Row | None:
    """What ``fulfilment``, ``payment``, ``paid_fen`` and ``paid_at`` become when ``fen`` pays what is left of the price."""
    order = _Counted(*decided)
    changes = _counted_in(order, fen, at) or {}
    return (changes.get("fulfilment", order.fulfilment), "PAID", changes["paid_fen"], changes["paid_at"]) if changes.get("payment") == "PAID" else None


class _OrderPayments:
    counting = Counting(
        model=Order,
        decide={"kind": "text", "fulfilment": "text", "paid_fen": "bigint", "total_fen": "bigint"},
        change={"fulfilment": "text", "payment": "text", "paid_fen": "bigint", "paid_at": "timestamptz"},
        counted=_wholly_counted_in,
    )

    def take(self, payment: Payment) -> bool:
        return count_in(locked_order(payment.payable_id), payment.amount_fen)

    def refund_failed(self, order_id: int, fen: int, refund_id: int) -> None:
        order_refund.count_back(locked_order(order_id), fen, refund_id)

    def refund_counts(self, order_id: int, refund_id: int) -> bool:
        return order_refund.count_again(locked_order(order_id), refund_id)

    def refunded_elsewhere(self, payment: Payment, fen: int, number: str) -> None:
        order_refund.count_elsewhere(locked_order(payment.payable_id), payment, fen, number)


handlers["order"] = _OrderPayments()
