"""Posting: the only door into the ledger. One call writes one whole entry, its lines in a single statement.

One source has one entry of a kind, however often and from however many threads it is posted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import clock
from marketplace.foundation.database import broke_unique, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import month, period
from marketplace.ledger.entry import JournalEntry, JournalLine


class AlreadyPosted(Conflict):
    """This source has its entry of this kind; a repeat posts nothing."""


class PeriodClosed(Conflict):
    """The month is closed; what came late is posted to the open one, with its own ``event_at``."""


@dataclass(frozen=True)
class Line:
    """``fen`` debit positive, credit negative."""

    account_id: int
    fen: int


@dataclass(frozen=True)
class Source:
    """What caused an entry: a row's table and id; ``seq`` when one row causes several of one kind."""

    type: str
    id: int
    seq: int = 0


@dataclass(frozen=True)
class Draft:
    """An entry to be posted. ``period`` (YYYY-MM) is the present one unless named; ``event_at`` when it happened, if earlier."""

    kind: str
    source: Source
    book: int
    lines: Sequence[Line]
    event_at: datetime | None = None
    period: str | None = None
    scheme_version_id: int | None = None
    reverses_id: int | None = None


def post(
    *,
    kind: str,
    source: Source,
    book: int,
    lines: Sequence[Line],
    event_at: datetime | None = None,
    period: str | None = None,
    scheme_version_id: int | None = None,
    reverses_id: int | None = None,
) -> int:
    """Post one entry and return its id. Zero lines are dropped.

    Raises AlreadyPosted if the source has its entry of this kind (nothing is written, the transaction goes on), ValueError if
    the lines do not sum to zero or fewer than two are left.
    """
    return post_many([Draft(kind, source, book, lines, event_at, period, scheme_version_id, reverses_id)])[0]


def post_many(drafts: Sequence[Draft]) -> list[int]:
    """Post entries together, all or none; their ids in the order given. Raises as ``post`` does."""
    if not drafts:
        return []
    posted_at = clock.now()
    headers = [header_of(draft, posted_at) for draft in drafts]
    _must_be_open(headers, posted_at)
    lines = [[line for line in draft.lines if line.fen] for draft in drafts]
    on_postgresql = db.session.get_bind().dialect.name == "postgresql"
    if on_postgresql:
        month.must_exist({header["period"] for header in headers})
    write = _write_postgresql if on_postgresql else _write_sqlite
    try:
        if len(drafts) == 1:
            return write(headers, lines)
        # Within a savepoint, so that a repeat among them leaves no header without lines behind.
        with db.session.begin_nested():
            return write(headers, lines)
    except IntegrityError as error:
        # Closed between our look and our line: at midnight, or by someone in a hurry.
        if "month is closed" in str(error.orig):
            raise _closed(headers[0]["period"]) from error
        raise


def _must_be_open(headers: list[dict[str, Any]], now: datetime) -> None:
    """The database refuses a closed month anyway; who names an older month than the present one is told beforehand."""
    oldest = min(header["period"] for header in headers)
    if oldest < clock.period_of(clock.business_date(now)) and oldest <= period.last_closed():
        raise _closed(oldest)


def _closed(which: str) -> PeriodClosed:
    return PeriodClosed("period.closed", N_("%(period)s 已经结账，不能再记账；请记入当月。"), period=which)


def reverse(entry_id: int, *, source: Source, kind: str = "reversed", at: datetime | None = None) -> int:
    """Undo an entry by a new one with every line negated, in the present period. Raises AlreadyPosted as ``post`` does."""
    entry = db.session.get_one(JournalEntry, entry_id)
    its = (JournalLine.period == entry.period) & (JournalLine.entry_id == entry_id)
    query = select(JournalLine.account_id, JournalLine.fen).where(its).order_by(JournalLine.line_no)
    lines = [Line(account_id, -fen) for account_id, fen in db.session.execute(query)]
    return post(kind=kind, source=source, book=entry.book, lines=lines, event_at=at, reverses_id=entry_id)


def header(draft: Draft) -> dict[str, Any]:
    """What ``post`` would write of the entry itself, once its month is there and open. PeriodClosed."""
    made = header_of(draft, clock.now())
    _must_be_open([made], made["posted_at"])
    month.must_exist([made["period"]])
    return made


def write_header(row: dict[str, Any]) -> int:
    """Write an entry whose lines follow in one statement, in this transaction; its id. AlreadyPosted as ``post``."""
    on_postgresql = db.session.get_bind().dialect.name == "postgresql"
    return (_headers_postgresql if on_postgresql else _headers_sqlite)([row])[0]


def header_of(draft: Draft, posted_at: datetime) -> dict[str, Any]:
    kept = [line.fen for line in draft.lines if line.fen]
    if len(kept) < 2 or sum(kept) != 0:
        raise ValueError(f"{draft.kind} of {draft.source}: {len(kept)} lines that sum to {sum(kept)} fen")
    return {
        "book": draft.book,
        "kind": draft.kind,
        "source_type": draft.source.type,
        "source_id": draft.source.id,
        "source_seq": draft.source.seq,
        "reverses_id": draft.reverses_id,
        "period": draft.period or clock.period_of(clock.business_date(posted_at)),
        "currency": "CNY",
        "n_lines": len(kept),
        "gross": sum(fen for fen in kept if fen > 0),
        "scheme_version_id": draft.scheme_version_id,
        "event_at": draft.event_at or posted_at,
        "posted_at": posted_at,
    }


