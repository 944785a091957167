"""A call to a payment channel. Its row, with the request's number, is committed before anything is sent.

``carry_out`` is the one place that brackets the network with two transactions of its own; it refuses to run inside one.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import ForeignKey, Index, Select, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import Identified, Model, db, get, in_transaction, locked, transaction
from marketplace.foundation.errors import MarketError, OutsideFailure
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.payments import bill_difference, channel_key, lacking_permission
from marketplace.payments import payment as payments
from marketplace.payments.channel import UNSENT, Answer, Attempt, Cashier, Channel, client_for, merging
from marketplace.payments.further_call import Whose, further
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.outcome import Outcome, OutcomeMismatch
from marketplace.payments.payment import Payment

OF_PAYMENT = ("query", "close", "qr_code", "merge", "checkout", "fee")
MAKES_A_PAGE = ("qr_code", "merge", "checkout")
STOPPED = timedelta(minutes=10)  # how long a channel that refuses our keys or our form is left alone
ASK_AGAIN = (10, 30, 120, 600, 1800)  # seconds, by the number of questions asked


class PaymentCall(Identified, Model):
    """One request to the channel and what came of it. Holds no key and no card; ``outcome`` is succeeded, refused or unknown."""

    __tablename__ = "payment_call"
    __table_args__ = (
        Index("ix_payment_call_subject", "kind", "subject_id"),
        Index("ix_payment_call_answered", "organisation_id", "answered_at"),
        Index("ix_payment_call_account", "account", "answered_at"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[int]  # a payment's, a refund's or a transfer's id
    request_no: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16), default="alipay", server_default="alipay")
    account: Mapped[str] = mapped_column(String(64), default="", server_default="")  # the application or account whose key signed
    made_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(12))
    answer: Mapped[dict[str, Any] | None]


def make(kind: str, subject_id: int) -> int:
    """The row of a call about a payment (query, close, qr_code, merge, checkout, fee) or about what is named in ``further``; its id."""
    if kind in further:
        return _kept(kind, subject_id, _whose(kind, subject_id), further[kind].opened(kind, subject_id))
    if kind not in OF_PAYMENT:
        raise ValueError(kind)
    return _kept(kind, subject_id, _whose(kind, subject_id), get(Payment, subject_id).out_trade_no)


def _kept(kind: str, subject_id: int, whose: Whose, request_no: str) -> int:
    call = PaymentCall(
        organisation_id=whose.organisation_id, kind=kind, subject_id=subject_id, request_no=request_no, channel=whose.channel,
        account=whose.account, made_at=clock.now(),
    )  # fmt: skip
    db.session.add(call)
    db.session.flush()
    return call.id


def carry_out(call_id: int) -> str:
    """Send a committed call and record what came of it: succeeded, refused or unknown. OutsideFailure if no key signs for it: then nothing was
    sent. Never inside a transaction."""
    if in_transaction():
        raise RuntimeError("carry_out() touches the network; it cannot run inside a transaction")
    try:
        kind, subject_id, question = transaction(lambda: _prepared(call_id))
    except OutsideFailure as error:
        code = error.code
        transaction(lambda: _answered(call_id, "unknown", {"sub_code": code, **UNSENT}))
        raise
    try:
        answer = question()
    except OutsideFailure as error:
        answer = Answer("unknown", sub_code=error.code)
    except MarketError as error:
        answer = Answer("refused", sub_code=error.code, told=UNSENT)
    transaction(lambda: _record(call_id, kind, subject_id, answer))
    return answer.outcome


def ask(payment_id: int) -> str:
    """Ask the channel how a payment stands and apply the answer; the payment's state afterwards. OutsideFailure ``channel.stopped``."""
    send("query", payment_id)
    return transaction(lambda: get(Payment, payment_id).state)


