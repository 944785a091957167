"""Stripe as a cooperative's channel, in its own account: the port's answers, and what an event says of a payment.

What Stripe's idempotency keys promise for a day is held here for ever: before a refund is sent, the payment's refunds are looked at,
so that one number moves money once, and never more goes back than came.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from marketplace.foundation.config import settings
from marketplace.foundation.errors import OutsideFailure
from marketplace.foundation.language import N_
from marketplace.payments import channel_key
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.alipay_outcome import Bill
from marketplace.payments.channel import ENDED, NOT_REFUNDED, UNSENT, Answer, Attempt
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.payment import Outcome
from marketplace.payments.stripe_api import (
    CURRENCY,
    LEAST_FEN,
    MOST_FEN,
    BadEvent,
    StripeApi,
    StripeMisconfigured,
    StripeRefused,
    api_for,
    event_of,
)

NEVER_OPENED = "not_opened"
LEAST_LIFE = 31 * 60  # seconds: Stripe keeps a page open for at least half an hour


@dataclass(frozen=True)
class Heard:
    """What an event says: of which payment (empty: none of ours), and its outcome if it has one; or of which refund, or dispute."""

    event_id: str
    kind: str
    out_trade_no: str
    outcome: Outcome | None
    refund: "HeardRefund | None" = None
    disputed: tuple[str, int] | None = None  # the payment's name at Stripe, and fen


@dataclass(frozen=True)
class HeardRefund:
    """How a refund of ours ended: ``state`` is succeeded or failed, also long after it succeeded."""

    out_request_no: str
    fen: int
    state: str
    sub_code: str


class StripeSeller:
    """``payments.channel.Channel`` over one account. ``page`` is the session, ``trade_no`` the payment intent, as far as they are known."""

    def __init__(self, api: StripeApi, account: str, *, page: str = "", trade_no: str = "") -> None:
        self.api, self.account, self.page, self.trade_no = api, account, page, trade_no

    def checkout(self, attempt: Attempt, return_url: str, opened_at: datetime, expires_at: datetime) -> Answer:
        """A page to pay on; the same numbers are the same request, so that a repeat finds the same page."""
        if not LEAST_FEN <= attempt.fen <= MOST_FEN:
            return Answer("refused", sub_code="amount", told=UNSENT)
        until = max(int(opened_at.timestamp()) + LEAST_LIFE, int(expires_at.timestamp()))

        def ask() -> Answer:
            made = self.api.create_session(attempt.out_trade_no, attempt.fen, attempt.subject, return_url=return_url, expires_at=until)
            fits = made.get("amount_total") == attempt.fen and made.get("client_reference_id") == attempt.out_trade_no
            if not fits or not made.get("id") or not made.get("url"):
                return Answer("unknown", sub_code="other_session")
            return Answer("succeeded", told={"status": "opened", "url": made["url"]}, code=str(made["id"]))

        return _answered(ask)

    def query(self, out_trade_no: str) -> Answer:
        if not self.page:
            return Answer("refused", sub_code=NEVER_OPENED, told=UNSENT)

        def ask() -> Answer:
            session = self.api.session(self.page)
            if session.get("client_reference_id") != out_trade_no:
                return Answer("unknown", sub_code="other_session")
            outcome = outcome_of_session(session, self.account)
            return Answer("succeeded", trade=outcome, told={"status": f"{session.get('status')}/{session.get('payment_status')}", "fen": outcome.total_fen})

        return _answered(ask)

    def close(self, out_trade_no: str) -> Answer:
        if not self.page:
            return Answer("refused", sub_code=NEVER_OPENED, told=UNSENT)

        def ask() -> Answer:
            session = self.api.expire(self.page)
            closed = session.get("status") == "expired" and session.get("client_reference_id") == out_trade_no
            return Answer("succeeded", trade=Outcome(out_trade_no, "closed", channel="stripe"), told={"status": "closed"}) if closed else Answer("unknown")

        return _answered(ask)

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        if not self.trade_no:
            return Answer("refused", sub_code="not_paid", told=UNSENT)

        def ask() -> Answer:
            intent = self.api.intent(self.trade_no)
            if (intent.get("metadata") or {}).get("out_trade_no") != out_trade_no or intent.get("status") != "succeeded":
                return Answer("refused", sub_code="other_payment")
            went = self.api.refunds(self.trade_no)
            known = _numbered(went, out_request_no)
            if known is not None:
                return _of_refund(known, fen)
            if fen + sum(int(each["amount"]) for each in went if each.get("status") not in ("failed", "canceled")) > int(intent["amount"]):
                return Answer("refused", sub_code="exceeds_paid")
            return _of_refund(self.api.refund(self.trade_no, out_request_no, fen), fen)

        return _answered(ask)

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        if not self.trade_no:
            return Answer("refused", sub_code="not_paid", told=UNSENT)

        def ask() -> Answer:
            known = _numbered(self.api.refunds(self.trade_no), out_request_no)
            return Answer("refused", sub_code=NOT_REFUNDED) if known is None else _of_refund(known, fen)

        return _answered(ask)

    def fee(self, out_trade_no: str) -> Answer:
        """What Stripe kept. An account that is kept in another currency has no fee in fen: refused, for a person to book."""
        if not self.trade_no:
            return Answer("refused", sub_code="not_paid", told=UNSENT)

        def ask() -> Answer:
            intent = self.api.intent(self.trade_no)
            if (intent.get("metadata") or {}).get("out_trade_no") != out_trade_no:
                return Answer("refused", sub_code="other_payment")
            charge = intent.get("latest_charge")
            moved = charge.get("balance_transaction") if isinstance(charge, dict) else None
            if not isinstance(moved, dict):
                return Answer("unknown", sub_code="no_balance")
            if moved.get("currency") != CURRENCY:
                return Answer("refused", sub_code="other_currency")
            fen = moved.get("fee")
            return Answer("succeeded", told={"fee_fen": fen}) if isinstance(fen, int) and 0 <= fen <= int(intent["amount"]) else Answer("unknown")

        return _answered(ask)

    def lately(self, what: Literal["refunds", "disputes"], since: datetime) -> list[dict[str, Any]]:
        """The account's refunds or disputes since then, of this shop or another. OutsideFailure ``channel.unknown`` if they are not to be had."""
        listed = self.api.refunds_since if what == "refunds" else self.api.disputes_since
        return _had(lambda: listed(since))

    def refunded_fen(self) -> int:
        """What went back of the payment, whoever ordered it. OutsideFailure ``channel.unknown``."""
        went = _had(lambda: self.api.refunds(self.trade_no))
        return sum(int(each["amount"]) for each in went if each.get("status") == "succeeded" and each.get("currency") == CURRENCY)

    def qr_code(self, attempt: Attempt, expires_at: datetime) -> Answer:
        return Answer("refused", sub_code="not_offered", told=UNSENT)

    def merge(self, attempts: Sequence[Attempt], merge_no: str, expires_at: datetime) -> Answer:
        return Answer("refused", sub_code="not_offered", told=UNSENT)  # each account has a page of its own

    def bill(self, day: date) -> Bill | None:
        return None  # Stripe has no bill of a day; its payments and refunds are asked about one by one

    def account_bill(self, day: date) -> AccountBill | None:
        return None


