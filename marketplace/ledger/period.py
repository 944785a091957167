"""Closing a month of the ledger: from then on the database refuses every posting to it, and to every month before it.

Whoever posts goes on posting to other months meanwhile; only the one who closes waits for those who are posting to this month.
"""

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine


class ClosedPeriod(Model):
    """A month that is closed, with what it held then. ``sha256`` is of its journal as ``journal`` writes it. Never changed."""

    __tablename__ = "closed_period"
    __table_args__ = {"info": {"granted": "SELECT, INSERT"}}  # noqa: RUF012 - SQLAlchemy's own way

    period: Mapped[str] = mapped_column(String(7), primary_key=True)
    closed_at: Mapped[datetime]
    closed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    entries: Mapped[int]
    lines: Mapped[int]
    gross: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))

    @property
    def id(self) -> int:
        """The month as a number, 202611, for the audit."""
        return int(self.period.replace("-", ""))


class PeriodBalance(Model):
    """What an account did in a closed month, and what it held at its end (debit positive). Accounts that did nothing have no row."""

    __tablename__ = "period_balance"
    __table_args__ = (
        Index("ix_period_balance_account", "account_id", "period"),
        {"sqlite_with_rowid": False, "info": {"granted": "SELECT, INSERT"}},
    )

    period: Mapped[str] = mapped_column(String(7), primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    debit_fen: Mapped[int]
    credit_fen: Mapped[int]
    fen: Mapped[int]


@dataclass(frozen=True)
class Written:
    """A month's journal: how much it is, and the hash of its text."""

    entries: int
    lines: int
    gross: int
    sha256: str


def last_closed() -> str:
    """The newest closed month (YYYY-MM); "" if none is. Every month before it is closed too."""
    return db.session.scalar(select(func.max(ClosedPeriod.period))) or ""


def oldest_open() -> str | None:
    """The oldest month with entries that is not closed."""
    return db.session.scalar(select(func.min(JournalEntry.period)).where(JournalEntry.period > last_closed()))


def lock(period: str) -> None:
    """Wait for whoever is posting to the month, and keep everybody else from it until the transaction ends."""
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(select(func.ledger_lock_month(period)))


def faults(period: str) -> list[str]:
    """What is wrong with the month's entries, looked up without believing the triggers. Empty, if nothing is."""
    wrong = db.session.execute(_FAULTS, {"period": period}).all()
    return [f"entry {row[0]}: {row[1]} of {row[2]} lines, sums to {row[3]} fen" for row in wrong]


_FAULTS = text(
    "SELECT e.id, count(l.line_no), e.n_lines, coalesce(sum(l.fen), 0) FROM journal_entry e "
    "LEFT JOIN journal_line l ON l.period = e.period AND l.entry_id = e.id LEFT JOIN account a ON a.id = l.account_id "
    "WHERE e.period = :period GROUP BY e.id, e.n_lines, e.gross, e.book "
    "HAVING count(l.line_no) <> e.n_lines OR coalesce(sum(l.fen), 0) <> 0 "
    "OR sum(CASE WHEN l.fen > 0 THEN l.fen ELSE 0 END) <> e.gross OR sum(CASE WHEN a.book = e.book THEN 0 ELSE 1 END) > 0 "
    "ORDER BY e.id LIMIT 20"
)


def write_closed(row: ClosedPeriod) -> None:
    """Record the month as closed, with the balance of each account that moved; the database refuses postings from here on."""
    db.session.add(row)
    db.session.flush()
    db.session.execute(_BALANCES, {"period": row.period})
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(select(func.ledger_close_month(row.period)))
        return
    # Months before it that nobody closed are closed with it.
    for month in db.session.scalars(select(JournalEntry.period).where(JournalEntry.period <= row.period).distinct()).all():
        its = f"_line_{month.replace('-', '_')}_account ON journal_line (account_id, entry_id) WHERE period = '{month}'"
        db.session.execute(text(f"CREATE INDEX IF NOT EXISTS {its}"))


_BALANCES = text(
    "INSERT INTO period_balance (period, account_id, debit_fen, credit_fen, fen) "
    "SELECT :period, m.account_id, m.debit_fen, m.credit_fen, m.debit_fen - m.credit_fen + coalesce("
    "(SELECT b.fen FROM period_balance b WHERE b.account_id = m.account_id AND b.period < :period ORDER BY b.period DESC LIMIT 1), 0) "
    "FROM (SELECT l.account_id, sum(CASE WHEN l.fen > 0 THEN l.fen ELSE 0 END) AS debit_fen, "
    "sum(CASE WHEN l.fen < 0 THEN -l.fen ELSE 0 END) AS credit_fen FROM journal_line l WHERE l.period = :period GROUP BY l.account_id) m"
)

COLUMNS = (
    "entry", "book", "kind", "source", "reverses", "scheme", "currency", "event_at", "posted_at", "line", "account", "fen",
)  # fmt: skip


def journal(period: str) -> Iterator[str]:
    """The month's journal as CSV, a row a line, the same to the byte whenever and wherever it is written. Ids only, no names."""
    query = (
        select(
            JournalEntry.id, JournalEntry.book, JournalEntry.kind, JournalEntry.source_type, JournalEntry.source_id,
            JournalEntry.source_seq, JournalEntry.reverses_id, JournalEntry.scheme_version_id, JournalEntry.currency,
            JournalEntry.event_at, JournalEntry.posted_at, JournalLine.line_no, Account.code, JournalLine.fen,
        )
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.period == period, JournalLine.period == period)
        .order_by(JournalEntry.id, JournalLine.line_no)
        .execution_options(yield_per=5000)
    )  # fmt: skip
    yield ",".join(COLUMNS) + "\n"
    for rows in db.session.execute(query).partitions():
        page = io.StringIO()
        csv.writer(page, lineterminator="\n").writerows(
            (
                row[0], row[1], row[2], f"{row[3]}:{row[4]}:{row[5]}", row[6], row[7], row[8],
                row[9].isoformat(), row[10].isoformat(), row[11], row[12], row[13],
            )
            for row in rows
        )  # fmt: skip
        yield page.getvalue()


def written(period: str) -> Written:
    """How much the month's journal is now, and its hash: what it must have been at closing, for ever."""
    digest = hashlib.sha256()
    lines = -1
    for page in journal(period):
        digest.update(page.encode())
        lines += page.count("\n")
    query = select(func.count(JournalEntry.id), func.coalesce(func.sum(JournalEntry.gross), 0))
    entries, gross = db.session.execute(query.where(JournalEntry.period == period)).one()
    return Written(int(entries), lines, int(gross), digest.hexdigest())
