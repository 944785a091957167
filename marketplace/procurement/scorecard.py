"""The scorecard of a unit: four separate figures of a year, never one, and how far it is on its way.

counted = per order max(0, min(accepted − returned, paid − refunded)), goods only. A year's figures are what its end adds to
what its beginning had, so that what changes later is seen in the year in which it changed. Without a quota there is no rate.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_match import CHANNEL
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.procurement.acceptance import SHORTAGE
from marketplace.procurement.directed_order import Acceptance, DirectedOrder
from marketplace.procurement.price_cut import PriceCut
from marketplace.procurement.target import Target

GOING_BACK = ("approved", "submitting", "unknown", "succeeded")


@dataclass(frozen=True)
class Sums:
    """Fen of goods."""

    ordered_fen: int = 0
    accepted_fen: int = 0
    paid_fen: int = 0
    counted_fen: int = 0

    def plus(self, other: "Sums", sign: int = 1) -> "Sums":
        return Sums(
            self.ordered_fen + sign * other.ordered_fen,
            self.accepted_fen + sign * other.accepted_fen,
            self.paid_fen + sign * other.paid_fen,
            self.counted_fen + sign * other.counted_fen,
        )


@dataclass(frozen=True)
class Figures:
    """A unit's year. ``union`` are the trade union's purchases, which stand apart and are not in the others.

    ``reserved_fen`` and ``completion_rate_bp`` are None without a quota (no target, or no canteen).
    """

    organisation_id: int
    year: int
    name_zh: str
    name_en: str | None
    filed: bool
    reserved_fen: int | None
    ordered_fen: int
    accepted_fen: int
    paid_fen: int
    counted_fen: int
    union: Sums
    completion_rate_bp: int | None

    @property
    def missing_fen(self) -> int | None:
        """What is still to be counted, or None without a quota."""
        return None if self.reserved_fen is None else max(0, self.reserved_fen - self.counted_fen)


@dataclass(frozen=True)
class _Day:
    """An order's figures as they stood at the end of a Beijing day."""

    order: Order
    accepted_fen: int
    paid_fen: int
    returned_fen: int
    refunded_fen: int

    def sums(self) -> Sums:
        # Freight is paid last and refunded last: what is left of a payment after the goods is not goods.
        paid = min(self.paid_fen, self.order.goods_fen)
        refunded = min(self.refunded_fen, paid)
        counted = max(0, min(self.accepted_fen - self.returned_fen, paid - refunded))
        return Sums(self.order.goods_fen, self.accepted_fen, paid - refunded, counted)


def figures(organisation_id: int, year: int) -> Figures:
    """The four figures of a unit in a Beijing calendar year."""
    return of_units([organisation_id], year)[0]


def subordinates(parent_id: int, year: int) -> list[Figures]:
    """The figures of the units that a parent unit supervises, in the order of their names."""
    query = select(Organisation.id).where(Organisation.parent_id == parent_id, Organisation.kind == "UNIT")
    return of_units(list(db.session.scalars(query.order_by(Organisation.name_zh, Organisation.id))), year)


def of_units(organisation_ids: list[int], year: int) -> list[Figures]:
    """The figures of several units, in the order given; a fixed number of queries, however many there are."""
    names = {row.id: row for row in db.session.scalars(select(Organisation).where(Organisation.id.in_(organisation_ids)))}
    query = select(Target).where(Target.organisation_id.in_(organisation_ids), Target.year == year)
    targets = {row.organisation_id: row for row in db.session.scalars(query)}
    sums = _years(organisation_ids, year)
    rows = []
    for each in organisation_ids:
        target = targets.get(each)
        reserved = target.quota_fen if target is not None and target.quota_fen > 0 else None
        own, union = sums.get((each, False), Sums()), sums.get((each, True), Sums())
        rows.append(
            Figures(
                organisation_id=each,
                year=year,
                name_zh=names[each].name_zh,
                name_en=names[each].name_en,
                filed=target is not None and target.state != "DRAFT",
                reserved_fen=reserved,
                ordered_fen=own.ordered_fen,
                accepted_fen=own.accepted_fen,
                paid_fen=own.paid_fen,
                counted_fen=own.counted_fen,
                union=union,
                completion_rate_bp=None if reserved is None else rate_bp(own.counted_fen, reserved),
            )
        )
    return rows


@dataclass(frozen=True)
class OrderFigures:
    """What one order adds to its unit's year. Summed over the unit's orders they are the unit's figures."""

    order: Order
    is_trade_union: bool
    sums: Sums


