"""The deadline of a PREPAY order: 30 days from confirmation, moved once by 15; unpaid after that, the goods go back to the shelf.

A transfer of the last day is on the statement some days later, so an order ends only when the bank has told of the days after its
deadline too, and no receipt that names it waits for its match. A cooperative that imports nothing holds the goods two weeks, no longer.
"""

from datetime import timedelta

from sqlalchemy import ColumnElement, func, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.language import N_
from marketplace.orders.order import Order, locked_order
from marketplace.organisations.actor import Actor
from marketplace.payments import bank_match
from marketplace.payments.bank_statement import BankStatement
from marketplace.procurement import directed_order
from marketplace.procurement.directed_order import DirectedOrder

EXTENSION_DAYS = 15
ON_ITS_WAY_DAYS = 3  # between banks, a weekend included
LATEST_DAYS = 14  # after the deadline, without a statement
LAPSED = "LAPSED"


def extend(directed_order_id: int, reason: str, *, actor: Actor) -> DirectedOrder:
    """The unit's buyer or accountant moves the deadline, once, while it has not passed, and says why.

    Raises NotFound for another unit's, InvalidInput ``reason.missing``, Conflict ``deadline.none``, ``deadline.moved``, ``deadline.over``.
    """
    actor.must_have("UNIT", "buyer", "accountant")
    row = locked(DirectedOrder, directed_order_id)
    if row.organisation_id != actor.organisation_id:
        raise NotFound("directed_order.missing", N_("没有找到，或不归您的单位查看。"))
    order = locked_order(row.order_id)
    if row.terms != "PREPAY" or row.approval != "CONFIRMED" or order.fulfilment != "WAITING" or row.pay_by is None:
        raise Conflict("deadline.none", N_("这张单没有在等付款，不用延期。"))
    if row.extended_at is not None:
        raise Conflict("deadline.moved", N_("付款期限只能延一次，已经延过了。"))
    if row.pay_by < clock.business_date():
        raise Conflict("deadline.over", N_("付款期限已经过了，不能再延。"))
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明延期的原因。"), field="reason")
    row.pay_by += timedelta(days=EXTENSION_DAYS)
    row.extended_at, row.extended_by_id = clock.now(), actor.person_id
    order.version += 1
    db.session.flush()
    audit.record("directed_order.extended", row, person_id=actor.person_id, pay_by=f"{row.pay_by}", reason=reason.strip())
    return row


def lapsed(limit: int = 100) -> list[int]:
    """Ids of directed orders whose deadline has passed with nothing of theirs here or on its way, oldest first. What was paid in part waits for a person."""
    return _over()[:limit]


def _over(directed_order_id: int | None = None) -> list[int]:
    """Those (or the one) that are unpaid past their deadline, whose bank has told of the days after it or had the time to, and that no
    receipt names which still waits for the accountant."""
    today = clock.business_date()
    told = select(func.max(BankStatement.last_day)).where(BankStatement.organisation_id == Order.organisation_id, BankStatement.taken_at.is_not(None))
    query = (
        select(DirectedOrder.id, DirectedOrder.reference, Order.organisation_id)
        .join(Order, Order.id == DirectedOrder.order_id)
        .where(_waits(), DirectedOrder.pay_by < today - timedelta(days=ON_ITS_WAY_DAYS), Order.paid_fen == Order.refunded_fen)
        .where((told.scalar_subquery() > DirectedOrder.pay_by) | (DirectedOrder.pay_by < today - timedelta(days=LATEST_DAYS)))
        .order_by(DirectedOrder.pay_by, DirectedOrder.id)
    )
    if directed_order_id is not None:
        query = query.where(DirectedOrder.id == directed_order_id)
    rows = db.session.execute(query).all()
    sellers = {row.organisation_id for row in rows}
    named = {each: bank_match.references_waiting(each, [row.reference for row in rows if row.organisation_id == each]) for each in sellers}
    return [row.id for row in rows if row.reference not in named[row.organisation_id]]


def lapse(directed_order_id: int) -> None:
    """End an order whose deadline has passed unpaid. Conflict ``deadline.running`` if it was paid or moved, or money may be on its way."""
    order = locked_order(get(DirectedOrder, directed_order_id).order_id)
    row = locked(DirectedOrder, directed_order_id)
    db.session.flush()
    if not _over(directed_order_id):
        raise Conflict("deadline.running", N_("这张单已经付款或延期，或者钱可能在路上。"))
    directed_order.end(row, order, "CANCELLED", LAPSED, None)
    db.session.flush()


def _waits() -> ColumnElement[bool]:
    return (DirectedOrder.terms == "PREPAY") & (DirectedOrder.approval == "CONFIRMED") & (Order.fulfilment == "WAITING")
