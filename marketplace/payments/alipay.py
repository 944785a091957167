"""Alipay as one application asks it: pages to pay on, queries, refunds, bills, notices. No database, no logs.

What Alipay did is decided by a whitelist: a verified answer, of the asked node, naming the ids and the amount that were
asked. Everything else is Unknown, never failed.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from marketplace.foundation import clock
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.payments import alipay_sdk, alipay_transfer
from marketplace.payments.alipay_account_bill import AccountBill, read_account_bill
from marketplace.payments.alipay_bill import BadBill, read_bill
from marketplace.payments.alipay_certificate import Certificates
from marketplace.payments.alipay_notice import BadNotice, Notice, verify_notice
from marketplace.payments.alipay_outcome import (
    STATUSES,
    Absent,
    Bill,
    BillAbsent,
    BillRow,
    Closed,
    Misconfigured,
    NotRefunded,
    NotTransferred,
    Precreated,
    QrCode,
    Refunded,
    Refused,
    Trade,
    TransferEnded,
    Transferred,
    Unknown,
    fen_of,
    moment_of,
    yuan_of,
)  # fmt: skip
from marketplace.payments.alipay_sdk import odd_code
from marketplace.payments.alipay_signing import private_key, public_key
from marketplace.payments.alipay_transfer import Payee
from marketplace.payments.alipay_transport import HttpTransport, Lost, Transport

__all__ = [
    "Absent", "AlipayClient", "BadBill", "BadNotice", "Bill", "BillAbsent", "BillRow", "Closed", "MergeOrder", "Misconfigured",
    "NotRefunded", "NotTransferred", "Notice", "Payee", "Precreated", "QrCode", "Refunded", "Refused", "Trade", "TransferEnded", "Transferred", "Unknown",
    "verify_notice",
]  # fmt: skip

_PRODUCT = {False: "FAST_INSTANT_TRADE_PAY", True: "QUICK_WAP_WAY"}
_NO_TRADE = "ACQ.TRADE_NOT_EXIST"
_NO_BILL = ("isp.bill_not_exist", "isp.bill-not-exist", "BILL_NOT_EXIST")
_MERGE_REFUSALS = ("ACQ.CONTEXT_INCONSISTENT", "ACQ.INVALID_PARAMETER", "ACQ.SELLER_NOT_EXIST")
_PRECREATE_REFUSALS = (*_MERGE_REFUSALS, "ACQ.TRADE_HAS_SUCCESS", "ACQ.TRADE_HAS_CLOSE")
_CLOSE_REFUSALS = ("ACQ.TRADE_STATUS_ERROR", "ACQ.REASON_TRADE_STATUS_INVALID", "ACQ.REASON_ILLEGAL_STATUS")
_REFUND_REFUSALS = (
    _NO_TRADE, "ACQ.TRADE_STATUS_ERROR", "ACQ.TRADE_HAS_FINISHED", "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
    "ACQ.DISCORDANT_REPEAT_REQUEST", "ACQ.TRADE_NOT_ALLOW_REFUND", "ACQ.REASON_TRADE_REFUND_FEE_ERR",
    "ACQ.REASON_TRADE_BEEN_FREEZEN", "ACQ.REFUND_FEE_ERROR", "ACQ.INVALID_PARAMETER", "ACQ.BUYER_ERROR",
)  # fmt: skip
_PASSING_REFUSALS = ("ACQ.SELLER_BALANCE_NOT_ENOUGH",)


@dataclass(frozen=True)
class MergeOrder:
    """One order of a merged payment: a trade of its own seller, under that seller's own application."""

    app_id: str
    seller_id: str
    out_trade_no: str
    total_fen: int
    subject: str


