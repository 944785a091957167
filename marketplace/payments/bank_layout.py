"""The layout of a bank's statement: which column is what, in whichever encoding and with whatever lines above the header.

Reading never guesses an amount or a day: a row that cannot be read is reported with its line and the reason.
"""

import csv
import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime

from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import FEN_MAX, parse_yuan

# What banks call each column; the first name found counts.
COLUMNS: dict[str, tuple[str, ...]] = {
    "day": ("交易日期", "交易时间", "记账日期", "入账日期", "日期"),
    "income": ("收入金额", "贷方金额", "贷方发生额", "收入", "贷方"),
    "expense": ("支出金额", "借方金额", "借方发生额", "支出", "借方"),
    "payer_name": ("对方户名", "对方名称", "付款人名称", "付款方户名", "对方单位"),
    "payer_account": ("对方账号", "对方帐号", "付款人账号", "付款方账号"),
    "remark": ("摘要", "用途"),
    "postscript": ("附言", "备注"),
    "serial": ("流水号", "交易流水号", "核心流水号", "交易流水", "凭证号"),
}
_NEEDED = ("day", "income")
_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%Y.%m.%d", "%Y年%m月%d日")


@dataclass(frozen=True)
class Credit:
    """A row that brought money. ``fen`` is positive; ``serial`` is the bank's, or the hash of the row and how often it came."""

    line: int
    received_on: date
    fen: int
    payer_name: str
    payer_account: str
    remark: str
    serial: str


@dataclass(frozen=True)
class BadRow:
    """A row that was not taken: its line in the file, a code, and the text as it stands there."""

    line: int
    code: str
    text: str


@dataclass
class Reading:
    """What a file holds: ``rows`` under the header, the credits among them, how many are debits, and what could not be read."""

    rows: int = 0
    debits: int = 0
    credits: list[Credit] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)


def read(content: bytes) -> Reading:
    """The rows of a statement in UTF-8 (with or without mark) or GB18030. InvalidInput ``statement.encoding``, ``statement.header``."""
    text = _decoded(content)
    rows = _rows(text)
    found = next(((number, _columns(cells)) for number, cells in rows if _columns(cells)), None)
    if found is None:
        raise InvalidInput("statement.header", N_("没找到表头：文件里要有“交易日期”和“收入金额”两列。"), field="file")
    header, columns = found
    reading = Reading()
    seen: Counter[str] = Counter()
    serials: set[str] = set()
    for number, cells in rows:
        if number <= header or not any(cells):
            continue
        reading.rows += 1
        _read_row(reading, number, {name: cells[i] if i < len(cells) else "" for name, i in columns.items()}, cells, seen, serials)
    return reading


def _read_row(
    reading: Reading, number: int, row: dict[str, str], cells: list[str], seen: Counter[str], serials: set[str]
) -> None:
    def bad(code: str) -> None:
        reading.bad.append(BadRow(number, code, ",".join(cells)[:200]))

    income, expense = row["income"], row.get("expense", "")
    if _nothing(income):
        if _nothing(expense):
            bad("amount.none")
        else:
            reading.debits += 1
        return None
    try:
        fen = parse_yuan(income)
    except ValueError:
        return bad("amount.bad")
    if not 0 < fen <= FEN_MAX:
        return bad("amount.bad")
    if not _nothing(expense):
        return bad("amount.both")
    day = _day(row["day"])
    if day is None or day > clock.business_date():
        return bad("day.bad")
    parts = [row.get("remark", ""), row.get("postscript", "")]
    remark = " ".join(part for part in parts if part)[:300]
    name, account = row.get("payer_name", "")[:120], row.get("payer_account", "")
    serial = row.get("serial", "")
    if len(serial) > 80:
        return bad("serial.long")
    if serial in serials:
        return bad("serial.twice")
    if serial:
        serials.add(serial)
    else:
        # Two transfers may be alike in every column: the second of a day is told from the first by its count.
        whole = "\x1f".join([f"{day}", f"{fen}", name, account, remark])
        seen[whole] += 1
        serial = "row:" + hashlib.sha256(f"{whole}\x1f{seen[whole]}".encode()).hexdigest()[:40]
    reading.credits.append(Credit(number, day, fen, name, account, remark, serial))
    return None


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise InvalidInput("statement.encoding", N_("这个文件读不出来。请从网银另存为 CSV 再传。"), field="file")


def _rows(text: str) -> list[tuple[int, list[str]]]:
    lines = text.splitlines()
    delimiter = "\t" if sum(line.count("\t") for line in lines) > sum(line.count(",") for line in lines) else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    # Banks add a tab or an apostrophe to long numbers, so that spreadsheets leave them alone.
    try:
        return [(reader.line_num, [cell.strip().strip("\t'＇").strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise InvalidInput("statement.encoding", N_("这个文件读不出来。请从网银另存为 CSV 再传。"), field="file") from error


def _columns(cells: list[str]) -> dict[str, int]:
    """Column names → places of a header line; empty if this line is none."""
    plain = [re.sub(r"[\s（(].*$", "", cell) for cell in cells]
    places = {}
    for name, spellings in COLUMNS.items():
        for spelling in spellings:
            if spelling in plain:
                places[name] = plain.index(spelling)
                break
    # 摘要/附言 in one column is common too.
    for i, cell in enumerate(plain):
        if "/" in cell and "remark" not in places and any(part in COLUMNS["remark"] for part in cell.split("/")):
            places["remark"] = i
    return places if all(name in places for name in _NEEDED) else {}


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
