"""Transfers from an application's balance to a person's Alipay account, and what became of them.

Only applications with certificates may transfer. A transfer is known by its ``out_biz_no``: whatever stays unknown is asked
for, or sent again unchanged, under the same number; a new number could pay a second time.
"""

import re
from dataclasses import dataclass, field, replace

from marketplace.payments import alipay_sdk
from marketplace.payments.alipay_outcome import (
    Misconfigured,
    NotTransferred,
    Refused,
    TransferEnded,
    Transferred,
    Unknown,
    fen_of,
    moment_of,
    yuan_of,
)
from marketplace.payments.alipay_sdk import Application, odd_code

TRANSFER, QUERY = "alipay.fund.trans.uni.transfer", "alipay.fund.trans.common.query"

_NO_CERTIFICATE = Misconfigured("40006", "isv.insufficient-isv-permissions", unsent=True)
_NO_ORDER = "ORDER_NOT_EXIST"
# The number has been used for another amount or another payee: something did happen under it, so it is no refusal.
_INCONSISTENT = "PAYMENT_INFO_INCONSISTENCY"
_REFUSALS = (
    "INVALID_PARAMETER", "EXCEED_LIMIT_SM_MIN_AMOUNT", "EXCEED_LIMIT_SM_AMOUNT", "EXCEED_LIMIT_PERSONAL_SM_AMOUNT",
    "EXCEED_LIMIT_ENT_SM_AMOUNT", "PAYEE_NOT_EXIST", "PAYEE_USER_INFO_ERROR", "PAYEE_ACC_OCUPIED", "PAYEE_ACC_STATUS_ERROR",
    "PAYEE_ACCOUNT_STATUS_ERROR", "PERM_AML_NOT_REALNAME_REV", "PERMIT_NON_BANK_LIMIT_PAYEE", "PAYER_PAYEE_CANNOT_SAME",
)  # fmt: skip
# A fuller balance, or another day or month, lets the same transfer through. Those of the payer stand in the way of every other one too.
PAYER_IS_SHORT = (
    "PAYER_BALANCE_NOT_ENOUGH", "BALANCE_IS_NOT_ENOUGH", "EXCEED_LIMIT_DM_AMOUNT", "EXCEED_LIMIT_DM_MAX_AMOUNT",
    "EXCEED_LIMIT_MM_AMOUNT", "EXCEED_LIMIT_MM_MAX_AMOUNT",
)  # fmt: skip
PASSING_REFUSALS = (*PAYER_IS_SHORT, "EXCEED_LIMIT_DC_RECEIVED", "EXCEED_LIMIT_UNRN_DM_AMOUNT")
_UNDER_WAY = ("DEALING", "INIT", "WAIT_PAY")  # taken, and not at its end yet
_NOTHING_LEFT = ("FAIL", "CLOSED")
_NO_GOOD_END = (*_NOTHING_LEFT, "REFUND")


@dataclass(frozen=True)
class Payee:
    """A person at Alipay: the login (a phone number or an e-mail) or the 2088… number, and the real name, which Alipay compares.

    Raises ValueError without an account or a name: money is never sent to an account alone.
    """

    account: str = field(repr=False)
    name: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.account.strip() or not self.name.strip():
            raise ValueError("a payee has an account and a name")

    @property
    def info(self) -> dict[str, str]:
        """As Alipay wants it."""
        kind = "ALIPAY_USER_ID" if re.fullmatch(r"2088[0-9]{12}", self.account) else "ALIPAY_LOGON_ID"
        return {"identity": self.account, "identity_type": kind, "name": self.name}


def transfer(
    application: Application, out_biz_no: str, fen: int, payee: Payee, title: str
) -> Transferred | Refused | Unknown | Misconfigured:
    """Send ``fen``. The same transfer always has the same number, payee and title; a repeat of one that happened moves nothing.

    The answer does not name the amount, so a success is believed only when the query has named it. Unknown ``inconsistent``
    means that the number was used for another amount or payee: a person must look, since the query does not tell the payee.
    Refused speaks of this request alone: if an earlier one of the number stayed unknown, that one is asked for first and last.
    """
    biz = {
        "biz_scene": "DIRECT_TRANSFER",
        "order_title": title,
        "out_biz_no": out_biz_no,
        "payee_info": payee.info,
        "product_code": "TRANS_ACCOUNT_NO_PWD",
        "trans_amount": yuan_of(fen),
    }
    if application.certificates is None:
        return _NO_CERTIFICATE
    node = alipay_sdk.ask(application, TRANSFER, biz)
    if not isinstance(node, dict):
        return node
    if node["code"] == "40004":
        sub_code = node["sub_code"]
        if sub_code == _INCONSISTENT:
            return Unknown("inconsistent", sub_code)
        if sub_code in _REFUSALS or sub_code in PASSING_REFUSALS:
            return Refused(sub_code, passing=sub_code in PASSING_REFUSALS)
        return odd_code(node)
    if node.get("out_biz_no") != out_biz_no:
        return Unknown("other_order")
    # Any other end is for the question to tell, which names the amount and the reason.
    if node.get("status") != "SUCCESS":
        return Unknown("odd_answer", str(node.get("status"))[:40])
    found = transfer_query(application, out_biz_no, fen)
    if isinstance(found, Transferred):
        return found if found.order_id == node.get("order_id") else Unknown("other_order")
    # The transfer itself has been sent, whatever the question met.
    return replace(found, sent=True) if isinstance(found, Unknown) else Unknown("unconfirmed", type(found).__name__)


def transfer_query(
    application: Application, out_biz_no: str, fen: int
) -> Transferred | TransferEnded | NotTransferred | Unknown | Misconfigured:
    """Whether the transfer of this number happened, and if it came to another end, to which.

    Unknown ``under_way`` is one that Alipay has taken and not finished; an answer of another amount is Unknown ``other_amount``,
    with the end as its detail if nothing left by that.
    """
    if application.certificates is None:
        return _NO_CERTIFICATE
    biz = {"biz_scene": "DIRECT_TRANSFER", "out_biz_no": out_biz_no, "product_code": "TRANS_ACCOUNT_NO_PWD"}
    node = alipay_sdk.ask(application, QUERY, biz)
    if not isinstance(node, dict):
        return node
    if node["code"] == "40004":
        return NotTransferred(out_biz_no) if node["sub_code"] == _NO_ORDER else odd_code(node)
    if node.get("out_biz_no") != out_biz_no:
        return Unknown("other_order")
    order_id, status = node.get("order_id"), node.get("status")
    if status in _UNDER_WAY:
        return Unknown("under_way", str(status))
    if status not in ("SUCCESS", *_NO_GOOD_END) or not isinstance(order_id, str) or not order_id:
        return Unknown("odd_answer", str(status)[:40])
    if fen_of(node.get("trans_amount")) != fen:
        return Unknown("other_amount", str(status) if status in _NOTHING_LEFT else "")
    if status == "SUCCESS":
        return Transferred(out_biz_no, order_id, fen, moment_of(node.get("pay_date")))
    return TransferEnded(out_biz_no, status, _code(node.get("error_code")), fen)


def _code(text: object) -> str:
    """Alipay's code of why; a text that is none says nothing."""
    return text if isinstance(text, str) and re.fullmatch(r"[A-Z0-9_.]{1,60}", text) else ""
