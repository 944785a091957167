"""The file that a bank gets: one payment a line, written as its form says, and safe to open in a spreadsheet.

What a form cannot hold is told before anything is written; what was written is read back as it was.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import SpooledTemporaryFile

import xlsxwriter

from marketplace.foundation.money import parse_yuan
from marketplace.foundation.sheet import first_sheet, text_of
from marketplace.settlement import payout_preset
from marketplace.settlement.payout_form import Form

AT_ONCE = 2_000  # lines written in one piece
IN_MEMORY = 1024 * 1024  # bytes of a workbook; a larger one lies in a file until it is read
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Row:
    """One payment as the bank gets it; amount in fen. ``reference`` is our number of this one transfer, ``code`` the household's."""

    sequence: int
    name: str
    id_number: str
    bank: str
    account: str
    fen: int
    purpose: str
    township: str
    village: str
    number: str = ""
    reference: str = ""
    code: str = ""


@dataclass(frozen=True)
class Total:
    """What a line of totals says: payments and their sum."""

    rows: int
    fen: int


@dataclass(frozen=True)
class Unwritable:
    """A value that a form cannot hold: whose, which, and the characters that do not go in."""

    sequence: int
    name: str
    value: str
    characters: str


def yuan(fen: int) -> str:
    """``2240`` fen as ``22.40``: no grouping, as banks read it."""
    return f"{fen // 100}.{fen % 100:02d}"


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_RISKY) else cell


def bare(cell: str) -> str:
    """A cell without what was put around it so that a spreadsheet leaves it alone."""
    return cell.strip().strip("\t'＇").strip()


def write(rows: Iterable[Row], form: Form | None = None) -> bytes:
    """A whole file in memory: for one that is known to be small."""
    rows = list(rows)
    return b"".join(chunks(rows, form, Total(len(rows), sum(row.fen for row in rows))))


def chunks(rows: Iterable[Row], form: Form | None = None, total: Total | None = None) -> Iterator[bytes]:
    """A file in pieces, lines ended by CRLF. UnicodeEncodeError for what the encoding cannot hold: see ``unwritable``."""
    form = form or payout_preset.form(payout_preset.FIRST)
    each = chain(_before(form, total), (cells(row, form) for row in rows), _after(form, total))
    return _workbook(each, form) if form.kind == "xlsx" else _text(each, form)


def lines(rows: Iterable[Row], form: Form, total: Total | None = None) -> list[list[str]]:
    """The file as lines of cells, as a preview shows it."""
    return [list(cells_) for cells_ in chain(_before(form, total), (cells(row, form) for row in rows), _after(form, total))]


def cells(row: Row, form: Form) -> list[str]:
    """One payment's cells, in the order of the form."""
    return [_cell(row, column.value, column.text, form) for column in form.columns]


def unwritable(rows: Iterable[Row], form: Form) -> Iterator[Unwritable]:
    """Every value that the form cannot hold, with whose it is."""
    for row in rows:
        for cell, column in zip(cells(row, form), form.columns, strict=True):
            wrong = _wrong(cell, form)
            if wrong:
                yield Unwritable(row.sequence, row.name, column.value, wrong)


def read_back(path: Path, form: Form) -> Iterator[tuple[str, str, int]]:
    """(name, account, fen) of each payment of a file that was written by ``chunks``, in its order; a text is never whole in memory."""
    found = _read_workbook(path) if form.kind == "xlsx" else _read_text(path, form)
    name, account, amount = (form.place(value) for value in ("name", "account", "amount"))
    assert name is not None and account is not None and amount is not None
    last: list[str] | None = None
    for line in islice(found, (form.total == "first") + form.heading, None):
        if last is not None:
            yield bare(last[name]), bare(last[account]), _fen(last[amount], form)
        last = line
    if last is not None and form.total != "last":
        yield bare(last[name]), bare(last[account]), _fen(last[amount], form)


