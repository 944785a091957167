"""Settlement: an order's money is divided once it can no longer come back. One order never twice.

Due: paid, received, the return window over, no return open, no match of a receipt asked to be undone, no refund under way (a transfer that nobody
has recorded is), and none that was refused and is neither made again nor given up: its money is the buyer's, and would be divided.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue import product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Identified, Model, Public, db, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.money import split
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order, OrderLine, freight_back, lines_by_order
from marketplace.orders.return_request import ReturnRequest
from marketplace.payments import match_undo
from marketplace.payments import refund as refunds
from marketplace.payments.refund import GOING, Refund


class Settlement(Public, Model):
    """What was divided: base = goods after discounts and refunds, tax included, without freight."""

    __tablename__ = "settlement"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    period: Mapped[str] = mapped_column(String(7), index=True)
    base_fen: Mapped[int]
    freight_fen: Mapped[int]
    cooperative_fen: Mapped[int]
    pool_fen: Mapped[int]
    village_fen: Mapped[int]
    fund_fen: Mapped[int]
    entry_id: Mapped[int | None]  # none: a zero order settles without an entry
    settled_at: Mapped[datetime]


class SettlementLine(Identified, Model):
    """One order line's part of a settlement, by its own scheme; ``distribution_id`` names the distribution that covers it, ``divided_fen``
    what that found of its pool share when it was drafted, refunds off (None: drafted before this was kept, and it found all of it)."""

    __tablename__ = "settlement_line"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    settlement_id: Mapped[int] = mapped_column(ForeignKey("settlement.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), unique=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    village_id: Mapped[int] = mapped_column(ForeignKey("region.id"))
    period: Mapped[str] = mapped_column(String(7), index=True)
    base_fen: Mapped[int]
    cooperative_fen: Mapped[int]
    pool_fen: Mapped[int]
    village_fen: Mapped[int]
    fund_fen: Mapped[int]
    distribution_id: Mapped[int | None] = mapped_column(ForeignKey("distribution.id"), index=True)
    divided_fen: Mapped[int | None]


class NotDue(Conflict):
    """The order may not be settled yet, or not again; ``why`` in data is the code of the reason."""


_WHY: dict[str, str] = {
    "settled": N_("这张订单已经结算过了。"),
    "cancelled": N_("这张订单已经取消，没有可结算的钱。"),
    "unpaid": N_("这张订单还没有付清，付清后才能结算。"),
    "not_received": N_("这张订单还没有确认收货，收货后才能结算。"),
    "return_window": N_("退货期到 %(day)s，过后才能结算。"),
    "return_open": N_("这张订单有一项退货申请还没有答复，答复后才能结算。"),
    "refund_going": N_("这张订单有一笔退款还在路上：退到、退不成，或者转账的记下流水号以后，才能结算。"),
    "refund_refused": N_("这张订单有一笔退款没退成：等会计重办，或者会计提出、理事长同意不再退，然后才能结算。"),
    "match_asked": N_("这张订单的一笔核销在等理事长决定撤不撤销，决定后才能结算。"),
    "overpaid": N_("实付的钱多于货款和运费，要先由会计核对。"),
}


def why_not_due(order: Order) -> str:
    """The code of the first reason why ``order`` cannot be settled now, or "" if it can.

    Due: paid in full, received, the return window (``return_until``, else the market's days after receipt) over, no return
    request open, no match to be undone, no refund under way.
    """
    return _why(order) or _held([order.id]).get(order.id, "")


def _why(order: Order) -> str:
    """The same, returns, refunds and undone matches aside."""
    if order.settled_at is not None:
        return "settled"
    if order.cancelled_at is not None:
        return "cancelled"
    if order.payment not in ("PAID", "REFUNDED"):
        return "unpaid"
    until = window_ends(order)
    if until is None:
        return "not_received"
    return "return_window" if clock.now() < until else ""


def _held(order_ids: Sequence[int]) -> dict[int, str]:
    """Which of these wait for an answer, and for which."""
    refused, going = (select(Refund.order_id).where(Refund.order_id.in_(order_ids), which) for which in (REFUND_REFUSED, REFUND_GOING))
    open_ = select(ReturnRequest.order_id).where(ReturnRequest.order_id.in_(order_ids), ReturnRequest.state == "OPEN")
    return {
        order_id: reason
        for query, reason in (
            (refused, "refund_refused"), (going, "refund_going"), (match_undo.asked_of_orders(order_ids), "match_asked"), (open_, "return_open"),
        )
        for order_id in db.session.scalars(query)
        if order_id is not None
    }


# Also a transfer over the bank that was agreed and that nobody has recorded: whether it left, and to whom, is not known yet.
REFUND_GOING = Refund.state.in_(GOING)
# Refused, it holds the split until somebody makes it again, or two people give it up: nobody takes it from the shares alone later.
REFUND_REFUSED = refunds.refused()


def in_words(why: str) -> str:
    """The msgid that tells a person what the code ``why`` of ``why_not_due`` means; that of ``return_window`` takes ``day``."""
    return _WHY[why]


def window_ends(order: Order) -> datetime | None:
    """When the return window of a received order is over."""
    if order.received_at is None:
        return None
    return order.return_until or order.received_at + timedelta(days=settings().return_days)


def bases(order: Order, lines: list[OrderLine]) -> tuple[list[int], int]:
    """What is to be divided, in fen: the base of each line, and the freight. They sum to what was paid less refunds.

    A line's base is its goods after discounts less what was refunded on it, its part of a price cut, and packs that a unit did not accept.
    What was refunded on the order without naming a line comes off all of them in proportion, after the freight is kept.
    """
    kept_fen = order.paid_fen - order.refunded_fen
    candidates = [line.left_fen for line in lines]
    freight_fen = min(max(0, order.freight_fen - freight_back(order, lines)), kept_fen)
    goods_fen = kept_fen - freight_fen
    if goods_fen > sum(candidates):
        raise _not_due("overpaid", order)
    return split(goods_fen, candidates, [str(line.id) for line in lines], order.public_id), freight_fen


def settle(order_id: int) -> Settlement:
    """Divide an order's money, each line by its frozen scheme, and post the one entry. Amounts in fen, exact.

    The period is the Beijing month of now. A zero order settles without an entry. Raises NotDue with the reason.
    """
    rows, refused = settle_many([order_id])
    if order_id in refused:
        raise refused[order_id]
    if not rows:
        raise not_found(Order)
    return rows[0]


def settle_many(order_ids: Sequence[int]) -> tuple[list[Settlement], dict[int, NotDue]]:
    """Settle these orders together, as ``settle`` does each, in a handful of statements; and why the others are not due, by order.

    Any other error is everybody's: nothing of the group was settled, and ``settlement_run`` tries them one by one.
    """
    query = select(Order).where(Order.id.in_(order_ids)).order_by(Order.id)
    orders = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    held = _held(order_ids)
    lines = lines_by_order([order.id for order in orders])
    rows: dict[int, tuple[Settlement, list[SettlementLine]]] = {}
    refused: dict[int, NotDue] = {}
    for order in orders:
        reason = _why(order) or held.get(order.id, "")
        try:
            if reason:
                raise _not_due(reason, order)
            rows[order.id] = _divided(order, lines[order.id])
        except NotDue as error:
            refused[order.id] = error
    due = [order for order in orders if order.id in rows]
    db.session.add_all(row for row, _ in rows.values())
    db.session.flush()
    for row, parts in rows.values():
        for part in parts:
            part.settlement_id = row.id
        db.session.add_all(parts)
    _post([(row, parts, {line.scheme_id for line in lines[row.order_id]}) for row, parts in rows.values()])
    for order in due:
        row, _ = rows[order.id]
        order.settled_at = row.settled_at
        audit.record("order.settled", order, settlement_id=row.id, base_fen=row.base_fen, pool_fen=row.pool_fen)
    product.count_sold(_packs_kept([(lines[order.id], rows[order.id][1]) for order in due]))
    db.session.flush()
    return [rows[order.id][0] for order in due], refused


def _packs_kept(settled: Sequence[tuple[list[OrderLine], list[SettlementLine]]]) -> Counter[int]:
    """Product → packs that arrived, were paid and did not all go back: what may be called sold."""
    kept: Counter[int] = Counter()
    for lines, parts in settled:
        for line, part in zip(lines, parts, strict=True):
            if part.base_fen:
                kept[line.product_id] += line.wanted if line.accepted is None else line.accepted
    return kept


def _divided(order: Order, lines: list[OrderLine]) -> tuple[Settlement, list[SettlementLine]]:
    base_fens, freight_fen = bases(order, lines)
    now = clock.now()
    row = Settlement(
        organisation_id=order.organisation_id,
        order_id=order.id,
        period=clock.period_of(clock.business_date(now)),
        base_fen=sum(base_fens),
        freight_fen=freight_fen,
        settled_at=now,
        cooperative_fen=0, pool_fen=0, village_fen=0, fund_fen=0,
    )  # fmt: skip
    parts = [_part(row, order, line, fen) for line, fen in zip(lines, base_fens, strict=True)]
    for line, fen in zip(lines, base_fens, strict=True):
        line.cut_fen += line.left_fen - fen  # what it lacks: no more can go back of it than it settled at
    for name in ("cooperative_fen", "pool_fen", "village_fen", "fund_fen"):
        setattr(row, name, sum(getattr(part, name) for part in parts))
    return row, parts


def settle_due(limit: int = 200) -> list[int]:
    """Ids of orders that are due, oldest first, at most ``limit``: the entrance settles each in a transaction of its own."""
    now = clock.now()
    window = timedelta(days=settings().return_days)
    open_return = select(ReturnRequest.id).where(ReturnRequest.order_id == Order.id, ReturnRequest.state == "OPEN").exists()
    query = (
        select(Order.id)
        .where(
            Order.settled_at.is_(None),
            Order.cancelled_at.is_(None),
            Order.payment.in_(("PAID", "REFUNDED")),
            Order.received_at.is_not(None),
            or_(Order.return_until <= now, Order.return_until.is_(None) & (Order.received_at <= now - window)),
            ~open_return,
            ~select(Refund.id).where(Refund.order_id == Order.id, REFUND_GOING | REFUND_REFUSED).exists(),
            Order.id.not_in(match_undo.asked_of_orders()),
        )
        .order_by(Order.received_at, Order.id)
        .limit(limit)
    )
    return list(db.session.scalars(query))


def _not_due(reason: str, order: Order) -> NotDue:
    until = window_ends(order)
    day = f"{clock.business_date(until):%Y-%m-%d}" if until else ""
    return NotDue(f"settlement.{reason}", _WHY[reason], why=reason, order=order.public_id, day=day)


def _part(row: Settlement, order: Order, line: OrderLine, base_fen: int) -> SettlementLine:
    scheme = db.session.get_one(SplitScheme, line.scheme_id)
    cooperative_fen, pool_fen, village_fen, fund_fen = scheme.divide(base_fen, order.public_id)
    return SettlementLine(
        organisation_id=order.organisation_id,
        order_line_id=line.id,
        linkage_group_id=line.linkage_group_id,
        village_id=line.village_id,
        period=row.period,
        base_fen=base_fen,
        cooperative_fen=cooperative_fen,
        pool_fen=pool_fen,
        village_fen=village_fen,
        fund_fen=fund_fen,
    )


def _post(divided: Sequence[tuple[Settlement, list[SettlementLine], set[int]]]) -> None:
    entries = []
    for row, parts, schemes in divided:
        if row.base_fen + row.freight_fen == 0:
            continue
        pools: Counter[int] = Counter()
        collectives: Counter[int] = Counter()
        for part in parts:
            pools[part.linkage_group_id] += part.pool_fen
            collectives[part.village_id] += part.village_fen
        # Lines of several schemes leave the header's field empty; each order line names its own.
        scheme = next(iter(schemes)) if len(schemes) == 1 else None
        source = Source("settlement", row.id)
        entry = event.Settled(
            row.organisation_id, source, scheme, row.cooperative_fen, row.freight_fen, pools, collectives, row.fund_fen,
            period=row.period, at=row.settled_at,
        )  # fmt: skip
        entries.append((row, entry))
    numbers = event.settled_many([entry for _, entry in entries])
    for (row, _), number in zip(entries, numbers, strict=True):
        row.entry_id = number
