"""A trade: one order of one seller at the gateway. Its total never changes; paid once, it is never unpaid.

WAIT_BUYER_PAY → TRADE_SUCCESS → TRADE_FINISHED or, refunded whole, TRADE_CLOSED; unpaid it ends in TRADE_CLOSED.
"""

import hashlib
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketplace.emulator import notice
from marketplace.emulator.field import beijing, stamp, text, yuan
from marketplace.emulator.refusal import business, invalid
from marketplace.emulator.state import State
from marketplace.foundation import clock

BUYER_ID = "2088999999990001"
BUYER_LOGON_ID = "159****5620"
FEE_BP = 60  # what Alipay keeps of a payment, in basis points


@dataclass(frozen=True)
class Order:
    """What a page asks to be paid: it becomes a trade when the buyer sees the cashier."""

    app_id: str
    out_trade_no: str
    seller_id: str
    total_fen: int
    subject: str


def open_trade(
    state: State, order: Order, *, expires_at: datetime, notify_url: str, merge_no: str = ""
) -> sqlite3.Row:
    """The trade of ``order``, made WAIT_BUYER_PAY if it is new. Refused if its number came with another amount before."""
    with state.transaction() as write:
        found = state.row(
            "SELECT * FROM trade WHERE app_id = ? AND out_trade_no = ?", order.app_id, order.out_trade_no
        )
        if found is None:
            now = clock.now()
            write.execute(
                "INSERT INTO trade (app_id, out_trade_no, trade_no, seller_id, total_fen, subject, status, merge_no,"
                " notify_url, buyer_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, 'WAIT_BUYER_PAY', ?, ?, ?, ?, ?)",
                (order.app_id, order.out_trade_no, _trade_no(order, now), order.seller_id, order.total_fen, order.subject,
                 merge_no, notify_url, BUYER_ID, stamp(now), stamp(expires_at)),
            )  # fmt: skip
            return find(state, order.app_id, order.out_trade_no)
        if (found["total_fen"], found["seller_id"]) != (order.total_fen, order.seller_id):
            raise business("ACQ.CONTEXT_INCONSISTENT", "交易信息被篡改")
        return _expired(state, found)


def find(state: State, app_id: str, out_trade_no: str, trade_no: str = "") -> sqlite3.Row:
    """The trade, closed first if its time is over. Refused with ACQ.TRADE_NOT_EXIST."""
    if not out_trade_no and not trade_no:
        raise invalid("out_trade_no 与 trade_no 不能同时为空")
    if trade_no:
        found = state.row("SELECT * FROM trade WHERE app_id = ? AND trade_no = ?", app_id, trade_no)
        if found is not None and out_trade_no not in ("", found["out_trade_no"]):
            found = None
    else:
        found = state.row("SELECT * FROM trade WHERE app_id = ? AND out_trade_no = ?", app_id, out_trade_no)
    if found is None:
        raise business("ACQ.TRADE_NOT_EXIST", "交易不存在")
    return _expired(state, found)


def pay(state: State, keys: list[tuple[str, str]]) -> list[sqlite3.Row]:
    """Pay these trades (app_id, out_trade_no) in one act, all of them or none, and return them.

    A trade that is paid already stays as it is; a closed one refuses the whole act with ACQ.TRADE_HAS_CLOSE.
    """
    with state.transaction() as write:
        trades = [find(state, app_id, number) for app_id, number in keys]
        if any(each["status"] == "TRADE_CLOSED" for each in trades):
            raise business("ACQ.TRADE_HAS_CLOSE", "交易已经关闭")
        for each in trades:
            if each["status"] != "WAIT_BUYER_PAY":
                continue
            fee_fen = (each["total_fen"] * FEE_BP + 5_000) // 10_000
            write.execute(
                "UPDATE trade SET status = 'TRADE_SUCCESS', paid_at = ?, fee_fen = ? WHERE trade_no = ?",
                (stamp(clock.now()), fee_fen, each["trade_no"]),
            )
            notice.announce(state, find(state, each["app_id"], each["out_trade_no"]))
        return [find(state, app_id, number) for app_id, number in keys]


def close(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.trade.close: only what still waits for its buyer can be closed."""
    with state.transaction() as write:
        trade = find(state, app_id, text(biz, "out_trade_no"), text(biz, "trade_no"))
        if trade["status"] != "WAIT_BUYER_PAY":
            raise business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        _close(state, write, trade)
    return {"out_trade_no": trade["out_trade_no"], "trade_no": trade["trade_no"]}


def finish(state: State, app_id: str, out_trade_no: str) -> None:
    """The time for refunds is over: TRADE_SUCCESS becomes TRADE_FINISHED, with a notice."""
    with state.transaction() as write:
        trade = find(state, app_id, out_trade_no)
        if trade["status"] != "TRADE_SUCCESS":
            raise business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        write.execute("UPDATE trade SET status = 'TRADE_FINISHED' WHERE trade_no = ?", (trade["trade_no"],))
        notice.announce(state, find(state, app_id, out_trade_no))


def query(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.trade.query."""
    trade = find(state, app_id, text(biz, "out_trade_no"), text(biz, "trade_no"))
    node = {
        "buyer_logon_id": BUYER_LOGON_ID,
        "buyer_user_id": trade["buyer_id"],
        "out_trade_no": trade["out_trade_no"],
        "total_amount": yuan(trade["total_fen"]),
        "trade_no": trade["trade_no"],
        "trade_status": trade["status"],
    }
    if trade["paid_at"]:
        paid = yuan(trade["total_fen"])
        node |= {
            "buyer_pay_amount": paid,
            "invoice_amount": paid,
            "point_amount": "0.00",
            "receipt_amount": paid,
            "send_pay_date": beijing(trade["paid_at"]),
        }
    return node


def close_expired(state: State) -> None:
    """Close every trade whose time to be paid is over."""
    now = stamp(clock.now())
    late = "SELECT * FROM trade WHERE status = 'WAIT_BUYER_PAY' AND expires_at <= ?"
    if state.row(late, now) is None:
        return
    with state.transaction() as write:
        for trade in state.rows(late, now):
            _close(state, write, trade)


def _expired(state: State, trade: sqlite3.Row) -> sqlite3.Row:
    if trade["status"] != "WAIT_BUYER_PAY" or trade["expires_at"] > stamp(clock.now()):
        return trade
    with state.transaction() as write:
        return _close(state, write, trade)


def _close(state: State, write: sqlite3.Connection, trade: sqlite3.Row) -> sqlite3.Row:
    changed = write.execute(
        "UPDATE trade SET status = 'TRADE_CLOSED', closed_at = ? WHERE trade_no = ? AND status = 'WAIT_BUYER_PAY'",
        (stamp(clock.now()), trade["trade_no"]),
    ).rowcount
    now = state.row("SELECT * FROM trade WHERE trade_no = ?", trade["trade_no"])
    assert now is not None
    if changed:
        notice.announce(state, now)
    return now


def _trade_no(order: Order, now: datetime) -> str:
    """28 digits beginning with the Beijing day; derived from the order, so that a simulation repeats to the letter."""
    digest = hashlib.sha256(f"{order.app_id}/{order.out_trade_no}".encode()).digest()
    return f"{now.astimezone(clock.BEIJING):%Y%m%d}2200{int.from_bytes(digest[:8]) % 10**16:016d}"
