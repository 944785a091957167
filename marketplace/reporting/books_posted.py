"""What was posted, added up from the lines: the ledger's side of a comparison with the records."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from marketplace.foundation.database import db
from marketplace.ledger import account
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine

K = TypeVar("K")
Owner = tuple[int, str]  # (book, owner_ref)


def on_accounts(kind: str) -> dict[Owner, int]:
    """What each account of a kind holds or owes, in fen, from its lines alone."""
    query = (
        select(Account.book, Account.owner_ref, func.sum(JournalLine.fen))
        .join(JournalLine, JournalLine.account_id == Account.id)
        .where(Account.kind == kind)
        .group_by(Account.book, Account.owner_ref)
    )
    return {(book, owner): account.natural(kind, int(fen)) for book, owner, fen in db.session.execute(query)}


def by_book(kind: str) -> dict[int, int]:
    """What a book's accounts of a kind hold or owe together, in fen."""
    return per_book(on_accounts(kind))


def through(account_kind: str, *entry_kinds: str) -> dict[Owner, int]:
    """What entries of these kinds did to accounts of one kind, in fen, positive where it grew. Reversed entries do not count."""
    reversal = aliased(JournalEntry)
    query = (
        select(Account.book, Account.owner_ref, func.sum(JournalLine.fen))
        .join(JournalLine, JournalLine.account_id == Account.id)
        .join(
            JournalEntry,
            (JournalEntry.period == JournalLine.period) & (JournalEntry.id == JournalLine.entry_id),
        )
        .where(Account.kind == account_kind, JournalEntry.kind.in_(entry_kinds))
        .where(
            ~select(reversal.id)
            .where(reversal.reverses_id == JournalEntry.id, reversal.kind == "reversed")
            .exists()
        )
        .group_by(Account.book, Account.owner_ref)
    )
    return {
        (book, owner): account.natural(account_kind, int(fen))
        for book, owner, fen in db.session.execute(query)
    }


def per_book(amounts: Mapping[Owner, int]) -> dict[int, int]:
    """The same, summed over owners."""
    summed: dict[int, int] = {}
    for (book, _), fen in amounts.items():
        summed[book] = summed.get(book, 0) + fen
    return summed


def total(*parts: tuple[int, Mapping[K, int]]) -> dict[K, int]:
    """The sum of several accounts of the same things, each with its sign."""
    summed: dict[K, int] = {}
    for sign, amounts in parts:
        for key, fen in amounts.items():
            summed[key] = summed.get(key, 0) + sign * fen
    return summed


def differences(what: str, posted: Mapping[K, int], recorded: Mapping[K, int]) -> list[str]:
    """A line for each key on which ledger and records do not agree; what is missing on one side is 0."""
    keys: Sequence[K] = sorted(set(posted) | set(recorded), key=str)
    return [
        f"{what} {_named(key)}: ledger {posted.get(key, 0)} fen, records {recorded.get(key, 0)}"
        for key in keys
        if posted.get(key, 0) != recorded.get(key, 0)
    ]


def _named(key: object) -> str:
    return " ".join(str(part) for part in key) if isinstance(key, tuple) else f"of book {key}"