def must_be_open(organisation_id: int, channel: str = "alipay", account: str = "", kind: str = "") -> None:
    """Raise OutsideFailure ``channel.stopped`` while the channel refuses what is sent for ``account`` (by default the seller's own), or calls
    of this ``kind``: every one more would be refused too."""
    if alarm(organisation_id, channel, account, kind):
        raise OutsideFailure("channel.stopped", N_("支付渠道不接受我们的密钥或权限，先停十分钟。请检查密钥和配置。"))


def announce(payment_ids: Sequence[int], kind: str = "") -> None:
    """Have the channel make what the buyer pays these attempts with, unless it has: a QR code, a phone's merged order, a page. Without
    ``kind`` nothing needs to be made.

    Raises OutsideFailure ``channel.unavailable`` if it did not: nothing was paid, and asking again is harmless; ``channel.paused`` if the
    channel refuses our keys: then no page of its would open.
    """
    first = payment_ids[0]
    try:
        if transaction(lambda: _made_already(first, kind or ("merge" if len(payment_ids) > 1 else ""))) or not kind:
            return
        said = send(kind, first)
    except OutsideFailure as error:
        if error.code != "channel.stopped":
            raise
        raise OutsideFailure("channel.paused", N_("这家合作社的支付渠道暂时用不了，钱没有扣。请过十分钟再试，或换一种付款方式。")) from error
    if said != "succeeded":
        raise OutsideFailure("channel.unavailable", N_("付款页没有打开，钱没有扣。请再试一次。"))


def page_of(payment_id: int) -> str:
    """The address of the page that the channel made for a payment; empty if it made none."""
    made = last_of("checkout", payment_id, "succeeded")
    return str((made.answer or {}).get("url", "")) if made else ""


def _made_already(payment_id: int, kind: str) -> bool:
    """Whether the channel has made what an attempt is paid with. OutsideFailure ``channel.stopped`` if nobody could pay with it now."""
    payment = get(Payment, payment_id)
    must_be_open(payment.organisation_id, payment.channel, _account(kind, payment), kind)
    return bool(payment.precreated)


def _account(kind: str, payment: Payment) -> str:
    """Whose key signs: that of the account over which it was or will be paid, or of the application that merges."""
    return merging(payment) if kind == "merge" else payment.app_id


def _prepared(call_id: int) -> tuple[str, int, Callable[[], Answer]]:
    """The call's kind and subject, and its question with every number read: nothing of the database is touched when it is asked."""
    call = get(PaymentCall, call_id)
    if call.answered_at is not None:
        raise ValueError(f"call {call_id} was answered")
    if call.kind in further:
        return call.kind, call.subject_id, further[call.kind].question(call.kind, call.subject_id)
    payment = get(Payment, call.subject_id)
    client = client_of(payment, _account(call.kind, payment))
    number, until = payment.out_trade_no, payment.expires_at
    question: Callable[[], Answer]
    if call.kind == "qr_code":
        question = partial(client.qr_code, _attempt(payment), until)
    elif call.kind == "merge":
        question = partial(client.merge, [_attempt(each) for each in _merged(payment)], payment.merge_no or number, until)
    elif call.kind == "checkout":
        back = f"{settings().base_url.rstrip('/')}/orders/paid/{payment.public_id}"
        question = partial(cast(Cashier, client).checkout, _attempt(payment), back, payment.created_at, until)
    elif call.kind == "fee":
        question = partial(cast(Cashier, client).fee, number)
    else:
        question = partial(client.query if call.kind == "query" else client.close, number)
    return call.kind, call.subject_id, question


def client_of(payment: Payment, account: str) -> Channel:
    """The channel that a payment was or will be paid over, signed for by ``account``."""
    return client_for(
        payment.organisation_id, payment.channel, account=account, seller_id=payment.seller_id,
        page=payment.precreated or "", trade_no=payment.trade_no or "",
    )  # fmt: skip


def _attempt(payment: Payment) -> Attempt:
    return Attempt(payment.app_id, payment.seller_id, payment.out_trade_no, payment.amount_fen, payment.subject)


