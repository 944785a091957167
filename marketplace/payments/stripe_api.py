"""Stripe's own library, hardened in one place; nothing else imports it. What comes back is plain data, what fails is one of three things.

The library is loaded when it is first needed. It never tries again by itself: the calls' rows do that, with the same numbers.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from marketplace.foundation.errors import InvalidInput, OutsideFailure
from marketplace.foundation.language import N_

DEADLINE = (5, 20)  # seconds to connect, and between two pieces of an answer
TOLERANCE = 300  # seconds that an event's signature may be old
CURRENCY = "cny"  # two decimals at Stripe: its minor unit is the fen
LEAST_FEN, MOST_FEN = 400, 99_999_999  # what Stripe takes for one payment: about half a dollar, and eight digits

_PERMISSION = re.compile(r"\brak_[a-z0-9_]{1,50}\b")  # of a restricted key, in the words with which Stripe refuses a call


class StripeRefused(Exception):
    """Stripe said no, for good; ``code`` is its word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code[:60]


class StripeMisconfigured(Exception):
    """Stripe does not know our key, or (``of_kind``) does not let it do this: a person must mend it. ``lacks`` is the permission that is missing,
    as Stripe names it; empty if it is not that: a key may be bound to addresses, say."""

    def __init__(self, code: str, *, of_kind: bool = False, lacks: str = "") -> None:
        super().__init__(code)
        self.code, self.of_kind, self.lacks = code[:60], of_kind, lacks


class BadEvent(InvalidInput):
    """An event that is not to be believed; ``reason`` in data says why, without its content."""

    def __init__(self, reason: str) -> None:
        super().__init__("stripe.bad_event", N_("支付通知不可信：%(reason)s"), reason=reason)


