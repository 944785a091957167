"""A request to the gateway, read strictly: known application, RSA2 over every parameter, nothing twice, nothing missing."""

import json
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from marketplace.emulator.keys import load_public
from marketplace.emulator.refusal import Refusal, invalid
from marketplace.emulator.signature import content, verified
from marketplace.emulator.state import State

METHODS = frozenset({
    "alipay.trade.page.pay", "alipay.trade.wap.pay", "alipay.trade.precreate", "alipay.trade.merge.precreate", "alipay.trade.page.merge.pay",
    "alipay.trade.wap.merge.pay", "alipay.trade.query", "alipay.trade.close", "alipay.trade.cancel", "alipay.trade.refund",
    "alipay.trade.fastpay.refund.query", "alipay.fund.trans.uni.transfer", "alipay.fund.trans.common.query",
    "alipay.data.dataservice.bill.downloadurl.query",
})  # fmt: skip
_FIXED = {"version": ("1.0",), "charset": ("utf-8", "UTF-8"), "format": ("JSON", "json")}


@dataclass(frozen=True)
class Request:
    """What was asked, by whom: the signature was right."""

    app: sqlite3.Row
    method: str
    params: dict[str, str]
    biz: dict[str, Any]

    def url(self, name: str) -> str:
        """notify_url or return_url; ``""`` if not given. Refused if it is not http or https."""
        value = self.params.get(name, "")
        if value and not re.match(r"https?://[^\s/]+", value):
            raise invalid(name)
        return value


def read(state: State, pairs: Iterable[tuple[str, str]]) -> Request:
    """The request in these decoded pairs of query and form. Refused as the gateway refuses, form first, then signature."""
    params: dict[str, str] = {}
    for name, value in pairs:
        if name in params:
            raise Refusal("40002", "isv.invalid-parameter", f"参数重复：{name}")
        params[name] = value
    if params.get("method", "") not in METHODS:
        raise Refusal("40002", "isv.invalid-method", "不存在的方法名")
    for name in ("app_id", "sign_type", "sign", "timestamp", "version", "charset"):
        if not params.get(name):
            raise Refusal("40001", f"isv.missing-{name.replace('_', '-')}", f"缺少参数：{name}")
    for name, allowed in _FIXED.items():
        if params.get(name, allowed[0]) not in allowed:
            raise Refusal("40002", f"isv.invalid-{name}", f"无效的 {name}")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}", params["timestamp"]):
        raise Refusal("40002", "isv.invalid-timestamp", "非法的时间戳参数")
    app = state.row("SELECT * FROM app WHERE app_id = ?", params["app_id"])
    if app is None:
        raise Refusal("40002", "isv.invalid-app-id", "无效的 AppID 参数")
    if params["sign_type"] != "RSA2":
        raise Refusal("40002", "isv.invalid-signature-type", "无效的签名类型")
    if app["cert_sn"] and (params.get("app_cert_sn"), params.get("alipay_root_cert_sn")) != (app["cert_sn"], state.root_cert_sn):
        raise Refusal("40002", "isv.missing-app-cert-sn", "应用公钥证书 SN 或支付宝根证书 SN 不正确")
    if params["method"].startswith("alipay.fund.") and not app["cert_sn"]:
        raise Refusal("40006", "isv.insufficient-isv-permissions", "资金类接口须使用证书")
    if not verified(load_public(app["public_key"]), content(params), params["sign"]):
        raise Refusal(
            "40002",
            "isv.invalid-signature",
            "验签出错，请确认 charset 参数放在了 URL 查询字符串中且各参数值使用 charset 参数指示的字符集编码",
        )
    try:
        biz = json.loads(params.get("biz_content", "{}"))
    except ValueError:
        biz = None
    if not isinstance(biz, dict):
        raise Refusal("40002", "isv.invalid-parameter", "biz_content 不是 JSON 对象")
    return Request(app, params["method"], params, biz)
