"""An event of Stripe's: rightly signed, and yet only the reason to ask. What counts is what Stripe itself then says, to our own question.

It stays in the inbox until Stripe has answered, however often it must be asked. What it claimed and Stripe does not say is for a person.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import OutsideFailure
from marketplace.foundation.language import N_
from marketplace.payments import call, channel_key, refund_news, stripe_look, stripe_seller
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.channel import ENDED, Answer
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.further_call import Further, Whose, further
from marketplace.payments.notice_inbox import ASKING, AlipayNotice
from marketplace.payments.outcome import OutcomeMismatch
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.stripe_api import CURRENCY, BadEvent, event_of

# The kinds of the calls that ask, by what is asked for: a key that may not read the one of them may read the others.
KINDS = {"payment": "event", "page": "event_page", "refund": "event_refund", "dispute": "event_dispute"}
QUEUE = "stripe.event"
NO_FEN = -1  # what no amount of our currency is: it fits nothing
NOT_SO = "refused:not_so"  # Stripe does not say what the event claimed
_NAME = re.compile(r"[a-z]{2,5}_[A-Za-z0-9_]{1,250}")


@dataclass(frozen=True)
class Heard:
    """What an event names and claims. ``about``: payment, refund or dispute; empty: none of our business.

    ``number`` is ours of the payment or the refund, ``name`` Stripe's of what it is about, ``intent`` Stripe's of the payment. ``state`` is
    succeeded, failed or empty, if it says nothing of that; ``fen`` is ``NO_FEN`` in another currency.
    """

    event_id: str
    kind: str
    account: str
    about: str = ""
    number: str = ""
    name: str = ""
    intent: str = ""
    state: str = ""
    fen: int | None = None
    refunded_fen: int = 0


def read(organisation_id: int, body: bytes, signature: str) -> Heard:
    """The event in a notice to a cooperative, signed with any secret that is believed. BadEvent otherwise."""
    keys = channel_key.believed(organisation_id, "stripe")
    if not keys:
        raise BadEvent("no_key")
    event, key = _signed(body, signature, keys)
    if settings().is_production and event.get("livemode") is not True:
        raise BadEvent("testmode")
    # The account may be one that the cooperative has left: what was paid there is still told of.
    if event.get("account") not in (None, key.account):
        raise BadEvent("account")
    return _heard(str(event.get("id"))[:128], str(event.get("type"))[:64], key.account, event["data"]["object"])


def take(organisation_id: int, heard: Heard) -> str:
    """Keep an event, and have Stripe asked about what it names: asking; refused, for a person, if it names nothing of this cooperative; or
    ignored, which is kept nowhere: the account may sell elsewhere too."""
    if not heard.about:
        return "ignored"
    payment = _payment_of(organisation_id, heard)
    if heard.about == "dispute" and payment is None:
        return "ignored"
    number = payment.out_trade_no if heard.about == "dispute" and payment else heard.number
    if payment is None:
        outcome = "refused:out_request_no" if heard.about == "refund" else "refused:unknown"
    elif payment.app_id != heard.account:
        outcome = "refused:app_id"
    elif not _NAME.fullmatch(heard.name):
        outcome = "refused:missing"
    else:
        outcome = ASKING
    notice = _waiting(organisation_id, heard) if outcome == ASKING else None
    if notice is None:
        notice = AlipayNotice(
            notify_id=heard.event_id, out_trade_no=number, trade_status=heard.kind.removeprefix("checkout.")[-32:],
            total_fen=heard.fen if heard.fen != NO_FEN else None, received_at=clock.now(), outcome=outcome, channel="stripe",
            claim={
                "organisation_id": organisation_id, "account": heard.account, "about": heard.about, "name": heard.name, "state": heard.state,
                "fen": heard.fen, "refunded_fen": heard.refunded_fen,
            },
        )  # fmt: skip
        db.session.add(notice)
        db.session.flush()
    if outcome == ASKING:
        kind = KINDS["page" if heard.name.startswith("cs_") else heard.about]
        outbox.put(QUEUE, str(notice.id), {"notice_id": notice.id, "kind": kind})
    return outcome.partition(":")[0]


def _signed(body: bytes, signature: str, keys: Sequence[ChannelKey]) -> tuple[dict[str, Any], ChannelKey]:
    """The event and the key that signed it. BadEvent if none did."""
    for key in keys:
        try:
            return event_of(body, signature, [key.parts["webhook_secret"]]), key
        except BadEvent as error:
            if error.data["reason"] != "signature":
                raise
    raise BadEvent("signature")


def _heard(event_id: str, kind: str, account: str, thing: dict[str, Any]) -> Heard:
    """What of an event may be of ours."""
    metadata: dict[str, Any] = thing["metadata"] if isinstance(thing.get("metadata"), dict) else {}
    number, ours = str(metadata.get("out_trade_no") or "")[:64], str(metadata.get("out_request_no") or "")[:64]
    name, intent, heard = str(thing.get("id") or ""), str(thing.get("payment_intent") or ""), partial(Heard, event_id, kind, account)
    if kind.startswith("charge.dispute."):
        return heard("dispute", name=name, intent=intent, fen=_fen(thing, "amount")) if intent else heard()
    if kind in ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"):
        status = thing.get("status")
        ended = "succeeded" if status == "succeeded" else "failed" if status in ENDED else ""
        return heard("refund", ours, name, intent, ended, _fen(thing, "amount")) if ours and ended else heard()
    if not number:
        return heard()
    if kind in ("checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.expired"):
        paid = thing.get("status") == "complete" and thing.get("payment_status") == "paid"
        return heard("payment", number, name, state="succeeded" if paid else "", fen=_fen(thing, "amount_total") if paid else None)
    if kind == "payment_intent.succeeded":
        return heard("payment", number, name, name, "succeeded", _fen(thing, "amount"))
    if kind == "charge.refunded":
        gone = thing.get("amount_refunded")
        return heard("payment", number, intent, intent, "succeeded", _fen(thing, "amount"), gone if isinstance(gone, int) else 0)
    return heard()


def _fen(thing: dict[str, Any], name: str) -> int | None:
    """The amount that an event claims."""
    value = thing.get(name)
    fits = thing.get("currency") == CURRENCY and isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if fits else NO_FEN


def _payment_of(organisation_id: int, heard: Heard) -> Payment | None:
    """The cooperative's payment that an event is about, also by the refund that it names."""
    own = select(Payment).where(Payment.organisation_id == organisation_id, Payment.channel == "stripe")
    if heard.about == "refund":
        own = own.join(Refund, Refund.payment_id == Payment.id).where(Refund.out_request_no == heard.number)
    elif heard.about == "dispute":
        own = own.where(Payment.trade_no == heard.intent)
    else:
        own = own.where(Payment.out_trade_no == heard.number)
    return db.session.scalars(own).one_or_none()


