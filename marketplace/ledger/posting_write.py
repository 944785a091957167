"""How entries are written, for each database: one of them in one statement, many of them in a handful, however many lines.

Past the session (``driver``): this runs at every order and payment. What is refused here is refused by the database.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import driver
from marketplace.foundation.database import broke_unique, insert_many


class Header(NamedTuple):
    """An entry without its lines: the columns of ``journal_entry`` but its number."""

    book: int
    kind: str
    source_type: str
    source_id: int
    source_seq: int
    reverses_id: int | None
    period: str
    currency: str
    n_lines: int
    gross: int
    scheme_version_id: int | None
    event_at: datetime
    posted_at: datetime


Lines = Sequence[tuple[int, int]]  # account's id, fen; numbered from 1 in their order
_HEADERS = ("id", *Header._fields)
_LINE = ("period", "entry_id", "line_no", "account_id", "fen")
# Put together from names above: nothing from outside is in these statements.
_COLUMNS = ", ".join(Header._fields)
_MARKS = ", ".join("?" * len(Header._fields))
_ONCE = "ON CONFLICT (kind, source_type, source_id, source_seq) DO NOTHING"  # a second poster of one source waits here for the first
_HEADER = f"INSERT INTO journal_entry ({_COLUMNS}) VALUES ({_MARKS}) {_ONCE} RETURNING id"  # noqa: S608
_ENTRY = (  # header and lines in one statement: one way to the server and back
    f"WITH h AS ({_HEADER}), l AS (INSERT INTO journal_line ({', '.join(_LINE)}) "  # noqa: S608
    "SELECT ?, h.id, x.line_no, x.account_id, x.fen FROM h, unnest(?::bigint[], ?::bigint[]) WITH ORDINALITY x(account_id, fen, line_no)) SELECT id FROM h"
)
_NUMBERED = f"INSERT INTO journal_entry (id, {_COLUMNS}) VALUES (?, {_MARKS})"  # noqa: S608
_AT_ONCE = 500  # lines of one statement on SQLite, which may have some 30,000 values


def one(row: Header, lines: Lines) -> int | None:
    """Write one entry; its number, or None if its source has one already: then it is not written."""
    if driver.on_postgresql():
        accounts, fens = driver.array(account_id for account_id, _ in lines), driver.array(fen for _, fen in lines)
        made = driver.rows(_ENTRY, *row, row.period, accounts, fens)
        return int(made[0][0]) if made else None
    number = header(row)
    if number is not None:
        _lines_sqlite(_rows(row, number, lines))
    return number


def header(row: Header) -> int | None:
    """Write an entry whose lines follow at once; its number, or None if its source has one already."""
    if driver.on_postgresql():
        made = driver.rows(_HEADER, *row)
        return int(made[0][0]) if made else None
    number = number_sqlite()
    try:
        driver.rows(_NUMBERED, number, *row)
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        return None
    return number


def many(rows: Sequence[Header], lines: Sequence[Lines]) -> list[int]:
    """Write entries together; their numbers, in this order. IntegrityError if one of their sources has its entry: see ``repeated``."""
    numbers = _numbers_postgresql(len(rows)) if driver.on_postgresql() else _numbers_sqlite(len(rows))
    if driver.on_postgresql():
        driver.copy("journal_entry", _HEADERS, _headers_text(rows, numbers))
        driver.copy("journal_line", _LINE, "".join(map(_text, rows, numbers, lines)))
    else:
        insert_many("journal_entry", _HEADERS, ((number, *row) for number, row in zip(numbers, rows, strict=True)))
        _lines_sqlite(list(chain.from_iterable(map(_rows, rows, numbers, lines))))
    return numbers


def repeated(rows: Sequence[Header]) -> Header | None:
    """The first of these whose source has its entry of this kind already, or that stands here twice."""
    seen = set()
    for row in rows:
        key = (row.kind, row.source_type, row.source_id, row.source_seq)
        found = "SELECT 1 FROM journal_entry WHERE kind = ? AND source_type = ? AND source_id = ? AND source_seq = ?"
        if key in seen or driver.rows(found, *key):
            return row
        seen.add(key)
    return None


def _rows(row: Header, number: int, lines: Lines) -> list[tuple[str, int, int, int, int]]:
    period = row.period
    return [(period, number, line_no, account_id, fen) for line_no, (account_id, fen) in enumerate(lines, 1)]


def _lines_sqlite(rows: Sequence[tuple[str, int, int, int, int]]) -> None:
    """Many lines a statement: to begin and end one costs more than a line does."""
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        driver.rows(_lines_statement(len(some)), *chain.from_iterable(some))


@lru_cache(maxsize=64)
def _lines_statement(count: int) -> str:
    return f"INSERT INTO journal_line ({', '.join(_LINE)}) VALUES " + ", ".join(["(?, ?, ?, ?, ?)"] * count)  # noqa: S608


def _headers_text(rows: Sequence[Header], numbers: Sequence[int]) -> str:
    """Headers as COPY reads them. Texts and moments are mostly the same ones: each is written once."""
    written = _Written()
    return "".join(
        f"{number}\t{book}\t{written[kind]}\t{written[source_type]}\t{source_id}\t{source_seq}\t{_NOTHING if reverses_id is None else reverses_id}"
        f"\t{written[period]}\t{written[currency]}\t{n_lines}\t{gross}\t{_NOTHING if scheme_id is None else scheme_id}"
        f"\t{written[event_at]}\t{written[posted_at]}\n"
        for number, (
            book, kind, source_type, source_id, source_seq, reverses_id, period, currency, n_lines, gross, scheme_id, event_at, posted_at
        ) in zip(numbers, rows, strict=True)
    )  # fmt: skip


class _Written(dict[str | datetime, str]):
    """By value, how COPY reads it."""

    def __missing__(self, value: str | datetime) -> str:
        text = self[value] = str(value).translate(_ESCAPED)
        return text


_NOTHING = "\\N"
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _text(row: Header, number: int, lines: Lines) -> str:
    """The same as COPY reads it; a month is never anything that it would read otherwise."""
    before = f"{row.period}\t{number}\t"
    return "".join([f"{before}{line_no}\t{account_id}\t{fen}\n" for line_no, (account_id, fen) in enumerate(lines, 1)])


def number_sqlite(on: Connection | None = None) -> int:
    """SQLite has one writer at a time, so the next numbers can be counted: the first of them."""
    ((last,),) = driver.rows("SELECT coalesce(max(id), 0) FROM journal_entry", on=on)
    return int(last) + 1


def _numbers_sqlite(count: int) -> list[int]:
    first = number_sqlite()
    return list(range(first, first + count))


def _numbers_postgresql(count: int) -> list[int]:
    # Whoever draws a number must already show as a running transaction: the balance's horizon trusts in it.
    driver.rows("SELECT pg_current_xact_id()")
    return [row[0] for row in driver.rows("SELECT nextval('journal_entry_id_seq') FROM generate_series(1, ?)", count)]
