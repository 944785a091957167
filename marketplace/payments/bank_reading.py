"""Reading a statement: every row in the order in which it happened, what the bank says of account and balances, and what cannot be read.

Reading never guesses an amount or a day: a row that cannot be read is reported with its line and the reason, and the others are taken. An
amount in red ink (红字: negative where it stands) takes back what stood in the other direction. Whether the balances lead from row to row is
told by ``bank_rows``.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import FEN_MAX, format_yuan, parse_yuan
from marketplace.payments import bank_file, bank_layout
from marketplace.payments.bank_file import Line
from marketplace.payments.bank_layout import Layout
from marketplace.payments.bank_rows import BACK, HASHED, LONGEST, TAKEN_BACK, BadRow, Name, Reading, Row

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y年%m月%d日")
# Lines under the rows that are none: sums, remarks, who printed it.
_FOOT = re.compile(r"^[*#\-\s]*(合计|总计|小计|共计|本页|本期|累计|期初|期末|上期|承前|过次|打印|制表|说明|注[:：]|备注[:：]|温馨提示|以下空白|收入笔数|支出笔数|借方笔数|贷方笔数)")
_ACCOUNT = re.compile(r"(?:账\s*号|帐\s*号|卡\s*号|账户)[^0-9*＊]{0,12}([0-9*＊][0-9*＊ ]{6,40})")
_OPENING = re.compile(r"(?:期初余额|上期余额|承前余额|上页余额)[^0-9\-]{0,8}(-?[0-9][0-9,]*(?:\.[0-9]{1,2})?)")
_CLOSING = re.compile(r"(?:期末余额|本期余额|结存余额)[^0-9\-]{0,8}(-?[0-9][0-9,]*(?:\.[0-9]{1,2})?)")


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
    beside, body = [], []
    for number, cells in lines:
        if number <= layout.header or not any(cells):
            beside += [cells] if number < layout.header else []
        elif _is_foot(cells, layout):
            beside.append(cells)
        else:
            body.append((number, cells))
    reading = _read_body(layout, body)
    _heard_beside(reading, beside)
    reading.must_lead()
    _name_rows(reading)
    return reading


def _is_foot(cells: Sequence[str], layout: Layout) -> bool:
    first = next(cell for cell in cells if cell)
    place = layout.columns["day"]
    dated = place < len(cells) and bool(re.match(r"[0-9]", cells[place]))
    return not dated and (bool(_FOOT.match(first)) or sum(bool(cell) for cell in cells) == 1)


def _read_body(layout: Layout, body: Sequence[Line]) -> Reading:
    """The rows. Some banks write a minus before every debit, beside its direction: then it is no red ink. One debit without a minus tells that
    the bank does not, or else the balances do."""
    debits = [_signed(row.get("amount", "")) for _, cells in body for row in [_cells_of(layout, cells)] if _direction(row) < 0]
    signed = layout.amounts == "direction" and all(fen is None or fen < 0 for fen in debits)
    readings = []
    for minus_is_usual in (True, False) if signed else (False,):
        reading = Reading(layout)
        for number, cells in body:
            _read_row(reading, number, cells, minus_is_usual)
        readings.append(reading)
    return next((reading for reading in readings if reading.leads), readings[0])


def _cells_of(layout: Layout, cells: Sequence[str]) -> dict[str, str]:
    return {name: cells[place] if place < len(cells) else "" for name, place in layout.columns.items()}


def _read_row(reading: Reading, number: int, cells: Sequence[str], minus_is_usual: bool) -> None:
    row = _cells_of(reading.layout, cells)
    fen, wrong = _amount(row, reading.layout.amounts, minus_is_usual)
    balance = _signed(row["balance"]) if row.get("balance") else None

    def bad(code: str) -> None:
        reading.bad.append(BadRow(number, code, ",".join(cells)[:200], None if wrong else fen, balance))

    if wrong:
        return bad(wrong)
    day = _day(row["day"])
    if day is None or day > clock.business_date():
        return bad("day.bad")
    if row.get("balance") and balance is None:
        return bad("balance.bad")
    serial = _whole(row.get("serial", ""))
    if len(serial) > LONGEST:
        return bad("serial.long")
    remark = " ".join(part for part in (row.get("remark", ""), row.get("postscript", "")) if part)[:300]
    own = _whole(row.get("own_account", ""))
    reading.account = reading.account or own
    reading.others |= {own} - {"", reading.account}
    reverses = _in_red(row, fen) or bool(TAKEN_BACK.search(remark))
    name, account = row.get("payer_name", "")[:120], _whole(row.get("payer_account", ""))[:60]
    reading.rows.append(Row(number, day, fen, name, account, remark, serial.strip("0") and serial, balance, reverses))
    return None


def _amount(row: dict[str, str], way: str, minus_is_usual: bool) -> tuple[int, str]:
    """Signed fen, or the code of what is wrong."""
    if way == "columns":
        income, expense = row["income"], row.get("expense", "")
        if _nothing(income) and _nothing(expense):
            return 0, "amount.none"
        if not _nothing(income) and not _nothing(expense):
            return 0, "amount.both" if _signed(income) else "amount.bad"
        fen = _signed(expense if _nothing(income) else income)
        if fen is None or not 0 < abs(fen) <= FEN_MAX:
            return 0, "amount.bad"
        return (-fen if _nothing(income) else fen), ""
    if _nothing(row["amount"]):
        return 0, "amount.none"
    fen = _signed(row["amount"])
    if fen is None or not 0 < abs(fen) <= FEN_MAX:
        return 0, "amount.bad"
    if way == "sign":
        return fen, ""
    sign = _direction(row)
    if sign < 0 and fen < 0 and minus_is_usual:
        # Taken back or taken out? Only the balance can tell.
        unclear = not row.get("balance") and TAKEN_BACK.search(row.get("remark", "") + row.get("postscript", ""))
        return (0, "direction.bad") if unclear else (fen, "")
    return (sign * fen, "") if sign else (0, "direction.bad")


def _direction(row: dict[str, str]) -> int:
    """1 for what came in, -1 for what went out, 0 if that is not known."""
    said = re.sub(r"[\s()（）]", "", row.get("direction", "")).lower()
    return 1 if said in bank_layout.CREDIT else -1 if said in bank_layout.DEBIT else 0


def _in_red(row: dict[str, str], fen: int) -> bool:
    """Whether an amount of ``fen`` stands where amounts of the other direction stand."""
    if "income" in row:
        return (fen < 0) != _nothing(row["income"])
    return _direction(row) * fen < 0


def _signed(cell: str) -> int | None:
    text = cell.strip().replace("−", "-").replace("－", "-")
    sign = -1 if text.startswith("-") else 1
    try:
        return sign * parse_yuan(text.lstrip("+-").strip())
    except ValueError:
        return None


def _whole(number: str) -> str:
    """A long number, or nothing if a spreadsheet has rounded it (2.02603E+16): two transfers may have the same beginning."""
    return "" if re.fullmatch(r"[0-9](\.[0-9]+)?[eE]\+?[0-9]+", number) else number


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


def _name_rows(reading: Reading) -> None:
    """Give each row the name by which it is known again: the bank's number, with the day where the file has that number on an earlier day too; or
    the hash of the row and how often it came that day. What the books call it goes before (``bank_known``)."""
    seen: Counter[object] = Counter()
    first: dict[tuple[str, bool], date] = {}
    named = []
    for row in reading.rows:
        if not row.serial:
            # Two transfers may be alike in every column: the second of a day is told from the first by its balance or its count.
            whole = "\x1f".join([f"{row.day}", f"{row.fen}", row.name, row.account, row.remark])
            whole += f"\x1f{row.balance_fen}" if row.balance_fen is not None else ""
            seen[whole] += 1
            serial = HASHED + hashlib.sha256(f"{whole}\x1f{seen[whole]}".encode()).hexdigest()[:40] + (BACK if row.reverses else "")
        else:
            number = (row.serial, row.reverses)
            booking = (number, row.day, row.fen, row.balance_fen)
            if seen[booking]:
                reading.bad.append(BadRow(row.line, "serial.twice", f"{row.serial} {row.day} {format_yuan(row.fen)}"))
                continue
            seen[booking] += 1
            seen[number, row.day] += 1
            begun = first.setdefault(number, row.day)
            serial = str(Name(row.serial, row.day if row.day != begun else None, seen[number, row.day], row.reverses))
        named.append(replace(row, serial=serial))
    reading.rows = named
    reading.bad.sort(key=lambda each: each.line)
