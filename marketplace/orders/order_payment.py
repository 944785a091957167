"""How orders are paid: opens attempts for several orders at once, and counts in what came. An order is never paid twice."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.orders import order_refund
from marketplace.orders.order import Order, Purchase, locked_order
from marketplace.payments import payment as payments
from marketplace.payments.payment import Payable, Payment


def open_for_orders(order_ids: Sequence[int], *, key: str) -> list[Payment]:
    """Attempts to pay these orders of one purchase over Alipay, one cashier page for all. The same ``key``: the same attempts.

    Raises Conflict ``order.unpayable`` if one is cancelled or paid, ``purchase.expired`` after its time, InvalidInput ``orders.mixed``.
    """
    orders = list(db.session.scalars(select(Order).where(Order.id.in_(order_ids)).order_by(Order.id)))
    if not orders or len(orders) != len(set(order_ids)) or len({order.purchase_id for order in orders}) != 1:
        raise InvalidInput("orders.mixed", N_("这些订单不能一起付款。"))
    for order in orders:
        if order.kind != "PUBLIC" or order.fulfilment != "WAITING" or order.payment != "UNPAID":
            raise Conflict("order.unpayable", N_("订单已经付过款或已经取消，不用再付。"), state=order.payment)
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
    return payments.open_for(payables, key=key)


def count_in(order: Order, fen: int, *, at: datetime | None = None) -> bool:
    """Count ``fen`` that came for a locked order; False, and nothing counted, if it is cancelled or would be paid beyond its total."""
    if order.fulfilment == "CANCELLED" or order.paid_fen + fen > order.total_fen:
        return False
    order.paid_fen += fen
    order.payment = "PAID" if order.paid_fen == order.total_fen else "PARTLY_PAID"
    if order.payment == "PAID":
        order.paid_at = at or clock.now()
        if order.kind == "PUBLIC" and order.fulfilment == "WAITING":
            order.fulfilment = "READY"
    db.session.flush()
    return True


def count_out(order: Order, fen: int) -> None:
    """Count ``fen`` out of a locked order again: what was believed to have paid it did not. Conflict ``order.settled`` once it was divided."""
    may_count_out(order, fen)
    order.paid_fen -= fen
    order.paid_at = None
    order.payment = "PARTLY_PAID" if order.paid_fen else "UNPAID"
    db.session.flush()


def may_count_out(order: Order, fen: int) -> None:
    """Raise Conflict ``order.settled`` or ``order.refunded`` if ``fen`` can no longer be counted out."""
    if order.settled_at is not None:
        raise Conflict("order.settled", N_("这张单的钱已经分账，核销不能撤销。确实付错的，请走退款。"))
    if order.paid_fen - fen < order.refunded_fen:
        raise Conflict("order.refunded", N_("这张单已经退过款，核销不能撤销。"))


class _OrderPayments:
    def take(self, payment: Payment) -> bool:
        return count_in(locked_order(payment.payable_id), payment.amount_fen)

    def refund_failed(self, order_id: int, fen: int, refund_id: int) -> None:
        order_refund.count_back(locked_order(order_id), fen, refund_id)

    def refunded_elsewhere(self, payment: Payment, fen: int, number: str) -> None:
        order_refund.count_elsewhere(locked_order(payment.payable_id), payment, fen, number)


payments.handlers["order"] = _OrderPayments()