def by_order(organisation_id: int, year: int) -> list[OrderFigures]:
    """The orders behind a unit's four figures of a year, the latest first; an order of the year before stands in it if it changed."""
    found = [OrderFigures(*row) for row in _orders([organisation_id], year)]
    return sorted((each for each in found if each.sums != Sums()), key=lambda each: -each.order.id)


def rate_bp(counted_fen: int, reserved_fen: int) -> int:
    """counted ÷ reserved in basis points, rounded half up; above 10,000 is normal."""
    return (counted_fen * 20_000 + reserved_fen) // (2 * reserved_fen)


def _years(organisation_ids: list[int], year: int) -> dict[tuple[int, bool], Sums]:
    """(unit, trade union?) → what the year added."""
    added: dict[tuple[int, bool], Sums] = {}
    for order, union, sums in _orders(organisation_ids, year):
        added[order.buyer_id, union] = added.get((order.buyer_id, union), Sums()).plus(sums)
    return added


def _orders(organisation_ids: list[int], year: int) -> list[tuple[Order, bool, Sums]]:
    """(order, trade union?, what the year added) of every order that could have changed in it."""
    last = date(year, 12, 31)
    # What stood at the year's last day, less what stood at the end of the year before.
    query = (
        select(Order, DirectedOrder.is_trade_union)
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .where(Order.buyer_id.in_(organisation_ids), Order.fulfilment != "CANCELLED", Order.placed_on <= last)
    )
    orders = [(order, bool(union)) for order, union in db.session.execute(query)]
    added: dict[int, Sums] = {}
    for sign, until in ((1, last), (-1, date(year - 1, 12, 31))):
        for day in _as_of([order for order, _ in orders if order.placed_on <= until], until):
            added[day.order.id] = added.get(day.order.id, Sums()).plus(day.sums(), sign)
    return [(order, union, added[order.id]) for order, union in orders]


def _as_of(orders: list[Order], until: date) -> list[_Day]:
    ids = [order.id for order in orders]
    accepted: Counter[int] = Counter()
    signed = select(Acceptance.order_id, Acceptance.accepted_fen, Acceptance.accepted_at)
    for order_id, fen, at in _rows(signed.where(Acceptance.order_id.in_(ids))):
        if clock.business_date(at) <= until:
            accepted[order_id] += fen
    paid = _paid(ids, until)
    refunded: Counter[int] = Counter()
    returned: Counter[int] = Counter()
    query = select(Refund.order_id, Refund.fen, Refund.approved_at, Refund.reason).where(
        Refund.order_id.in_(ids), Refund.state.in_(GOING_BACK)
    )
    for order_id, fen, at, reason in _rows(query):
        if clock.business_date(at) <= until:
            refunded[order_id] += fen
            returned[order_id] += 0 if reason == SHORTAGE else fen
    cut = select(PriceCut.order_id, PriceCut.fen, PriceCut.decided_at).where(PriceCut.order_id.in_(ids), PriceCut.state == "APPROVED")
    for order_id, fen, at in _rows(cut):
        if clock.business_date(at) <= until:
            returned[order_id] += fen
    return [_Day(order, accepted[order.id], paid[order.id], returned[order.id], refunded[order.id]) for order in orders]


def _paid(ids: list[int], until: date) -> Counter[int]:
    """Money counts on the day on which it came: a transfer on the bank's day, not on the day of its matching.

    A match that was undone counted until it was: what a year said before its end stays said, and the year of the undoing takes it off.
    """
    undone = (Payment.channel == CHANNEL) & Payment.canceled_at.is_not(None)
    query = (
        select(Payment.payable_id, Payment.amount_fen, Payment.succeeded_at, func.min(BankReceipt.received_on), Payment.canceled_at)
        .outerjoin(BankMatch, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id))
        .outerjoin(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .where(Payment.payable_kind == "order", Payment.payable_id.in_(ids), (Payment.state == "succeeded") | undone)
        .group_by(Payment.id)
    )
    paid: Counter[int] = Counter()
    for order_id, fen, at, received_on, undone_at in _rows(query):
        if (received_on or clock.business_date(at)) <= until and not (undone_at and clock.business_date(undone_at) <= until):
            paid[order_id] += fen
    return paid


def _rows(query: Select[*tuple[Any, ...]]) -> Iterable[Any]:
    return db.session.execute(query).all()
