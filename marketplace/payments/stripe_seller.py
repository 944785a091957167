"""Stripe as a cooperative's channel, in its own account: the port's answers, and how what an event names stands there.

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
from marketplace.payments.outcome import Outcome
from marketplace.payments.stripe_api import (
    CURRENCY,
    LEAST_FEN,
    MOST_FEN,
    StripeApi,
    StripeMisconfigured,
    StripeRefused,
    api_for,
)

NEVER_OPENED = "not_opened"
OTHER = "other_payment"  # the sub code of an answer about what is not the payment's that was asked about
_WHOLE = ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")  # currencies that Stripe counts without decimals
LEAST_LIFE = 31 * 60  # seconds: Stripe keeps a page open for at least half an hour


@dataclass(frozen=True)
class HeardRefund:
    """How a refund of ours ended, by Stripe's word: ``state`` is succeeded or failed, also long after it succeeded."""

    out_request_no: str
    fen: int
    state: str
    sub_code: str


class LacksPermission(OutsideFailure):
    """Stripe knows the key, and does not let it do this; ``permission`` in data."""

    def __init__(self, permission: str) -> None:
        super().__init__("channel.lacks", N_("这把密钥没有权限 %(permission)s，要在 Stripe 后台给它补上。"), permission=permission)


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
                return Answer("refused", sub_code=OTHER)
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
        """What Stripe kept. What it kept in another currency is no fee in fen: refused, with what it was as ``told["foreign"]``, for a person."""
        if not self.trade_no:
            return Answer("refused", sub_code="not_paid", told=UNSENT)

        def ask() -> Answer:
            intent = self.api.intent(self.trade_no, with_balance=True)
            if (intent.get("metadata") or {}).get("out_trade_no") != out_trade_no:
                return Answer("refused", sub_code=OTHER)
            charge = intent.get("latest_charge")
            moved = charge.get("balance_transaction") if isinstance(charge, dict) else None
            if not isinstance(moved, dict):
                return Answer("unknown", sub_code="no_balance")
            if foreign := foreign_fees([moved]):
                return Answer("refused", sub_code="other_currency", told={"foreign": foreign})
            fen = moved.get("fee")
            return Answer("succeeded", told={"fee_fen": fen}) if isinstance(fen, int) and 0 <= fen <= int(intent["amount"]) else Answer("unknown")

        return _answered(ask)

    def stands(self, about: str, name: str, number: str) -> Answer:
        """How the payment, refund or dispute stands that Stripe calls ``name``. Refused if Stripe knows none, or it is not of ``number``
        (of ``trade_no``, for a dispute)."""
        return _answered(lambda: {"payment": self._payment, "refund": self._refund, "dispute": self._dispute}[about](name, number))

    def _payment(self, name: str, number: str) -> Answer:
        on_page = name.startswith("cs_")
        thing = self.api.session(name) if on_page else self.api.intent(name)
        if (thing.get("client_reference_id") if on_page else (thing.get("metadata") or {}).get("out_trade_no")) != number:
            return Answer("refused", sub_code=OTHER)
        outcome = outcome_of_session(thing, self.account) if on_page else outcome_of_intent(thing, self.account)
        return Answer("succeeded", trade=outcome, told={"status": thing.get("status"), "fen": outcome.total_fen, "refunded_fen": outcome.refunded_fen})

    def _refund(self, name: str, number: str) -> Answer:
        thing = self.api.refund_named(name)
        if number_of(thing) != number or thing.get("payment_intent") != self.trade_no:
            return Answer("refused", sub_code=OTHER)
        # Of what people may have written beside it at Stripe nothing is kept.
        told = {each: thing.get(each) for each in ("amount", "currency", "status", "failure_reason")}
        return Answer("succeeded", told=told | {"metadata": {"out_request_no": number}})

    def _dispute(self, name: str, _number: str) -> Answer:
        thing = self.api.dispute(name)
        if thing.get("payment_intent") != self.trade_no:
            return Answer("refused", sub_code=OTHER)
        moved = [{name: each.get(name) for name in ("currency", "fee", "fee_details")} for each in thing.get("balance_transactions") or []]
        return Answer("succeeded", told={each: thing.get(each) for each in ("id", "amount", "currency", "status", "payment_intent")} | {"balance_transactions": moved})

    def lately(self, what: Literal["refunds", "disputes"], since: datetime) -> list[dict[str, Any]]:
        """The account's refunds or disputes since then, of this shop or another. OutsideFailure ``channel.unknown`` if they are not to be had,
        ``channel.stopped`` if Stripe does not take the key; LacksPermission if it may not read them."""
        listed = self.api.refunds_since if what == "refunds" else self.api.disputes_since
        return _had(lambda: listed(since))

    def refunds(self) -> list[dict[str, Any]]:
        """All refunds of the payment, whoever ordered them. OutsideFailure as ``lately``."""
        return _had(lambda: self.api.refunds(self.trade_no))

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


