"""A payment: one attempt to pay one payable (an order) over one channel. ``apply`` is the one door for outcomes.

States: created → requires_action → processing → succeeded | canceled; succeeded never goes back. Paid after cancel or paid
twice goes to ``unapplied`` and is refunded. The payable is known only by kind and id: create_app registers who handles it.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, driver, outbox
from marketplace.foundation.database import Model, Public, db, locked_where
from marketplace.foundation.driver import Write
from marketplace.foundation.errors import Conflict
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import channel_key
from marketplace.payments.outcome import Outcome, must_fit
from marketplace.payments.payable import Payable, handlers

# ``created``: the channel has not made the page yet on which the buyer pays. Alipay's page needs only our signature, so there it is made at once.
STATES = ("created", "requires_action", "processing", "succeeded", "canceled", "late_paid")
OPEN = ("created", "requires_action", "processing")
ONLINE = ("alipay", "stripe")  # channels that are asked; a bank's statement is brought by a person
PAID = ("succeeded", "late_paid")
FIRST_QUESTION = timedelta(seconds=10)
MOST_OPEN = 3  # attempts to pay one payable over one channel: each is asked about, and closed in the end
FEE_KNOWN = timedelta(minutes=10)  # after a payment


class Payment(Public, Model):
    """``organisation_id`` is the merchant of record. ``out_trade_no`` is our number at the channel, unique for ever."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= amount_fen", name="refunded"),
        CheckConstraint("state IN ('created','requires_action','processing','succeeded','canceled','late_paid')", name="state"),
        Index("ix_payment_payable", "payable_kind", "payable_id"),
        Index("ix_payment_open", "state", "ask_at"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    payable_kind: Mapped[str] = mapped_column(String(20))
    payable_id: Mapped[int]
    channel: Mapped[str] = mapped_column(String(16))
    out_trade_no: Mapped[str] = mapped_column(String(64), unique=True)
    merge_no: Mapped[str | None] = mapped_column(String(64), index=True)  # one cashier page for several payments
    precreated: Mapped[str | None] = mapped_column(String(400))  # the QR code, or the phone's merged order, that the channel made for it
    amount_fen: Mapped[int]
    refunded_fen: Mapped[int] = mapped_column(default=0)  # locked sum, unknown outcomes included
    state: Mapped[str] = mapped_column(String(16), default="created")
    trade_no: Mapped[str | None] = mapped_column(String(64), unique=True)
    app_id: Mapped[str] = mapped_column(String(32))
    seller_id: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None]
    ask_at: Mapped[datetime | None]  # when the sweeper asks the channel next
    asked: Mapped[int] = mapped_column(default=0)


def open_for(payables: Sequence[Payable], *, key: str, channel: str = "alipay") -> list[Payment]:
    """One attempt to pay each payable, under one cashier page if there are several. The same ``key``: the same attempts.

    A new key is a new attempt with numbers of its own; if two of them are paid, one is refunded. Where MOST_OPEN are open already, it is
    the last of them again. Conflict ``payment.open`` if that one pays for other things too, or for fewer.
    """
    request = [[each.kind, each.id, each.amount_fen] for each in payables]
    scope = f"pay:{payables[0].kind}:{payables[0].id}"
    answer = once(scope, key, request, lambda: {"payments": _open(payables, channel)})
    query = select(Payment).where(Payment.id.in_(answer["payments"])).order_by(Payment.id)
    return list(db.session.scalars(query))


def _open(payables: Sequence[Payable], channel: str) -> list[int]:
    now = clock.now()
    if again := _last_open(payables, channel, now):
        return again
    merge_no = f"M{_trade_no(now)}" if len(payables) > 1 else None
    made = []
    for payable in payables:
        app_id, seller_id = account_of(payable.organisation_id, channel)
        payment = Payment(
            organisation_id=payable.organisation_id,
            payable_kind=payable.kind,
            payable_id=payable.id,
            channel=channel,
            out_trade_no=_trade_no(now),
            merge_no=merge_no,
            amount_fen=payable.amount_fen,
            state="created" if channel == "stripe" else "requires_action",
            app_id=app_id,
            seller_id=seller_id,
            subject=payable.subject[:200],
            created_at=now,
            expires_at=payable.expires_at,
            ask_at=now + FIRST_QUESTION,
        )
        db.session.add(payment)
        made.append(payment)
    db.session.flush()
    return [payment.id for payment in made]


