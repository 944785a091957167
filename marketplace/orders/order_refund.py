"""Money of an order that goes back to its buyer: goods first, shared among its lines, freight last.

Before settlement it comes from ``buyer_funds``; after it, settlement takes each share back through the hook registered here.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan, split
from marketplace.ledger import event
from marketplace.orders.order import Order, OrderLine, lines_of
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund

# (order, refund, order line id → fen of goods, fen of freight): post the refund of a settled order.
AfterSettlement = Callable[[Order, Refund, dict[int, int], int], None]
# (order, refund id): the refund of a settled order will not happen, and its entry was reversed.
Undone = Callable[[Order, int], None]
_after_settlement: list[AfterSettlement] = []
_undone: list[Undone] = []


def posts_after_settlement(hook: AfterSettlement) -> AfterSettlement:
    """Register who posts refunds of settled orders (settlement, a rung above). The last one registered counts."""
    _after_settlement[:] = [hook]
    return hook


def hears_of_undone(hook: Undone) -> Undone:
    """Register who makes good what followed from a refund of a settled order that failed. The last one registered counts."""
    _undone[:] = [hook]
    return hook


def pay_back(
    order: Order,
    fen: int,
    reason: str,
    *,
    person_id: int | None,
    lines: Mapping[int, int] | None = None,
    way: str = "",
    reissues: Refund | None = None,
) -> list[int]:
    """Approve refunds of ``fen`` from what was paid for a locked order; their ids. They leave through the outbox.

    ``lines`` (order line id → fen of goods) says which goods it is for; what is beyond them is freight. Without it the lines
    share it. ``way`` bank: a person will transfer it. ``reissues`` is a failed refund to be made again, of the same payment.
    Raises InvalidInput ``refund.fen``, ``refund.lines``, Conflict ``refund.exceeds``.
    """
    if fen <= 0:
        raise InvalidInput("refund.fen", N_("退款金额要大于零。"), field="fen")
    left = order.paid_fen - order.refunded_fen
    if fen > left:
        raise refunds.RefundTooMuch("refund.exceeds", N_("最多还能退 %(left_yuan)s 元。"), left_fen=left, left_yuan=format_yuan(left), asked_fen=fen)
    goods = dict(lines) if lines is not None else None
    made = []
    for payment, part in _from_payments(order, fen, reissues):
        refund = refunds.request(
            payment.id, part, reason, order_id=order.id, way=way, reissues_id=reissues.id if reissues else None
        )
        refunds.approve(refund.id, approved_by_id=person_id)
        _post(order, refund, goods)
        made.append(refund.id)
    return made


def count_elsewhere(order: Order, payment: Payment, fen: int, number: str) -> None:
    """Count ``fen`` of a payment that the channel gave back though nobody ordered it here: it has happened already."""
    refund = refunds.made_elsewhere(payment, min(fen, order.paid_fen - order.refunded_fen), number, order_id=order.id)
    _post(order, refund, None)
    refunds.succeed(refund.id)


def count_again(order: Order, refund_id: int) -> bool:
    """A refund that was counted back left after all: count and post it as before, as far as its lines still hold it. False if the order
    holds less."""
    refund = db.session.get_one(Refund, refund_id)
    if refund.fen > order.paid_fen - order.refunded_fen:
        return False
    left = {line.id: line.goods_fen - line.refunded_fen for line in lines_of(order.id)}
    goods = refunds.goods_of(refund_id)
    _post(order, refund, goods if goods is not None and all(fen <= left.get(line_id, 0) for line_id, fen in goods.items()) else None)
    return True


def _post(order: Order, refund: Refund, goods: dict[int, int] | None) -> None:
    parts, freight = _count(order, refund.fen, goods)
    refund.goods = [[line_id, fen] for line_id, fen in parts.items()]
    if order.settled_at is None:
        event.refund_approved(book=order.organisation_id, source=refunds.source(refund.id), fen=refund.fen)
    elif _after_settlement:
        _after_settlement[0](order, refund, parts, freight)
    else:
        raise Conflict("refund.settled", N_("订单已经分账，暂时不能退款。"))


def count_back(order: Order, fen: int, refund_id: int) -> None:
    """A refund of ``fen`` failed for good: its lines and the freight have it again, each what was counted to it."""
    lines = lines_of(order.id)
    counted = refunds.goods_of(refund_id)
    if counted is None:  # before it was kept: as all of the order's refunds together
        freight = min(fen, order.refunded_fen - sum(line.refunded_fen for line in lines))
        counted = {line.id: part for line, part in _shared(lines, [line.refunded_fen for line in lines], fen - freight)}
    for line in lines:
        line.refunded_fen -= counted.get(line.id, 0)
    order.refunded_fen -= fen
    order.payment = "PARTLY_PAID" if order.open_fen else "PAID"
    db.session.flush()
    if order.settled_at is not None and _undone:
        _undone[0](order, refund_id)


def _from_payments(order: Order, fen: int, reissues: Refund | None) -> list[tuple[Payment, int]]:
    query = select(Payment).where(Payment.payable_kind == "order", Payment.payable_id == order.id, Payment.state == "succeeded")
    if reissues is not None:
        query = query.where(Payment.id == reissues.payment_id)
    parts = []
    for payment in db.session.scalars(query.order_by(Payment.id).with_for_update().execution_options(populate_existing=True)):
        part = min(fen, payment.amount_fen - payment.refunded_fen)
        if part:
            parts.append((payment, part))
            fen -= part
    if fen:
        # The rest came over the bank and goes back by a transfer that a person makes.
        raise Conflict("refund.by_bank", N_("这笔钱是对公转账付的，请由合作社会计转账退回。"), left_fen=fen)
    return parts


def _count(order: Order, fen: int, goods: dict[int, int] | None) -> tuple[dict[int, int], int]:
    """Count ``fen`` to the order's lines, and what is beyond the goods as freight; ``goods`` is used up as it is counted."""
    lines = lines_of(order.id)
    left = [line.goods_fen - line.refunded_fen for line in lines]
    if goods is not None:
        asked = [goods.get(line.id, 0) for line in lines]
        if any(part < 0 or part > most for part, most in zip(asked, left, strict=True)) or set(goods) - {line.id for line in lines}:
            raise InvalidInput("refund.lines", N_("有一样货退的钱比它还没退的多。"), field="lines")
        left = asked
    goods_fen = min(fen, sum(left))
    freight_fen = fen - goods_fen
    if freight_fen > order.total_fen - order.goods_fen - (order.refunded_fen - sum(line.refunded_fen for line in lines)):
        raise InvalidInput("refund.lines", N_("退的钱比选中的货加运费还多。"), field="lines")
    parts = {}
    for line, part in _shared(lines, left, goods_fen):
        line.refunded_fen += part
        parts[line.id] = part
        if goods is not None:
            goods[line.id] -= part
    order.refunded_fen += fen
    if order.refunded_fen == order.paid_fen and (not order.open_fen or order.cancelled_at is not None):
        order.payment = "REFUNDED"
    db.session.flush()
    return parts, freight_fen


def _shared(lines: list[OrderLine], weights: list[int], fen: int) -> list[tuple[OrderLine, int]]:
    parts = split(fen, weights, [str(line.id) for line in lines], "order_refund")
    return [(line, part) for line, part in zip(lines, parts, strict=True) if part]
