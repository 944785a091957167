"""Rules that the ledger keeps by itself, looked up again in what is stored: a check that does not believe the triggers."""

from collections.abc import Callable

from sqlalchemy import case, func, or_, select, text

from marketplace.foundation.database import db
from marketplace.ledger import account, triggers
from marketplace.ledger.account import Account
from marketplace.ledger.balance import Balance
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.period import ClosedPeriod, PeriodBalance

_ITS_LINES = (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id)
# An owner is owed something or nothing; what others owe us cannot be less than nothing either.
_NEVER_NEGATIVE = tuple(
    kind
    for kind, of in account.KINDS.items()
    if of == account.LIABILITY or kind in ("receivable", "pool_recoverable", "village_recoverable", "fund_recoverable")
)


def guards_stand() -> list[str]:
    """Every trigger that makes the database refuse is in place; on PostgreSQL also on each month."""
    on_postgresql = db.session.get_bind().dialect.name == "postgresql"
    standing = set(db.session.scalars(text(_STANDING if on_postgresql else _STANDING_SQLITE)))
    missing = [
        f"trigger {name} is missing"
        for name in triggers.names(db.session.get_bind().dialect.name)
        if name not in standing
    ]
    return missing + (list(db.session.scalars(text(_BARE_MONTHS))) if on_postgresql else [])


_STANDING_SQLITE = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
_STANDING = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O' AND tgrelid::regclass::text NOT LIKE 'journal.%'"
_BARE_MONTHS = """
    SELECT 'trigger ' || wanted.name || ' is missing on ' || months.inhrelid::regclass
    FROM pg_inherits months CROSS JOIN (VALUES ('journal_line_whole'), ('journal_line_stays')) AS wanted (name)
    WHERE months.inhparent = 'journal_line'::regclass AND NOT EXISTS
      (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = months.inhrelid AND t.tgname = wanted.name AND t.tgenabled = 'O')
    ORDER BY 1"""


def entries_balance() -> list[str]:
    """Each entry's lines sum to zero, and its debits to its gross."""
    total = func.coalesce(func.sum(JournalLine.fen), 0)
    debits = func.coalesce(func.sum(case((JournalLine.fen > 0, JournalLine.fen), else_=0)), 0)
    query = (
        select(JournalEntry.id, total, debits, JournalEntry.gross)
        .join(JournalLine, _ITS_LINES)
        .group_by(JournalEntry.id, JournalEntry.gross)
        .having(or_(total != 0, debits != JournalEntry.gross))
    )
    return [
        f"entry {row[0]}: sums to {row[1]} fen, debits {row[2]}, gross {row[3]}"
        for row in db.session.execute(query)
    ]


def entries_whole() -> list[str]:
    """Each entry has all its lines, numbered from 1 without a gap; no line is without its entry."""
    count, first, last = (
        func.count(JournalLine.line_no),
        func.min(JournalLine.line_no),
        func.max(JournalLine.line_no),
    )
    query = (
        select(JournalEntry.id, count, JournalEntry.n_lines)
        .outerjoin(JournalLine, _ITS_LINES)
        .group_by(JournalEntry.id, JournalEntry.n_lines)
        .having(or_(count != JournalEntry.n_lines, first != 1, last != JournalEntry.n_lines))
    )
    strays = (
        select(JournalLine.entry_id)
        .outerjoin(JournalEntry, _ITS_LINES)
        .where(JournalEntry.id.is_(None))
        .distinct()
    )
    return [f"entry {entry}: {have} of {want} lines" for entry, have, want in db.session.execute(query)] + [
        f"lines of entry {entry}, which does not exist" for entry in db.session.scalars(strays)
    ]


def lines_in_their_book() -> list[str]:
    """Each line stands in an account of its entry's book and currency."""
    query = (
        select(JournalEntry.id, JournalLine.account_id)
        .join(JournalLine, _ITS_LINES)
        .outerjoin(Account, Account.id == JournalLine.account_id)
        .where(
            or_(
                Account.id.is_(None),
                Account.book != JournalEntry.book,
                Account.currency != JournalEntry.currency,
            )
        )
    )
    return [
        f"entry {entry}: account {number} is not of its book" for entry, number in db.session.execute(query)
    ]


