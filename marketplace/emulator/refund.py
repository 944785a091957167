"""A refund of a trade, known by its out_request_no. Repeating it changes nothing; refunds never pass what was paid."""

from typing import Any

from marketplace.emulator import fault, notice
from marketplace.emulator.field import beijing, fen_of, request_number, stamp, text, yuan
from marketplace.emulator.refusal import business
from marketplace.emulator.state import State
from marketplace.emulator.trade import BUYER_LOGON_ID, close, find
from marketplace.foundation import clock


def refund(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.trade.refund. ``fund_change`` is Y when money moved now, N for a repeat; ``refund_fee`` is cumulative."""
    fen = fen_of(biz, "refund_amount")
    with state.transaction() as write:
        trade = find(state, app_id, text(biz, "out_trade_no"), text(biz, "trade_no"))
        # Without a number of its own Alipay takes the trade's, so that only one such refund can ever be.
        request_no = (
            request_number(biz, "out_request_no") if biz.get("out_request_no") else trade["out_trade_no"]
        )
        before = state.row(
            "SELECT * FROM refund WHERE app_id = ? AND out_trade_no = ? AND out_request_no = ?",
            app_id, trade["out_trade_no"], request_no,
        )  # fmt: skip
        if before is not None:
            if before["fen"] != fen:
                raise business("ACQ.DISCORDANT_REPEAT_REQUEST", "请求信息不一致")
            return _node(trade, "N")
        if trade["status"] == "TRADE_FINISHED":
            raise business("ACQ.TRADE_HAS_FINISHED", "交易已完结")
        left = trade["total_fen"] - trade["refunded_fen"]
        if not trade["paid_at"] or left == 0:
            raise business("ACQ.TRADE_STATUS_ERROR", "交易状态不合法")
        if fen > left:
            raise business("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL", "退款金额超限")
        refunded = trade["refunded_fen"] + fen
        # The fee goes back in proportion; reckoned on the running total, it comes out exact when all is refunded.
        fee_back = _fee_share(trade, refunded) - _fee_share(trade, trade["refunded_fen"])
        now = stamp(clock.now())
        write.execute(
            "INSERT INTO refund (app_id, out_trade_no, out_request_no, fen, fee_back_fen, reason, refunded_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (app_id, trade["out_trade_no"], request_no, fen, fee_back, text(biz, "refund_reason"), now),
        )
        write.execute(
            "UPDATE trade SET refunded_fen = ?, status = CASE WHEN ? = total_fen THEN 'TRADE_CLOSED' ELSE status END,"
            " closed_at = CASE WHEN ? = total_fen THEN ? ELSE closed_at END WHERE trade_no = ?",
            (refunded, refunded, refunded, now, trade["trade_no"]),
        )
        trade = find(state, app_id, trade["out_trade_no"])
        notice.announce(state, trade, request_no=request_no)
    return _node(trade, "Y")


def cancel(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.trade.cancel: what waits is closed, what is paid goes back whole, and what never was is no fault."""
    number = text(biz, "out_trade_no")
    told = {"out_trade_no": number, "retry_flag": "N"}
    with state.transaction():
        known = state.row("SELECT 1 FROM trade WHERE app_id = ? AND out_trade_no = ?", app_id, number)
        if known is None:
            return told
        trade = find(state, app_id, number)
        told["trade_no"] = trade["trade_no"]
        if trade["status"] == "WAIT_BUYER_PAY":
            close(state, app_id, biz)
            return told | {"action": "close"}
        left = trade["total_fen"] - trade["refunded_fen"]
        if trade["paid_at"] and left:
            refund(state, app_id, {"out_trade_no": number, "out_request_no": f"cancel-{number}"[:64], "refund_amount": yuan(left)})
            return told | {"action": "refund"}
        return told


def refund_query(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.trade.fastpay.refund.query. A refund that never was is answered with success and nothing else, or (``echoed_numbers``)
    with the numbers that were asked."""
    trade = find(state, app_id, text(biz, "out_trade_no"), text(biz, "trade_no"))
    found = state.row(
        "SELECT * FROM refund WHERE app_id = ? AND out_trade_no = ? AND out_request_no = ?",
        app_id, trade["out_trade_no"], request_number(biz, "out_request_no"),
    )  # fmt: skip
    if found is None:
        echoed = {name: biz[name] for name in ("out_trade_no", "out_request_no") if biz.get(name)} | {"trade_no": trade["trade_no"]}
        return echoed if fault.take(state, "refund_query", trade["out_trade_no"]) else {}
    return {
        "out_request_no": found["out_request_no"],
        "out_trade_no": trade["out_trade_no"],
        "refund_amount": yuan(found["fen"]),
        "refund_status": "REFUND_SUCCESS",
        "total_amount": yuan(trade["total_fen"]),
        "trade_no": trade["trade_no"],
        "gmt_refund_pay": beijing(found["refunded_at"]),
    }


def _fee_share(trade: Any, refunded_fen: int) -> int:
    share: int = (trade["fee_fen"] * refunded_fen * 2 + trade["total_fen"]) // (2 * trade["total_fen"])
    return share


def _node(trade: Any, fund_change: str) -> dict[str, str]:
    return {
        "buyer_logon_id": BUYER_LOGON_ID,
        "buyer_user_id": trade["buyer_id"],
        "fund_change": fund_change,
        "out_trade_no": trade["out_trade_no"],
        "refund_fee": yuan(trade["refunded_fen"]),
        "trade_no": trade["trade_no"],
    }
