"""What can come of asking Alipay. Only a verified answer that names what was asked is a fact; all else is Unknown."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from marketplace.foundation import clock

Status = Literal["WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"]
STATUSES: tuple[Status, ...] = ("WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED")

_AMOUNT = re.compile(r"(?P<yuan>[0-9]{1,10})(?:\.(?P<fen>[0-9]{1,2}))?")
_OF_ACCOUNT = re.compile(r"sign|app-id|cert|encrypt|timestamp")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


@dataclass(frozen=True)
class Unknown:
    """It may or may not have happened. Ask later, then send the identical request with the same number.

    ``sent`` is False if the request certainly never left: sending again is then harmless at once. ``detail`` holds no secret.
    """

    reason: str
    detail: str = ""
    sent: bool = True


@dataclass(frozen=True)
class Misconfigured:
    """Alipay refused the form, the key or the permission: nothing happened, and nothing will until a person mends it.

    ``unsent``: Alipay was not asked, since it would refuse.
    """

    code: str
    sub_code: str
    unsent: bool = field(default=False, compare=False)

    @property
    def of_account(self) -> bool:
        """Whether it is the application or its key that is refused, and so every other request too; else it is this kind of request alone."""
        return self.code in ("40001", "40002") and _OF_ACCOUNT.search(self.sub_code) is not None


@dataclass(frozen=True)
class Refused:
    """The business said no for good, with Alipay's sub_code; with ``passing`` the same request may succeed later."""

    sub_code: str
    passing: bool = False


@dataclass(frozen=True)
class Trade:
    """A trade as it stands at Alipay. ``paid_at`` is None unless money came, even if it went back since."""

    out_trade_no: str
    trade_no: str
    status: Status
    total_fen: int
    paid_at: datetime | None

    @property
    def paid(self) -> bool:
        """Money came and is not wholly refunded."""
        return self.status in ("TRADE_SUCCESS", "TRADE_FINISHED")


@dataclass(frozen=True)
class Absent:
    """Alipay knows no such trade: nobody has opened its page yet, or nobody ever will."""

    out_trade_no: str


@dataclass(frozen=True)
class Closed:
    """Closed unpaid, by this request."""

    out_trade_no: str
    trade_no: str


@dataclass(frozen=True)
class Refunded:
    """Money went back. ``total_refunded_fen`` is the trade's sum of all refunds, where the answer tells it."""

    out_trade_no: str
    out_request_no: str
    fen: int
    total_refunded_fen: int | None


@dataclass(frozen=True)
class NotRefunded:
    """No refund of this number is known. It permits one thing: to send the identical refund again under the same number."""

    out_request_no: str


@dataclass(frozen=True)
class Transferred:
    """Money reached a person's account, under this number and in this amount. ``order_id`` is Alipay's own number."""

    out_biz_no: str
    order_id: str
    fen: int
    paid_at: datetime | None


@dataclass(frozen=True)
class TransferEnded:
    """The transfer of this number came to no good end: ``FAIL`` or ``CLOSED`` (nothing left the balance), or ``REFUND`` (退票: it left,
    and is in the balance again). ``error_code`` says why, in Alipay's code."""

    out_biz_no: str
    status: Literal["FAIL", "CLOSED", "REFUND"]
    error_code: str
    fen: int


@dataclass(frozen=True)
class NotTransferred:
    """No transfer of this number is known: it may be under way yet, so it has not failed.

    It permits one thing: to send the identical transfer again under the same number.
    """

    out_biz_no: str


@dataclass(frozen=True)
class Precreated:
    """A merged payment that waits to be opened on a phone."""

    merge_no: str
    pre_order_no: str


@dataclass(frozen=True)
class QrCode:
    """An order that can be paid by scanning ``code``. Before somebody scans it there is no trade to query."""

    out_trade_no: str
    code: str


@dataclass(frozen=True)
class BillRow:
    """One movement. ``fen`` is negative for a refund; ``fee_fen`` is negative for a fee, positive for a fee given back."""

    kind: Literal["trade", "refund"]
    trade_no: str
    out_trade_no: str
    out_request_no: str
    fen: int
    fee_fen: int
    finished_at: datetime


@dataclass(frozen=True)
class Bill:
    """A seller's trade bill of one Beijing day; its rows add up to its own totals. ``sha256`` is the zip's."""

    day: date
    seller_id: str
    rows: tuple[BillRow, ...]
    sha256: str


@dataclass(frozen=True)
class BillAbsent:
    """Not out yet (it comes at 10:00 Beijing time of the next day), or there is none."""

    day: date


def fen_of(text: Any) -> int | None:
    """Fen of an amount as Alipay writes it; None if it is anything else (a float, a sign, full-width digits)."""
    match = _AMOUNT.fullmatch(text) if isinstance(text, str) else None
    return int(match["yuan"]) * 100 + int((match["fen"] or "0").ljust(2, "0")) if match else None


def yuan_of(fen: int) -> str:
    """Fen as Alipay wants money: ``12.30``. ValueError unless it is a whole number from one fen to a hundred million yuan."""
    if isinstance(fen, bool) or not isinstance(fen, int) or not 1 <= fen <= 10_000_000_000:
        raise ValueError(f"not an amount to pay: {fen!r}")
    return f"{fen // 100}.{fen % 100:02d}"


def moment_of(text: Any) -> datetime | None:
    """The moment of a Beijing ``2026-11-24 09:30:00``; None if there is none or it is no moment."""
    if not isinstance(text, str) or _MOMENT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=clock.BEIJING).astimezone(UTC)
    except ValueError:
        return None