def client_for(organisation_id: int, *, account: str = "", page: str = "", trade_no: str = "") -> StripeSeller:
    """The channel of a cooperative over ``account``, by default the one it has now. OutsideFailure ``stripe.unconfigured`` if it has none."""
    key = channel_key.signing(organisation_id, "stripe", account)
    if key is None:
        raise OutsideFailure("stripe.unconfigured", N_("这家合作社没有开通银行卡付款。"))
    return StripeSeller(api_for(key.parts["secret_key"], settings().stripe_api), key.account, page=page, trade_no=trade_no)


def hear(organisation_id: int, body: bytes, signature: str) -> Heard:
    """The event in a notice to a cooperative, signed with any secret that is believed. BadEvent otherwise."""
    keys = channel_key.believed(organisation_id, "stripe")
    if not keys:
        raise BadEvent("no_key")
    event, key = _signed(body, signature, keys)
    if settings().is_production and event.get("livemode") is not True:
        raise BadEvent("testmode")
    kind, thing = str(event.get("type")), event["data"]["object"]
    account = key.account  # which may be one that the cooperative has left: what was paid there is still told of
    if event.get("account") not in (None, account):
        raise BadEvent("account")
    number = str((thing.get("metadata") or {}).get("out_trade_no") or "")[:64]
    outcome = _outcome_of_event(kind, thing, account) if number else None
    disputed = None
    if kind == "charge.dispute.created" and isinstance(thing.get("payment_intent"), str):
        disputed = (thing["payment_intent"], _fen(thing, "amount") or 0)
    return Heard(str(event.get("id"))[:128], kind, number, outcome, _refund_of_event(kind, thing), disputed)


