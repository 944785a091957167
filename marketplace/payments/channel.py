"""The port to a payment channel: what is asked of it, and whose client answers for an organisation.

A channel's answer is one of three: succeeded, refused (definitely not, with its sub code) or unknown (ask again, same number).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from flask import current_app

from marketplace.foundation.config import settings
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.alipay_outcome import Bill, BillAbsent
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import Payment

EXTENSION = "payment_channel"
NOT_TRANSFERRED = "not_transferred"  # the sub code of a transfer's query: the channel knows of none of this number
NOT_REFUNDED = "not_refunded"  # the sub code of a refund's query: clearly none of this number left
NOT_PERMITTED = "not_permitted"  # the sub code of a transfer that the application may not make
UNSENT = {"unsent": True}  # what is told of an answer for which nobody had to be asked: it says nothing of the channel
ENDED = ("failed", "canceled")  # what a refund's ``told["status"]`` is when the channel knows it and it moved nothing


@dataclass(frozen=True)
class Answer:
    """``outcome`` is succeeded, refused or unknown; ``trade`` what a query said of the trade; ``told`` is kept with the call;
    ``code`` what a buyer pays with: a QR code's content, or the number of a phone's merged order."""

    outcome: str
    sub_code: str = ""
    trade: Outcome | None = None
    told: dict[str, Any] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True)
class Attempt:
    """One seller's part of what is announced to the channel before anybody sees a page."""

    app_id: str
    seller_id: str
    out_trade_no: str
    fen: int
    subject: str


class Channel(Protocol):
    """What a channel can be asked. Every function may be repeated with the same numbers without harm."""

    def query(self, out_trade_no: str) -> Answer:
        """How the trade stands; refused with ``ACQ.TRADE_NOT_EXIST`` while nobody opened the cashier."""

    def close(self, out_trade_no: str) -> Answer:
        """Let nobody pay it any more; refused if it is paid."""

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        """Give ``fen`` back."""

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        """Whether this refund of ``fen`` left; refused with ``NOT_REFUNDED`` if the channel knows of none."""

    def bill(self, day: date) -> Bill | BillAbsent | None:
        """The seller's bill of a Beijing day, whole and adding up; or that there is none; None if it is not to be had now."""

    def account_bill(self, day: date) -> AccountBill | BillAbsent | None:
        """Every movement of the seller's balance on a Beijing day, each with the balance after it; None if it is not to be had now."""

    def qr_code(self, attempt: Attempt, expires_at: datetime) -> Answer:
        """A code to be scanned. Until somebody does, a query knows of no trade."""

    def merge(self, attempts: Sequence[Attempt], merge_no: str, expires_at: datetime) -> Answer:
        """Several sellers' orders announced, to be paid on a phone in one act; asked of the platform's client where it has one."""


class Cashier(Protocol):
    """What a channel can do besides that has a page of its own for each payment."""

    def checkout(self, attempt: Attempt, return_url: str, opened_at: datetime, expires_at: datetime) -> Answer:
        """A page on which the attempt is paid; its name as ``code``, its address as ``told["url"]``."""

    def fee(self, out_trade_no: str) -> Answer:
        """What the channel kept of a payment, as ``told["fee_fen"]``."""


class Payer(Protocol):
    """What a channel can do besides from whose balance a person can be paid."""

    def may_transfer(self) -> bool:
        """Whether the seller's application may send money to persons at all."""

    def transfer(self, out_biz_no: str, fen: int, account: str, name: str, title: str) -> Answer:
        """Send ``fen`` to a person. Refused with ``told["passing"]`` may go later, unchanged; ``told["status"]`` is where it stands."""

    def transfer_query(self, out_biz_no: str, fen: int) -> Answer:
        """How a transfer stands; refused with ``NOT_TRANSFERRED`` if the channel knows of none; ``told["ended"]`` is the end of another
        amount under this number that moved nothing."""


def merging(first: Payment) -> str:
    """Alipay's application that opens one page for several sellers. In a demonstration the platform has none: the first seller's does."""
    return settings().alipay_app_id or first.app_id


def client_for(
    organisation_id: int, channel: str = "alipay", *, account: str = "", seller_id: str = "", page: str = "", trade_no: str = ""
) -> Channel:
    """The client that acts for a merchant of record over ``channel``: of the ``account`` (and seller there) that it had when the trade was
    opened, by default of the one it has now. ``page`` and ``trade_no`` are the channel's names of the trade.
    Tests put their own in ``app.extensions``."""
    if channel == "stripe":
        from marketplace.payments import stripe_seller

        return stripe_seller.client_for(organisation_id, account=account, page=page, trade_no=trade_no)
    replaced: Callable[[int], Channel] | None = current_app.extensions.get(EXTENSION)
    if replaced is not None:
        return replaced(organisation_id)
    from marketplace.payments import seller_channel

    return seller_channel.client_for(organisation_id, account=account, seller_id=seller_id)
