"""The gateway: reads a request, lets the noun that is asked act, and signs the answer over the raw text of its node."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from marketplace.emulator import bill, cashier, refund, trade, transfer
from marketplace.emulator.refusal import MESSAGES, Refusal
from marketplace.emulator.request import METHODS, Request, read
from marketplace.emulator.signature import sign
from marketplace.emulator.state import State

PAGE_METHODS = frozenset(each for each in METHODS if each.endswith(".pay"))

_ACTIONS: dict[str, Callable[[State, str, dict[str, Any]], dict[str, str]]] = {
    "alipay.trade.query": trade.query,
    "alipay.trade.close": trade.close,
    "alipay.trade.cancel": refund.cancel,
    "alipay.trade.refund": refund.refund,
    "alipay.trade.fastpay.refund.query": refund.refund_query,
    "alipay.fund.trans.uni.transfer": transfer.transfer,
    "alipay.fund.trans.common.query": transfer.transfer_query,
}


def node(state: State, pairs: Iterable[tuple[str, str]], base_url: str) -> dict[str, Any]:
    """The node that answers a request which is no page; what was asked has happened and is kept."""
    try:
        asked = read(state, pairs)
        return {"code": "10000", "msg": MESSAGES["10000"]} | _act(state, asked, base_url)
    except Refusal as refusal:
        return refusal.node()


def open_page(state: State, pairs: Iterable[tuple[str, str]]) -> str:
    """The token of the cashier that a page request opens. Raises Refusal."""
    asked = read(state, pairs)
    if asked.method not in PAGE_METHODS:
        raise Refusal("40002", "isv.invalid-method", "此方法没有页面")
    return cashier.open_cashier(state, asked)


def envelope(
    key: rsa.RSAPrivateKey, method: str, answer: dict[str, Any], *, sign_type: str = "RSA2", cert_sn: str = ""
) -> bytes:
    """The response: node and signature, and between them, in certificate mode, whose certificate proves it.

    Slashes are written ``\\/``, as Alipay writes them, and signed so.
    """
    name = f"{method.replace('.', '_')}_response" if method in METHODS else "error_response"
    raw = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/")
    proof = f'"alipay_cert_sn":"{cert_sn}",' if cert_sn else ""
    return f'{{"{name}":{raw},{proof}"sign":"{sign(key, raw.encode(), sign_type=sign_type)}"}}'.encode()


def cert_sn(state: State, pairs: Iterable[tuple[str, str]]) -> str:
    """The number of Alipay's certificate, if the application that asks works with certificates; else nothing."""
    app = state.row("SELECT cert_sn FROM app WHERE app_id = ?", dict(pairs).get("app_id", ""))
    return state.alipay_cert_sn if app is not None and app["cert_sn"] else ""


def _act(state: State, asked: Request, base_url: str) -> dict[str, Any]:
    if asked.method in _ACTIONS:
        return dict(_ACTIONS[asked.method](state, asked.app["app_id"], asked.biz))
    if asked.method == "alipay.trade.merge.precreate":
        return cashier.precreate(state, asked)
    if asked.method == "alipay.trade.precreate":
        return dict(cashier.qr_code(state, asked, base_url))
    if asked.method == "alipay.data.dataservice.bill.downloadurl.query":
        return dict(bill.link(state, asked.app["seller_id"], base_url, asked.biz))
    raise Refusal("40002", "isv.invalid-method", "此方法须以页面方式打开")