@dataclass(frozen=True)
class AlipayClient:
    """One application at Alipay, which is one seller's. Keys as PEM (PKCS#1, PKCS#8) or bare base64; BadKey if unreadable.

    A merged payment is opened by the platform's application; its trades belong to the sellers' applications, whose own
    clients query, close and refund them, and whose app_id their notices carry.
    """

    gateway_url: str
    app_id: str
    seller_id: str
    app_private_key_pem: str = field(repr=False)
    alipay_public_key_pem: str = field(repr=False)
    transport: Transport = field(default_factory=HttpTransport, repr=False)
    certificates: Certificates | None = field(default=None, repr=False)
    also: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # further keys of Alipay's: see ``alipay_sdk.Application``

    def __post_init__(self) -> None:
        private_key(self.app_private_key_pem)
        public_key(self.alipay_public_key_pem)
        if urlsplit(self.gateway_url).scheme not in ("http", "https"):
            raise ValueError("the gateway's address must be http or https")

    # Pages: addresses for the browser. Nothing is sent by us.

    def page_pay_url(
        self, out_trade_no: str, total_fen: int, subject: str, *, notify_url: str, return_url: str, expires_at: datetime,
        wap: bool = False,
    ) -> str:  # fmt: skip
        """Where to send the buyer (303) to pay one order. Raises Conflict ``payment.expired`` if it is too late."""
        _time_left(expires_at)
        biz = {
            "out_trade_no": _number(out_trade_no),
            "product_code": _PRODUCT[wap],
            "seller_id": self.seller_id,
            "subject": _subject(subject),
            "time_expire": expires_at.astimezone(clock.BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
            "total_amount": yuan_of(total_fen),
        }
        method = "alipay.trade.wap.pay" if wap else "alipay.trade.page.pay"
        return alipay_sdk.page_url(
            self._application, method, biz, notify_url=notify_url, return_url=return_url
        )

    def merge_pay_url(
        self,
        orders: Sequence[MergeOrder],
        *,
        merge_no: str,
        notify_url: str,
        return_url: str,
        expires_at: datetime,
    ) -> str:
        """Where to send the buyer (303) to pay several orders in one act, each to its own seller.

        Alipay's page takes no moment but a length of time in minutes, counted from when the page is opened: a payment may
        come that much later than ``expires_at``. Raises Conflict ``payment.expired`` if it is too late.
        """
        biz = _merged(orders, merge_no, expires_at, wap=False)
        method = "alipay.trade.page.merge.pay"
        return alipay_sdk.page_url(
            self._application, method, biz, notify_url=notify_url, return_url=return_url
        )

    def merge_precreate(
        self, orders: Sequence[MergeOrder], *, merge_no: str, notify_url: str, expires_at: datetime
    ) -> Precreated | Refused | Unknown | Misconfigured:
        """On phones a merged payment is announced first (this is a call), then opened with ``wap_merge_pay_url``."""
        biz = _merged(orders, merge_no, expires_at, wap=True)
        node = alipay_sdk.ask(self._application, "alipay.trade.merge.precreate", biz, notify_url=notify_url)
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            return _refused(node, _MERGE_REFUSALS)
        results, number = node.get("order_detail_results"), node.get("pre_order_no")
        told = {
            (each.get("app_id"), each.get("out_trade_no"))
            for each in (results if isinstance(results, list) else [])
            if isinstance(each, dict) and each.get("success") in (True, "true")
        }
        if node.get("out_merge_no") != merge_no or told != {
            (each.app_id, each.out_trade_no) for each in orders
        }:
            return Unknown("other_order")
        return Precreated(merge_no, number) if isinstance(number, str) and number else Unknown("odd_answer")

    def wap_merge_pay_url(self, pre_order_no: str, *, return_url: str) -> str:
        """Where to send the buyer's phone (303) to pay what was precreated."""
        biz = {"pre_order_no": pre_order_no}
        method = "alipay.trade.wap.merge.pay"
        return alipay_sdk.page_url(self._application, method, biz, notify_url="", return_url=return_url)

    # Calls: each is one exchange with the gateway.

    def precreate(
        self, out_trade_no: str, total_fen: int, subject: str, *, notify_url: str, expires_at: datetime
    ) -> QrCode | Refused | Unknown | Misconfigured:
        """A code that the buyer scans at a counter. Asked again with the same number and amount it is the same order."""
        _time_left(expires_at)
        biz = {
            "out_trade_no": _number(out_trade_no),
            "product_code": "FACE_TO_FACE_PAYMENT",
            "seller_id": self.seller_id,
            "subject": _subject(subject),
            "time_expire": expires_at.astimezone(clock.BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
            "total_amount": yuan_of(total_fen),
        }
        node = alipay_sdk.ask(self._application, "alipay.trade.precreate", biz, notify_url=notify_url)
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            return _refused(node, _PRECREATE_REFUSALS)
        code = node.get("qr_code")
        if node.get("out_trade_no") != out_trade_no:
            return Unknown("other_order")
        return QrCode(out_trade_no, code) if isinstance(code, str) and 0 < len(code) <= 400 else Unknown("odd_answer")

    def query(
        self, out_trade_no: str, *, total_fen: int | None = None
    ) -> Trade | Absent | Unknown | Misconfigured:
        """The trade as it stands. With ``total_fen`` an answer of another amount is Unknown ``other_amount``."""
        node = self._ask("alipay.trade.query", {"out_trade_no": _number(out_trade_no)})
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            return Absent(out_trade_no) if node["sub_code"] == _NO_TRADE else odd_code(node)
        if node.get("out_trade_no") != out_trade_no:
            return Unknown("other_order")
        status = next((each for each in STATUSES if each == node.get("trade_status")), None)
        fen, trade_no = fen_of(node.get("total_amount")), node.get("trade_no")
        if status is None or not fen or not isinstance(trade_no, str) or not trade_no:
            return Unknown("odd_answer")
        if total_fen is not None and fen != total_fen:
            return Unknown("other_amount")
        return Trade(out_trade_no, trade_no, status, fen, moment_of(node.get("send_pay_date")))

    def close(self, out_trade_no: str) -> Closed | Absent | Refused | Unknown | Misconfigured:
        """Close a trade that nobody paid. Refused means that it is paid or closed already: query it."""
        node = self._ask("alipay.trade.close", {"out_trade_no": _number(out_trade_no)})
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            return Absent(out_trade_no) if node["sub_code"] == _NO_TRADE else _refused(node, _CLOSE_REFUSALS)
        if node.get("out_trade_no") != out_trade_no or not isinstance(node.get("trade_no"), str):
            return Unknown("other_order")
        return Closed(out_trade_no, node["trade_no"])

    def refund(
        self, out_trade_no: str, out_request_no: str, fen: int, reason: str
    ) -> Refunded | Refused | Unknown | Misconfigured:
        """Give ``fen`` back. The same refund always has the same ``out_request_no``; a repeat of one that happened is Unknown
        ``repeated``: ask ``refund_query``.

        The answer tells only the sum of all refunds: one that is less than ``fen`` is Unknown ``other_amount``.
        """
        biz = {
            "out_request_no": _number(out_request_no),
            "out_trade_no": _number(out_trade_no),
            "refund_amount": yuan_of(fen),
            "refund_reason": _subject(reason),
        }
        node = self._ask("alipay.trade.refund", biz)
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            if node["sub_code"] in _PASSING_REFUSALS:
                return Refused(node["sub_code"], passing=True)
            return _refused(node, _REFUND_REFUSALS)
        if node.get("out_trade_no") != out_trade_no:
            return Unknown("other_order")
        if node.get("fund_change") != "Y":
            return Unknown("repeated" if node.get("fund_change") == "N" else "odd_answer")
        total = fen_of(node.get("refund_fee"))
        if total is None or total < fen:
            return Unknown("other_amount")
        return Refunded(out_trade_no, out_request_no, fen, total)

    def refund_query(
        self, out_trade_no: str, out_request_no: str, fen: int
    ) -> Refunded | NotRefunded | Unknown | Misconfigured:
        """Whether the refund of this number happened. An answer of another amount is Unknown ``other_amount``."""
        biz = {"out_request_no": _number(out_request_no), "out_trade_no": _number(out_trade_no)}
        node = self._ask("alipay.trade.fastpay.refund.query", biz)
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            return NotRefunded(out_request_no) if node["sub_code"] == _NO_TRADE else odd_code(node)
        refunded = bool(node.get("refund_amount") or node.get("refund_status"))
        # One that never was is answered with nothing, or with the numbers that were asked.
        if any(node.get(name, "" if refunded else asked) != asked for name, asked in biz.items()):
            return Unknown("other_order")
        if not refunded:
            return NotRefunded(out_request_no)
        if node.get("refund_status") != "REFUND_SUCCESS":
            return Unknown("odd_answer", str(node.get("refund_status"))[:40])
        if fen_of(node.get("refund_amount")) != fen:
            return Unknown("other_amount")
        return Refunded(out_trade_no, out_request_no, fen, None)

    def transfer(self, out_biz_no: str, fen: int, payee: Payee, title: str) -> Transferred | Refused | Unknown | Misconfigured:
        """Send ``fen`` from the balance to a person: see ``alipay_transfer.transfer``."""
        return alipay_transfer.transfer(self._application, _number(out_biz_no), fen, payee, _subject(title))

    def transfer_query(self, out_biz_no: str, fen: int) -> Transferred | TransferEnded | NotTransferred | Unknown | Misconfigured:
        """Whether the transfer of this number happened: see ``alipay_transfer.transfer_query``."""
        return alipay_transfer.transfer_query(self._application, _number(out_biz_no), fen)

    def bill(self, day: date) -> Bill | BillAbsent | Unknown | Misconfigured:
        """The seller's trade bill of a Beijing day: ask for its address, fetch it, read it.

        Raises BadBill if what came is not that bill, or does not add up to its own totals.
        """
        packed = self._packed_bill(day, "trade")
        return read_bill(packed, day=day, seller_id=self.seller_id) if isinstance(packed, bytes) else packed

    def account_bill(self, day: date) -> AccountBill | BillAbsent | Unknown | Misconfigured:
        """Every movement of the seller's balance on a Beijing day, with the balance after each. Raises BadBill as ``bill`` does."""
        packed = self._packed_bill(day, "signcustomer")
        return read_account_bill(packed, day=day, seller_id=self.seller_id) if isinstance(packed, bytes) else packed

    def _packed_bill(self, day: date, kind: str) -> bytes | BillAbsent | Unknown | Misconfigured:
        biz = {"bill_date": day.isoformat(), "bill_type": kind}
        node = self._ask("alipay.data.dataservice.bill.downloadurl.query", biz)
        if not isinstance(node, dict):
            return node
        if node["code"] == "40004":
            return BillAbsent(day) if node["sub_code"] in _NO_BILL else odd_code(node)
        url = node.get("bill_download_url")
        # The file lies on another host than the gateway, but never in the clear where the gateway itself is not.
        if not isinstance(url, str) or urlsplit(url).scheme not in (
            "https",
            urlsplit(self.gateway_url).scheme,
        ):
            return Unknown("odd_answer")
        try:
            return self.transport.get(url)
        except Lost as lost:
            return Unknown(lost.reason, lost.detail)

    def verify_notice(self, form: Any, *, app_ids: Collection[str] = ()) -> Notice:
        """``alipay_notice.verify_notice`` with this client's key. It must come from this application, or one of ``app_ids``."""
        return verify_notice(
            form, alipay_public_key_pem=self.alipay_public_key_pem, app_ids=app_ids or (self.app_id,)
        )

    @property
    def _application(self) -> alipay_sdk.Application:
        return alipay_sdk.Application(
            self.gateway_url,
            self.app_id,
            self.app_private_key_pem,
            self.alipay_public_key_pem,
            self.transport,
            self.certificates,
            self.also,
        )

    def _ask(self, method: str, biz: Mapping[str, Any]) -> dict[str, Any] | Unknown | Misconfigured:
        return alipay_sdk.ask(self._application, method, biz)


def _merged(
    orders: Sequence[MergeOrder], merge_no: str, expires_at: datetime, *, wap: bool
) -> dict[str, Any]:
    if not orders:
        raise ValueError("nothing to pay")
    minutes = max(1, int(_time_left(expires_at).total_seconds() // 60))
    details = [
        {
            "app_id": each.app_id,
            "out_trade_no": _number(each.out_trade_no),
            "product_code": _PRODUCT[wap],
            "seller_id": each.seller_id,
            "subject": _subject(each.subject),
            "total_amount": yuan_of(each.total_fen),
        }
        for each in orders
    ]
    return {"order_details": details, "out_merge_no": _number(merge_no), "timeout_express": f"{minutes}m"}


def _refused(node: Mapping[str, Any], known: tuple[str, ...]) -> Refused | Unknown:
    """The refusal, if its sub_code is one that certainly means that nothing happened."""
    return Refused(str(node["sub_code"])) if node["sub_code"] in known else odd_code(node)


def _number(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_]{1,64}", text):
        raise ValueError(f"not a number that Alipay takes: {text!r}")
    return text


def _subject(text: str) -> str:
    """Alipay refuses ``/``, ``=`` and ``&`` in a subject, and line breaks help nobody; at most 128 characters."""
    return re.sub(r"[/=&\x00-\x1f\x7f\s]+", " ", text).strip()[:128] or "订单"


def _time_left(expires_at: datetime) -> timedelta:
    left = expires_at - clock.now()
    if left <= timedelta(0):
        raise Conflict("payment.expired", N_("付款时间已过，请重新下单。"))
    return left
