"""The whole journal as a text file for hledger or beancount, so that other people's programs can check the books.

Account names hold ids only: no organisation, buyer or household is named. Debits are positive, as in the ledger.
"""

from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import TextIO

from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import account
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine

FORMS = ("hledger", "beancount")
# Both programs know five roots, and take their names as these.
_ROOTS = {
    account.ASSET: "Assets",
    account.LIABILITY: "Liabilities",
    account.INCOME: "Income",
    account.EXPENSE: "Expenses",
    account.EQUITY: "Equity",
}


def name_of(kind: str, book: int, owner_ref: str) -> str:
    """The account's name in either program: ``Liabilities:Book3:HouseholdPool:LinkageGroup12``."""
    parts = [_ROOTS[account.class_of(kind)], f"Book{book}", _camel(kind)]
    if owner_ref:
        owner, _, number = owner_ref.partition(":")
        parts.append(f"{_camel(owner)}{number}")
    return ":".join(parts)


def write(form: str, file: TextIO) -> int:
    """Write every entry of every book in ``form`` ("hledger" or "beancount"); returns how many. Dates are Beijing days."""
    if form not in FORMS:
        raise ValueError(form)
    file.write(
        "; The journal of the county market, one entry a transaction. Amounts in CNY, debits positive.\n"
    )
    file.write("commodity 1000.00 CNY\n" if form == "hledger" else 'option "operating_currency" "CNY"\n')
    for name, opened in _accounts():
        file.write(f"account {name}\n" if form == "hledger" else f"{opened} open {name} CNY\n")
    count = 0
    for header, lines in _entries():
        count += 1
        day, number, kind, source = header
        narration = f"{kind} {source} entry {number}"
        file.write(f"\n{day} {narration}\n" if form == "hledger" else f'\n{day} * "{narration}"\n')
        for name, fen in lines:
            file.write(f"    {name}  {_yuan(fen)} CNY\n")
    return count


def _accounts() -> list[tuple[str, date]]:
    """Names of all accounts that have lines, with the day of the first, since beancount wants each opened before it is used."""
    query = (
        select(Account.kind, Account.book, Account.owner_ref, func.min(JournalEntry.event_at))
        .join(JournalLine, JournalLine.account_id == Account.id)
        .join(
            JournalEntry,
            (JournalEntry.period == JournalLine.period) & (JournalEntry.id == JournalLine.entry_id),
        )
        .group_by(Account.id, Account.kind, Account.book, Account.owner_ref)
        .order_by(Account.id)
    )
    return [
        (name_of(kind, book, owner), clock.business_date(at))
        for kind, book, owner, at in db.session.execute(query)
    ]


def _entries() -> Iterator[tuple[tuple[date, int, str, str], list[tuple[str, int]]]]:
    query = (
        select(
            JournalEntry.id, JournalEntry.event_at, JournalEntry.kind,
            JournalEntry.source_type, JournalEntry.source_id, JournalEntry.source_seq,
            Account.kind, Account.book, Account.owner_ref, JournalLine.fen,
        )
        .join(JournalLine, (JournalEntry.period == JournalLine.period) & (JournalEntry.id == JournalLine.entry_id))
        .join(Account, Account.id == JournalLine.account_id)
        .order_by(JournalEntry.event_at, JournalEntry.id, JournalLine.line_no)
        .execution_options(yield_per=1000)
    )  # fmt: skip
    for number, rows in groupby(db.session.execute(query), key=lambda row: row[0]):
        group = list(rows)
        _, at, kind, source_type, source_id, source_seq = group[0][:6]
        header = (clock.business_date(at), number, kind, f"{source_type}:{source_id}:{source_seq}")
        yield header, [(name_of(*row[6:9]), row[9]) for row in group]


def _yuan(fen: int) -> str:
    return f"{'-' if fen < 0 else ''}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
