"""A cashier: one page on which a buyer pays one order, or in one act the orders of several sellers."""

import json
import re
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from marketplace.emulator import trade
from marketplace.emulator.field import (
    beijing,
    fen_of,
    moment,
    request_number,
    stamp,
    text,
    trade_number,
    yuan,
)
from marketplace.emulator.refusal import business, invalid
from marketplace.emulator.request import Request
from marketplace.emulator.signature import signed_form
from marketplace.emulator.state import State
from marketplace.emulator.trade import Order
from marketplace.foundation import clock

PRODUCT_CODES = {"page": "FAST_INSTANT_TRADE_PAY", "wap": "QUICK_WAP_WAY", "qr": "FACE_TO_FACE_PAYMENT"}
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Cashier:
    """An opened cashier, its orders as asked and its trades as they stand."""

    row: sqlite3.Row
    orders: list[Order]
    trades: list[sqlite3.Row]

    @property
    def total_fen(self) -> int:
        return sum(order.total_fen for order in self.orders)

    @property
    def paid(self) -> bool:
        return all(each["paid_at"] for each in self.trades)

    @property
    def closed(self) -> bool:
        return not self.paid and any(each["status"] == "TRADE_CLOSED" for each in self.trades)


def open_cashier(state: State, asked: Request) -> str:
    """The token of a new cashier for a page, wap or merge request. Nothing is a trade before the buyer sees it."""
    device = "wap" if ".wap." in asked.method else "page"
    merge_no, notify_url = "", asked.url("notify_url")
    if asked.method == "alipay.trade.wap.merge.pay":
        found = state.row(
            "SELECT * FROM pre_order WHERE pre_order_no = ? AND app_id = ?",
            text(asked.biz, "pre_order_no"),
            asked.app["app_id"],
        )
        if found is None:
            raise business("ACQ.INVALID_PARAMETER", "预下单号不存在")
        merge_no, notify_url = found["merge_no"], notify_url or found["notify_url"]
        orders = [Order(**each) for each in json.loads(found["orders"])]
        expires_at = datetime.fromisoformat(found["expires_at"])
    elif asked.method == "alipay.trade.page.merge.pay":
        orders, merge_no, expires_at = _merged(state, asked.biz, "page")
    else:
        orders = [_order(state, asked.biz, asked.app["app_id"], device)]
        expires_at = _expiry(asked.biz)
    return _keep(state, asked, orders, expires_at=expires_at, merge_no=merge_no, notify_url=notify_url)


def qr_code(state: State, asked: Request, base_url: str) -> dict[str, str]:
    """alipay.trade.precreate: a code whose address is the cashier. The same order again has the same code; before it is scanned
    there is no trade."""
    order = _order(state, asked.biz, asked.app["app_id"], "qr")
    with state.transaction():
        known = "SELECT * FROM cashier WHERE app_id = ? AND method = ? AND merge_no = ?"
        found = state.row(known, order.app_id, asked.method, order.out_trade_no)
        if found is not None and found["orders"] != _as_json([order]):
            raise business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
        paid = state.row(
            "SELECT 1 FROM trade WHERE app_id = ? AND out_trade_no = ? AND paid_at <> ''", order.app_id, order.out_trade_no
        )
        if paid is not None:
            raise business("ACQ.TRADE_HAS_SUCCESS", "交易已被支付")
        token = found["token"] if found is not None else _keep(state, asked, [order], expires_at=_expiry(asked.biz), merge_no=order.out_trade_no)
    return {"out_trade_no": order.out_trade_no, "qr_code": f"{base_url}/cashier/{token}"}


def _keep(
    state: State, asked: Request, orders: list[Order], *, expires_at: datetime, merge_no: str = "", notify_url: str = ""
) -> str:
    token = secrets.token_urlsafe(24)
    with state.transaction() as write:
        write.execute(
            "INSERT INTO cashier (token, app_id, method, merge_no, return_url, notify_url, orders, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (token, asked.app["app_id"], asked.method, merge_no, asked.url("return_url"), notify_url or asked.url("notify_url"),
             _as_json(orders), stamp(expires_at)),
        )  # fmt: skip
    return token


