"""Entries of one debit and one credit, any number of them, written in the same breath as what caused them: a payment's, mostly.

Only in a month and between accounts that are known already: ``posting`` finds, opens and refuses. What the database refuses, it refuses here too.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from marketplace.foundation import clock, driver
from marketplace.ledger import account, month
from marketplace.ledger.posting_write import number_sqlite


class Pair(NamedTuple):
    """``fen`` moved in ``book`` from account ``credit`` to account ``debit`` at ``event_at``, because of the row ``source_id``; posted at
    ``posted_at`` into the month ``period``."""

    source_id: int
    book: int
    debit: int
    credit: int
    fen: int
    event_at: datetime
    period: str
    posted_at: datetime


# The columns of a pair, as PostgreSQL calls their types.
COLUMNS = dict(zip(Pair._fields, ("bigint", "bigint", "bigint", "bigint", "bigint", "timestamptz", "text", "timestamptz"), strict=True))


class Place(NamedTuple):
    """Where a pair is posted: the numbers of its accounts, and its month."""

    debit: int
    credit: int
    period: str


def place(book: int, debit: str, credit: str, posted_at: datetime) -> Place:
    """Where a book's pair is posted now; what does not exist is opened."""
    period = clock.period_of(clock.business_date(posted_at))
    month.must_exist([period])
    names = (book, debit, None), (book, credit, None)
    numbers = account.of_names(names)
    return Place(numbers[names[0]], numbers[names[1]], period)


def known_place(book: int, debit: str, credit: str, posted_at: datetime, *, on: Connection) -> Place | None:
    """The same past the session, where nothing is opened: None if something may have to be."""
    period = clock.period_of(clock.business_date(posted_at))
    numbers = account.known(((book, debit, None), (book, credit, None)), on=on) if month.is_known(period, on.engine) else None
    return Place(numbers[0], numbers[1], period) if numbers else None


def parts(kind: str, source_type: str, of: str) -> str:
    """PostgreSQL: the parts ``entry`` and ``line`` of a statement WITH, which post a pair for each row of ``of``, which has its columns."""
    return (
        "entry AS (INSERT INTO journal_entry "  # noqa: S608 -- names from code
        "(book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, event_at, posted_at) "
        f"SELECT book, '{kind}', '{source_type}', source_id, 0, period, 'CNY', 2, fen, event_at, posted_at FROM {of} RETURNING id, source_id), "
        "line AS (INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) "
        f"SELECT o.period, e.id, x.line_no, x.account_id, x.fen FROM entry e JOIN {of} o ON o.source_id = e.source_id "
        "CROSS JOIN LATERAL (VALUES (1, o.debit, o.fen), (2, o.credit, -o.fen)) x (line_no, account_id, fen))"
    )


_ENTRY = (
    "INSERT INTO journal_entry (id, book, kind, source_type, source_id, source_seq, period, currency, n_lines, gross, event_at, posted_at) "
    "VALUES (?, ?, ?, ?, ?, 0, ?, 'CNY', 2, ?, ?, ?)"
)
_LINES = "INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) VALUES (?, ?, ?, ?, ?)"


def write(kind: str, source_type: str, pairs: Sequence[Pair], *, on: Connection) -> None:
    """SQLite: post these in the open transaction. IntegrityError if one of them is posted already."""
    entries, lines = [], []
    for number, each in enumerate(pairs, number_sqlite(on)):
        entries.append((number, each.book, kind, source_type, each.source_id, each.period, each.fen, each.event_at, each.posted_at))
        lines += [(each.period, number, 1, each.debit, each.fen), (each.period, number, 2, each.credit, -each.fen)]
    driver.each(_ENTRY, entries, on=on)
    driver.each(_LINES, lines, on=on)
