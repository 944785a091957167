"""Posting: the only door into the ledger. One call writes one whole entry, its lines in a single statement.

One source has one entry of a kind, however often and from however many threads it is posted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from marketplace.foundation import clock, driver
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import month, period, posting_write
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.posting_write import Header


class AlreadyPosted(Conflict):
    """This source has its entry of this kind; a repeat posts nothing."""


class PeriodClosed(Conflict):
    """The month is closed; what came late is posted to the open one, with its own ``event_at``."""


class Line(NamedTuple):
    """``fen`` debit positive, credit negative."""

    account_id: int
    fen: int


class Source(NamedTuple):
    """What caused an entry: a row's table and id; ``seq`` when one row causes several of one kind."""

    type: str
    id: int
    seq: int = 0


class Draft(NamedTuple):
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
    present = _present(posted_at)
    headers, lines = [], []
    for draft in drafts:
        its = [line for line in draft.lines if line[1]]
        headers.append(_header(draft, its, posted_at, present))
        lines.append(its)
    _must_be_open(headers, present)
    try:
        if len(drafts) == 1:
            number = posting_write.one(headers[0], lines[0])
            if number is None:
                raise already(headers[0])
            return [number]
        # Within a savepoint, so that a repeat among them leaves no header without lines behind.
        with driver.opened().begin_nested():
            return posting_write.many(headers, lines)
    except IntegrityError as error:
        # Closed between our look and our line: at midnight, or by someone in a hurry.
        if "month is closed" in str(error.orig):
            raise _closed(headers[0].period) from error
        if len(drafts) > 1 and (repeated := posting_write.repeated(headers)):
            raise already(repeated) from None
        raise


def _present(moment: datetime) -> str:
    return clock.period_of(clock.business_date(moment))


def _must_be_open(headers: Sequence[Header], present: str) -> None:
    """Make the months that are not there. The database refuses a closed one anyway; who names an older month than the present one
    is told beforehand."""
    periods = {header.period for header in headers}
    oldest = min(periods)
    if oldest < present and oldest <= period.last_closed():
        raise _closed(oldest)
    month.must_exist(periods)


def _closed(which: str) -> PeriodClosed:
    return PeriodClosed("period.closed", N_("%(period)s 已经结账，不能再记账；请记入当月。"), period=which)


def reverse(entry_id: int, *, source: Source, kind: str = "reversed", at: datetime | None = None) -> int:
    """Undo an entry by a new one with every line negated, in the present period. Raises AlreadyPosted as ``post`` does."""
    entry = db.session.get_one(JournalEntry, entry_id)
    its = (JournalLine.period == entry.period) & (JournalLine.entry_id == entry_id)
    query = select(JournalLine.account_id, JournalLine.fen).where(its).order_by(JournalLine.line_no)
    lines = [Line(account_id, -fen) for account_id, fen in db.session.execute(query)]
    return post(kind=kind, source=source, book=entry.book, lines=lines, event_at=at, reverses_id=entry_id)


def header(draft: Draft) -> Header:
    """What ``post`` would write of the entry itself, once its month is there and open. PeriodClosed."""
    posted_at = clock.now()
    present = _present(posted_at)
    made = _header(draft, draft.lines, posted_at, present)
    _must_be_open([made], present)
    return made


def write_header(row: Header) -> int:
    """Write an entry whose lines follow in one statement, in this transaction; its id. AlreadyPosted as ``post``."""
    number = posting_write.header(row)
    if number is None:
        raise already(row)
    return number


def _header(draft: Draft, lines: Sequence[Line], posted_at: datetime, present: str) -> Header:
    """Of ``lines``, none of them zero."""
    fens = [fen for _, fen in lines]
    if len(fens) < 2 or sum(fens) != 0:
        raise ValueError(f"{draft.kind} of {draft.source}: {len(fens)} lines that sum to {sum(fens)} fen")
    return Header(
        book=draft.book,
        kind=draft.kind,
        source_type=draft.source.type,
        source_id=draft.source.id,
        source_seq=draft.source.seq,
        reverses_id=draft.reverses_id,
        period=draft.period or present,
        currency="CNY",
        n_lines=len(fens),
        gross=sum(fen for fen in fens if fen > 0),
        scheme_version_id=draft.scheme_version_id,
        event_at=draft.event_at or posted_at,
        posted_at=posted_at,
    )


def already(header: Header) -> AlreadyPosted:
    """The error that says so."""
    return AlreadyPosted(
        "entry.posted",
        N_("这一笔已经记过账，没有再记第二次。"),
        kind=header.kind,
        source=f"{header.source_type}:{header.source_id}:{header.source_seq}",
    )