def _already(header: dict[str, Any]) -> AlreadyPosted:
    return AlreadyPosted(
        "entry.posted",
        N_("这一笔已经记过账，没有再记第二次。"),
        kind=header["kind"],
        source=f"{header['source_type']}:{header['source_id']}:{header['source_seq']}",
    )


def _headers_sqlite(headers: list[dict[str, Any]]) -> list[int]:
    # One writer at a time: the next numbers can be counted, and the statements be prepared once for all rows.
    last = db.session.scalar(select(func.max(JournalEntry.id))) or 0
    ids = list(range(last + 1, last + 1 + len(headers)))
    try:
        db.session.execute(
            insert(JournalEntry.__table__),  # type: ignore[arg-type]
            [{"id": number, **header} for number, header in zip(ids, headers, strict=True)],
        )
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        raise _already(headers[0]) from None
    return ids


def _write_sqlite(headers: list[dict[str, Any]], lines: list[list[Line]]) -> list[int]:
    ids = _headers_sqlite(headers)
    db.session.connection().exec_driver_sql(
        "INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) VALUES (?, ?, ?, ?, ?)",
        _rows(headers, ids, lines),
    )
    return ids


def _rows(
    headers: list[dict[str, Any]], ids: list[int], lines: list[list[Line]]
) -> list[tuple[str, int, int, int, int]]:
    return [
        (header["period"], number, line_no, line.account_id, line.fen)
        for number, header, group in zip(ids, headers, lines, strict=True)
        for line_no, line in enumerate(group, start=1)
    ]


_TYPES = {
    "book": "bigint",
    "kind": "text",
    "source_type": "text",
    "source_id": "bigint",
    "source_seq": "bigint",
    "reverses_id": "bigint",
    "period": "text",
    "currency": "text",
    "n_lines": "bigint",
    "gross": "bigint",
    "scheme_version_id": "bigint",
    "event_at": "timestamptz",
    "posted_at": "timestamptz",
}
# Put together from the table of types above: nothing from outside is in it.
_HEADERS = text(
    f"INSERT INTO journal_entry ({', '.join(_TYPES)}) "  # noqa: S608
    f"SELECT * FROM unnest({', '.join(f'CAST(:{name} AS {kind}[])' for name, kind in _TYPES.items())}) "
    "ON CONFLICT (kind, source_type, source_id, source_seq) DO NOTHING RETURNING id, kind, source_type, source_id, source_seq"
)
# Entries and lines in one statement: one way to the server and back. An entry whose source has one already is left out, with its lines.
_KEY = ("kind", "source_type", "source_id", "source_seq")
_SAME = " AND ".join(f"h.{name} = a.{name}" for name in _KEY)
_WHOLE = (
    f"WITH asked AS (SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in _TYPES.values())}) "  # noqa: S608
    f"WITH ORDINALITY AS a({', '.join(_TYPES)}, place)), "
    f"h AS (INSERT INTO journal_entry ({', '.join(_TYPES)}) SELECT {', '.join(_TYPES)} FROM asked ORDER BY place "
    f"ON CONFLICT ({', '.join(_KEY)}) DO NOTHING RETURNING id, period, {', '.join(_KEY)}), "
    "l AS (INSERT INTO journal_line (period, entry_id, line_no, account_id, fen) "
    "SELECT h.period, h.id, x.line_no, x.account_id, x.fen "
    "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS x(place, line_no, account_id, fen) "
    f"JOIN asked a ON a.place = x.place JOIN h ON {_SAME}) "
    f"SELECT a.place, h.id FROM asked a JOIN h ON {_SAME}"
)


def _headers_postgresql(headers: list[dict[str, Any]]) -> list[int]:
    # A second poster of one source waits here for the first, and then gets no row back.
    columns = {name: [header[name] for header in headers] for name in _TYPES}
    made = {tuple(row[1:]): int(row[0]) for row in db.session.execute(_HEADERS, columns)}
    ids: list[int] = []
    for header in headers:
        number = made.pop(
            (header["kind"], header["source_type"], header["source_id"], header["source_seq"]), None
        )
        if number is None:
            raise _already(header)
        ids.append(number)
    return ids


def _write_postgresql(headers: list[dict[str, Any]], lines: list[list[Line]]) -> list[int]:
    # A second poster of one source waits here for the first, and then gets no row back.
    columns = [[header[name] for header in headers] for name in _TYPES]
    rows = [
        (place, line_no, line.account_id, line.fen)
        for place, group in enumerate(lines, start=1)
        for line_no, line in enumerate(group, start=1)
    ]
    columns += [list(column) for column in zip(*rows, strict=True)]
    answer = db.session.connection().exec_driver_sql(_WHOLE, tuple(columns))
    made: dict[int, int] = {row[0]: row[1] for row in answer}
    for place, header in enumerate(headers, start=1):
        if place not in made:
            raise _already(header)
    return [int(made[place]) for place in range(1, len(headers) + 1)]
