"""Reading a statement: every row in the order in which it happened, what the bank says of account and balances, and what cannot be read.

Reading never guesses an amount or a day: a row that cannot be read is reported with its line and the reason. Where the bank writes
the balance after each row, every row must lead from one to the next: a file from which a row was taken, or in which an amount was
changed, does not add up and is refused whole.
"""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import FEN_MAX, format_yuan, parse_yuan
from marketplace.payments import bank_file, bank_layout
from marketplace.payments.bank_layout import Layout

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y年%m月%d日")
# Lines under the rows that are none: sums, remarks, who printed it.
_FOOT = re.compile(r"^[*#\-\s]*(合计|总计|小计|共计|本页|本期|累计|期初|期末|上期|承前|过次|打印|制表|说明|注[:：]|备注[:：]|温馨提示|以下空白|收入笔数|支出笔数|借方笔数|贷方笔数)")
_ACCOUNT = re.compile(r"(?:账\s*号|帐\s*号|卡\s*号|账户)[^0-9*＊]{0,12}([0-9*＊][0-9*＊ ]{6,40})")
_OPENING = re.compile(r"(?:期初余额|上期余额|承前余额|上页余额)[^0-9\-]{0,8}(-?[0-9][0-9,]*(?:\.[0-9]{1,2})?)")
_CLOSING = re.compile(r"(?:期末余额|本期余额|结存余额)[^0-9\-]{0,8}(-?[0-9][0-9,]*(?:\.[0-9]{1,2})?)")


@dataclass(frozen=True)
class Row:
    """A row of a statement. ``fen`` is positive for what came in; ``serial`` is the bank's, or the hash of the row and how often it came."""

    line: int
    day: date
    fen: int
    name: str
    account: str
    remark: str
    serial: str
    balance_fen: int | None = None


@dataclass(frozen=True)
class BadRow:
    """A row that was not taken: its line in the file, a code, and the text as it stands there."""

    line: int
    code: str
    text: str


@dataclass
class Reading:
    """What a file holds: its rows in the order of time, what could not be read, and what the bank says beside them."""

    layout: Layout
    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    account: str = ""  # the account it is of, as far as the bank tells, perhaps with stars
    opening_fen: int | None = None
    closing_fen: int | None = None

    @property
    def count(self) -> int:
        """Rows under the header, readable or not."""
        return len(self.rows) + len(self.bad)

    @property
    def credits(self) -> list[Row]:
        return [row for row in self.rows if row.fen > 0]

    @property
    def debits(self) -> list[Row]:
        return [row for row in self.rows if row.fen < 0]


class UnknownLayout(InvalidInput):
    """Nobody knows which column is what: the clerk is asked."""

    def __init__(self) -> None:
        super().__init__("statement.header", N_("没找到表头：文件里要有“交易日期”和“收入金额”两列。"), field="file")


def read(content: bytes, organisation_id: int | None = None) -> Reading:
    """The rows of a file, read as the cooperative chose or as its header tells.

    Raises UnknownLayout, InvalidInput as ``bank_file.lines``, and ``statement.chain`` if the balances do not lead from row to row.
    """
    lines = bank_file.lines(content)
    layout = bank_layout.of(lines, organisation_id)
    if layout is None:
        raise UnknownLayout
    reading = Reading(layout)
    beside = []
    for number, cells in lines:
        if number <= layout.header or not any(cells):
            beside += [cells] if number < layout.header else []
        elif _is_foot(cells, layout):
            beside.append(cells)
        else:
            _read_row(reading, number, cells)
    _heard_beside(reading, beside)
    _must_lead(reading)
    _name_rows(reading)
    return reading


def _is_foot(cells: Sequence[str], layout: Layout) -> bool:
    first = next(cell for cell in cells if cell)
    place = layout.columns["day"]
    dated = place < len(cells) and bool(re.match(r"[0-9]", cells[place]))
    return not dated and (bool(_FOOT.match(first)) or sum(bool(cell) for cell in cells) == 1)


def _read_row(reading: Reading, number: int, cells: Sequence[str]) -> None:
    columns = reading.layout.columns
    row = {name: cells[place] if place < len(cells) else "" for name, place in columns.items()}

    def bad(code: str) -> None:
        reading.bad.append(BadRow(number, code, ",".join(cells)[:200]))

    fen, wrong = _amount(row, reading.layout.amounts)
    if wrong:
        return bad(wrong)
    day = _day(row["day"])
    if day is None or day > clock.business_date():
        return bad("day.bad")
    balance = _signed(row["balance"]) if row.get("balance") else None
    if row.get("balance") and balance is None:
        return bad("balance.bad")
    serial = row.get("serial", "")
    if len(serial) > 70:
        return bad("serial.long")
    remark = " ".join(part for part in (row.get("remark", ""), row.get("postscript", "")) if part)[:300]
    if row.get("own_account"):
        reading.account = reading.account or row["own_account"]
    reading.rows.append(
        Row(number, day, fen, row.get("payer_name", "")[:120], row.get("payer_account", "")[:60], remark, serial.strip("0") and serial, balance)
    )
    return None


