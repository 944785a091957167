"""A seller takes money from its balance to its bank account, which may refuse it. Alipay offers that on its own pages only, so here it is a
button of the console."""

import hashlib

from marketplace.emulator import bill
from marketplace.emulator.field import stamp
from marketplace.emulator.refusal import business
from marketplace.emulator.state import State
from marketplace.foundation import clock


def withdraw(state: State, seller_id: str, fen: int) -> str:
    """Take ``fen`` out of the balance at once; Alipay's number of it. Refused with PAYER_BALANCE_NOT_ENOUGH beyond the balance."""
    if fen <= 0:
        raise business("INVALID_PARAMETER", "提现金额要大于零")
    with state.transaction() as write:
        if state.row("SELECT 1 FROM app WHERE seller_id = ?", seller_id) is None:
            raise business("INVALID_PARAMETER", "没有这个商家")
        now = clock.now()
        if fen > bill.balance(state, seller_id, now):
            raise business("PAYER_BALANCE_NOT_ENOUGH", "余额不足")
        before = state.row("SELECT count(*) AS n FROM withdrawal WHERE seller_id = ?", seller_id)
        assert before is not None
        # Derived from the seller and the count, so that a simulation repeats to the letter.
        digest = hashlib.sha256(f"{seller_id}/{before['n']}".encode()).digest()
        order_id = f"{now.astimezone(clock.BEIJING):%Y%m%d}2400{int.from_bytes(digest[:8]) % 10**16:016d}"
        write.execute("INSERT INTO withdrawal (order_id, seller_id, fen, sent_at) VALUES (?, ?, ?, ?)", (order_id, seller_id, fen, stamp(now)))
    return order_id


def refuse(state: State, order_id: str) -> None:
    """The bank does not take it: what was taken is in the balance again, by a movement of its own under the same number."""
    with state.transaction() as write:
        row = state.row("SELECT back_at FROM withdrawal WHERE order_id = ?", order_id)
        if row is None:
            raise business("INVALID_PARAMETER", "没有这笔提现")
        if row["back_at"]:
            raise business("INVALID_PARAMETER", "这笔提现已经退回")
        write.execute("UPDATE withdrawal SET back_at = ? WHERE order_id = ?", (stamp(clock.now()), order_id))