def _merged(payment: Payment) -> list[Payment]:
    """The attempts of one cashier page."""
    if payment.merge_no is None:
        return [payment]
    return list(db.session.scalars(select(Payment).where(Payment.merge_no == payment.merge_no).order_by(Payment.id)))


def _record(call_id: int, kind: str, subject_id: int, answer: Answer) -> None:
    misfit = ""
    if kind in further:
        further[kind].record(kind, subject_id, answer)
    elif kind in MAKES_A_PAGE:
        _record_page(subject_id, answer)
    elif kind == "fee":
        _record_fee(subject_id, answer)
    else:
        misfit = _record_trade(kind, subject_id, answer)
    _answered(call_id, answer.outcome, {"sub_code": answer.sub_code, **answer.told} | ({"misfit": misfit} if misfit else {}))


def _answered(call_id: int, outcome: str, told: dict[str, Any]) -> None:
    call = get(PaymentCall, call_id)
    call.answered_at, call.outcome, call.answer = clock.now(), outcome, told
    db.session.flush()
    lacks = str(told.get("lacks", ""))
    if lacks or (call.channel == "stripe" and outcome != "unknown" and not told.get("unsent")):
        lacking_permission.heard(call.organisation_id, call.account, call.kind, lacks)


def _record_page(payment_id: int, answer: Answer) -> None:
    """What the buyer pays with is there. If the attempt was given up meanwhile, the channel closes it and is asked once more: its first closing found
    nothing to close."""
    for each in _merged(get(Payment, payment_id)):
        payment = locked(Payment, each.id)
        payment.precreated = answer.code or payment.precreated
        if payment.state == "created" and payment.precreated:
            payment.state = "requires_action"
        elif payment.state == "canceled" and answer.code:
            outbox.put("payment.close", str(payment.id), {"payment_id": payment.id})
    db.session.flush()


def _record_trade(kind: str, payment_id: int, answer: Answer) -> str:
    """Apply what was answered; which field of it does not fit the payment, if any: nothing is applied then, and a person looks at it."""
    misfit = _applied(answer.trade) if answer.trade is not None else ""
    payment = locked(Payment, payment_id)
    if kind == "close":
        return misfit
    payment.asked += 1
    if payment.state not in payments.OPEN:
        # Asked after it was cancelled here: whatever the answer, the sweeper need not ask again.
        payment.ask_at = None
    elif payments.is_over(payment):
        payments.give_up(payment)
    else:
        # While the channel has no clear answer the buyer may have paid: that is not the same as waiting for them.
        payment.state = "processing" if answer.outcome == "unknown" or misfit else "created" if payment.state == "created" else "requires_action"
        pause = timedelta(seconds=ASK_AGAIN[min(payment.asked, len(ASK_AGAIN)) - 1])
        payment.ask_at = min(clock.now() + pause, payment.expires_at)
    return misfit


def _applied(said: Outcome) -> str:
    """Apply an answer; the field that does not fit, if one does not. Such an answer is kept in the inbox, as a notice would be, until
    somebody has looked into it."""
    try:
        payments.apply(said)
    except OutcomeMismatch as error:
        field = str(error.data["field"])
    else:
        return ""
    alike = select(AlipayNotice.id).where(
        AlipayNotice.out_trade_no == said.out_trade_no, AlipayNotice.outcome == f"refused:{field}", AlipayNotice.handled_at.is_(None)
    )
    if db.session.scalar(alike.limit(1)) is None:
        db.session.add(
            AlipayNotice(
                notify_id="", out_trade_no=said.out_trade_no, trade_status=f"QUERY/{said.state}", total_fen=said.total_fen, received_at=clock.now(),
                outcome=f"refused:{field}", channel=said.channel or "alipay",
            )
        )  # fmt: skip
        db.session.flush()
    return field


