"""What units owe past their day: a cooperative's list to remind by, and a year's figures of public bodies that paid late."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import ColumnElement, Select, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.procurement import late_interest
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import Accrued, LateInterest


@dataclass(frozen=True)
class Overdue:
    """One order past its day: fen open, days late, what may be claimed now and what was claimed and not paid."""

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


def open_fen() -> ColumnElement[int]:
    """What an accepted order still owes, as a column."""
    return Order.accepted_fen - Order.cut_fen + Order.freight_fen - (Order.paid_fen - Order.short_fen)


def of_cooperative(cooperative_id: int, *, after: DirectedOrder | None = None, limit: int = 51) -> list[Overdue]:
    """A cooperative's overdue orders, the longest overdue first, paged by key."""
    claimed = (
        select(func.coalesce(func.sum(LateInterest.fen - LateInterest.paid_fen), 0))
        .where(LateInterest.order_id == Order.id, LateInterest.state == "CLAIMED")
        .scalar_subquery()
    )
    query = _overdue(clock.business_date()).add_columns(claimed).where(DirectedOrder.cooperative_id == cooperative_id)
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


def of_unit(unit_id: int) -> tuple[int, int]:
    """(orders, fen) that a unit owes past their day."""
    overdue = _overdue(clock.business_date()).where(DirectedOrder.organisation_id == unit_id).subquery()
    count, fen = db.session.execute(select(func.count(), func.coalesce(func.sum(overdue.c.open_fen), 0)).select_from(overdue)).one()
    return count, int(fen)


def of_year(year: int) -> list[LateUnit]:
    """Units with a POSTPAY order that fell due in the year, those that are latest first. The yearly report on overdue payments."""
    today = clock.business_date()
    last_paid = (
        select(Payment.payable_id.label("order_id"), func.max(BankReceipt.received_on).label("on"))
        .join(BankMatch, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id) & BankMatch.undone_at.is_(None))
        .join(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .where(Payment.payable_kind == "order", Payment.state == "succeeded")
        .group_by(Payment.payable_id)
        .subquery()
    )
    query = (
        select(Organisation, DirectedOrder.pay_by, Order.payment, last_paid.c.on, Order.accepted_fen - Order.cut_fen + Order.freight_fen, open_fen())
        .join(DirectedOrder, DirectedOrder.organisation_id == Organisation.id)
        .join(Order, Order.id == DirectedOrder.order_id)
        .outerjoin(last_paid, last_paid.c.order_id == Order.id)
        .where(DirectedOrder.terms == "POSTPAY", Order.received_at.is_not(None))
        .where(DirectedOrder.pay_by >= date(year, 1, 1), DirectedOrder.pay_by <= min(date(year, 12, 31), today))
    )
    found: dict[int, LateUnit] = {}
    for unit, pay_by, payment, paid_on, fen, left in db.session.execute(query):
        ended = (paid_on or pay_by) if payment in ("PAID", "REFUNDED") else today
        days = max(0, (ended - pay_by).days)
        owes = max(0, left) if payment in ("UNPAID", "PARTLY_PAID") else 0
        row = found.get(unit.id) or LateUnit(unit, 0, 0, 0, 0, 0)
        found[unit.id] = LateUnit(
            unit, row.due + 1, row.late + (days > 0), row.late_fen + (fen if days else 0), max(row.longest, days), row.open_fen + (owes if days else 0)
        )
    return sorted(found.values(), key=lambda row: (-row.late_fen, -row.longest, row.unit.id))


def _overdue(today: date) -> Select[DirectedOrder, Order, Organisation, int]:
    return (
        select(DirectedOrder, Order, Organisation, open_fen().label("open_fen"))
        .join(Order, Order.id == DirectedOrder.order_id)
        .join(Organisation, Organisation.id == DirectedOrder.organisation_id)
        .where(
            DirectedOrder.approval == "CONFIRMED",
            DirectedOrder.terms == "POSTPAY",
            DirectedOrder.pay_by < today,
            Order.received_at.is_not(None),
            Order.payment.in_(("UNPAID", "PARTLY_PAID")),
            open_fen() > 0,
        )
        .order_by(DirectedOrder.pay_by, DirectedOrder.id)
    )
