"""The bank's desk of units' orders: tells payments what is owed over the bank, and counts in what an accountant matched.

A confirmed order may be paid before or after acceptance; never beyond what is owed.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, get
from marketplace.foundation.errors import Conflict, NotFound
from marketplace.foundation.language import N_
from marketplace.orders.order import Order, locked_order
from marketplace.orders.order_payment import count_in, count_out, may_count_out
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_match import Owed, Payable, desks
from marketplace.payments.payment import Payment
from marketplace.procurement.acceptance import pay_after_acceptance
from marketplace.procurement.directed_order import PAY_DAYS, SHIP_DAYS, DirectedOrder, of_order


class _DirectedOrders:
    def open_of(self, cooperative_id: int) -> Sequence[Payable]:
        query = (
            select(Order, DirectedOrder, Organisation.name_zh)
            .join(DirectedOrder, DirectedOrder.order_id == Order.id)
            .join(Organisation, Organisation.id == Order.buyer_id)
            .where(
                Order.organisation_id == cooperative_id,
                DirectedOrder.approval == "CONFIRMED",
                Order.payment.in_(("UNPAID", "PARTLY_PAID")),
                Order.fulfilment != "CANCELLED",
            )
        )
        payables = [_payable(order, directed, name) for order, directed, name in db.session.execute(query)]
        return [payable for payable in payables if payable.open_fen > 0]

    def held(self, payable_id: int) -> Payable:
        order = locked_order(payable_id)
        directed = of_order(order.id)
        if directed is None or directed.approval != "CONFIRMED" or order.fulfilment == "CANCELLED":
            raise NotFound("payable.missing", N_("没有找到，或不归您的单位查看。"))
        return _payable(order, directed, get(Organisation, order.buyer_id).name_zh)

    def take(self, payment: Payment) -> None:
        order = locked_order(payment.payable_id)
        directed = of_order(order.id)
        if directed is None or not count_in(order, payment.amount_fen, at=payment.succeeded_at):
            raise Conflict("order.unpayable", N_("订单已经付过款或已经取消，不用再付。"), state=order.payment)
        if order.open_fen == 0:
            order.payment, order.paid_at = "PAID", payment.succeeded_at
            if directed.terms == "PREPAY" and order.fulfilment == "WAITING":
                order.fulfilment = "READY"
                directed.ship_by = clock.business_date() + timedelta(days=SHIP_DAYS)
        order.version += 1
        db.session.flush()

    def may_give_up(self, payment: Payment) -> None:
        may_count_out(get(Order, payment.payable_id), payment.amount_fen)

    def give_up(self, payment: Payment) -> Owed:
        order = locked_order(payment.payable_id)
        directed = of_order(order.id)
        count_out(order, payment.amount_fen)
        if directed is not None and directed.terms == "PREPAY" and order.fulfilment == "READY":
            # Nothing has left: the goods wait for their money again. The unit had been told that it had paid, so it has its days anew.
            order.fulfilment, directed.ship_by = "WAITING", None
            directed.pay_by = clock.business_date() + timedelta(days=PAY_DAYS)
        if directed is not None and order.received_at is not None:
            pay_after_acceptance(order, directed)
        order.version += 1
        db.session.flush()
        return _owed(order)


def _payable(order: Order, directed: DirectedOrder, payer_name: str) -> Payable:
    return Payable(
        kind="order",
        id=order.id,
        public_id=order.public_id,
        organisation_id=order.organisation_id,
        reference=directed.reference,
        payer_name=payer_name,
        open_fen=order.open_fen,
        owed=_owed(order),
        pay_by=directed.pay_by,
    )


def _owed(order: Order) -> Owed:
    return "not yet" if order.received_at is None else "on credit" if order.settled_at is None else "divided"


desks["order"] = _DirectedOrders()
