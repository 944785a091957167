"""Reading an account bill: every movement of a seller's balance on one day. What does not lead from balance to balance is not believed."""

import csv
import hashlib
import itertools
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from marketplace.payments.alipay_bill import BadBill, detail
from marketplace.payments.alipay_outcome import fen_of, moment_of

Kind = Literal["trade", "fee", "refund", "fee_back", "transfer", "withdrawal", "other"]
KINDS: dict[str, Kind] = {
    "在线支付": "trade", "收费": "fee", "服务费": "fee", "交易退款": "refund", "退费": "fee_back", "转账": "transfer", "提现": "withdrawal",
}  # fmt: skip
_INCOME = re.compile(r"#收入合计：([0-9]+)笔，共([0-9.]+)元")
_OUTGO = re.compile(r"#支出合计：([0-9]+)笔，共-?([0-9.]+)元")


@dataclass(frozen=True)
class AccountRow:
    """One movement: ``fen`` positive for what came in, ``balance_fen`` after it. ``out_trade_no`` is ours, ``trade_no`` Alipay's."""

    serial: str
    kind: Kind
    trade_no: str
    out_trade_no: str
    fen: int
    balance_fen: int
    at: datetime
    what: str  # the kind in Alipay's words, and the remark


@dataclass(frozen=True)
class AccountBill:
    """A seller's balance on one Beijing day; its rows lead from one to the next. ``sha256`` is the zip's."""

    day: date
    seller_id: str
    rows: tuple[AccountRow, ...]
    sha256: str


def read_account_bill(packed: bytes, *, day: date, seller_id: str) -> AccountBill:
    """The account bill of ``seller_id`` and Beijing ``day`` in a downloaded zip. Raises BadBill."""
    text = detail(packed, "_账务明细.csv")
    if f"#账号：[{seller_id}" not in text or f"起始日期：[{day:%Y年%m月%d日} 00:00:00]" not in text:
        raise BadBill("other_bill")
    rows = [_row(cells) for cells in csv.DictReader(line for line in text.splitlines() if line and not line.startswith("#"))]
    for pattern, sign in ((_INCOME, 1), (_OUTGO, -1)):
        said, fens = pattern.search(text), [row.fen * sign for row in rows if row.fen * sign > 0]
        if said is None:
            raise BadBill("no_totals")
        if (int(said[1]), fen_of(said[2])) != (len(fens), sum(fens)):
            raise BadBill("totals")
    if any(before.balance_fen + row.fen != row.balance_fen for before, row in itertools.pairwise(rows)):
        raise BadBill("balances")
    if len({row.serial for row in rows}) != len(rows):
        raise BadBill("row")
    return AccountBill(day, seller_id, tuple(rows), hashlib.sha256(packed).hexdigest())


def _row(raw: dict[str, str | None]) -> AccountRow:
    if None in raw or None in raw.values():
        raise BadBill("row")
    cells = {name.strip(): (value or "").strip() for name, value in raw.items()}
    income, outgo = fen_of(cells.get("收入金额（+元）", "")), fen_of(cells.get("支出金额（-元）", "").removeprefix("-"))
    balance = cells.get("账户余额（元）", "")
    left, at, serial = fen_of(balance.removeprefix("-")), moment_of(cells.get("发生时间")), cells.get("账务流水号", "")
    if income is None or outgo is None or (income == 0) == (outgo == 0) or left is None or at is None or not 0 < len(serial) <= 64:
        raise BadBill("row")
    said = cells.get("业务类型", "")
    return AccountRow(
        serial, KINDS.get(said, "other"), cells.get("业务流水号", "")[:64], cells.get("商户订单号", "")[:64], income - outgo,
        -left if balance.startswith("-") else left, at, f"{said} {cells.get('备注', '')}".strip()[:300],
    )  # fmt: skip
