"""The end of an order that was taken on and cannot be, or is not wanted any more, while nothing was shipped and no money is there.

The cooperative ends it and says why; the unit asks for the end and the cooperative agrees. Whoever did not end it is told.
"""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, get, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.notices import message
from marketplace.notices.message import Say
from marketplace.orders import cancellation
from marketplace.orders.order import Order
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import directed_order
from marketplace.procurement.directed_order import DirectedOrder

_OPEN = text("state = 'OPEN'")


class EndRequest(Public, Versioned, Model):
    """A unit wants an order no more. OPEN → APPROVED (the order has ended), RETURNED (with a reason) or WITHDRAWN."""

    __tablename__ = "end_request"
    __table_args__ = (
        CheckConstraint("state IN ('OPEN','APPROVED','RETURNED','WITHDRAWN')", name="state"),
        Index("uq_end_request_open", "directed_order_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    )
    owner_columns: ClassVar = ("organisation_id", "unit_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the cooperative
    unit_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    directed_order_id: Mapped[int] = mapped_column(ForeignKey("directed_order.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(String(300), default="")


def may_end(row: DirectedOrder, order: Order) -> bool:
    """Whether it was taken on, and nothing was shipped and no money of it is there."""
    return row.approval == "CONFIRMED" and order.fulfilment in ("WAITING", "READY") and order.paid_fen == order.refunded_fen


def give_up(directed_order_id: int, reason: str, *, actor: Actor) -> DirectedOrder:
    """The cooperative cannot deliver what it took on, and says why; the unit is told, and the stock goes back.

    Raises InvalidInput ``reason.missing``, Conflict ``directed_order.state``, ``order.paid``, WrongState once something was shipped.
    """
    row, order = directed_order.of_cooperative(directed_order_id, actor)
    _must_be_possible(row, order)
    reason = _worded(reason)
    open_ = open_of(row.id)
    if open_ is not None:
        _close(open_, "APPROVED", reason, actor.person_id)
    directed_order.end(row, order, "DECLINED", reason, actor)
    _tell("order.given_up", row, reason, *_people_of_unit(row, order))
    return row


def ask(directed_order_id: int, reason: str, *, actor: Actor) -> EndRequest:
    """The unit's buyer or approver asks to end it; whoever took it on is told. Raises as ``give_up``, and Conflict ``end.open``."""
    row, order = directed_order.of_unit(directed_order_id, actor, "buyer", "approver")
    _must_be_possible(row, order)
    reason = _worded(reason)
    if open_of(row.id) is not None:
        raise Conflict("end.open", N_("已经请合作社同意取消了，请等答复。"))
    asked = EndRequest(
        organisation_id=row.cooperative_id,
        unit_id=row.organisation_id,
        directed_order_id=row.id,
        reason=reason,
        state="OPEN",
        asked_at=clock.now(),
        asked_by_id=actor.person_id,
        version=1,
    )
    db.session.add(asked)
    db.session.flush()
    audit.record("end_request.asked", asked, person_id=actor.person_id, directed_order_id=row.id)
    _tell("order.end_asked", row, reason, (row.confirmed_by_id, row.cooperative_id), number=asked.id)
    return asked


def decide(end_request_id: int, *, approved: bool, version: int, reason: str = "", actor: Actor) -> EndRequest:
    """The cooperative agrees, and the order has ended; or it says no, and why. Raises as ``give_up``, Conflict ``end.state``, ``version.stale``."""
    row, order = directed_order.of_cooperative(get(EndRequest, end_request_id).directed_order_id, actor)
    asked = locked(EndRequest, end_request_id)
    _must_be_open(asked)
    asked.must_be_version(version)
    if approved:
        _must_be_possible(row, order)
    approval.decide(asked, maker_id=asked.asked_by_id, actor=actor, version=version, approved=approved, reason=reason)
    _close(asked, "APPROVED" if approved else "RETURNED", reason, actor.person_id)
    if approved:
        directed_order.end(row, order, "CANCELLED", asked.reason, actor)
    _tell("order.end_agreed" if approved else "order.end_refused", row, reason.strip(), (asked.asked_by_id, row.organisation_id), number=asked.id)
    return asked


def withdraw(end_request_id: int, *, actor: Actor) -> EndRequest:
    """The unit wants the goods after all. NotFound for another unit's, Conflict ``end.state``."""
    known = get(EndRequest, end_request_id)
    directed_order.of_unit(known.directed_order_id, actor, "buyer", "approver")
    asked = locked(EndRequest, end_request_id)
    _must_be_open(asked)
    return _close(asked, "WITHDRAWN", "", actor.person_id)


def open_of(directed_order_id: int) -> EndRequest | None:
    """The request that waits for the cooperative, if there is one."""
    return db.session.scalars(select(EndRequest).where(EndRequest.directed_order_id == directed_order_id, EndRequest.state == "OPEN")).one_or_none()


def open_at(cooperative_id: int) -> dict[int, EndRequest]:
    """Those that wait for a cooperative, by directed order."""
    query = select(EndRequest).where(EndRequest.organisation_id == cooperative_id, EndRequest.state == "OPEN")
    return {each.directed_order_id: each for each in db.session.scalars(query)}


def of_order(directed_order_id: int) -> list[EndRequest]:
    """All of an order's, the latest first."""
    return list(db.session.scalars(select(EndRequest).where(EndRequest.directed_order_id == directed_order_id).order_by(EndRequest.id.desc())))


def _must_be_possible(row: DirectedOrder, order: Order) -> None:
    if row.approval != "CONFIRMED":
        raise Conflict("directed_order.state", N_("这张单现在的状态不能办这一步，请刷新页面看看。"), state=row.approval)
    order.must_be("WAITING", "READY")
    directed_order.must_hold_no_money(order)


def _must_be_open(asked: EndRequest) -> None:
    if asked.state != "OPEN":
        raise Conflict("end.state", N_("这份取消申请已经办过了。"), state=asked.state)


def _worded(reason: str) -> str:
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明取消的原因，300 字以内，对方会看到。"), field="end_reason")
    return reason.strip()


@cancellation.hears_of_called_off
def _ended(order: Order, person_id: int | None) -> None:
    """The order has ended, by whatever way: that is what was asked."""
    row = directed_order.of_order(order.id)
    asked = open_of(row.id) if row is not None else None
    if asked is not None:
        _close(asked, "APPROVED", "", person_id)


def _close(asked: EndRequest, state: str, answer: str, person_id: int | None) -> EndRequest:
    asked.state, asked.answer = state, answer.strip()[:300]
    asked.decided_at, asked.decided_by_id = clock.now(), person_id
    db.session.flush()
    audit.record(f"end_request.{state.lower()}", asked, person_id=person_id, directed_order_id=asked.directed_order_id)
    return asked


def _people_of_unit(row: DirectedOrder, order: Order) -> list[tuple[int | None, int]]:
    """Who ordered and who agreed to it, each once."""
    return [(person_id, row.organisation_id) for person_id in dict.fromkeys((order.placed_by_id, row.approved_by_id))]


def _tell(kind: str, row: DirectedOrder, reason: str, *people: tuple[int | None, int], number: int = 0) -> None:
    unit, seller = get(Organisation, row.organisation_id), get(Organisation, row.cooperative_id)
    data = {"reference": row.reference, "unit": unit.name_zh, "cooperative": seller.name_zh, "reason": reason}
    for person_id, organisation_id in people:
        if person_id is not None:
            path = f"/unit/orders/{row.public_id}" if organisation_id == row.organisation_id else "/cooperative/unit-orders"
            message.write(kind, f"{kind}:{row.id}:{number}:{person_id}", data, person_id=person_id, organisation_id=organisation_id, path=path, by_mail=True)


@message.worded("order.given_up")
def _given_up(data: dict[str, Any], say: Say) -> tuple[str, str]:
    return say(N_("采购单 %(reference)s：%(cooperative)s 不能供货"), **data), say(N_("合作社接单以后说明不能供货，这张单已经取消，没有要付的钱。原因：%(reason)s"), **data)


@message.worded("order.end_asked")
def _end_asked(data: dict[str, Any], say: Say) -> tuple[str, str]:
    return say(N_("采购单 %(reference)s：%(unit)s 请求取消"), **data), say(N_("货还没有发。同意就取消，货放回货架；不同意请写明理由。原因：%(reason)s"), **data)


@message.worded("order.end_agreed")
def _end_agreed(data: dict[str, Any], say: Say) -> tuple[str, str]:
    return say(N_("采购单 %(reference)s 已经取消"), **data), say(N_("%(cooperative)s 同意取消，没有要付的钱。"), **data)


@message.worded("order.end_refused")
def _end_refused(data: dict[str, Any], say: Say) -> tuple[str, str]:
    return say(N_("采购单 %(reference)s：合作社没有同意取消"), **data), say(N_("这张单照常供货。理由：%(reason)s"), **data)
