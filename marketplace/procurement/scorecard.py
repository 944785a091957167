"""The scorecard of a unit: four separate figures of a year, never one, and how far it is on its way.

counted = per order max(0, min(accepted − returned, paid − refunded)), goods only. A year's figures are what its end adds to
what its beginning had, so that what changes later is seen in the year in which it changed. Without a quota there is no rate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import func, literal, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_match import CHANNEL
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.procurement.directed_order import Acceptance, DirectedOrder
from marketplace.procurement.price_cut import PriceCut
from marketplace.procurement.target import Target

CUT = "PRICE_CUT"  # beside the reasons of refunds: nothing was paid back, it was never paid
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
        counted = max(0, min(self.accepted_fen - max(0, self.returned_fen), paid - refunded))
        return Sums(self.order.goods_fen, self.accepted_fen, paid - refunded, counted)


@dataclass
class _Life:
    """An order and the days on which its amounts changed: (day, fen). What went back of goods that are then short was never accepted: it is
    no return of what was."""

    order: Order
    is_trade_union: bool
    accepted: list[tuple[date, int]] = field(default_factory=list)
    paid: list[tuple[date, int]] = field(default_factory=list)
    returned: list[tuple[date, int]] = field(default_factory=list)
    refunded: list[tuple[date, int]] = field(default_factory=list)

    def at_the_end_of(self, until: date) -> Sums:
        """Its four figures at the end of a Beijing day; nothing before it was placed."""
        if self.order.placed_on > until:
            return Sums()
        amounts = (sum(fen for day, fen in changes if day <= until) for changes in (self.accepted, self.paid, self.returned, self.refunded))
        return _Day(self.order, *amounts).sums()


def figures(organisation_id: int, year: int) -> Figures:
    """The four figures of a unit in a Beijing calendar year."""
    return of_units([organisation_id], year)[0]


def subordinates(parent_id: int, year: int) -> list[Figures]:
    """The figures of the units that a parent unit supervises, in the order of their names."""
    query = select(Organisation.id).where(Organisation.parent_id == parent_id, Organisation.kind == "UNIT")
    return of_units(list(db.session.scalars(query.order_by(Organisation.name_zh, Organisation.id))), year)


def of_units(organisation_ids: list[int], year: int) -> list[Figures]:
    """The figures of several units, in the order given; four queries, however many there are."""
    query = (
        select(Organisation, Target)
        .outerjoin(Target, (Target.organisation_id == Organisation.id) & (Target.year == year))
        .where(Organisation.id.in_(organisation_ids))
    )
    found = {row[0].id: (row[0], row[1]) for row in db.session.execute(query)}
    return of_filed([found[each] for each in organisation_ids], year)


def of_filed(units: Sequence[tuple[Organisation, Target | None]], year: int) -> list[Figures]:
    """The same of units whose targets of the year are at hand. Three queries."""
    sums = _years([unit.id for unit, _ in units], year)
    rows = []
    for unit, target in units:
        reserved = target.quota_fen if target is not None and target.quota_fen > 0 else None
        own, union = sums.get((unit.id, False), Sums()), sums.get((unit.id, True), Sums())
        rows.append(
            Figures(
                organisation_id=unit.id,
                year=year,
                name_zh=unit.name_zh,
                name_en=unit.name_en,
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
    last, before = date(year, 12, 31), date(year - 1, 12, 31)
    # What stood at the year's last day, less what stood at the end of the year before.
    return [
        (life.order, life.is_trade_union, life.at_the_end_of(last).plus(life.at_the_end_of(before), -1))
        for life in _lives(organisation_ids, last)
    ]


def _lives(organisation_ids: list[int], last: date) -> list[_Life]:
    """The orders that these units placed until a day, each with all that happened to it. Three queries."""
    own = (Order.buyer_id.in_(organisation_ids), Order.kind == "DIRECTED", Order.fulfilment != "CANCELLED", Order.placed_on <= last)
    query = (
        select(Order, DirectedOrder.is_trade_union, Acceptance.accepted_fen, Acceptance.accepted_at)
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .outerjoin(Acceptance, Acceptance.order_id == Order.id)
        .where(*own)
    )
    lives: dict[int, _Life] = {}
    for order, union, fen, at in _rows(query):
        lives[order.id] = _Life(order, bool(union))
        if at is not None:
            lives[order.id].accepted.append((clock.business_date(at), fen))
            lives[order.id].returned.append((clock.business_date(at), -order.short_fen))
    for order_id, fen, at, reason in _rows(_gone_back(own)):
        life, day = lives[order_id], clock.business_date(at)
        if reason != CUT:
            life.refunded.append((day, fen))
        life.returned.append((day, fen))
    for order_id, fen, at, received_on, undone_at in _rows(_paid(own)):
        lives[order_id].paid.append((received_on or clock.business_date(at), fen))
        if undone_at is not None:
            lives[order_id].paid.append((clock.business_date(undone_at), -fen))
    return list(lives.values())


def _gone_back(own: Sequence[Any]) -> Any:
    """(order, fen, when, reason) of what was refunded, and of what was cut before it was paid."""
    refunded = (
        select(Refund.order_id, Refund.fen, Refund.approved_at.label("at"), Refund.reason)
        .join(Order, Order.id == Refund.order_id)
        .where(*own, Refund.state.in_(GOING_BACK))
    )
    cut = (
        select(PriceCut.order_id, PriceCut.fen, PriceCut.decided_at.label("at"), literal(CUT))
        .join(Order, Order.id == PriceCut.order_id)
        .where(*own, PriceCut.state == "APPROVED")
    )
    return refunded.union_all(cut)


def _paid(own: Sequence[Any]) -> Any:
    """(order, fen, when, bank's day, undone when): money counts on the day on which it came, a transfer on the bank's day.

    A match that was undone counted until it was: what a year said before its end stays said, and the year of the undoing takes it off.
    """
    undone = (Payment.channel == CHANNEL) & Payment.canceled_at.is_not(None)
    return (
        select(Payment.payable_id, Payment.amount_fen, Payment.succeeded_at, func.min(BankReceipt.received_on), Payment.canceled_at)
        .join(Order, Order.id == Payment.payable_id)
        .outerjoin(BankMatch, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id))
        .outerjoin(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .where(Payment.payable_kind == "order", *own, (Payment.state == "succeeded") | undone)
        .group_by(Payment.id)
    )


def _rows(query: Any) -> Iterable[Any]:
    return db.session.execute(query).all()