def money(fen: int, form: Form) -> str:
    """An amount as the form writes it."""
    return str(fen) if form.money == "fen" else yuan(fen)


def _cell(row: Row, value: str, text: str, form: Form) -> str:
    if value in ("text", "empty"):
        return safe(text) if value == "text" and form.kind == "csv" else text
    if value == "amount":
        return money(row.fen, form)
    if value == "sequence":
        return str(row.sequence)
    cell: str = getattr(row, value)
    if value == "purpose":
        cell = cell[: form.remark]
    if form.kind == "xlsx":
        return cell
    cell = safe(cell)
    if value == "account" and form.account != "plain" and cell == row.account:
        return f"{cell}\t" if form.account == "tab" else f"'{cell}"
    return cell


def _wrong(cell: str, form: Form) -> str:
    """The characters that the form cannot hold."""
    if form.kind == "xlsx":
        return ""
    wrong = []
    for character in dict.fromkeys(cell.removesuffix("\t") if form.account == "tab" else cell):
        if form.separator != "," and character in (form.separator, '"', "\r", "\n"):
            wrong.append(character)
            continue
        try:
            character.encode(form.encoding)
        except UnicodeEncodeError:
            wrong.append(character)
    return "".join(wrong)


def _before(form: Form, total: Total | None) -> Iterator[list[str]]:
    if form.total == "first" and total is not None:
        yield [str(total.rows), money(total.fen, form)]
    if form.heading:
        yield [safe(column.heading) if form.kind == "csv" else column.heading for column in form.columns]


def _after(form: Form, total: Total | None) -> Iterator[list[str]]:
    if form.total == "last" and total is not None:
        last = [""] * len(form.columns)
        last[form.place("amount") or 0] = money(total.fen, form)
        words = next(place for place in range(len(last) + 1) if place == len(last) or not last[place])
        last[words:words + 1] = [f"合计 {total.rows} 笔"]
        yield last


def _text(each: Iterator[list[str]], form: Form) -> Iterator[bytes]:
    encoding = form.encoding
    while some := list(islice(each, AT_ONCE)):
        if form.separator == ",":
            out = io.StringIO(newline="")
            csv.writer(out).writerows(some)
            text = out.getvalue()
        else:
            # Banks that take such files know no quotes: what would need them is told beforehand (``unwritable``).
            text = "".join(f"{form.separator.join(line)}\r\n" for line in some)
        yield text.encode(encoding)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding  # the mark stands once, at the beginning


def _workbook(each: Iterator[list[str]], form: Form) -> Iterator[bytes]:
    """Numbers of accounts and people as text; amounts as numbers, so that the bank's own sum works. No text becomes a formula."""
    with SpooledTemporaryFile(max_size=IN_MEMORY) as out:
        book = xlsxwriter.Workbook(out, {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
        sheet = book.add_worksheet()
        number = book.add_format({"num_format": "0" if form.money == "fen" else "0.00"})
        text = book.add_format({"num_format": "@"})
        sheet.set_column(0, len(form.columns), 22)
        amount = form.place("amount")
        first = (form.total == "first") + form.heading
        for line, row in enumerate(each):
            for place, cell in enumerate(row):
                if place == amount and line >= first:
                    sheet.write_number(line, place, float(cell), number)
                elif cell:
                    sheet.write_string(line, place, cell, text)
        book.close()
        out.seek(0)
        yield from iter(lambda: out.read(1 << 16), b"")


def _fen(cell: str, form: Form) -> int:
    return int(cell) if form.money == "fen" else parse_yuan(cell)


def _read_text(path: Path, form: Form) -> Iterator[list[str]]:
    with path.open(encoding=form.encoding, newline="") as text:
        if form.separator == ",":
            yield from csv.reader(text)
        else:
            yield from (line.rstrip("\r\n").split(form.separator) for line in text)


def _read_workbook(path: Path) -> Iterator[list[str]]:
    return ([text_of(cell) for cell in row] for row in first_sheet(path.read_bytes()))
