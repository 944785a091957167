"""Balances: a snapshot and the tail of lines after it, so that no posting ever touches a balance row.

What is read is exact to the last committed line. Debit positive, as the lines are; ``held`` reads as people do.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, ForeignKey, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db
from marketplace.ledger import account
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalLine
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
    for start in range(0, len(unique), _CHUNK):
        query = select(Account.id, _balance()).where(Account.id.in_(unique[start : start + _CHUNK]))
        found.update({number: int(fen) for number, fen in db.session.execute(query)})
    return found


def held(kind: str, book: int, owner_ref: str = "") -> int:
    """What an account holds or owes, in fen, positive the way its class is read; 0 if it was never opened."""
    account_id = account.existing(kind, book, owner_ref)
    return 0 if account_id is None else account.natural(kind, of(account_id))


def by_owner(kind: str, book: int | None = None) -> dict[str, int]:
    """What all accounts of a kind hold or owe, in fen, by ``owner_ref``: of one book, or summed over all."""
    query = (
        select(Account.owner_ref, func.sum(_balance()))
        .where(Account.kind == kind)
        .group_by(Account.owner_ref)
    )
    if book is not None:
        query = query.where(Account.book == book)
    return {owner_ref: account.natural(kind, int(fen)) for owner_ref, fen in db.session.execute(query)}


def by_kind(book: int | None = None) -> dict[str, int]:
    """What each kind of account holds or owes, in fen: of one book, or summed over all. Kinds without accounts are left out."""
    query = select(Account.kind, func.sum(_balance())).group_by(Account.kind)
    if book is not None:
        query = query.where(Account.book == book)
    return {kind: account.natural(kind, int(fen)) for kind, fen in db.session.execute(query)}


def _balance() -> ColumnElement[int]:
    """Snapshot plus tail in one expression: one statement sees one state of the database."""
    snapshot = (
        select(Balance.fen).where(Balance.account_id == Account.id).correlate(Account).scalar_subquery()
    )
    upto = select(Balance.upto).where(Balance.account_id == Account.id).correlate(Account).scalar_subquery()
    tail = (
        select(func.sum(JournalLine.fen))
        .where(JournalLine.account_id == Account.id, JournalLine.entry_id > func.coalesce(upto, 0))
        .correlate(Account)
        .scalar_subquery()
    )
    result: ColumnElement[int] = func.coalesce(snapshot, 0) + func.coalesce(tail, 0)
    return result


def roll_up() -> int:
    """Move the snapshots up to the newest entry below which nothing can still appear; returns its id.

    Runs in a transaction of its own, before anything else in it: RuntimeError otherwise. Twice at once is harmless.
    """
    horizon, upto = decided(BalanceHorizon)
    if upto > horizon.rolled:
        db.session.execute(_ROLL, {"after": horizon.rolled, "upto": upto})
        horizon.rolled = upto
    db.session.flush()
    return horizon.rolled


# The new lines are found by the key of their months, not by joining entries: SQLite would read a month once for each entry.
_ROLL = text(
    "INSERT INTO balance (account_id, fen, upto) "
    "SELECT l.account_id, sum(l.fen), :upto FROM journal_line l "
    "WHERE l.period IN (SELECT DISTINCT e.period FROM journal_entry e WHERE e.id > :after AND e.id <= :upto) "
    "AND l.entry_id > :after AND l.entry_id <= :upto GROUP BY l.account_id "
    "ON CONFLICT (account_id) DO UPDATE SET fen = balance.fen + excluded.fen, upto = excluded.upto"
)