def _record_fee(payment_id: int, answer: Answer) -> None:
    """Post what the channel kept, once a payment; what it kept in another currency no book can hold, and a person says what it was."""
    payment, fen = locked(Payment, payment_id), answer.told.get("fee_fen")
    if answer.told.get("foreign"):
        bill_difference.found(payment.organisation_id, "CURRENCY", payment.out_trade_no, "", ours_fen=0, theirs_fen=0, said=answer.told["foreign"])
    if answer.outcome == "succeeded" and fen and not of_source("payment", payment_id, "fee"):
        event.fee(book=payment.organisation_id, source=Source("payment", payment_id), fen=fen, channel=payment.channel)


@outbox.handles("payment.query", asks="gateway")
def _query(payload: dict[str, Any]) -> None:
    send("query", int(payload["payment_id"]))


@outbox.handles("payment.fee", asks="gateway")
def _fee(payload: dict[str, Any]) -> None:
    if send("fee", int(payload["payment_id"])) == "unknown":
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


@outbox.handles("payment.close", asks="gateway")
def _close(payload: dict[str, Any]) -> None:
    """Close an attempt that was cancelled here, then ask once more: it may have been paid in between."""
    said = [send(kind, int(payload["payment_id"])) for kind in ("close", "query")]
    if "unknown" in said:
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


def send(kind: str, subject_id: int) -> str:
    """Make a call and carry it out, unless the seller's channel is stopped: then OutsideFailure, and the message waits its turn."""

    def made() -> int:
        whose = _whose(kind, subject_id)
        must_be_open(whose.organisation_id, whose.channel, whose.account, kind)
        return make(kind, subject_id)

    return carry_out(transaction(made))


def standing(kind: str, subject_id: int) -> str:
    """How what these ``further`` calls are about stands now."""
    return transaction(lambda: further[kind].standing(subject_id))


def _whose(kind: str, subject_id: int) -> Whose:
    if kind in further:
        return further[kind].whose(subject_id)
    payment = get(Payment, subject_id)
    return Whose(payment.organisation_id, payment.channel, _account(kind, payment))


def alarm(organisation_id: int, channel: str = "alipay", account: str = "", kind: str = "") -> bool:
    """Whether the channel lately refused the key or form of this ``account`` (by default the seller's own), or did not let it make calls of
    this ``kind``: nothing of the sort happens until a person mends it. What one kind lacks stops no other. A key that was switched to since has
    not been refused yet. What the platform signs is refused to all alike."""
    account = account or payments.account_of(organisation_id, channel)[0]
    query = select(PaymentCall).where(PaymentCall.channel == channel, PaymentCall.account == account, PaymentCall.answered_at >= clock.now() - STOPPED)
    if account != settings().alipay_app_id:
        query = query.where(PaymentCall.organisation_id == organisation_id)
    refused = _newest(query)
    if refused is None or _refuses(refused) != "account":
        refused = _newest(query.where(PaymentCall.kind == kind)) if kind and refused is not None else None
        if refused is None or _refuses(refused) != "kind":
            return False
    return refused.answered_at is not None and not channel_key.switched_since(channel, account, refused.answered_at)


def _newest(query: Select[PaymentCall]) -> PaymentCall | None:
    return db.session.scalars(query.order_by(PaymentCall.answered_at.desc(), PaymentCall.id.desc()).limit(1)).one_or_none()


def _refuses(call: PaymentCall) -> str:
    """What a call's answer refuses: the account, this kind of call, or (empty) neither."""
    answer = call.answer or {}
    return ("kind" if answer.get("of_kind") else "account") if answer.get("misconfigured") else ""


def last_of(kind: str, subject_id: int, outcome: str = "") -> PaymentCall | None:
    """The latest call of a kind about a payment or refund, if named of those that came to this outcome."""
    query = select(PaymentCall).where(PaymentCall.kind == kind, PaymentCall.subject_id == subject_id)
    if outcome:
        query = query.where(PaymentCall.outcome == outcome)
    return db.session.scalars(query.order_by(PaymentCall.id.desc()).limit(1)).one_or_none()
