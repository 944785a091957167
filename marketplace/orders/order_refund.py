"""Money of an order that goes back to its buyer: goods first, shared among its lines, freight last.

Before settlement it comes from ``buyer_funds``. After it, what came back undivided goes first (a refund that was counted before the split and
undone after it); of the rest settlement takes each share back, through what is registered here.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan, split
from marketplace.ledger import event
from marketplace.orders.order import Order, OrderLine, freight_back, lines_of
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund

FREIGHT = 0  # its place beside the ids of an order's lines


@dataclass(frozen=True)
class AfterSettlement:
    """What settlement, a rung above, knows of a settled order's money: what of it lies in ``buyer_funds``, fen by order line or FREIGHT; how to
    post so much of a refund to the shares that were divided (order, refund, fen by order line, fen of freight); and how to make good what
    followed from a refund whose entries were reversed (order, refund id)."""

    undivided: Callable[[Order], Counter[int]]
    take_back: Callable[[Order, Refund, dict[int, int], int], None]
    put_back: Callable[[Order, int], None]


_after_settlement: list[AfterSettlement] = []


def posts_after_settlement(settlement: AfterSettlement) -> None:
    """Register who knows of settled orders. The last one registered counts."""
    _after_settlement[:] = [settlement]


def pay_back(
    order: Order,
    fen: int,
    reason: str,
    *,
    person_id: int | None,
    lines: Mapping[int, int] | None = None,
    way: str = "",
    reissues: Refund | None = None,
    return_id: int | None = None,
) -> list[int]:
    """Approve refunds of ``fen`` from what was paid for a locked order; their ids. They leave through the outbox.

    ``lines`` (order line id → fen of goods) says which goods it is for; what is beyond them is freight. Without it the lines
    share it. ``way`` bank: a person will transfer it. ``reissues`` is a failed refund to be made again, of the same payment;
    ``return_id`` the return request that was agreed to.
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
            payment.id, part, reason, order_id=order.id, way=way, reissues_id=reissues.id if reissues else None, return_id=return_id
        )
        refunds.approve(refund.id, approved_by_id=person_id)
        _post(order, refund, goods)
        made.append(refund.id)
    return made


def still_asked(order: Order, payment: Payment, failed: Refund) -> tuple[int, dict[int, int] | None]:
    """What of a failed refund is still there to go back, in fen, and of which goods: the order may have given a part of it back elsewhere."""
    most, goods = min(order.paid_fen - order.refunded_fen, payment.amount_fen - payment.refunded_fen), refunds.goods_of(failed.id)
    if goods is None:
        return min(failed.fen, most), None
    lines = lines_of(order.id)
    freight_fen = min(failed.fen - sum(goods.values()), order.freight_fen - freight_back(order, lines))
    goods = {line.id: min(goods[line.id], line.left_fen) for line in lines if line.id in goods}
    return min(sum(goods.values()) + freight_fen, most), goods


def takes_shares(order: Order, fen: int, goods: dict[int, int] | None) -> bool:
    """Whether a refund would take of what was divided, and not only of what lies undivided."""
    if order.settled_at is None:
        return False
    lies = undivided(order)
    if goods is None:
        return fen > lies.total()
    return bool((Counter(goods) + Counter({FREIGHT: fen - sum(goods.values())})) - lies)


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
    left = {line.id: line.left_fen for line in lines_of(order.id)}
    goods = refunds.goods_of(refund_id)
    _post(order, refund, goods if goods is not None and all(fen <= left.get(line_id, 0) for line_id, fen in goods.items()) else None)
    return True


def post_anew(order: Order, refund: Refund) -> None:
    """What a refund of a settled order took of the shares was put back: it is counted anew, to what lies undivided first."""
    _uncount(order, refund.fen, refund.id)
    _post(order, refund, refunds.goods_of(refund.id))


def undivided(order: Order) -> Counter[int]:
    """Fen of a settled order that came back after the split, by line or FREIGHT; of another order nothing."""
    return _after_settlement[0].undivided(order) if order.settled_at is not None and _after_settlement else Counter()


