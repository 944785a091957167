"""What units owe past their day, or paid after it: a cooperative's lists to remind and to claim by, and a year's figures of who paid late."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ScalarSelect, Select, Subquery, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.order import Order, owed
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.procurement import late_interest
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import Accrued, LateInterest


@dataclass(frozen=True)
class Overdue:
    """One order past its day: fen open, days late (until it was paid, if it is), what may be claimed now and what was claimed and not paid."""

    directed: DirectedOrder
    order: Order
    unit: Organisation
    open_fen: int
    days: int
    accrued: Accrued | None
    claimed_fen: int


@dataclass(frozen=True)
class LateUnit:
    """A unit's year: orders that fell due in it, of these paid late or not yet, the fen of those, the longest delay in days."""

    unit: Organisation
    due: int
    late: int
    late_fen: int
    longest: int
    open_fen: int


def of_cooperative(cooperative_id: int, *, after: DirectedOrder | None = None, limit: int = 51) -> list[Overdue]:
    """A cooperative's overdue orders, the longest overdue first, paged by key."""
    query = _overdue(clock.business_date()).add_columns(_claimed_fen()).where(DirectedOrder.cooperative_id == cooperative_id)
    if after is not None:
        query = query.where(
            (DirectedOrder.pay_by > after.pay_by) | ((DirectedOrder.pay_by == after.pay_by) & (DirectedOrder.id > after.id))
        )
    rows = db.session.execute(query.limit(limit)).all()
    today, accrued = clock.business_date(), late_interest.accrued_many([(row[1], row[0]) for row in rows])
    return [
        Overdue(directed, order, unit, int(fen), (today - directed.pay_by).days, accrued.get(order.id), int(claimed_fen))
        for directed, order, unit, fen, claimed_fen in rows
    ]


def paid_late(cooperative_id: int) -> list[Overdue]:
    """Orders that were paid after their day and whose interest nobody has claimed or waived so far, the latest due first."""
    paid, claimed = _last_paid(), select(func.max(LateInterest.through_on)).where(LateInterest.order_id == Order.id, ~LateInterest.withdrawn)
    query = (
        select(DirectedOrder, Order, Organisation, _claimed_fen(), paid.c.on)
        .join(Order, Order.id == DirectedOrder.order_id)
        .join(Organisation, Organisation.id == DirectedOrder.organisation_id)
        .join(paid, paid.c.order_id == Order.id)
        .where(DirectedOrder.cooperative_id == cooperative_id, DirectedOrder.terms == "POSTPAY", Order.received_at.is_not(None), owed() == 0)
        .where(paid.c.on > DirectedOrder.pay_by, paid.c.on > func.coalesce(claimed.scalar_subquery(), DirectedOrder.pay_by))
        .order_by(DirectedOrder.pay_by.desc(), DirectedOrder.id.desc())
    )
    rows = db.session.execute(query).all()
    accrued = late_interest.accrued_many([(row[1], row[0]) for row in rows])
    return [
        Overdue(directed, order, unit, 0, (paid_on - directed.pay_by).days, accrued[order.id], int(claimed_fen))
        for directed, order, unit, claimed_fen, paid_on in rows
        if order.id in accrued
    ]


def of_unit(unit_id: int) -> tuple[int, int]:
    """(orders, fen) that a unit owes past their day."""
    overdue = _overdue(clock.business_date()).where(DirectedOrder.organisation_id == unit_id).subquery()
    count, fen = db.session.execute(select(func.count(), func.coalesce(func.sum(overdue.c.open_fen), 0)).select_from(overdue)).one()
    return count, int(fen)


def of_year(year: int) -> list[LateUnit]:
    """Units with a POSTPAY order that fell due in the year, those that are latest first. The yearly report on overdue payments."""
    today = clock.business_date()
    last_paid = _last_paid()
    query = (
        select(Organisation, DirectedOrder.pay_by, last_paid.c.on, Order.paid_fen + owed(), owed())
        .join(DirectedOrder, DirectedOrder.organisation_id == Organisation.id)
        .join(Order, Order.id == DirectedOrder.order_id)
        .outerjoin(last_paid, last_paid.c.order_id == Order.id)
        .where((DirectedOrder.terms == "POSTPAY") | (owed() > 0), Order.received_at.is_not(None))
        .where(DirectedOrder.pay_by >= date(year, 1, 1), DirectedOrder.pay_by <= min(date(year, 12, 31), today))
    )
    found: dict[int, LateUnit] = {}
    for unit, pay_by, paid_on, fen, owes in db.session.execute(query):
        ended = today if owes else (paid_on or pay_by)
        days = max(0, (ended - pay_by).days)
        row = found.get(unit.id) or LateUnit(unit, 0, 0, 0, 0, 0)
        found[unit.id] = LateUnit(
            unit, row.due + 1, row.late + (days > 0), row.late_fen + (fen if days else 0), max(row.longest, days), row.open_fen + (owes if days else 0)
        )
    return sorted(found.values(), key=lambda row: (-row.late_fen, -row.longest, row.unit.id))


def _last_paid() -> Subquery:
    """(order_id, on): the day on which the last transfer that paid an order came."""
    return (
        select(Payment.payable_id.label("order_id"), func.max(BankReceipt.received_on).label("on"))
        .join(BankMatch, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id) & BankMatch.undone_at.is_(None))
        .join(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .where(Payment.payable_kind == "order", Payment.state == "succeeded")
        .group_by(Payment.payable_id)
        .subquery()
    )


def _claimed_fen() -> ScalarSelect[int]:
    """Interest of an order that was claimed and not paid."""
    return (
        select(func.coalesce(func.sum(LateInterest.fen - LateInterest.paid_fen - LateInterest.waived_fen), 0))
        .where(LateInterest.order_id == Order.id, LateInterest.state == "CLAIMED")
        .scalar_subquery()
    )


def _overdue(today: date) -> Select[DirectedOrder, Order, Organisation, int]:
    return (
        select(DirectedOrder, Order, Organisation, owed().label("open_fen"))
        .join(Order, Order.id == DirectedOrder.order_id)
        .join(Organisation, Organisation.id == DirectedOrder.organisation_id)
        .where(DirectedOrder.approval == "CONFIRMED", DirectedOrder.pay_by < today, owed() > 0)
        .order_by(DirectedOrder.pay_by, DirectedOrder.id)
    )