def _signed(body: bytes, signature: str, keys: Sequence[ChannelKey]) -> tuple[dict[str, Any], ChannelKey]:
    """The event and the key that signed it. BadEvent if none did."""
    for key in keys:
        try:
            return event_of(body, signature, [key.parts["webhook_secret"]]), key
        except BadEvent as error:
            if error.data["reason"] != "signature":
                raise
    raise BadEvent("signature")


def _refund_of_event(kind: str, thing: dict[str, Any]) -> HeardRefund | None:
    return heard_refund(thing) if kind in ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated") else None


def heard_refund(thing: dict[str, Any]) -> HeardRefund | None:
    """What Stripe says of a refund that carries a number of ours; one that is not ended says nothing."""
    number = str((thing.get("metadata") or {}).get("out_request_no") or "")[:64]
    if not number or not (thing.get("status") == "succeeded" or thing.get("status") in ENDED):
        return None
    state = "succeeded" if thing.get("status") == "succeeded" else "failed"
    return HeardRefund(number, _fen(thing, "amount") or 0, state, str(thing.get("failure_reason") or thing["status"])[:60])


def outcome_of_session(session: dict[str, Any], account: str) -> Outcome:
    """What a page says of its payment."""
    number = str(session["client_reference_id"])
    intent = session.get("payment_intent")
    if session.get("status") == "complete" and session.get("payment_status") == "paid":
        of_intent = intent if isinstance(intent, dict) else {"id": intent}
        charge = of_intent.get("latest_charge")
        charge = charge if isinstance(charge, dict) else {}
        return Outcome(
            number, "succeeded", total_fen=_fen(session, "amount_total"), trade_no=str(of_intent.get("id") or ""), app_id=account, channel="stripe",
            at=_moment(charge.get("created")), refunded_fen=int(charge.get("amount_refunded") or 0),
        )  # fmt: skip
    if session.get("status") == "expired":
        return Outcome(number, "closed", channel="stripe")
    return Outcome(number, "pending", channel="stripe")


def _outcome_of_event(kind: str, thing: dict[str, Any], account: str) -> Outcome | None:
    number = str(thing["metadata"]["out_trade_no"])
    if kind in ("checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.expired"):
        return outcome_of_session({**thing, "client_reference_id": number}, account)
    if kind == "payment_intent.succeeded" and thing.get("status") == "succeeded":
        return Outcome(number, "succeeded", total_fen=_fen(thing, "amount"), trade_no=str(thing.get("id")), app_id=account, channel="stripe", at=_moment(thing.get("created")))
    if kind == "charge.refunded" and thing.get("payment_intent"):
        return Outcome(
            number, "succeeded", total_fen=_fen(thing, "amount"), trade_no=str(thing["payment_intent"]), app_id=account, channel="stripe",
            at=_moment(thing.get("created")), refunded_fen=int(thing.get("amount_refunded") or 0),
        )  # fmt: skip
    return None


def _answered(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except StripeRefused as error:
        return Answer("refused", sub_code=error.code)
    except StripeMisconfigured as error:
        return Answer("unknown", sub_code=error.code, told={"misconfigured": True})
    except OutsideFailure as error:
        return Answer("unknown", sub_code=str(error.data.get("reason", ""))[:60])


def _had(ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    try:
        return ask()
    except (StripeRefused, StripeMisconfigured) as error:
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"), reason=error.code) from error


def _numbered(refunds: list[dict[str, Any]], number: str) -> dict[str, Any] | None:
    return next((each for each in refunds if (each.get("metadata") or {}).get("out_request_no") == number), None)


def _of_refund(refund: dict[str, Any], fen: int) -> Answer:
    told = {"status": refund.get("status"), "fen": refund.get("amount")}
    if refund.get("amount") != fen or refund.get("currency") != CURRENCY:
        # Our number moved another amount: money may have gone. A person looks.
        return Answer("unknown", sub_code="other_amount", told=told)
    if refund.get("status") == "succeeded":
        return Answer("succeeded", told=told)
    if refund.get("status") in ENDED:
        return Answer("refused", sub_code=str(refund.get("failure_reason") or refund["status"])[:60], told=told)
    return Answer("unknown", sub_code=str(refund.get("status"))[:60], told=told)


def _fen(thing: dict[str, Any], name: str) -> int | None:
    """The amount, if it is in our currency; else nothing, which fits no payment."""
    value = thing.get(name)
    return value if thing.get("currency") == CURRENCY and isinstance(value, int) and not isinstance(value, bool) else -1


def _moment(seconds: Any) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and 0 < seconds < 1 << 33 else None