def number_of(thing: dict[str, Any]) -> str:
    """The number of ours that a refund at Stripe carries; empty if it carries none."""
    return str((thing.get("metadata") or {}).get("out_request_no") or "")[:64]


def heard_refund(thing: dict[str, Any]) -> HeardRefund | None:
    """What Stripe says of a refund that carries a number of ours; one that is not ended says nothing."""
    number = number_of(thing)
    if not number or not (thing.get("status") == "succeeded" or thing.get("status") in ENDED):
        return None
    state = "succeeded" if thing.get("status") == "succeeded" else "failed"
    return HeardRefund(number, _fen(thing, "amount") or 0, state, str(thing.get("failure_reason") or thing["status"])[:60])


def foreign_fees(moved: Sequence[dict[str, Any]]) -> str:
    """What these movements of a balance kept in other currencies than ours, as people write it ("HKD 1.23"); empty if they kept nothing of the sort.
    A movement has a currency, and so has each part of its fee."""
    kept: dict[str, int] = {}
    for each in moved:
        parts = [part for part in each.get("fee_details") or [] if isinstance(part, dict)]
        whole = [] if each.get("currency") == CURRENCY else [{"currency": each.get("currency"), "amount": each.get("fee")}]
        for part in whole or [part for part in parts if part.get("currency") != CURRENCY]:
            kept[str(part.get("currency"))] = kept.get(str(part.get("currency")), 0) + int(part.get("amount") or 0)
    return " + ".join(in_words(name, amount) for name, amount in sorted(kept.items()) if amount)


def in_words(currency: str, amount: int) -> str:
    """An amount as Stripe counts it, as people write it: HKD 1.23, JPY 60."""
    return f"{currency.upper()} {amount if currency in _WHOLE else f'{amount / 100:.2f}'}"


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


def outcome_of_intent(intent: dict[str, Any], account: str) -> Outcome:
    """What a payment at Stripe says of itself; one that is not paid says nothing: its page tells whether it still can be."""
    number = str((intent.get("metadata") or {}).get("out_trade_no") or "")
    if intent.get("status") != "succeeded":
        return Outcome(number, "pending", channel="stripe")
    charge = intent.get("latest_charge")
    charge = charge if isinstance(charge, dict) else {}
    return Outcome(
        number, "succeeded", total_fen=_fen(intent, "amount"), trade_no=str(intent.get("id") or ""), app_id=account, channel="stripe",
        at=_moment(charge.get("created")), refunded_fen=int(charge.get("amount_refunded") or 0),
    )  # fmt: skip


def _answered(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except StripeRefused as error:
        return Answer("refused", sub_code=error.code)
    except StripeMisconfigured as error:
        return Answer("unknown", sub_code=error.code, told={"misconfigured": True} | ({"of_kind": True} if error.of_kind else {}) | ({"lacks": error.lacks} if error.lacks else {}))
    except OutsideFailure as error:
        return Answer("unknown", sub_code=str(error.data.get("reason", ""))[:60])


def _had(ask: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    try:
        return ask()
    except StripeMisconfigured as error:
        if error.lacks:
            raise LacksPermission(error.lacks) from error
        raise OutsideFailure("channel.stopped", N_("支付渠道不接受我们的密钥或权限，先停十分钟。请检查密钥和配置。"), reason=error.code) from error
    except StripeRefused as error:
        raise OutsideFailure("channel.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"), reason=error.code) from error


def _numbered(refunds: list[dict[str, Any]], number: str) -> dict[str, Any] | None:
    return next((each for each in refunds if number_of(each) == number), None)


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
