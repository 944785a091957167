"""A cooperative's money as its accountant asks about it: settled, waiting and why, given to households, paid out. Reads only; fen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.orders.order import Order
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.organisation import Organisation
from marketplace.payments import match_undo
from marketplace.payments.refund import Refund
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.household_credit import TO_FUND, CreditMove
from marketplace.settlement.payout_batch import PayoutItem
from marketplace.settlement.settlement import REFUND_GOING, REFUND_REFUSED, Settlement

# Why money that was paid is not settled yet, in the order of an order's way. "due": the next run settles it.
WAITS = ("unpaid", "not_shipped", "not_received", "return_window", "refund_going", "refund_refused", "match_asked", "return_open", "due")


@dataclass(frozen=True)
class Waiting:
    """Orders that wait for one reason: their number, what was paid less refunds, and when the first of them was paid."""

    why: str
    orders: int
    fen: int
    oldest: datetime | None


@dataclass(frozen=True)
class Settled:
    """What was divided in a time: the cooperative's own with freight, and the three shares of others."""

    orders: int
    own_fen: int
    pool_fen: int
    village_fen: int
    fund_fen: int


@dataclass(frozen=True)
class Households:
    """The households' money: drafted or published and not credited, credited and not at the bank, at the bank, arrived, come back."""

    announced_fen: int
    credited_fen: int
    at_bank_fen: int
    paid_fen: int
    returned_fen: int

    @property
    def to_send_fen(self) -> int:
        """Credited to households and in no file that the bank has."""
        return self.credited_fen - self.at_bank_fen - self.paid_fen


def waiting(organisation_id: int) -> list[Waiting]:
    """Each reason with what waits for it, in the order of an order's way; reasons that hold nothing are left out."""
    query = (
        select(_why().label("why"), func.count(), func.sum(Order.paid_fen - Order.refunded_fen), func.min(Order.paid_at))
        .where(*_unsettled(organisation_id))
        .group_by("why")
    )
    found = {row[0]: Waiting(row[0], row[1], int(row[2]), row[3]) for row in db.session.execute(query)}
    return [found[why] for why in WAITS if why in found]


def waiting_orders(organisation_id: int, why: str = "") -> Select[*tuple[Any, ...]]:
    """Select of (order, why, buyer) of unsettled paid orders, of one reason if named; the caller pages it."""
    reason = _why()
    query: Select[*tuple[Any, ...]] = select(Order, reason, Organisation).join(Organisation, Organisation.id == Order.buyer_id)
    query = query.where(*_unsettled(organisation_id))
    return query.where(reason == why) if why else query


def due(before: datetime) -> Select[*tuple[Any, ...]]:
    """Select of (orders, fen) of every cooperative that the next run settles, of those received before a moment."""
    fen = func.coalesce(func.sum(Order.paid_fen - Order.refunded_fen), 0)
    return select(func.count(), fen).where(*_paid_and_unsettled(), Order.received_at < before, _why() == "due")


def settled(organisation_id: int, period: str) -> tuple[Settled, Settled]:
    """What was settled in one month, and everything."""
    columns: Sequence[Any] = (
        Settlement.cooperative_fen + Settlement.freight_fen, Settlement.pool_fen, Settlement.village_fen, Settlement.fund_fen,
    )  # fmt: skip
    its = Settlement.period == period
    ever = [func.count(), *(func.coalesce(func.sum(column), 0) for column in columns)]
    month = [func.count().filter(its), *(func.coalesce(func.sum(column).filter(its), 0) for column in columns)]
    row: Any = db.session.execute(select(*month, *ever).where(Settlement.organisation_id == organisation_id)).one()
    numbers = [int(each) for each in row]
    return Settled(*numbers[:5]), Settled(*numbers[5:])


def settled_orders(organisation_id: int, period: str = "") -> Select[*tuple[Any, ...]]:
    """Select of (settlement, order) of a month, or of all; the latest first. The caller pages it."""
    query: Select[*tuple[Any, ...]] = select(Settlement, Order).join(Order, Order.id == Settlement.order_id)
    query = query.where(Settlement.organisation_id == organisation_id).order_by(Settlement.id.desc())
    return query.where(Settlement.period == period) if period else query


def households(organisation_id: int) -> Households:
    """Where the households' money is."""
    totals = dict(
        db.session.execute(
            select(Distribution.state, func.sum(Distribution.total_fen))
            .where(Distribution.organisation_id == organisation_id)
            .group_by(Distribution.state)
        )
        .all()
    )
    items = dict(
        db.session.execute(
            select(PayoutItem.state, func.sum(PayoutItem.fen))
            .where(PayoutItem.organisation_id == organisation_id)
            .group_by(PayoutItem.state)
            .union_all(
                select(literal("to fund"), func.coalesce(func.sum(-CreditMove.fen), 0)).where(
                    CreditMove.organisation_id == organisation_id, CreditMove.kind.in_(TO_FUND)
                )
            )
        )
        .all()
    )
    return Households(
        announced_fen=sum(int(totals.get(state, 0)) for state in ("DRAFTED", "APPROVED", "PUBLISHED")),
        credited_fen=int(totals.get("POSTED", 0)) - int(items.get("to fund", 0)),
        at_bank_fen=int(items.get("sent", 0)) + int(items.get("unknown", 0)),
        paid_fen=int(items.get("paid", 0)),
        returned_fen=int(items.get("returned", 0)),
    )


def _unsettled(organisation_id: int) -> tuple[ColumnElement[bool], ...]:
    return (Order.organisation_id == organisation_id, *_paid_and_unsettled())


def _paid_and_unsettled() -> tuple[ColumnElement[bool], ...]:
    return (Order.settled_at.is_(None), Order.paid_fen > Order.refunded_fen)


def _why() -> ColumnElement[str]:
    """The first reason, as ``settlement.why_not_due`` finds it, told apart further where an order has not arrived."""
    now = clock.now()
    opened = select(ReturnRequest.id).where(ReturnRequest.order_id == Order.id, ReturnRequest.state == "OPEN").exists()
    going, refused = (select(Refund.id).where(Refund.order_id == Order.id, which).exists() for which in (REFUND_GOING, REFUND_REFUSED))
    over = or_(
        Order.return_until <= now,
        and_(Order.return_until.is_(None), Order.received_at <= now - timedelta(days=settings().return_days)),
    )
    return case(
        (Order.payment.not_in(("PAID", "REFUNDED")), "unpaid"),
        (and_(Order.received_at.is_(None), Order.shipped_at.is_(None)), "not_shipped"),
        (Order.received_at.is_(None), "not_received"),
        (~over, "return_window"),
        (opened, "return_open"),
        (Order.id.in_(match_undo.asked_of_orders()), "match_asked"),
        (going, "refund_going"),
        (refused, "refund_refused"),
        else_="due",
    )
