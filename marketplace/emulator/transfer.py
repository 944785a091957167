"""A transfer from a seller's balance to a person, known by its out_biz_no: repeating it changes nothing.

Who is paid is decided by the payee's identity, so that a test chooses its trouble: ``closed…`` has no open account, a name
``不符`` does not match. Other ends are ordered as faults, or made later at the console (``end``). Fund-out methods are open to
applications with certificates only. Money leaves the balance with SUCCESS and is back with REFUND.
"""

import hashlib
import json
from typing import Any

from marketplace.emulator import bill, fault
from marketplace.emulator.field import beijing, fen_of, request_number, stamp, text, yuan
from marketplace.emulator.refusal import business
from marketplace.emulator.state import State
from marketplace.foundation import clock

LEAST_FEN, MOST_FEN = 10, 5_000_000
NO_ACCOUNT = "PAYEE_ACC_STATUS_ERROR"
ENDS = {"DEALING": ("SUCCESS", "FAIL"), "SUCCESS": ("REFUND",)}  # what may follow


def transfer(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.fund.trans.uni.transfer: done at once, or refused with nothing kept."""
    out_biz_no, fen = request_number(biz, "out_biz_no"), fen_of(biz, "trans_amount")
    for name, only in (("product_code", "TRANS_ACCOUNT_NO_PWD"), ("biz_scene", "DIRECT_TRANSFER")):
        if text(biz, name) != only:
            raise business("INVALID_PARAMETER", f"参数无效：{name}")
    payee = biz.get("payee_info")
    if not isinstance(payee, dict) or text(payee, "identity_type") not in ("ALIPAY_USER_ID", "ALIPAY_LOGON_ID") or not text(payee, "identity"):
        raise business("INVALID_PARAMETER", "参数无效：payee_info")
    payee = {name: value for name, value in payee.items() if value is not None}
    said = json.dumps([payee.get(each, "") for each in ("identity", "identity_type", "name")], ensure_ascii=False)
    with state.transaction() as write:
        found = state.row("SELECT * FROM transfer WHERE app_id = ? AND out_biz_no = ?", app_id, out_biz_no)
        if found is None:
            app = state.row("SELECT * FROM app WHERE app_id = ?", app_id)
            assert app is not None
            struck = {each.kind for each in fault.take(state, "transfer", out_biz_no)}
            _must_go(state, app["seller_id"], fen, payee, short="transfer_short" in struck)
            status = "FAIL" if "transfer_fail" in struck else "DEALING" if "transfer_dealing" in struck else "SUCCESS"
            now = clock.now()
            write.execute(
                "INSERT INTO transfer (app_id, out_biz_no, order_id, seller_id, fen, payee, title, status, error_code, sent_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (app_id, out_biz_no, f"{now.astimezone(clock.BEIJING):%Y%m%d}1100{_digits(app_id, out_biz_no)}", app["seller_id"], fen,
                 said, text(biz, "order_title"), status, NO_ACCOUNT if status == "FAIL" else "", stamp(now)),
            )  # fmt: skip
            found = state.row("SELECT * FROM transfer WHERE app_id = ? AND out_biz_no = ?", app_id, out_biz_no)
        assert found is not None
        if (found["fen"], found["payee"]) != (fen, said):
            raise business("PAYMENT_INFO_INCONSISTENCY", "两次请求商户单号一样，但是参数不一致")
    return {
        "order_id": found["order_id"],
        "out_biz_no": out_biz_no,
        "pay_fund_order_id": found["order_id"],
        "status": found["status"],
        "trans_date": beijing(found["sent_at"]),
    }


def transfer_query(state: State, app_id: str, biz: dict[str, Any]) -> dict[str, str]:
    """alipay.fund.trans.common.query. ORDER_NOT_EXIST while nothing of the number is known."""
    found = state.row(
        "SELECT * FROM transfer WHERE app_id = ? AND (out_biz_no = ? OR order_id = ?)",
        app_id, text(biz, "out_biz_no") or "-", text(biz, "order_id") or "-",
    )  # fmt: skip
    if found is None:
        raise business("ORDER_NOT_EXIST", "转账订单不存在")
    why = {"error_code": found["error_code"], "fail_reason": "收款方账户状态异常"} if found["error_code"] else {}
    return why | {
        "order_id": found["order_id"],
        "out_biz_no": found["out_biz_no"],
        "pay_date": beijing(found["sent_at"]),
        "pay_fund_order_id": found["order_id"],
        "status": found["status"],
        "trans_amount": yuan(found["fen"]),
    }


def end(state: State, app_id: str, out_biz_no: str, status: str) -> None:
    """One that was under way succeeds or fails; one that succeeded comes back (REFUND). Refused for any other change."""
    with state.transaction() as write:
        found = state.row("SELECT * FROM transfer WHERE app_id = ? AND out_biz_no = ?", app_id, out_biz_no)
        if found is None or status not in ENDS.get(found["status"], ()):
            raise business("INVALID_PARAMETER", "这笔转账不能这样变")
        now = stamp(clock.now())
        write.execute(
            "UPDATE transfer SET status = ?, error_code = ?, sent_at = ?, ended_at = ? WHERE app_id = ? AND out_biz_no = ?",
            (status, "" if status == "SUCCESS" else NO_ACCOUNT, now if found["status"] == "DEALING" else found["sent_at"], now, app_id, out_biz_no),
        )


def _must_go(state: State, seller_id: str, fen: int, payee: dict[str, Any], *, short: bool) -> None:
    if fen < LEAST_FEN:
        raise business("EXCEED_LIMIT_SM_MIN_AMOUNT", "单笔最低 0.10 元")
    if fen > MOST_FEN:
        raise business("EXCEED_LIMIT_SM_AMOUNT", "单笔最高 50000 元")
    if text(payee, "identity").startswith("closed"):
        raise business("PAYEE_ACC_STATUS_ERROR", "收款方账户状态异常")
    if text(payee, "identity_type") == "ALIPAY_LOGON_ID" and not text(payee, "name"):
        raise business("INVALID_PARAMETER", "参数无效：name")
    if text(payee, "name") == "不符":
        raise business("PAYEE_USER_INFO_ERROR", "支付宝账号和姓名不匹配")
    if short or fen > bill.balance(state, seller_id, clock.now()):
        raise business("PAYER_BALANCE_NOT_ENOUGH", "付款方余额不足")


def _digits(app_id: str, out_biz_no: str) -> str:
    digest = hashlib.sha256(f"{app_id}/{out_biz_no}".encode()).digest()
    return f"{int.from_bytes(digest[:8]) % 10**16:016d}"
