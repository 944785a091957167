"""A refund of a payment. The sum of a payment's refunds, unknown ones included, never passes its amount: the database holds it.

States: requested → approved → submitting → unknown → succeeded | failed. A card's bank may send back what succeeded, days later: then it is
failed too, and ``succeeded_at`` stays. What was taken for failed may have left after all: then it has succeeded (``refund_news``). It goes
back the way the money came, or over the bank when that way is closed: then a person makes the transfer (``bank_refund``).
"""

import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, String, false, func, or_, select
from sqlalchemy.orm import Mapped, aliased, mapped_column

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import Model, Public, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import event, posting
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.payments.payable import handlers
from marketplace.payments.payment import ONLINE, Payment

DISPUTES = ("dp_", "du_")  # how Stripe's numbers of disputes begin
GOING = ("approved", "submitting", "unknown")
# Why a failed refund is never made again: the one that it was to replace left after all; it left itself, and its order has no money for it;
# two people gave it up; made at the channel, it is counted in parts since.
REPLACED_LEFT, LEFT, GIVEN_UP, RECOUNTED = "REPLACED_LEFT", "LEFT", "GIVEN_UP", "RECOUNTED"
NOT_AGAIN = (REPLACED_LEFT, LEFT, GIVEN_UP, RECOUNTED)
# Of one that goes over the bank and was agreed: what it replaces left after all. Whether a person has transferred it meanwhile is asked.
DOUBTED = "DOUBTED"
_POSTED = ("refund_approved", "refund_after_settlement", "unapplied_refund_approved", "refund_succeeded")