class StripeApi:
    """One account's client. Every function may be repeated with the same numbers. ``base`` is another address for tests."""

    def __init__(self, secret_key: str, base: str = "") -> None:
        import stripe

        addresses: Any = {"api": base} if base else {}
        self._client = stripe.StripeClient(
            secret_key, base_addresses=addresses, max_network_retries=0, http_client=stripe.RequestsClient(timeout=DEADLINE)
        )

    def own_account(self) -> dict[str, Any]:
        """The account that the key opens."""
        return self._plain("rak_accounts_kyc_basic_read", self._client.v1.accounts.retrieve_current)

    def create_session(self, number: str, fen: int, subject: str, *, return_url: str, expires_at: int) -> dict[str, Any]:
        """A page of Stripe's on which this is paid, once. Amount and account limits are the caller's."""
        params: Any = {
            "mode": "payment",
            "client_reference_id": number,
            "line_items": [{"quantity": 1, "price_data": {"currency": CURRENCY, "unit_amount": fen, "product_data": {"name": subject}}}],
            "metadata": {"out_trade_no": number},
            "payment_intent_data": {"metadata": {"out_trade_no": number}},
            "success_url": return_url,
            "cancel_url": return_url,
            "expires_at": expires_at,
        }
        return self._plain("rak_checkout_session_write", lambda: self._client.v1.checkout.sessions.create(params, {"idempotency_key": f"pay-{number}"}))

    def session(self, session_id: str) -> dict[str, Any]:
        """The page as it stands, with its payment and the payment's charge."""
        expanded: Any = {"expand": ["payment_intent.latest_charge"]}
        return self._plain("rak_checkout_session_read", lambda: self._client.v1.checkout.sessions.retrieve(session_id, expanded))

    def expire(self, session_id: str) -> dict[str, Any]:
        """Let nobody pay there any more. StripeRefused if it is paid or over."""
        return self._plain("rak_checkout_session_write", lambda: self._client.v1.checkout.sessions.expire(session_id))

    def intent(self, intent_id: str, *, with_balance: bool = False) -> dict[str, Any]:
        """A payment with its charge; ``with_balance``: and what the charge did to the account's balance, which is another permission."""
        expanded: Any = {"expand": ["latest_charge.balance_transaction" if with_balance else "latest_charge"]}
        needs = "rak_balance_transaction_source_read" if with_balance else "rak_payment_intent_read"
        return self._plain(needs, lambda: self._client.v1.payment_intents.retrieve(intent_id, expanded))

    def refund_named(self, refund_id: str) -> dict[str, Any]:
        """One refund, as it stands."""
        return self._plain("rak_charge_read", lambda: self._client.v1.refunds.retrieve(refund_id))

    def dispute(self, dispute_id: str) -> dict[str, Any]:
        """One dispute, as it stands, with what it did to the balance."""
        return self._plain("rak_dispute_read", lambda: self._client.v1.disputes.retrieve(dispute_id))

    def refunds(self, intent_id: str) -> list[dict[str, Any]]:
        """All refunds of a payment."""
        return self._listed("rak_charge_read", self._client.v1.refunds.list, payment_intent=intent_id)

    def refunds_since(self, moment: datetime) -> list[dict[str, Any]]:
        """The account's refunds made since then, whoever ordered them."""
        return self._listed("rak_charge_read", self._client.v1.refunds.list, since=moment)

    def disputes_since(self, moment: datetime) -> list[dict[str, Any]]:
        """The account's disputes begun since then, each as it stands, with what it did to the balance."""
        return self._listed("rak_dispute_read", self._client.v1.disputes.list, since=moment)

    def refund(self, intent_id: str, number: str, fen: int) -> dict[str, Any]:
        params: Any = {"payment_intent": intent_id, "amount": fen, "metadata": {"out_request_no": number}}
        return self._plain("rak_charge_write", lambda: self._client.v1.refunds.create(params, {"idempotency_key": number}))

    def _listed(self, needs: str, ask: Callable[[Any], Any], *, since: datetime | None = None, **params: Any) -> list[dict[str, Any]]:
        """A whole list, the latest first, as Stripe gives it; or as far back as ``since``."""
        rows: list[dict[str, Any]] = []
        until = since.timestamp() if since else 0
        while True:
            further = {"starting_after": rows[-1]["id"]} if rows else {}
            page = self._plain(needs, partial(ask, {**params, "limit": 100, **further}))
            rows += page["data"]
            if not page.get("has_more") or not page["data"] or rows[-1]["created"] < until:
                return [each for each in rows if each["created"] >= until]

    def _plain(self, needs: str, ask: Callable[[], Any]) -> dict[str, Any]:
        """What Stripe answers; ``needs`` is the permission that a restricted key needs for it, where Stripe does not say which one.
        StripeRefused, StripeMisconfigured; OutsideFailure ``stripe.unknown`` if it may have happened or not."""
        import stripe

        try:
            said: dict[str, Any] = ask().to_dict()
        except (stripe.AuthenticationError, stripe.PermissionError) as error:
            named, of_kind = _PERMISSION.search(str(error)), isinstance(error, stripe.PermissionError)
            lacks = named[0] if named else needs if of_kind and "permission" in str(error).lower() else ""
            raise StripeMisconfigured(error.code or type(error).__name__, of_kind=of_kind or bool(lacks), lacks=lacks) from error
        except stripe.InvalidRequestError as error:
            raise StripeRefused(error.code or "invalid_request") from error
        except stripe.StripeError as error:
            # Busy, broken, cut off, or the same key still under way: nobody knows.
            raise OutsideFailure("stripe.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"), reason=type(error).__name__) from error
        except Exception as error:
            raise OutsideFailure("stripe.unknown", N_("支付渠道没有给出明确的结果，稍后自动再问。"), reason=type(error).__name__) from error
        return json.loads(json.dumps(said, default=str))  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def api_for(secret_key: str, base: str = "") -> StripeApi:
    """Kept, so that connections are kept too."""
    return StripeApi(secret_key, base)


def event_of(body: bytes, signature: str, secrets: Sequence[str]) -> dict[str, Any]:
    """The event in a notice that is signed with one of these secrets, lately. BadEvent otherwise."""
    import stripe

    # The library joins several header fields and believes any of them; one is what Stripe sends.
    if len(body) > 1024 * 1024 or not re.fullmatch(r"[\x21-\x7e, ]{20,2000}", signature):
        raise BadEvent("form")
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body.decode("utf-8"), signature, secret, TOLERANCE)
        except UnicodeDecodeError:
            raise BadEvent("form") from None
        except (stripe.SignatureVerificationError, ValueError):
            continue
        try:
            said = json.loads(body)
        except ValueError:
            raise BadEvent("form") from None
        if not isinstance(said, dict) or said.get("object") != "event" or not isinstance((said.get("data") or {}).get("object"), dict):
            raise BadEvent("form")
        return said
    raise BadEvent("signature")