def _waiting(organisation_id: int, heard: Heard) -> AlipayNotice | None:
    """The same event, if it was told before and waits still."""
    query = select(AlipayNotice).where(AlipayNotice.notify_id == heard.event_id, AlipayNotice.outcome == ASKING, AlipayNotice.channel == "stripe")
    same = (each for each in db.session.scalars(query.order_by(AlipayNotice.id)) if each.claim and each.claim["organisation_id"] == organisation_id)
    return next((each for each in same if each.claim and each.claim["name"] == heard.name), None)


# Asking.


@outbox.handles(QUEUE, asks="gateway")
def _ask(payload: dict[str, Any]) -> None:
    if call.send(str(payload.get("kind", KINDS["payment"])), int(payload["notice_id"])) == "unknown":
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"))


def _claim(notice: AlipayNotice) -> dict[str, Any]:
    assert notice.claim is not None  # whatever is asked about has one
    return notice.claim


def _whose(notice_id: int) -> Whose:
    claim = _claim(get(AlipayNotice, notice_id))
    return Whose(claim["organisation_id"], "stripe", claim["account"])


def _standing(notice_id: int) -> str:
    return get(AlipayNotice, notice_id).outcome


def _opened(_kind: str, notice_id: int) -> str:
    return get(AlipayNotice, notice_id).notify_id[:64]


def _question(_kind: str, notice_id: int) -> Callable[[], Answer]:
    notice = get(AlipayNotice, notice_id)
    claim, payment = _claim(notice), _paid(notice)
    client = stripe_seller.client_for(claim["organisation_id"], account=claim["account"], trade_no=payment.trade_no or "")
    return partial(client.stands, claim["about"], claim["name"], notice.out_trade_no)


def _paid(notice: AlipayNotice) -> Payment:
    """The payment that a kept event is about."""
    query = select(Payment).where(Payment.out_trade_no == notice.out_trade_no)
    if _claim(notice)["about"] == "refund":
        query = select(Payment).join(Refund, Refund.payment_id == Payment.id).where(Refund.out_request_no == notice.out_trade_no)
    return db.session.scalars(query).one()


def _record(_kind: str, notice_id: int, answer: Answer) -> None:
    notice = locked(AlipayNotice, notice_id)
    if answer.outcome == "unknown" or notice.outcome != ASKING:
        return
    if answer.outcome == "refused":
        said = "refused:elsewhere" if answer.sub_code == stripe_seller.OTHER else "refused:absent"
    else:
        said = {"payment": _apply, "refund": _apply_refund, "dispute": _apply_dispute}[_claim(notice)["about"]](notice, answer)
    if notice.outcome == ASKING:
        notice.outcome = said
    db.session.flush()


def _apply(notice: AlipayNotice, answer: Answer) -> str:
    """What Stripe says of the payment goes through the one door; what the event claimed beyond it was not so."""
    said, claim = answer.trade, _claim(notice)
    assert said is not None
    try:
        done = payments.apply(said)
    except OutcomeMismatch as error:
        return f"refused:{error.data['field']}"
    if claim["state"] == "succeeded" and said.state != "succeeded":
        return NOT_SO
    if None not in (claim["fen"], said.total_fen) and claim["fen"] != said.total_fen:
        return "refused:amount_fen"
    # What went back and was returned by the buyer's bank was told of rightly before that.
    if claim["refunded_fen"] > max(said.refunded_fen, refunds.sent_over(_paid(notice).id, "stripe")):
        return NOT_SO
    return done


def _apply_refund(notice: AlipayNotice, answer: Answer) -> str:
    """How the refund ended, by Stripe's word. One that succeeded may have failed since; not the other way round."""
    said, claim = stripe_seller.heard_refund(answer.told), _claim(notice)
    if said is None:
        return NOT_SO
    done = refund_news.told(claim["organisation_id"], said.out_request_no, said.fen, said.state, said.sub_code)
    if done.startswith("refused:"):
        return done
    if claim["fen"] != said.fen:
        return "refused:fen"
    return NOT_SO if claim["state"] == "failed" and said.state != "failed" else done


def _apply_dispute(notice: AlipayNotice, answer: Answer) -> str:
    """The dispute as Stripe has it, under the event's own row if that told of it rightly."""
    claim = _claim(notice)
    rightly = claim["fen"] == answer.told["amount"]
    done = stripe_look.take_dispute(claim["organisation_id"], claim["account"], answer.told, heard=notice if rightly else None)
    return (done or "repeated") if rightly else "refused:fen"


further.update({kind: Further(_whose, _standing, _opened, _question, _record) for kind in KINDS.values()})