def _amount(row: dict[str, str], way: str) -> tuple[int, str]:
    """Signed fen, or the code of what is wrong."""
    if way == "columns":
        income, expense = row["income"], row.get("expense", "")
        if _nothing(income) and _nothing(expense):
            return 0, "amount.none"
        if not _nothing(income) and not _nothing(expense):
            return 0, "amount.both" if _signed(income) else "amount.bad"
        fen = _signed(expense if _nothing(income) else income)
        if fen is None or not 0 < fen <= FEN_MAX:
            return 0, "amount.bad"
        return (-fen if _nothing(income) else fen), ""
    if _nothing(row["amount"]):
        return 0, "amount.none"
    fen = _signed(row["amount"])
    if fen is None or not 0 < abs(fen) <= FEN_MAX:
        return 0, "amount.bad"
    if way == "sign":
        return fen, ""
    said = re.sub(r"[\s()（）]", "", row["direction"]).lower()
    sign = 1 if said in bank_layout.CREDIT else -1 if said in bank_layout.DEBIT else 0
    # Some banks write the sign as well; where the two differ nobody can know which is right.
    if not sign or (fen < 0 and sign > 0):
        return 0, "direction.bad"
    return sign * abs(fen), ""


def _signed(cell: str) -> int | None:
    text = cell.strip().replace("−", "-").replace("－", "-")
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_yuan(text.lstrip("+-").strip())
    except ValueError:
        return None


def _nothing(cell: str) -> bool:
    return cell in ("", "-", "--", "—") or re.fullmatch(r"0+(\.0*)?", cell) is not None


def _day(cell: str) -> date | None:
    words = cell.split()
    if not words:
        return None
    # 20261123 14:05, 2026-11-23T14:05:00 and 20261123140500 name the same day.
    first = words[0].split("T")[0]
    if re.fullmatch(r"[0-9]{14}", first):
        first = first[:8]
    for form in _DAYS:
        try:
            return datetime.strptime(first, form).date()  # noqa: DTZ007 -- a day of the bank's calendar has no time zone
        except ValueError:
            continue
    return None


def _heard_beside(reading: Reading, beside: list[list[str]]) -> None:
    text = "\n".join(" ".join(cell for cell in cells if cell) for cells in beside)
    told = _ACCOUNT.search(text)
    if told and not reading.account:
        reading.account = told[1]
    for pattern, name in ((_OPENING, "opening_fen"), (_CLOSING, "closing_fen")):
        found = pattern.search(text)
        if found:
            setattr(reading, name, _signed(found[1]))


def _must_lead(reading: Reading) -> None:
    """Put the rows into the order of time, and see that each balance follows from the one before, and the last from the first."""
    rows = reading.rows
    if rows and all(row.balance_fen is not None for row in rows):
        falls, rises = _broken(rows[::-1]), _broken(rows)
        if rises and not falls:
            reading.rows = rows = rows[::-1]
        elif rises:
            raise _does_not_lead(falls if falls and rows[0].day > rows[-1].day else rises)
        first, last = rows[0], rows[-1]
        opening, closing = _balance(first) - first.fen, _balance(last)
        if reading.opening_fen not in (None, opening):
            raise _does_not_lead(first)
        if reading.closing_fen not in (None, closing):
            raise _does_not_lead(last)
        reading.opening_fen, reading.closing_fen = opening, closing
    elif rows and rows[0].day > rows[-1].day:
        reading.rows = rows = rows[::-1]
    if reading.opening_fen is not None and reading.closing_fen is not None:
        told = reading.opening_fen + sum(row.fen for row in rows)
        if told != reading.closing_fen:
            raise InvalidInput(
                "statement.chain", N_("期初余额加上各行是 %(told)s，文件里的期末余额却是 %(said)s。文件不完整或被改过，没有导入。"),
                field="file", told=format_yuan(told), said=format_yuan(reading.closing_fen),
            )  # fmt: skip


def _broken(rows: Sequence[Row]) -> Row | None:
    pairs = itertools.pairwise(rows)
    return next((row for before, row in pairs if _balance(before) + row.fen != _balance(row)), None)


def _balance(row: Row) -> int:
    assert row.balance_fen is not None
    return row.balance_fen


def _does_not_lead(row: Row) -> InvalidInput:
    return InvalidInput(
        "statement.chain", N_("第 %(line)s 行的余额和上下行接不上。文件不完整或被改过，没有导入。请从网银重新下载。"), field="file", line=row.line
    )


def _name_rows(reading: Reading) -> None:
    """Give each row the name by which it is known again: the bank's number, or the hash of the row and how often it came that day."""
    seen: Counter[str] = Counter()
    taken: dict[str, Row] = {}
    named = []
    for row in reading.rows:
        serial = row.serial
        if not serial:
            # Two transfers may be alike in every column: the second of a day is told from the first by its balance or its count.
            whole = "\x1f".join([f"{row.day}", f"{row.fen}", row.name, row.account, row.remark])
            whole += f"\x1f{row.balance_fen}" if row.balance_fen is not None else ""
            seen[whole] += 1
            serial = "row:" + hashlib.sha256(f"{whole}\x1f{seen[whole]}".encode()).hexdigest()[:40]
        elif serial in taken:
            if (taken[serial].fen, taken[serial].day, taken[serial].balance_fen) == (row.fen, row.day, row.balance_fen):
                reading.bad.append(BadRow(row.line, "serial.twice", f"{row.serial} {row.day} {format_yuan(row.fen)}"))
                continue
            # A transfer and its charge may share one number.
            seen[serial] += 1
            serial = f"{serial}#{seen[serial] + 1}"
        taken.setdefault(serial, row)
        named.append(replace(row, serial=serial))
    reading.rows = named
    reading.bad.sort(key=lambda each: each.line)
