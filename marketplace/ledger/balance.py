"""Balances: a snapshot and the tail of lines after it, so that no posting ever touches a balance row.

What is read is exact to the last committed line. Debit positive, as the lines are; ``held`` reads as people do.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Select, Subquery, case, func, select, text, true
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db
from marketplace.ledger import account
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.horizon import Horizon, decided

_CHUNK = 500


class Balance(Model):
    """The sum of an account's lines in entries up to ``upto``. Only ``roll_up`` writes it."""

    __tablename__ = "balance"

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True, autoincrement=False)
    fen: Mapped[int]
    upto: Mapped[int]


class BalanceHorizon(Horizon):
    """One row: the entry up to which snapshots were taken."""

    __tablename__ = "balance_horizon"


def of(account_id: int) -> int:
    """The account's balance in fen, debit positive; 0 for one without lines."""
    return of_many([account_id])[account_id]


def of_many(account_ids: Sequence[int]) -> dict[int, int]:
    """Balances in fen, debit positive, by account."""
    found = dict.fromkeys(account_ids, 0)
    unique = list(found)
    rolled = _rolled()
    for start in range(0, len(unique), _CHUNK):
        some = unique[start : start + _CHUNK]
        tail = _tail(rolled, JournalLine.account_id.in_(some))
        query = _with_snapshots(select(Account.id, _sum(tail)), tail).where(Account.id.in_(some))
        found.update({number: int(fen) for number, fen in db.session.execute(query)})
    return found


def each() -> Select[Account, int]:
    """A query of (account, balance in fen, debit positive) of all accounts: the caller narrows and orders it."""
    tail = _tail(_rolled())
    return _with_snapshots(select(Account, _sum(tail)), tail)


def held(kind: str, book: int, owner_ref: str = "") -> int:
    """What an account holds or owes, in fen, positive the way its class is read; 0 if it was never opened."""
    account_id = account.existing(kind, book, owner_ref)
    return 0 if account_id is None else account.natural(kind, of(account_id))


def by_owner(kind: str, book: int | None = None) -> dict[str, int]:
    """What all accounts of a kind hold or owe, in fen, by ``owner_ref``: of one book, or summed over all."""
    tail = _tail(_rolled())
    query = _with_snapshots(select(Account.owner_ref, func.sum(_sum(tail))), tail)
    query = query.where(Account.kind == kind).group_by(Account.owner_ref)
    if book is not None:
        query = query.where(Account.book == book)
    return {owner_ref: account.natural(kind, int(fen)) for owner_ref, fen in db.session.execute(query)}


def by_book(kind: str, owner_ref: str) -> dict[int, int]:
    """What the accounts of a kind and an owner hold or owe, in fen, by book."""
    tail = _tail(_rolled())
    query = _with_snapshots(select(Account.book, func.sum(_sum(tail))), tail)
    query = query.where(Account.kind == kind, Account.owner_ref == owner_ref).group_by(Account.book)
    return {book: account.natural(kind, int(fen)) for book, fen in db.session.execute(query)}


def by_kind(book: int | None = None) -> dict[str, int]:
    """What each kind of account holds or owes, in fen: of one book, or summed over all. Kinds without accounts are left out."""
    tail = _tail(_rolled())
    query = _with_snapshots(select(Account.kind, func.sum(_sum(tail))), tail).group_by(Account.kind)
    if book is not None:
        query = query.where(Account.book == book)
    return {kind: account.natural(kind, int(fen)) for kind, fen in db.session.execute(query)}


def of_book(book: int, *owners_of: str) -> dict[tuple[str, str], int]:
    """What a book's accounts hold or owe, in fen, by kind: those of the kinds ``owners_of`` one by one (kind, owner_ref), the
    others summed under (kind, ""). One reading, for whoever sets parts against each other."""
    tail = _tail(_rolled())
    owner = case((Account.kind.in_(owners_of), Account.owner_ref), else_="").label("shown")
    query = _with_snapshots(select(Account.kind, owner, func.sum(_sum(tail))), tail)
    query = query.where(Account.book == book).group_by(Account.kind, "shown")
    return {(kind, ref): account.natural(kind, int(fen)) for kind, ref, fen in db.session.execute(query)}


def _rolled() -> int:
    """Asked for beforehand, so that the planner knows how short the tail is."""
    return db.session.scalar(select(BalanceHorizon.rolled)) or 0


def _tail(rolled: int, *of: ColumnElement[bool]) -> Subquery:
    """What lines after the snapshots did to each account (``of`` which lines). Found month by month, by the key of lines.

    ``rolled`` may be older than the snapshots by the time that this is read: what a snapshot holds is not counted again.
    """
    months = select(JournalEntry.period).where(JournalEntry.id > rolled).distinct().subquery("months")
    held = (
        select(JournalLine.account_id, func.sum(JournalLine.fen).label("fen"))
        .outerjoin(Balance, Balance.account_id == JournalLine.account_id)
        .where(JournalLine.entry_id > rolled, JournalLine.entry_id > func.coalesce(Balance.upto, 0), *of)
        .group_by(JournalLine.account_id)
    )
    if db.session.get_bind().dialect.name != "postgresql":
        return held.where(JournalLine.period.in_(select(months.c.period))).subquery("tail")
    # Lateral, so that only the partitions of these months are looked at, each by its key.
    monthly = held.where(JournalLine.period == months.c.period).correlate(months).lateral("monthly")
    query = select(monthly.c.account_id, func.sum(monthly.c.fen).label("fen")).select_from(
        months.join(monthly, true())
    )
    return query.group_by(monthly.c.account_id).subquery("tail")


def _sum(tail: Subquery) -> ColumnElement[int]:
    result: ColumnElement[int] = func.coalesce(Balance.fen, 0) + func.coalesce(tail.c.fen, 0)
    return result


def _with_snapshots(query: Select[*tuple[Any, ...]], tail: Subquery) -> Select[*tuple[Any, ...]]:
    """Snapshot plus tail in one statement, which sees one state of the database."""
    return (
        query.select_from(Account)
        .outerjoin(Balance, Balance.account_id == Account.id)
        .outerjoin(tail, tail.c.account_id == Account.id)
    )


def roll_up() -> int:
    """Move the snapshots up to the newest entry below which nothing can still appear; returns its id.

    Runs in a transaction of its own, before anything else in it: RuntimeError otherwise. Twice at once is harmless.
    """
    horizon, upto = decided(BalanceHorizon)
    if upto > horizon.rolled:
        span = {"after": horizon.rolled, "upto": upto}
        # Named one by one, so that only their partitions are looked at.
        months = (JournalEntry.id > horizon.rolled) & (JournalEntry.id <= upto)
        for period in db.session.scalars(select(JournalEntry.period).where(months).distinct()).all():
            db.session.execute(_ROLL, {"period": period, **span})
        horizon.rolled = upto
    db.session.flush()
    return horizon.rolled


_ROLL = text(
    "INSERT INTO balance (account_id, fen, upto) SELECT l.account_id, sum(l.fen), :upto FROM journal_line l "
    "WHERE l.period = :period AND l.entry_id > :after AND l.entry_id <= :upto GROUP BY l.account_id "
    "ON CONFLICT (account_id) DO UPDATE SET fen = balance.fen + excluded.fen, upto = excluded.upto"
)