def precreate(state: State, asked: Request) -> dict[str, Any]:
    """alipay.trade.merge.precreate: the same request again gives the same number."""
    orders, merge_no, expires_at = _merged(state, asked.biz, "wap")
    app_id = asked.app["app_id"]
    with state.transaction() as write:
        found = state.row("SELECT * FROM pre_order WHERE app_id = ? AND merge_no = ?", app_id, merge_no)
        if found is not None and found["orders"] != _as_json(orders):
            raise business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
        number = found["pre_order_no"] if found is not None else f"PRE{secrets.token_hex(14).upper()}"
        if found is None:
            write.execute(
                "INSERT INTO pre_order (pre_order_no, app_id, merge_no, notify_url, orders, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                (number, app_id, merge_no, asked.url("notify_url"), _as_json(orders), stamp(expires_at)),
            )
    results = [{"app_id": each.app_id, "out_trade_no": each.out_trade_no, "success": True} for each in orders]
    return {"order_detail_results": results, "out_merge_no": merge_no, "pre_order_no": number}


def show(state: State, token: str) -> Cashier | None:
    """The cashier with its trades, which begin to exist now; None for an unknown token. Refused like a trade."""
    row = state.row("SELECT * FROM cashier WHERE token = ?", token)
    if row is None:
        return None
    orders = [Order(**each) for each in json.loads(row["orders"])]
    with state.transaction():
        trades = [
            trade.open_trade(
                state, each, expires_at=datetime.fromisoformat(row["expires_at"]), notify_url=row["notify_url"],
                merge_no=row["merge_no"],
            )
            for each in orders
        ]  # fmt: skip
    return Cashier(row, orders, trades)


def pay(state: State, token: str) -> Cashier | None:
    """The buyer pays all that stands on the page. Refused with ACQ.TRADE_HAS_CLOSE if any of it is closed."""
    with state.transaction():
        shown = show(state, token)
        if shown is None:
            return None
        trades = trade.pay(state, [(each.app_id, each.out_trade_no) for each in shown.orders])
        return Cashier(shown.row, shown.orders, trades)


def return_form(shown: Cashier, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The signed parameters with which the browser goes back to return_url. They prove nothing: the shop must ask."""
    common = {
        "app_id": shown.row["app_id"],
        "auth_app_id": shown.row["app_id"],
        "charset": "utf-8",
        "method": f"{shown.row['method']}.return",
        "timestamp": beijing(stamp(clock.now())),
        "total_amount": yuan(shown.total_fen),
        "version": "1.0",
    }
    if shown.row["merge_no"]:
        common["out_merge_no"] = shown.row["merge_no"]
    else:
        only = shown.trades[0]
        common |= {name: only[name] for name in ("out_trade_no", "trade_no", "seller_id")}
    return signed_form(key, common)


def _order(state: State, biz: Mapping[str, Any], app_id: str, device: str) -> Order:
    order = dict(biz)
    app = state.row("SELECT * FROM app WHERE app_id = ?", app_id)
    if app is None:
        raise invalid("app_id")
    if text(order, "product_code") != PRODUCT_CODES[device]:
        raise invalid("product_code")
    seller_id = text(order, "seller_id") or app["seller_id"]
    if seller_id != app["seller_id"]:
        raise business("ACQ.SELLER_NOT_EXIST", "卖家与应用签约的账号不一致")
    subject = text(order, "subject")
    if not 1 <= len(subject) <= 256 or re.search(r"[/=&\x00-\x1f]", subject):
        raise invalid("subject")
    return Order(app_id, trade_number(order), seller_id, fen_of(order, "total_amount"), subject)


def _merged(state: State, biz: dict[str, Any], device: str) -> tuple[list[Order], str, datetime]:
    details = biz.get("order_details")
    if (
        not isinstance(details, list)
        or not 1 <= len(details) <= 20
        or not all(isinstance(each, dict) for each in details)
    ):
        raise invalid("order_details")
    orders = [_order(state, each, text(each, "app_id"), device) for each in details]
    if len({(each.app_id, each.out_trade_no) for each in orders}) != len(orders):
        raise invalid("order_details 中订单重复")
    return orders, request_number(biz, "out_merge_no"), _expiry(biz)


def _expiry(biz: dict[str, Any]) -> datetime:
    """time_expire (Beijing) or timeout_express (``30m``, ``2h``, ``1d``); fifteen days if neither is given."""
    at = clock.now() + timedelta(days=15)
    if written := text(biz, "time_expire"):
        at = moment(written, "time_expire")
    elif express := text(biz, "timeout_express"):
        match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", express)
        if match is None:
            raise invalid("timeout_express")
        at = clock.now() + timedelta(**{_UNITS[match[2]]: int(match[1])})
    if at <= clock.now():
        raise invalid("绝对超时时间已过")
    return at


def _as_json(orders: list[Order]) -> str:
    return json.dumps([asdict(each) for each in orders], ensure_ascii=False)
