"""A journal entry and its lines: what happened to the money of one book, once and for ever.

Lines (debit positive, fen) sum to zero. Neither entries nor lines are ever changed or deleted, and an entry is whole when its
last line is in: the database refuses everything else (``triggers``). Corrections are new entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    literal_column,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db
from marketplace.ledger.account import Account


class JournalLine(Model):
    """One account's part. Numbered from 1 without gaps.

    No foreign keys: they would cost two look-ups a line, and the check of the whole entry looks at header and accounts anyway.
    On PostgreSQL each month is a partition of its own. A month gets its index by account when it is closed: until then the index would
    cost more than all else. On SQLite the table is without rowid, so that REPLACE has no second key to aim at.
    """

    __tablename__ = "journal_line"
    __table_args__ = (
        CheckConstraint("fen <> 0", name="fen"),
        {
            "sqlite_with_rowid": False,
            "postgresql_partition_by": "RANGE (period)",
            "info": {"granted": "SELECT, INSERT"},
        },
    )

    period: Mapped[str] = mapped_column(String(7), primary_key=True)
    entry_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    line_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int]
    fen: Mapped[int]


_REVERSES = text("reverses_id IS NOT NULL")  # hardly any does


class JournalEntry(Model):
    """The header. ``gross`` is the sum of its debits; ``period`` the open period it was posted in, ``event_at`` when it happened.

    An entry without its lines is impossible to commit: a deferred trigger, on SQLite a deferred key of what is open.
    """

    __tablename__ = "journal_entry"
    __table_args__ = (
        UniqueConstraint("kind", "source_type", "source_id", "source_seq"),
        # On PostgreSQL the check of the lines holds it: each account is of this book, and an account's book is an organisation. The key
        # would make all who post to one cooperative lock its row.
        ForeignKeyConstraint(["book"], ["organisation.id"], name="fk_journal_entry_book").ddl_if(dialect="sqlite"),
        CheckConstraint("n_lines >= 2", name="n_lines"),
        CheckConstraint("gross > 0", name="gross"),
        CheckConstraint("period LIKE '____-__'", name="period"),
        Index("ix_journal_entry_source", "source_type", "source_id"),
        Index("ix_journal_entry_reverses_id", "reverses_id", sqlite_where=_REVERSES, postgresql_where=_REVERSES),
        Index("ix_journal_entry_book_period", "book", "period", "id"),
        {"info": {"granted": "SELECT, INSERT"}},
    )

    # Said aloud, because a column of a foreign key does not count up by itself.
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    book: Mapped[int]
    kind: Mapped[str] = mapped_column(String(40))
    source_type: Mapped[str] = mapped_column(String(40))
    source_id: Mapped[int]
    source_seq: Mapped[int] = mapped_column(default=0)
    reverses_id: Mapped[int | None] = mapped_column(ForeignKey("journal_entry.id"))
    period: Mapped[str] = mapped_column(String(7))  # YYYY-MM, Beijing
    currency: Mapped[str] = mapped_column(String(3), default="CNY")
    n_lines: Mapped[int]
    gross: Mapped[int]
    # The version of the split scheme that was frozen on the order; catalogue stands above the ledger, so it is a bare number.
    scheme_version_id: Mapped[int | None]
    event_at: Mapped[datetime]
    posted_at: Mapped[datetime]


@dataclass(frozen=True)
class BookLine:
    """A line as an account book shows it."""

    kind: str
    owner_ref: str
    fen: int


def book_lines(entry_id: int) -> list[BookLine]:
    """The lines of an entry with their accounts, in order; debit positive."""
    query = (
        select(Account.kind, Account.owner_ref, JournalLine.fen)
        .join(
            JournalEntry,
            (JournalEntry.period == JournalLine.period) & (JournalEntry.id == JournalLine.entry_id),
        )
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.id == entry_id)
        .order_by(JournalLine.line_no)
    )
    return [BookLine(*row) for row in db.session.execute(query)]


def of_accounts(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """(Entry's id, line's number) of every line of these few accounts, oldest first: in closed months by their index."""
    query = select(JournalLine.entry_id, JournalLine.line_no)
    if db.session.get_bind().dialect.name != "sqlite":
        found = db.session.execute(query.where(JournalLine.account_id.in_(numbers)))
        return sorted((entry_id, line_no) for entry_id, line_no in found)
    # Each month as a word of the statement and each account by itself: SQLite does not see otherwise that the month's index will do.
    months = [JournalLine.period == literal_column(f"'{each}'") for each in db.session.scalars(_MONTHS)]
    every = (union_all(*(query.where(JournalLine.account_id == number, month) for month in months)) for number in numbers if months)
    return sorted((entry_id, line_no) for each in every for entry_id, line_no in db.session.execute(each))


# Every month that has lines, each by one look at the key.
_MONTHS = text(
    "WITH RECURSIVE month (period) AS (SELECT min(period) FROM journal_line UNION ALL "
    "SELECT (SELECT min(l.period) FROM journal_line l WHERE l.period > month.period) FROM month WHERE month.period IS NOT NULL) "
    "SELECT period FROM month WHERE period IS NOT NULL"
)


def of_source(source_type: str, source_id: int, kind: str | None = None) -> list[JournalEntry]:
    """The entries that this source caused, oldest first; of one kind, if named."""
    query = select(JournalEntry).where(
        JournalEntry.source_type == source_type, JournalEntry.source_id == source_id
    )
    if kind is not None:
        query = query.where(JournalEntry.kind == kind)
    return list(db.session.scalars(query.order_by(JournalEntry.id)))