def _last_open(payables: Sequence[Payable], channel: str, now: datetime) -> list[int]:
    """The attempts to be taken again instead of new ones; none as long as there may be new ones."""
    same = [(Payment.payable_kind == each.kind) & (Payment.payable_id == each.id) & (Payment.amount_fen == each.amount_fen) for each in payables]
    query = select(Payment).where(or_(*same), Payment.channel == channel, Payment.state.in_(OPEN), Payment.expires_at > now).order_by(Payment.id)
    found = list(db.session.scalars(query))
    counted = Counter((each.payable_kind, each.payable_id) for each in found)
    if not found or max(counted.values()) < MOST_OPEN:
        return []
    last = {(each.payable_kind, each.payable_id): each for each in found}.values()
    together = {each.merge_no for each in last}
    if len(last) == len(payables) and len(together) == 1 and (together == {None}) == (len(payables) == 1):
        return sorted(each.id for each in last)
    raise Conflict("payment.open", N_("这几单的付款页已经打开过几次，还没有结果。请在已打开的页面上付，或过半小时再来。"))


def account_of(organisation_id: int, channel: str) -> tuple[str, str]:
    """How the channel calls the seller now: application and seller. Conflict ``channel.closed`` if it has none there."""
    if channel == "stripe":
        key = channel_key.current(organisation_id, channel)
        if key is None:
            raise Conflict("channel.closed", N_("这家合作社没有开通银行卡付款。"))
        return key.account, key.account
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == organisation_id)).one()
    if not seller.alipay_app_id:
        raise Conflict("channel.closed", N_("这家合作社没有开通支付宝付款。"))
    return seller.alipay_app_id, seller.alipay_seller_id


def apply(outcome: Outcome, *, kept: Callable[[str], Write] | None = None) -> str:
    """The one door for outcomes: notice, query and bill alike. Says what came of it: applied, unapplied, repeated, closed, pending,
    refunded (one of ours) or refunded_elsewhere. ``kept`` makes the row that keeps it, for who was told.

    Raises NotFound for a number that is not ours, OutcomeMismatch if amount, seller, application or trade number differ.
    """
    from marketplace.payments import payment_at_once

    if said := payment_at_once.apply(outcome, kept):
        return said
    said = _applied(outcome)
    if kept:
        driver.together(kept(said))
    return said


def _applied(outcome: Outcome) -> str:
    payment = locked_where(Payment, select(Payment).where(Payment.out_trade_no == outcome.out_trade_no))
    must_fit(payment, outcome)
    if outcome.state == "succeeded":
        said = _succeed(payment, outcome)
        return _told_of_refunds(payment, outcome) or said
    if outcome.state == "closed":
        # TRADE_CLOSED means that nobody paid in time, or that all was paid and all went back: then it names a moment of payment.
        if outcome.at is not None and payment.state not in PAID:
            return _came_and_went(payment, outcome)
        if payment.state in OPEN:
            cancel(payment)
            return "closed"
        return _told_of_refunds(payment, outcome) or "repeated"
    return "pending"


def cancel(payment: Payment) -> None:
    """Nobody shall pay this attempt any more; if somebody does, it goes back. The caller holds the row."""
    payment.state = "canceled"
    payment.canceled_at = clock.now()
    db.session.flush()


def is_over(payment: Payment) -> bool:
    """Whether nobody needs an open attempt any more: its time is over, or another attempt has paid for the same."""
    if payment.expires_at <= clock.now():
        return True
    same = Payment.payable_kind == payment.payable_kind, Payment.payable_id == payment.payable_id
    return db.session.scalar(select(Payment.id).where(*same, Payment.state == "succeeded").limit(1)) is not None


def give_up(payment: Payment) -> None:
    """Cancel an open attempt, and have the channel close it and be asked once more: it may have been paid in between. The caller holds the row."""
    cancel(payment)
    outbox.put("payment.close", str(payment.id), {"payment_id": payment.id})


def cancel_open(payable_kind: str, payable_id: int) -> None:
    """Give up every open attempt to pay a payable."""
    query = select(Payment).where(Payment.payable_kind == payable_kind, Payment.payable_id == payable_id, Payment.state.in_(OPEN))
    for payment in db.session.scalars(query.order_by(Payment.id).with_for_update().execution_options(populate_existing=True)).all():
        give_up(payment)