class Refund(Public, Model):
    """``out_request_no`` is our number, sent again unchanged until the outcome is known."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('requested','approved','submitting','unknown','succeeded','failed')", name="state"),
        CheckConstraint("way IN ('alipay','stripe','bank')", name="way"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"), index=True)  # none: of money that was never applied
    out_request_no: Mapped[str] = mapped_column(String(64), unique=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(120))
    state: Mapped[str] = mapped_column(String(12), default="approved")
    approved_at: Mapped[datetime]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    succeeded_at: Mapped[datetime | None]
    way: Mapped[str] = mapped_column(String(8), default="alipay", server_default="alipay")
    sub_code: Mapped[str] = mapped_column(String(60), default="", server_default="")  # why the channel refused, in its words
    reissues_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"), unique=True)  # the failed one that this replaces
    goods: Mapped[list[Any] | None]  # [order line id, fen] each, as it was counted; what is beyond them is freight. None: of no order
    elsewhere: Mapped[bool] = mapped_column(default=False, server_default=false())  # made at the channel, not by us
    return_id: Mapped[int | None]  # of which return request; a rung above keeps it


class RefundTooMuch(Conflict):
    """More would go back than was paid. Data: ``left_fen``."""


def refused() -> ColumnElement[bool]:
    """A refund that failed, and neither was made again nor is out of the question: it waits for a person, as long as its payment holds anything
    that could go back (it may have gone back otherwise: on the channel's own pages, or with the whole order)."""
    again, its = aliased(Refund), aliased(Payment)
    made_again = select(again.id).where(again.reissues_id == Refund.id).exists()
    holds = select(its.id).where(its.id == Refund.payment_id, its.refunded_fen < its.amount_fen).exists()
    return (Refund.state == "failed") & Refund.sub_code.not_in(NOT_AGAIN) & ~made_again & holds


def request(
    payment_id: int, fen: int, reason: str, *, order_id: int | None = None, way: str = "", reissues_id: int | None = None, return_id: int | None = None
) -> Refund:
    """Ask for ``fen`` of a payment back. Nothing is promised and nothing posted until it is approved.

    ``way`` is alipay, stripe or bank; by default the one it came. Raises InvalidInput ``refund.fen``, RefundTooMuch, Conflict ``refund.unpaid``.
    """
    payment = locked(Payment, payment_id)
    _must_hold(payment, fen)
    refund = Refund(
        organisation_id=payment.organisation_id,
        payment_id=payment.id,
        order_id=order_id,
        out_request_no=f"R{clock.now().astimezone(clock.BEIJING):%Y%m%d%H%M%S}{secrets.randbelow(10**12):012d}",
        fen=fen,
        reason=reason.strip()[:120] or "refund",
        state="requested",
        approved_at=clock.now(),
        way=way or (payment.channel if payment.channel in ONLINE else "bank"),
        reissues_id=reissues_id,
        return_id=return_id,
    )
    db.session.add(refund)
    db.session.flush()
    return refund


def approve(refund_id: int, *, approved_by_id: int | None) -> Refund:
    """The money shall go back: it counts against the payment from now on, and a job carries it out.

    The caller posts where it is taken from, in the same transaction. Raises RefundTooMuch, Conflict ``refund.state``.
    """
    refund = db.session.get_one(Refund, refund_id)
    payment = locked(Payment, refund.payment_id)
    refund = locked(Refund, refund_id)
    if refund.state != "requested":
        raise Conflict("refund.state", N_("这笔退款已经处理过了。"), state=refund.state)
    _must_hold(payment, refund.fen)
    payment.refunded_fen += refund.fen
    refund.state = "approved"
    refund.approved_at = clock.now()
    refund.approved_by_id = approved_by_id
    db.session.flush()
    # Over the bank a person pays it and records it; what was made elsewhere has gone already.
    if refund.way != "bank" and not refund.elsewhere:
        outbox.put("refund", str(refund.id), {"refund_id": refund.id})
    audit.record("refund.approved", refund, person_id=approved_by_id, fen=refund.fen)
    return refund


def give_back(payment: Payment, *, way: str = "", reissues_id: int | None = None, approved_by_id: int | None = None) -> Refund:
    """A late or double payment goes back, without asking anybody: unapplied to refunds_payable. All of it, but for what has gone back already
    (on the channel's own pages). Raises RefundTooMuch if nothing is left."""
    left = payment.amount_fen - payment.refunded_fen
    if not left:
        raise RefundTooMuch("refund.exceeds", N_("最多还能退 %(left_yuan)s 元。"), left_fen=0, left_yuan=format_yuan(0), asked_fen=payment.amount_fen)
    asked = request(payment.id, left, "late or double payment", way=way, reissues_id=reissues_id)
    refund = approve(asked.id, approved_by_id=approved_by_id)
    event.unapplied_refund_approved(book=refund.organisation_id, source=source(refund.id), fen=refund.fen)
    return refund


def made_elsewhere(payment: Payment, fen: int, number: str, *, order_id: int | None = None) -> Refund:
    """The channel gave ``fen`` back that nobody ordered here (on its own pages): it counts, and nothing is sent.

    ``number`` is the channel's, if it told one. The caller posts where it is taken from, then calls ``succeed``.
    """
    refund = request(payment.id, fen, "made at the channel", order_id=order_id)
    refund.elsewhere = True
    # The news may name another refund than the one it makes us find: one of ours, or one that is counted already.
    known = bool(number) and db.session.scalar(select(Refund.id).where(Refund.out_request_no == number[:64])) is not None
    refund.out_request_no = f"X{refund.out_request_no}" if known or not number else number[:64]
    db.session.flush()
    return approve(refund.id, approved_by_id=None)


def left_beyond(payment: Payment, fen: int, number: str) -> Refund:
    """The channel took ``fen`` of the buyer's more than the payment holds (a dispute, of what had gone back already): it is in no book, and two
    people say who bears it (``refund_loss``)."""
    refund = Refund(
        organisation_id=payment.organisation_id, payment_id=payment.id, out_request_no=number[:64], fen=fen, reason="made at the channel", state="failed",
        order_id=payment.payable_id if payment.state == "succeeded" and payment.payable_kind == "order" else None, approved_at=clock.now(),
        way=payment.channel if payment.channel in ONLINE else "bank", sub_code=LEFT, elsewhere=True,
    )  # fmt: skip
    db.session.add(refund)
    db.session.flush()
    audit.record("refund.left_beyond", refund, fen=fen)
    return refund


def goods_of(refund_id: int) -> dict[int, int] | None:
    """Fen of goods by order line id, as the refund was counted; None if that was not kept."""
    goods = db.session.get_one(Refund, refund_id).goods
    return {int(line_id): int(fen) for line_id, fen in goods} if goods is not None else None


def is_dispute(number: str) -> bool:
    """Whether the channel's number is that of a dispute, which moves money and is no refund there."""
    return number.startswith(DISPUTES)


def sent_over(payment_id: int, way: str, *, disputes: bool = False, came_back: bool = True) -> int:
    """Fen of a payment that went back, or are on their way, over ``way``, also what left though no book holds it; with ``came_back`` also what went
    and was sent back by the buyer's bank, as the channel may still tell of it in a sum. With ``disputes``: also what a lost one took, which no sum
    of refunds tells."""
    failed = Refund.state == "failed"
    stands = Refund.state.not_in(("requested", "failed")) | (failed & (Refund.sub_code == LEFT))
    went = stands | (failed & Refund.succeeded_at.is_not(None)) if came_back else stands
    query = select(func.coalesce(func.sum(Refund.fen), 0)).where(Refund.payment_id == payment_id, Refund.way == way, went)
    if not disputes:
        query = query.where(~or_(*(Refund.out_request_no.startswith(each, autoescape=True) for each in DISPUTES)))
    return int(db.session.scalar(query) or 0)


def source(refund_id: int) -> Source:
    """What the refund's next entry is posted under: anew, if earlier ones were reversed."""
    undone = select(func.count()).where(JournalEntry.source_type == "refund", JournalEntry.source_id == refund_id, JournalEntry.kind == "reversed")
    return Source("refund", refund_id, int(db.session.scalar(undone) or 0))


def succeed(refund_id: int, *, at: datetime | None = None) -> bool:
    """The channel gave the money back (``at``: when, if it is told later): post it once. False if that was known already."""
    refund = locked(Refund, refund_id)
    if refund.state == "succeeded":
        return False
    if refund.state not in GOING:
        raise Conflict("refund.state", N_("这笔退款已经处理过了。"), state=refund.state)
    refund.state = "succeeded"
    refund.succeeded_at = clock.now()
    db.session.flush()
    event.refund_succeeded(book=refund.organisation_id, source=source(refund.id), fen=refund.fen, channel=refund.way, at=at)
    audit.record("refund.succeeded", refund, fen=refund.fen)
    return True


def fail(refund_id: int, sub_code: str, *, came_back: bool = False) -> bool:
    """The channel refused for good: the approval is reversed, the money is where it was, and a person looks at it.

    ``came_back``: also if it had left; then its leaving is reversed too, and the buyer is paid another way.
    """
    known = db.session.get_one(Refund, refund_id)
    payment = locked(Payment, known.payment_id)
    refund = locked(Refund, refund_id)
    if refund.state not in GOING and not (came_back and refund.state == "succeeded"):
        return False
    refund.state = "failed"
    refund.sub_code = REPLACED_LEFT if _replaced_left(refund) else sub_code[:60]
    payment.refunded_fen -= refund.fen
    _wait_again(refund)
    db.session.flush()
    undone = aliased(JournalEntry)
    stands = JournalEntry.kind.in_(_POSTED) & ~select(undone.id).where(undone.reverses_id == JournalEntry.id, undone.kind == "reversed").exists()
    query = select(JournalEntry.id).where(JournalEntry.source_type == "refund", JournalEntry.source_id == refund.id, stands)
    for entry_id in db.session.scalars(query.order_by(JournalEntry.id)).all():
        posting.reverse(entry_id, source=source(refund.id))
    if refund.order_id is not None:
        handlers[payment.payable_kind].refund_failed(refund.order_id, refund.fen, refund.id)
    audit.record("refund.failed", refund, fen=refund.fen, sub_code=sub_code)
    return True


def _wait_again(refund: Refund) -> None:
    """What was to replace one that left is not wanted, until that one comes back: then the last of them waits to be made again."""
    last = refund
    while (after := db.session.scalar(select(Refund).where(Refund.reissues_id == last.id))) is not None:
        last = after
    if last is not refund and last.state == "failed" and last.sub_code == REPLACED_LEFT:
        last.sub_code = refund.sub_code


def _replaced_left(refund: Refund) -> bool:
    """Whether what this one was to replace, at first or second hand, left after all."""
    number = refund.reissues_id
    while number is not None:
        replaced = db.session.get_one(Refund, number)
        if replaced.state == "succeeded" or replaced.sub_code == LEFT:
            return True
        number = replaced.reissues_id
    return False


def _must_hold(payment: Payment, fen: int) -> None:
    if not isinstance(fen, int) or isinstance(fen, bool) or fen <= 0:
        raise InvalidInput("refund.fen", N_("退款金额要大于零。"), field="fen")
    if payment.state not in ("succeeded", "late_paid"):
        raise Conflict("refund.unpaid", N_("这笔支付还没有到账，没有可退的钱。"), state=payment.state)
    left = payment.amount_fen - payment.refunded_fen
    if fen > left:
        raise RefundTooMuch("refund.exceeds", N_("最多还能退 %(left_yuan)s 元。"), left_fen=left, left_yuan=format_yuan(left), asked_fen=fen)
