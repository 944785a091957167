"""How a refund is sent: by the outbox, always under its own number, asked about first where an earlier try came to an unknown end."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, get, locked, transaction
from marketplace.foundation.errors import Conflict, OutsideFailure
from marketplace.foundation.language import N_
from marketplace.payments import bill_import, call, refund_news
from marketplace.payments import refund as refunds
from marketplace.payments.call import PaymentCall
from marketplace.payments.channel import ENDED, NOT_REFUNDED, Answer
from marketplace.payments.further_call import Further, Whose, further
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GOING, Refund

SEND, ASK = "refund", "refund_query"
# A refund under this number with another amount: something is wrong here, and money may have gone. A person looks.
NOT_SURE = ("ACQ.DISCORDANT_REPEAT_REQUEST",)


@outbox.handles("refund", asks="gateway")
def _refund(payload: dict[str, Any]) -> None:
    """Send a refund, always with the same number; ask first if an earlier try came to an unknown end."""
    refund_id = int(payload["refund_id"])
    state = call.standing(SEND, refund_id)
    if state == "approved" and (replaced := transaction(lambda: get(Refund, refund_id).reissues_id)):
        _ask({"refund_id": replaced})  # it may have left after all: then nothing is sent
        state = call.standing(SEND, refund_id)
    if state not in GOING:
        return
    if state != "approved" and (call.send(ASK, refund_id) == "succeeded" or call.standing(SEND, refund_id) not in GOING):
        return
    if call.send(SEND, refund_id) == "refused" and call.standing(SEND, refund_id) in GOING:
        call.send(ASK, refund_id)  # an earlier try may have moved the money: only now is it known
    if call.standing(SEND, refund_id) in GOING:
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


@outbox.handles(refund_news.ASK, asks="gateway")
def _ask(payload: dict[str, Any]) -> None:
    """Ask about a refund, whatever we take it for."""
    if call.send(ASK, int(payload["refund_id"])) == "unknown":
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


def ask_again(refund_id: int) -> None:
    """Ask once more about a refund that failed, before its money goes another way: if it left after all, it has succeeded now. A channel
    that does not answer is no reason to wait."""
    with suppress(OutsideFailure):
        call.send(ASK, refund_id)


def stop(refund_id: int) -> str:
    """Ask once more about a refund that comes to no end; if the channel says plainly that it did not happen it is over, and can be made
    again another way: succeeded, refused (it is ``failed`` now) or unknown.

    Raises Conflict ``refund.sent_lately`` within ten minutes of the last try: what is on its way may still arrive; ``refund.state``.
    """

    def newest() -> int:
        refund = locked(Refund, refund_id)
        if refund.state not in GOING or refund.way == "bank":
            raise Conflict("refund.state", N_("这笔退款已经处理过了。"), state=refund.state)
        sent = call.last_of(SEND, refund_id)
        if sent is not None and sent.made_at > clock.now() - call.STOPPED:
            raise Conflict("refund.sent_lately", N_("刚刚才交给支付渠道，可能还在路上。请等十分钟再试。"))
        return sent.id if sent else 0

    def unsent() -> bool:
        """It never left us: then it is over without anybody's word."""
        known = locked(Refund, refund_id)
        if known.state != "approved" or call.last_of(SEND, refund_id) is not None:
            return False
        refunds.fail(refund_id, "STOPPED")
        return True

    before = transaction(newest)
    if before == 0 and transaction(unsent):
        return "refused"
    said = call.send(ASK, refund_id)

    def end() -> str:
        if get(Refund, refund_id).state == "failed":
            return "refused"  # the refusal of the last try and this answer together ended it already
        if said != "refused" or newest() != before:
            return "succeeded" if said == "succeeded" else "unknown"
        refunds.fail(refund_id, "STOPPED")
        bill_import.recount(get(Refund, refund_id).payment_id)
        return said

    return transaction(end)


def _whose(refund_id: int) -> Whose:
    """The account over which it was paid, whatever the seller's is now."""
    payment = get(Payment, get(Refund, refund_id).payment_id)
    return Whose(payment.organisation_id, payment.channel, payment.app_id)


def _standing(refund_id: int) -> str:
    return get(Refund, refund_id).state


def _opened(kind: str, refund_id: int) -> str:
    refund = locked(Refund, refund_id)
    if kind == SEND:
        if refund.state not in GOING:
            raise Conflict("refund.state", N_("这笔退款已经处理过了。"), state=refund.state)
        refund.state = "submitting"
    return refund.out_request_no


def _question(kind: str, refund_id: int) -> Callable[[], Answer]:
    refund = get(Refund, refund_id)
    payment = get(Payment, refund.payment_id)
    client = call.client_of(payment, payment.app_id)
    if kind == SEND:
        return partial(client.refund, payment.out_trade_no, refund.out_request_no, refund.fen, refund.reason)
    return partial(client.refund_query, payment.out_trade_no, refund.out_request_no, refund.fen)


def _record(kind: str, refund_id: int, answer: Answer) -> None:
    refund = locked(Refund, refund_id)
    if answer.outcome == "succeeded":
        refund_news.left(refund_id)
    elif refund.state not in GOING:
        return
    elif answer.outcome == "refused" and (why := _refused_for_good(kind, refund_id, answer)):
        refunds.fail(refund_id, why)
        bill_import.recount(refund.payment_id)
    elif refund.state != "approved":  # one that was asked about before it was sent has still to be sent
        refund.state = "unknown"


def _refused_for_good(kind: str, refund_id: int, answer: Answer) -> str:
    """Why a refund will certainly not happen; empty if it may have happened.

    A refusal decides at once if nothing was sent before. After a try of unknown end, which may have moved the money, it decides only together
    with the channel's clear word that this refund did not leave.
    """
    if answer.told.get("status") in ENDED:
        return answer.sub_code
    tried = call.last_of(SEND, refund_id)
    if kind == SEND:
        before = select(PaymentCall.id).where(PaymentCall.kind == SEND, PaymentCall.subject_id == refund_id, PaymentCall.outcome.is_distinct_from("refused"))
        doubtful = answer.sub_code in NOT_SURE or db.session.scalar(before.where(PaymentCall.id != (tried.id if tried else 0)).limit(1)) is not None
        return "" if doubtful else answer.sub_code
    why = str((tried.answer or {}).get("sub_code")) if tried is not None and tried.outcome == "refused" else ""
    return why if answer.sub_code == NOT_REFUNDED and why not in NOT_SURE else ""


further.update({kind: Further(_whose, _standing, _opened, _question, _record) for kind in (SEND, ASK)})
