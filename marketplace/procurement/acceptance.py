"""Acceptance (验收): the unit's signature that goods arrived. It starts the return window and, on POSTPAY, the time to pay.

Every ordered pack is either accepted or short, and no more is accepted than was shipped. What was paid and is short goes
back; what is accepted and unpaid becomes a receivable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders import order_refund, return_request
from marketplace.orders.order import Order, OrderLine, freight_back, lines_of, locked_order, waiting_packs
from marketplace.organisations.actor import Actor
from marketplace.procurement.directed_order import (
    PAY_DAYS,
    Acceptance,
    AcceptanceLine,
    DirectedOrder,
    of_order,
)
from marketplace.supply import stock

SHORTAGE = "SHORTAGE"  # the reason of a refund for what did not arrive; it is not a return


@dataclass(frozen=True)
class Arrived:
    """Packs of an order line that the unit accepts, and that are short (missing or refused)."""

    order_line_id: int
    accepted: int
    short: int = 0
    reason: str = ""


def accept(order_id: int, arrived: Sequence[Arrived], *, actor: Actor, note: str = "") -> Acceptance:
    """Record what the unit says arrived, once for an order, after which nothing more is shipped.

    Accepted + short = ordered on each line, packs that were taken off it among the short ones, and accepted ≤ shipped: InvalidInput
    ``acceptance.lines`` otherwise, ``reason.missing`` if others are short without a word. Raises
    Conflict ``acceptance.unconfirmed``, WrongState before anything was shipped and for a second acceptance.
    """
    actor.must_have("UNIT", "buyer", "approver")
    order = locked_order(order_id)
    directed = of_order(order_id)
    if directed is None or directed.organisation_id != actor.organisation_id:
        raise NotFound("order.missing", N_("没有找到，或不归您的单位查看。"))
    directed = locked(DirectedOrder, directed.id)
    if directed.approval != "CONFIRMED":
        raise Conflict("acceptance.unconfirmed", N_("合作社还没有接单，不能验收。"))
    order.must_be("PARTLY_SHIPPED", "SHIPPED")
    lines = lines_of(order_id)
    said = _checked(lines, arrived)
    accepted_fen = sum(_worth(line, said[line.id].accepted) for line in lines)
    row = Acceptance(
        organisation_id=directed.organisation_id,
        order_id=order.id,
        accepted_fen=accepted_fen,
        short_fen=order.goods_fen - accepted_fen,
        note=note.strip()[:300],
        accepted_at=clock.now(),
        accepted_by_id=actor.person_id,
    )
    db.session.add(row)
    db.session.flush()
    _sign(row, order, directed, lines, said)
    return_request.overtaken(order, person_id=actor.person_id)
    _release_unshipped(order, lines)
    _reckon(row, order, directed, lines)
    if not order.paid_fen + order.accepted_fen + order.freight_fen:
        # Nothing came and nothing is owed: the order has its end, a split of nothing.
        order.payment, order.paid_at = "PAID", row.accepted_at
    db.session.flush()
    audit.record(
        "order.accepted", row, person_id=actor.person_id, order_id=order.id, accepted_fen=accepted_fen, short_fen=row.short_fen
    )
    return row


def _checked(lines: list[OrderLine], arrived: Sequence[Arrived]) -> Mapping[int, Arrived]:
    said = {each.order_line_id: each for each in arrived}
    if len(said) != len(arrived) or set(said) != {line.id for line in lines}:
        raise InvalidInput("acceptance.lines", N_("请逐项填写验收数量。"), field="lines")
    for line in lines:
        each = said[line.id]
        if each.accepted < 0 or each.short < 0 or each.accepted + each.short != line.quantity:
            raise InvalidInput("acceptance.lines", N_("“%(name)s”验收和短缺的件数加起来应等于订购的件数。"), field="lines", name=line.name_zh)
        if each.accepted > line.shipped:
            raise InvalidInput("acceptance.lines", N_("“%(name)s”只发了 %(shipped)s 件。"), field="lines", name=line.name_zh, shipped=line.shipped)
        if each.short > line.taken_off and not each.reason.strip():
            raise InvalidInput("reason.missing", N_("有短缺的，请写明情况。"), field="reason")
    return said


def _sign(row: Acceptance, order: Order, directed: DirectedOrder, lines: list[OrderLine], said: Mapping[int, Arrived]) -> None:
    for line in lines:
        each = said[line.id]
        line.accepted = each.accepted
        db.session.add(
            AcceptanceLine(
                organisation_id=row.organisation_id,
                acceptance_id=row.id,
                order_line_id=line.id,
                accepted=each.accepted,
                short=each.short,
                reason=each.reason.strip()[:120],
            )
        )
    order.accepted_fen = row.accepted_fen
    order.fulfilment, order.received_at = "RECEIVED", row.accepted_at
    order.return_until = row.accepted_at + timedelta(days=directed.return_days)
    order.version += 1


def _release_unshipped(order: Order, lines: list[OrderLine]) -> None:
    packs = waiting_packs(lines)
    if packs:
        stock.release(packs, source_type="order", source_id=order.id)


def _reckon(row: Acceptance, order: Order, directed: DirectedOrder, lines: list[OrderLine]) -> None:
    # What went back before is not owed again: of goods that came, nor of those that are short.
    freight_fen = order.freight_fen - freight_back(order, lines)
    owed = freight_fen + sum(min(line.goods_fen - line.refunded_fen, _worth(line, line.accepted or 0)) for line in lines)
    kept = order.paid_fen - order.refunded_fen
    if kept > owed:
        _give_back(order, lines, kept - owed, person_id=row.accepted_by_id)
    elif kept < owed:
        event.accepted_on_credit(book=order.organisation_id, source=Source("acceptance", row.id), fen=owed - kept)
        pay_after_acceptance(order, directed)
    order.short_fen = sum(min(line.refunded_fen, _short(line)) for line in lines)
    for line in lines:
        line.unpaid_fen = max(0, _short(line) - line.refunded_fen)
    if order.open_fen == 0 and order.refunded_fen and order.refunded_fen == order.paid_fen:
        order.payment = "REFUNDED"
    elif order.open_fen == 0 and order.paid_fen:
        order.payment, order.paid_at = "PAID", order.paid_at or clock.now()


def pay_after_acceptance(order: Order, directed: DirectedOrder) -> None:
    """An accepted order is owed: its time to pay runs from the acceptance, whatever was agreed, and whenever it turned out to be unpaid."""
    assert order.received_at is not None
    directed.pay_by = clock.business_date(order.received_at) + timedelta(days=PAY_DAYS)


def _give_back(order: Order, lines: list[OrderLine], fen: int, *, person_id: int) -> None:
    """What was paid and is short: counted on the very lines that are short, so that each line settles on what was accepted."""
    left, goods = fen, {}
    for line in lines:
        goods[line.id] = min(left, max(0, _short(line) - line.refunded_fen))
        left -= goods[line.id]
    order_refund.pay_back(order, fen, SHORTAGE, person_id=person_id, lines=goods)


def _short(line: OrderLine) -> int:
    """What of a line was not accepted."""
    return line.goods_fen - _worth(line, line.accepted or 0)


def _worth(line: OrderLine, packs: int) -> int:
    # The same floor as settlement's: what a line may divide is what was accepted of it.
    return line.goods_fen * packs // line.quantity