def books_balance() -> list[str]:
    """Each book sums to zero."""
    total = func.sum(JournalLine.fen)
    query = (
        select(Account.book, total)
        .join(JournalLine, JournalLine.account_id == Account.id)
        .group_by(Account.book)
        .having(total != 0)
    )
    return [f"book {book}: sums to {fen} fen" for book, fen in db.session.execute(query)]


def balances_are_their_lines() -> list[str]:
    """Each balance snapshot is the sum of the account's lines up to its entry."""
    lines = func.coalesce(func.sum(JournalLine.fen), 0)
    query = (
        select(Balance.account_id, Balance.fen, lines)
        .outerjoin(
            JournalLine,
            (JournalLine.account_id == Balance.account_id) & (JournalLine.entry_id <= Balance.upto),
        )
        .group_by(Balance.account_id, Balance.fen)
        .having(Balance.fen != lines)
    )
    return [
        f"account {number}: snapshot {fen} fen, lines {summed}"
        for number, fen, summed in db.session.execute(query)
    ]


def nobody_owes_what_cannot_be_owed() -> list[str]:
    """No liability is negative (no household, pool or collective ever owes), nor is what others owe us."""
    total = func.sum(JournalLine.fen)
    query = (
        select(Account.code, Account.kind, total)
        .join(JournalLine, JournalLine.account_id == Account.id)
        .where(Account.kind.in_(_NEVER_NEGATIVE))
        .group_by(Account.id, Account.code, Account.kind)
        .order_by(Account.id)
    )
    held = ((code, account.natural(kind, int(fen))) for code, kind, fen in db.session.execute(query))
    return [f"account {code}: {fen} fen" for code, fen in held if fen < 0]


def closed_months_stay_as_closed() -> list[str]:
    """A closed month holds as many entries, lines and debits as at closing, and its balances follow from its lines."""
    entries = select(
        JournalEntry.period,
        func.count().label("entries"),
        func.sum(JournalEntry.n_lines).label("lines"),
        func.sum(JournalEntry.gross).label("gross"),
    ).group_by(JournalEntry.period)
    now = entries.subquery()
    changed = (
        select(ClosedPeriod.period)
        .outerjoin(now, now.c.period == ClosedPeriod.period)
        .where(
            or_(
                func.coalesce(now.c.entries, 0) != ClosedPeriod.entries,
                func.coalesce(now.c.lines, 0) != ClosedPeriod.lines,
                func.coalesce(now.c.gross, 0) != ClosedPeriod.gross,
            )
        )
    )
    # To the end of the last closed month, account by account: what the months add up to, what the last of them says, what lines say.
    until = select(func.max(ClosedPeriod.period)).scalar_subquery()
    lines = (
        select(JournalLine.account_id, func.sum(JournalLine.fen).label("fen"))
        .where(JournalLine.period <= until)
        .group_by(JournalLine.account_id)
        .subquery()
    )
    newest = (
        select(PeriodBalance.account_id, func.max(PeriodBalance.period).label("period"))
        .group_by(PeriodBalance.account_id)
        .subquery()
    )
    wrong = (
        select(lines.c.account_id, lines.c.fen, PeriodBalance.fen)
        .outerjoin(newest, newest.c.account_id == lines.c.account_id)
        .outerjoin(
            PeriodBalance,
            (PeriodBalance.account_id == newest.c.account_id) & (PeriodBalance.period == newest.c.period),
        )
        .where(func.coalesce(PeriodBalance.fen, 0) != lines.c.fen)
        .order_by(lines.c.account_id)
    )
    return [f"{month} is not what it was when it was closed" for month in db.session.scalars(changed)] + [
        f"account {number}: closed with {said} fen, its lines say {fen}"
        for number, fen, said in db.session.execute(wrong)
    ]


RULES: tuple[Callable[[], list[str]], ...] = (
    guards_stand,
    entries_balance,
    entries_whole,
    lines_in_their_book,
    books_balance,
    balances_are_their_lines,
    nobody_owes_what_cannot_be_owed,
    closed_months_stay_as_closed,
)