def _succeed(payment: Payment, outcome: Outcome) -> str:
    if payment.state in PAID:
        return "repeated"
    payment.trade_no = outcome.trade_no
    payment.succeeded_at = clock.now()
    payment.ask_at = None
    late = payment.state == "canceled"
    source = Source("payment", payment.id)
    if not late and handlers[payment.payable_kind].take(payment):
        payment.state = "succeeded"
        db.session.flush()
        paid = event.stripe_paid if payment.channel == "stripe" else event.alipay_paid
        paid(book=payment.organisation_id, source=source, fen=payment.amount_fen, at=outcome.at)
        audit.record("payment.succeeded", payment, fen=payment.amount_fen)
        _ask_for_fee(payment)
        return "applied"
    payment.state = "late_paid"
    db.session.flush()
    _unapplied(payment)(book=payment.organisation_id, source=source, fen=payment.amount_fen, at=outcome.at)
    audit.record("payment.late", payment, fen=payment.amount_fen)
    _ask_for_fee(payment)
    from marketplace.payments import refund

    refund.give_back(payment)
    return "unapplied"


def _came_and_went(payment: Payment, outcome: Outcome) -> str:
    """First heard of when all of it had gone back already: it never pays anything here, but both movements are in the books."""
    from marketplace.payments import refund

    payment.trade_no = outcome.trade_no
    payment.succeeded_at = clock.now()
    payment.ask_at = None
    payment.state = "late_paid"
    db.session.flush()
    _unapplied(payment)(book=payment.organisation_id, source=Source("payment", payment.id), fen=payment.amount_fen, at=outcome.at)
    gone = refund.made_elsewhere(payment, payment.amount_fen, outcome.refund_no)
    event.unapplied_refund_approved(book=gone.organisation_id, source=Source("refund", gone.id), fen=gone.fen)
    refund.succeed(gone.id)
    audit.record("payment.came_and_went", payment, fen=payment.amount_fen)
    return "refunded_elsewhere"


def _told_of_refunds(payment: Payment, outcome: Outcome) -> str:
    """What the channel tells besides of refunds: of one of ours by its number, and of what nobody ordered here. Nothing if it is as we know it."""
    from marketplace.payments import refund_news

    ended = refund_news.named(payment, outcome.refund_no, outcome.refunded_fen)
    return _refunded_elsewhere(payment, outcome) or ("refunded" if ended else "")


def _refunded_elsewhere(payment: Payment, outcome: Outcome) -> str:
    """More went back than was ordered here: somebody refunded on the channel's own pages. Nothing if it is as we know it, or may be one of
    ours: then the channel is asked about that, and its bill tells what else there was."""
    from marketplace.payments import refund, refund_news

    told = min(outcome.refunded_fen, payment.amount_fen)
    counted = refund.sent_over(payment.id, _own_way(payment), disputes=refund.is_dispute(outcome.refund_no), came_back=not outcome.by_number)
    more = min(told - counted, payment.amount_fen - payment.refunded_fen)
    if more <= 0 or (not outcome.by_number and refund_news.may_be_ours(payment)):
        return ""
    if payment.state == "succeeded":
        handlers[payment.payable_kind].refunded_elsewhere(payment, more, outcome.refund_no)
    else:
        gone = refund.made_elsewhere(payment, more, outcome.refund_no)
        event.unapplied_refund_approved(book=gone.organisation_id, source=Source("refund", gone.id), fen=gone.fen)
        refund.succeed(gone.id)
    audit.record("payment.refunded_elsewhere", payment, fen=more)
    return "refunded_elsewhere"


def _ask_for_fee(payment: Payment) -> None:
    """Stripe has no bill of a day: what it kept is asked of each payment, once it knows."""
    if payment.channel == "stripe":
        outbox.put("payment.fee", str(payment.id), {"payment_id": payment.id}, due_at=clock.now() + FEE_KNOWN)


def _unapplied(payment: Payment) -> Callable[..., int]:
    return event.stripe_unapplied if payment.channel == "stripe" else event.alipay_unapplied


def _own_way(payment: Payment) -> str:
    return payment.channel if payment.channel in ONLINE else "alipay"


def _trade_no(now: datetime) -> str:
    return f"{now.astimezone(clock.BEIJING):%Y%m%d%H%M%S}{secrets.randbelow(10**12):012d}"