def _post(order: Order, refund: Refund, goods: dict[int, int] | None) -> None:
    lies = undivided(order)
    parts = _count(order, refund.fen, goods, lies)
    refund.goods = [[line_id, fen] for line_id, fen in parts.items() if line_id != FREIGHT]
    _take(order, refund, parts, lies)


def _take(order: Order, refund: Refund, parts: Counter[int], lies: Counter[int]) -> None:
    """Post where a refund is taken from, by line or FREIGHT: ``lies`` is what lies undivided."""
    funds = parts if order.settled_at is None else parts & lies
    if funds.total():
        event.refund_approved(book=order.organisation_id, source=refunds.source(refund.id), fen=funds.total())
    if shares := parts - funds:
        if not _after_settlement:
            raise Conflict("refund.settled", N_("订单已经分账，暂时不能退款。"))
        _after_settlement[0].take_back(order, refund, {line_id: fen for line_id, fen in shares.items() if line_id != FREIGHT}, shares[FREIGHT])


def count_back(order: Order, fen: int, refund_id: int) -> None:
    """A refund of ``fen`` failed for good: its lines and the freight have it again, each what was counted to it."""
    _uncount(order, fen, refund_id)
    if order.settled_at is not None and _after_settlement:
        _after_settlement[0].put_back(order, refund_id)


def _uncount(order: Order, fen: int, refund_id: int) -> None:
    lines = lines_of(order.id)
    counted = refunds.goods_of(refund_id)
    if counted is None:  # before it was kept: as all of the order's refunds together
        freight = min(fen, freight_back(order, lines))
        counted = {line.id: part for line, part in _shared(lines, [line.refunded_fen for line in lines], fen - freight)}
    for line in lines:
        line.refunded_fen -= counted.get(line.id, 0)
    order.refunded_fen -= fen
    order.payment = "PARTLY_PAID" if order.open_fen else "PAID"
    db.session.flush()


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


def _count(order: Order, fen: int, goods: dict[int, int] | None, lies: Counter[int]) -> Counter[int]:
    """Count ``fen`` to the order's lines, and what is beyond the goods as FREIGHT; ``goods`` is used up as it is counted. Where no goods are
    named, what lies undivided goes first."""
    lines = lines_of(order.id)
    left = [line.left_fen for line in lines]
    parts = Counter[int]()
    freight_left = order.freight_fen - freight_back(order, lines)
    if goods is not None:
        asked = [goods.get(line.id, 0) for line in lines]
        if any(part < 0 or part > most for part, most in zip(asked, left, strict=True)) or set(goods) - {line.id for line in lines}:
            raise InvalidInput("refund.lines", N_("有一样货退的钱比它还没退的多。"), field="lines")
        left = asked
    elif lies:
        first = [lies[line.id] for line in lines]
        parts.update({line.id: part for line, part in _shared(lines, first, min(fen, sum(first)))})
        parts[FREIGHT] = min(fen - parts.total(), lies[FREIGHT])
        left = [most - parts[line.id] for line, most in zip(lines, left, strict=True)]
    rest = fen - parts.total()
    goods_fen = min(rest, sum(left))
    parts[FREIGHT] += rest - goods_fen
    if parts[FREIGHT] > freight_left:
        raise InvalidInput("refund.lines", N_("退的钱比选中的货加运费还多。"), field="lines")
    parts.update({line.id: part for line, part in _shared(lines, left, goods_fen)})
    for line in lines:
        line.refunded_fen += parts[line.id]
        if goods is not None and line.id in goods:
            goods[line.id] -= parts[line.id]
    order.refunded_fen += fen
    if order.refunded_fen == order.paid_fen and (not order.open_fen or order.cancelled_at is not None):
        order.payment = "REFUNDED"
    db.session.flush()
    return +parts


def _shared(lines: list[OrderLine], weights: list[int], fen: int) -> list[tuple[OrderLine, int]]:
    parts = split(fen, weights, [str(line.id) for line in lines], "order_refund")
    return [(line, part) for line, part in zip(lines, parts, strict=True) if part]
