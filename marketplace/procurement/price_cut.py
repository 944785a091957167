"""A price cut: what a unit need not pay of accepted goods, because they were poor or went back unpaid. Two organisations agree.

The unit asks and says why; the cooperative decides. Agreed, the receivable shrinks, and what was cut no longer counts.
"""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan, split
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order, lines_of, locked_order
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.procurement.directed_order import of_order


class PriceCut(Public, Versioned, Model):
    """OPEN → APPROVED (``fen`` less to pay) or RETURNED (with a reason)."""

    __tablename__ = "price_cut"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name="state"),
    )
    owner_columns: ClassVar = ("organisation_id", "unit_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the cooperative
    unit_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(String(300), default="")


def ask(order_id: int, fen: int, reason: str, *, actor: Actor, key: str) -> int:
    """The unit asks to pay ``fen`` less of what it accepted and has not paid; the request's id. The same ``key``: the same request.

    Raises InvalidInput ``fen.bad``, ``reason.missing``, Conflict ``cut.early`` before acceptance or on PREPAY, ``cut.open``, ``cut.exceeds``.
    """
    actor.must_have("UNIT", "buyer", "approver")
    request = [order_id, fen, reason.strip()]
    return int(once(f"price_cut:{actor.organisation_id}", key, request, lambda: {"cut_id": _ask(order_id, fen, reason, actor)})["cut_id"])


def _ask(order_id: int, fen: int, reason: str, actor: Actor) -> int:
    order = locked_order(order_id)
    directed = of_order(order_id)
    if directed is None or directed.organisation_id != actor.organisation_id:
        raise not_found(Order)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明减价的理由，300 字以内。"), field="cut_reason")
    if order.received_at is None or (directed.terms != "POSTPAY" and not order.owed_fen):
        raise Conflict("cut.early", N_("只有已经验收、还没有付清的先货后款采购单可以减价。"))
    if open_of(order_id) is not None:
        raise Conflict("cut.open", N_("已经有一份减价申请在等合作社答复。"))
    _must_fit(order, fen)
    row = PriceCut(
        organisation_id=order.organisation_id,
        unit_id=actor.organisation_id,
        order_id=order.id,
        fen=fen,
        reason=reason.strip(),
        state="OPEN",
        asked_at=clock.now(),
        asked_by_id=actor.person_id,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("price_cut.asked", row, person_id=actor.person_id, order_id=order.id, fen=fen)
    return row.id


def decide(cut_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> PriceCut:
    """The cooperative agrees, and the receivable shrinks; or it says no, and why.

    Raises NotFound for another cooperative's, Conflict ``cut.state``, ``cut.exceeds`` if it was paid meanwhile, ``version.stale``.
    """
    actor.must_have("COOPERATIVE", "director", "accountant")
    order = locked_order(get(PriceCut, cut_id).order_id)
    row = locked(PriceCut, cut_id)
    if row.organisation_id != actor.organisation_id:
        raise not_found(PriceCut)
    if row.state != "OPEN":
        raise Conflict("cut.state", N_("这份减价申请已经答复过了。"), state=row.state)
    row.must_be_version(version)
    if approved:
        _must_fit(order, row.fen)
    approval.decide(row, maker_id=row.asked_by_id, actor=actor, version=version, approved=approved, reason=reason)
    row.state = "APPROVED" if approved else "RETURNED"
    row.decided_at, row.decided_by_id, row.answer = clock.now(), actor.person_id, reason.strip()[:300]
    if approved:
        order.cut_fen += row.fen
        # Each line its part: what goes back of it, and what it is divided on, is what it cost in the end.
        lines = lines_of(order.id)
        for line, part in zip(lines, split(row.fen, [each.left_fen for each in lines], [str(each.id) for each in lines], row.public_id), strict=True):
            line.cut_fen += part
        event.receivable_cut(book=order.organisation_id, source=Source("price_cut", row.id), fen=row.fen)
        if order.paid_fen and order.open_fen == 0:
            order.payment, order.paid_at = "REFUNDED" if order.refunded_fen == order.paid_fen else "PAID", order.paid_at or clock.now()
        order.version += 1
        if not order.paid_fen + order.accepted_fen - order.cut_fen + order.freight_fen:
            order.payment, order.paid_at = "PAID", row.decided_at  # cut to nothing, it owes nothing
    db.session.flush()
    return row


def open_of(order_id: int) -> PriceCut | None:
    """The request that waits for the cooperative, if there is one."""
    return db.session.scalars(select(PriceCut).where(PriceCut.order_id == order_id, PriceCut.state == "OPEN")).one_or_none()


def of_order_id(order_id: int) -> list[PriceCut]:
    """All of an order's, the latest first."""
    return list(db.session.scalars(select(PriceCut).where(PriceCut.order_id == order_id).order_by(PriceCut.id.desc())))


def _must_fit(order: Order, fen: int) -> None:
    if fen <= 0:
        raise InvalidInput("fen.bad", N_("请填写要减的金额。"), field="cut")
    if order.settled_at is not None:
        # Paid, divided, and then the payment turned out to be none: its shares are the households', so what is wrong with it is a refund.
        raise Conflict("cut.settled", N_("这张单的钱已经分账，分到各户的不能再减，所以不能减价。请单位先照单付清，再请合作社在订单上退要减的钱：退款从各方的份额里扣。"))
    # Freight is not the goods' price.
    left = min(order.open_fen, sum(line.left_fen for line in lines_of(order.id)))
    if fen > left:
        raise Conflict("cut.exceeds", N_("最多只能减 %(left_yuan)s 元：已经付过的要走退款。"), left_fen=left, left_yuan=format_yuan(left))
