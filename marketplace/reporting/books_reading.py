"""The books as people read them: what each account held at a day, and the entries behind it.

An entry counts for a day by its month, and within it by when it was posted: what came late stands in the month that was open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import account
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.period import ClosedPeriod, PeriodBalance

_ITS_LINES = (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id)


@dataclass(frozen=True)
class TrialRow:
    """All accounts of a kind: turnover on either side since the beginning, and what they hold (debit positive)."""

    kind: str
    accounts: int
    debit_fen: int
    credit_fen: int

    @property
    def fen(self) -> int:
        return self.debit_fen - self.credit_fen


def trial_balance(on: date, book: int | None = None) -> list[TrialRow]:
    """What every kind of account turned over and held at the end of a Beijing day: of one book, or of all. Kinds in their order.

    Closed months come from their balances, which are kept; only what is younger is added up from its lines.
    """
    month = clock.period_of(on)
    until = select(func.coalesce(func.max(ClosedPeriod.period), "")).where(ClosedPeriod.period < month).scalar_subquery()
    closed = select(PeriodBalance.account_id, PeriodBalance.debit_fen.label("debit"), PeriodBalance.credit_fen.label("credit"))
    since = (
        select(
            JournalLine.account_id,
            case((JournalLine.fen > 0, JournalLine.fen), else_=0).label("debit"),
            case((JournalLine.fen < 0, -JournalLine.fen), else_=0).label("credit"),
        )
        .join(JournalEntry, _ITS_LINES)
        .where(JournalLine.period > until, _by(on))
    )
    both = closed.where(PeriodBalance.period <= until).union_all(since).subquery()
    query = (
        select(Account.kind, func.count(Account.id.distinct()), func.sum(both.c.debit), func.sum(both.c.credit))
        .join(both, both.c.account_id == Account.id)
        .group_by(Account.kind)
    )
    if book is not None:
        query = query.where(Account.book == book)
    found = {row[0]: TrialRow(row[0], int(row[1]), int(row[2]), int(row[3])) for row in db.session.execute(query)}
    return [found[kind] for kind in account.KINDS if kind in found]


def entries(
    *, book: int | None, kind: str = "", account_id: int | None = None, account_kind: str = "", period: str = "",
    since: date | None = None, until: date | None = None,
) -> Select[Any]:  # fmt: skip
    """A query of entries, the newest first: of a book, a kind, a month, an account or accounts of a kind, posted between two days."""
    query = select(JournalEntry).order_by(JournalEntry.id.desc())
    if book is not None:
        query = query.where(JournalEntry.book == book)
    if kind:
        query = query.where(JournalEntry.kind == kind)
    if period:
        query = query.where(JournalEntry.period == period)
    if account_id is not None or account_kind:
        lines = select(JournalLine.entry_id).where(_ITS_LINES)
        if account_id is not None:
            lines = lines.where(JournalLine.account_id == account_id)
        if account_kind:
            lines = lines.join(Account, Account.id == JournalLine.account_id).where(Account.kind == account_kind)
        query = query.where(lines.exists())
    if since is not None:
        query = query.where(JournalEntry.posted_at >= clock.beijing_midnight(since))
    if until is not None:
        query = query.where(JournalEntry.posted_at < clock.beijing_midnight(until + timedelta(days=1)))
    return query


def lines_of(entry: JournalEntry) -> Select[JournalLine, Account]:
    """A query of an entry's lines with their accounts, in order."""
    return (
        select(JournalLine, Account)
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalLine.period == entry.period, JournalLine.entry_id == entry.id)
        .order_by(JournalLine.line_no)
    )


def relatives(entry: JournalEntry) -> list[JournalEntry]:
    """Entries of the same cause, what this one reverses and what reverses it; oldest first."""
    other = aliased(JournalEntry)
    query = (
        select(other)
        .where(
            other.id != entry.id,
            or_(
                and_(other.source_type == entry.source_type, other.source_id == entry.source_id),
                other.reverses_id == entry.id,
                other.id == (entry.reverses_id or 0),
            ),
        )
        .order_by(other.id)
        .limit(50)
    )
    return list(db.session.scalars(query))


def months(book: int | None) -> Sequence[Any]:
    """(month, entries, debits in fen, ClosedPeriod or None), the newest first: of one book, or of all."""
    query = (
        select(JournalEntry.period, func.count(), func.sum(JournalEntry.gross), ClosedPeriod)
        .outerjoin(ClosedPeriod, ClosedPeriod.period == JournalEntry.period)
        .group_by(JournalEntry.period, *ClosedPeriod.__table__.columns)
        .order_by(JournalEntry.period.desc())
    )
    if book is not None:
        query = query.where(JournalEntry.book == book)
    return db.session.execute(query).all()


def _by(on: date) -> ColumnElement[bool]:
    month = clock.period_of(on)
    return or_(
        JournalEntry.period < month,
        and_(JournalEntry.period == month, JournalEntry.posted_at < clock.beijing_midnight(on + timedelta(days=1))),
    )
