"""Money back: what a buyer asks for and the cooperative answers, or what the cooperative proposes itself. While open it holds settlement.

Packs that have not left yet are never sent: they come off the order, and only the others are to be shipped. A buyer asks within the return window. What comes to light later (a failed sampling, a recall) the cooperative proposes, at any time and
after the revenue was divided too; since that takes from households' pools, a second person agrees to it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, false, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.orders import cancellation, order_refund, return_choice
from marketplace.orders.order import Order, OrderLine, is_buyers, lines_of, locked_order, must_concern
from marketplace.orders.return_choice import BEFORE_SHIPPING, SHIPS_STILL, Chosen
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.payments.refund import Refund
from marketplace.supply import stock


class ReturnRequest(Public, Model):
    """OPEN → APPROVED (a refund follows) or REFUSED (with a reason)."""

    __tablename__ = "return_request"
    __table_args__ = (
        CheckConstraint("state IN ('OPEN','APPROVED','REFUSED','WITHDRAWN')", name="state"),
        CheckConstraint("fen > 0", name="fen"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    raised_at: Mapped[datetime]
    raised_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(Text, default="")
    refund_id: Mapped[int | None]  # the first, where what several payments paid goes back
    by_seller: Mapped[bool] = mapped_column(default=False, server_default=false())  # proposed by the cooperative, not asked by the buyer
    lines: Mapped[list[Any] | None]  # [order line id, packs, fen] each, if it is about some of the goods
    unsent: Mapped[list[Any] | None]  # [order line id, packs] each: those of them that have not left; once agreed, those that never will


def raise_request(
    order_id: int, fen: int, reason: str, *, actor: Actor, packs: Mapping[int, int] | None = None, unsent: Mapping[int, int] | None = None
) -> ReturnRequest:
    """The buyer asks for ``fen`` back. Before receipt at any time, afterwards within the return window; one request at a time.

    ``packs`` (order line id → how many) says which goods it is for; then ``fen`` is what they cost, whatever is given, and with the freight
    if nothing is left to be sent. ``unsent`` says how many of them have not left, which a line that was sent in part leaves open. Raises
    Conflict ``return.open``, ``return.late``, ``return.unpaid``, InvalidInput ``return.fen``, ``return.packs``, ``return.which``, ``return.reason``.
    """
    order = locked_order(order_id)
    must_concern(order, actor)
    if not is_buyers(order, actor):
        raise NotAllowed("return.buyer", N_("要由买家本人申请退货。"))
    if order.paid_fen == 0:
        raise Conflict("return.unpaid", N_("订单还没有付款，可以直接取消。"))
    if order.return_until is not None and order.return_until < clock.now():
        raise Conflict("return.late", N_("退货期已经过了。货有问题，请联系合作社：合作社可以主动退款。"))
    return _raise(order, fen, reason, return_choice.of_packs(order, packs or {}, unsent or {}), actor)


def propose(
    order_id: int, fen: int, reason: str, *, actor: Actor, packs: Mapping[int, int] | None = None, unsent: Mapping[int, int] | None = None
) -> ReturnRequest:
    """The cooperative proposes to give ``fen`` (or what ``packs`` cost) back, at any time; a director other than the proposer decides.

    Raises Conflict ``return.open``, ``return.unpaid``, InvalidInput as ``raise_request``, and ``return.part_paid``.
    """
    actor.must_have("COOPERATIVE", "director", "accountant", "clerk")
    order = locked_order(order_id)
    if order.organisation_id != actor.organisation_id:
        raise not_found(Order)
    if order.paid_fen == 0:
        raise Conflict("return.unpaid", N_("订单还没有付款，可以直接取消。"))
    return _raise(order, fen, reason, return_choice.of_packs(order, packs or {}, unsent or {}), actor, by_seller=True)


def _raise(order: Order, fen: int, reason: str, chosen: list[Chosen], actor: Actor, *, by_seller: bool = False) -> ReturnRequest:
    if open_of(order.id) is not None:
        raise Conflict("return.open", N_("已经有一个退货申请在办，请等合作社答复。"))
    left = order.paid_fen - order.refunded_fen
    if return_choice.is_everything(order, fen, chosen):
        fen, chosen = left, return_choice.everything(order, left)
    elif chosen:
        fen = sum(each.fen for each in chosen)
    if not 0 < fen <= left:
        raise InvalidInput("return.fen", N_("退款金额要大于零，最多 %(left_yuan)s 元。"), field="yuan", left_fen=left, left_yuan=format_yuan(left))
    if not 2 <= len(reason.strip()) <= 1000:
        raise InvalidInput("return.reason", N_("请写明退货的原因。"), field="reason")
    if not chosen:
        _must_keep_the_price(order)
    request = ReturnRequest(
        organisation_id=order.organisation_id,
        buyer_id=order.buyer_id,
        order_id=order.id,
        fen=fen,
        reason=reason.strip(),
        state="OPEN",
        raised_at=clock.now(),
        raised_by_id=actor.person_id,
        lines=[[each.line_id, each.packs, each.fen] for each in chosen] or None,
        unsent=[[each.line_id, each.unsent] for each in chosen if each.unsent] or None,
        by_seller=by_seller,
    )
    db.session.add(request)
    db.session.flush()
    audit.record("return.proposed" if by_seller else "return.raised", request, person_id=actor.person_id, order_id=order.id, fen=fen)
    return request


def _must_keep_the_price(order: Order) -> None:
    """A part payment that goes back is owed again. InvalidInput ``return.part_paid`` where it would be taken for paid."""
    if order.kind == "DIRECTED" and order.payment == "PARTLY_PAID" and order.fulfilment in BEFORE_SHIPPING:
        raise InvalidInput(
            "return.part_paid",
            N_("这张单只付了一部分，货还没有发，不能只退一部分钱。少要几件，请写件数；不买了，请把付的全部退回；付错的钱，请会计撤销核销，再退回付款人。"),
            field="yuan",
        )


def approve(request_id: int, *, actor: Actor, answer: str = "") -> ReturnRequest:
    """The cooperative agrees: the refund is approved and leaves by itself, and packs that have not left come off the order. Nothing shipped and
    nothing left to ship: the order is called off.

    What a colleague proposed is for a director to agree to. OwnWork if it is one's own, also of one who sells here and bought here.
    """
    order, request = _answering(request_id, actor)
    if request.by_seller:
        _decide(request, actor, approved=True, reason=answer)
    elif request.raised_by_id == actor.person_id:
        raise OwnWork("approval.own", N_("自己经办的，不能自己审批。请换一位同事来审。"))
    lines = lines_of(order.id)
    off = _never_sent(order, request, lines)
    # All the money is the whole order only where all of it is paid: of one paid in part it may be a few packs'.
    whole = order.fulfilment == "READY" and not order.open_fen and request.fen == order.paid_fen - order.refunded_fen
    if whole or (order.fulfilment in BEFORE_SHIPPING and all(line.to_ship == off.get(line.id, 0) for line in lines)):
        _close(request, "APPROVED", answer, actor.person_id)
        cancellation.call_off(order, "returned", person_id=actor.person_id)
        return request
    if not request.lines:
        _must_keep_the_price(order)
    _take_off(order, lines, off, actor)
    request.unsent = [list(each) for each in off.items()] or None
    goods = {line_id: fen for line_id, _packs, fen in request.lines} if request.lines else None
    refund_ids = order_refund.pay_back(order, request.fen, "return", person_id=actor.person_id, lines=goods, return_id=request.id)
    request.refund_id = refund_ids[0]
    return _close(request, "APPROVED", answer, actor.person_id)


def _never_sent(order: Order, request: ReturnRequest, lines: Sequence[OrderLine]) -> dict[int, int]:
    """Line → packs that will not be sent: those that the request named, as far as they have not left since."""
    named = {int(line_id): int(packs) for line_id, packs in request.unsent or ()}
    waits = {line.id: min(line.to_ship, named.get(line.id, 0)) for line in lines} if order.fulfilment in SHIPS_STILL else {}
    return {line_id: packs for line_id, packs in waits.items() if packs}


def _take_off(order: Order, lines: Sequence[OrderLine], off: Mapping[int, int], actor: Actor) -> None:
    """These packs go back to the shelf. If the others have all left, the order is wholly shipped."""
    if not off:
        return
    packs: dict[int, int] = {}
    for line in lines:
        if line.id in off:
            line.taken_off += off[line.id]
            packs[line.pack_id] = packs.get(line.pack_id, 0) + off[line.id]
    stock.release(packs, source_type="order", source_id=order.id)
    if not any(line.to_ship for line in lines):
        order.fulfilment = "SHIPPED"
    order.version += 1
    db.session.flush()
    audit.record("order.taken_off", order, person_id=actor.person_id, packs=sum(off.values()), fulfilment=order.fulfilment)


def refuse(request_id: int, answer: str, *, actor: Actor) -> ReturnRequest:
    """The cooperative says no, and why. InvalidInput ``reason.missing`` without a reason."""
    _, request = _answering(request_id, actor)
    if request.by_seller:
        _decide(request, actor, approved=False, reason=answer)
    if not answer.strip():
        raise InvalidInput("reason.missing", N_("拒绝退货请写明理由，买家才知道为什么。"), field="answer")
    return _close(request, "REFUSED", answer, actor.person_id)


def withdraw(request_id: int, *, actor: Actor) -> ReturnRequest:
    """The buyer takes the request back; a proposal, whoever of the cooperative made it."""
    order = locked_order(get(ReturnRequest, request_id).order_id)
    request = locked(ReturnRequest, request_id)
    if request.by_seller:
        if actor.person_id != request.raised_by_id or actor.organisation_id != request.organisation_id:
            raise not_found(ReturnRequest)
    elif not is_buyers(order, actor):
        raise not_found(ReturnRequest)
    _must_be_open(request)
    return _close(request, "WITHDRAWN", "", actor.person_id)


def taken_off_since(order_ids: Sequence[int], since: datetime) -> Counter[int]:
    """Line → packs that came off these orders after a moment."""
    query = select(ReturnRequest.unsent).where(
        ReturnRequest.order_id.in_(order_ids), ReturnRequest.state == "APPROVED", ReturnRequest.answered_at > since, ReturnRequest.unsent.is_not(None)
    )
    found: Counter[int] = Counter()
    for unsent in db.session.scalars(query):
        found.update({int(line_id): int(packs) for line_id, packs in unsent or ()})
    return found


def never_sent(refund: Refund) -> bool:
    """Whether a refund is for packs that came off an order before they left."""
    return refund.return_id is not None and bool(get(ReturnRequest, refund.return_id).unsent)


def open_of(order_id: int) -> ReturnRequest | None:
    """The open request of an order: it holds settlement."""
    query = select(ReturnRequest).where(ReturnRequest.order_id == order_id, ReturnRequest.state == "OPEN")
    return db.session.scalars(query).one_or_none()


def overtaken(order: Order, *, person_id: int) -> None:
    """A unit has signed for what came, and what did not is paid back as short: a request that names packs which had not left would pay for them
    once more. What else is wrong is asked for anew."""
    request = open_of(order.id)
    if request is not None and request.unsent:
        _close(request, "WITHDRAWN", "", person_id)


@cancellation.hears_of_called_off
def _called_off(order: Order, person_id: int | None) -> None:
    """Its money goes back whole: there is nothing left to ask for."""
    request = open_of(order.id)
    if request is not None:
        _close(request, "WITHDRAWN", "", person_id)


def _answering(request_id: int, actor: Actor) -> tuple[Order, ReturnRequest]:
    actor.must_have("COOPERATIVE", "director", "accountant", "clerk")
    order = locked_order(get(ReturnRequest, request_id).order_id)
    request = locked(ReturnRequest, request_id)
    if request.organisation_id != actor.organisation_id:
        raise not_found(ReturnRequest)
    _must_be_open(request)
    return order, request


def _decide(request: ReturnRequest, actor: Actor, *, approved: bool, reason: str) -> None:
    actor.must_have("COOPERATIVE", "director")
    approval.decide(request, maker_id=request.raised_by_id, actor=actor, version=1, approved=approved, reason=reason)


def _must_be_open(request: ReturnRequest) -> None:
    if request.state != "OPEN":
        raise Conflict("return.answered", N_("这个退货申请已经答复过了。"), state=request.state)


def _close(request: ReturnRequest, state: str, answer: str, person_id: int | None) -> ReturnRequest:
    request.state = state
    request.answer = answer.strip()
    request.answered_at = clock.now()
    request.answered_by_id = person_id
    db.session.flush()
    audit.record(f"return.{state.lower()}", request, person_id=person_id, order_id=request.order_id)
    return request
