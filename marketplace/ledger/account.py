"""A ledger account: a kind, in a book, of an owner. Each cooperative has its own book, the relief fund's holder too.

``owner_ref`` ("linkage_group:12", "household:34", "village:7" or "") names rows of other packages without knowing them; no
personal data. What an account is never changes: the database refuses everything but closing it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import (
    CheckConstraint,
    Connection,
    Engine,
    ForeignKey,
    Index,
    String,
    Table,
    event,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import driver
from marketplace.foundation.database import Identified, Model, db

ASSET, LIABILITY, INCOME, EXPENSE, EQUITY = "asset", "liability", "income", "expense", "equity"

# The closed list of kinds, each with its class.
KINDS: dict[str, str] = {
    "alipay": ASSET,
    "stripe": ASSET,
    "bank": ASSET,
    "receivable": ASSET,
    "pool_recoverable": ASSET,
    "village_recoverable": ASSET,
    "fund_recoverable": ASSET,
    "unapplied": LIABILITY,
    "buyer_funds": LIABILITY,
    "accepted_unpaid": LIABILITY,
    "refunds_payable": LIABILITY,
    "household_pool": LIABILITY,
    "household": LIABILITY,
    "in_transit": LIABILITY,
    "village_collective": LIABILITY,
    "relief_fund": LIABILITY,
    "revenue": INCOME,
    "freight": INCOME,
    "interest": INCOME,
    "fees": EXPENSE,
    "outside": EQUITY,
}
# What kind of thing owns an account of the kind; every other kind has one account a book.
OWNERS = {
    "household_pool": "linkage_group",
    "pool_recoverable": "linkage_group",
    "village_recoverable": "village",
    "household": "household",
    "village_collective": "village",
}
_DEBIT_CLASSES = (ASSET, EXPENSE)
_CHUNK = 500  # parameters of one statement, below SQLite's limit
Name = tuple[int, str, int | None]  # book, kind, its owner's id or None

# Numbers of accounts that were committed when they were asked for: no account ever changes its number or goes away.
_kept: WeakKeyDictionary[Engine, dict[Name, int]] = WeakKeyDictionary()
_MOST_KEPT = 50_000


class Account(Identified, Model):
    """``book`` is the organisation whose book it stands in."""

    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("kind IN (" + ", ".join(f"'{kind}'" for kind in KINDS) + ")", name="kind"),
        Index("ix_account_book_kind", "book", "kind"),
        # Closing is all that may change; it also lets the application lock accounts.
        {"info": {"granted": "SELECT, INSERT, UPDATE (closed_at)"}},
    )

    code: Mapped[str] = mapped_column(String(80), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    book: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    owner_ref: Mapped[str] = mapped_column(String(40), default="")
    currency: Mapped[str] = mapped_column(String(3), default="CNY")
    closed_at: Mapped[datetime | None]


def class_of(kind: str) -> str:
    """asset, liability, income, expense or equity. KeyError for a kind that is not on the list."""
    return KINDS[kind]


def natural(kind: str, fen: int) -> int:
    """A debit-positive amount as people read it: what an asset holds, what a liability owes, both positive."""
    return fen if KINDS[kind] in _DEBIT_CLASSES else -fen


def owner_of(kind: str, owner_id: int | None = None) -> str:
    """The ``owner_ref`` of an account of ``kind``: "household:34". ValueError if the kind has owners and none is named."""
    if kind not in OWNERS:
        return ""
    if owner_id is None:
        raise ValueError(f"an account of kind {kind} needs its {OWNERS[kind]}")
    return f"{OWNERS[kind]}:{owner_id}"


def named(kind: str, book: int, owner_ref: str = "") -> int:
    """The id of this account, opened if it did not exist. Two at once get the same one. ValueError for a bad kind or owner."""
    return named_many(kind, book, [owner_ref])[owner_ref]


def named_many(kind: str, book: int, owner_refs: Iterable[str]) -> dict[str, int]:
    """Ids of accounts of one kind in one book, by owner; those that did not exist are opened."""
    wanted = [(kind, owner_ref) for owner_ref in owner_refs]
    return {owner_ref: number for (_, owner_ref), number in ids(book, wanted).items()}


def ids(book: int, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Ids by (kind, owner_ref) in one book, in one query; what does not exist is opened, whoever else is opening it too."""
    by_code = {code_of(kind, book, owner_ref): (kind, owner_ref) for kind, owner_ref in wanted}
    found = _find(list(by_code))
    missing = [code for code in by_code if code not in found]
    if missing:
        _open(book, [(code, *by_code[code]) for code in missing])
        # Asked for again rather than returned by the insert: another transaction may have been first.
        found |= _find(missing)
    return {by_code[code]: number for code, number in found.items()}


def kept() -> Mapping[Name, int]:
    """Ids of the accounts that were asked for before, in whatever books."""
    return _kept.setdefault(db.engine, {})


def of_names(wanted: Collection[Name]) -> dict[Name, int]:
    """Ids of accounts in whatever books, opened if they did not exist: what every posting asks. ValueError as ``named``."""
    kept = _kept.setdefault(db.engine, {})
    found = {name: kept[name] for name in wanted if name in kept}
    if len(found) == len(wanted):
        return found
    by_book: dict[int, dict[tuple[str, str], Name]] = {}
    for name in sorted(set(wanted) - set(found), key=str):
        by_book.setdefault(name[0], {})[name[1], owner_of(name[1], name[2])] = name
    for book, names in sorted(by_book.items()):
        found |= {names[key]: number for key, number in ids(book, names).items()}
    # What this transaction opened is gone again if it does not commit.
    if not _opened_here() and len(found) <= _CHUNK:
        if len(kept) > _MOST_KEPT:
            kept.clear()
        kept |= found
    return found


def known(wanted: Sequence[Name], *, on: Connection) -> list[int] | None:
    """The ids of these accounts, in their order; None if one is not open. To be asked where nothing can have been opened and be undone yet."""
    kept = _kept.setdefault(on.engine, {})
    if missing := {code_of(kind, book, owner_of(kind, owner)): (book, kind, owner) for book, kind, owner in wanted if (book, kind, owner) not in kept}:
        kept |= {missing[code]: number for code, number in _find(list(missing), on=on).items()}
    numbers = [kept.get(name) for name in wanted]
    return None if None in numbers else cast("list[int]", numbers)


def _opened_here() -> bool:
    return db.session().info.get(_OPENED) is db.session().get_transaction()


_OPENED = "accounts_opened_in"


@event.listens_for(Engine, "connect")
def _forget(connection: Any, record: Any) -> None:
    # A database that was put back from a copy is met over a new connection.
    for kept in _kept.values():
        kept.clear()


def existing(kind: str, book: int, owner_ref: str = "") -> int | None:
    """The id of this account, or None: reading must not open accounts."""
    return _find([code_of(kind, book, owner_ref)]).get(code_of(kind, book, owner_ref))


def lock(account_ids: Sequence[int]) -> None:
    """Hold these accounts until the transaction ends, in id order: for whoever posts what depends on a balance just read.

    Other postings to them go on; only another holder waits. SQLite has one writer anyway.
    """
    query = select(Account.id).where(Account.id.in_(account_ids)).order_by(Account.id)
    db.session.execute(query.with_for_update(key_share=True)).all()


def code_of(kind: str, book: int, owner_ref: str) -> str:
    """The account's unique code: ``3:household:household:34``. ValueError for a kind or owner that is not on the list."""
    owner = OWNERS.get(kind, "")
    if (
        kind not in KINDS
        or owner_ref.partition(":")[0] != owner
        or (owner and not owner_ref.partition(":")[2].isdigit())
    ):
        raise ValueError(f"no account of kind {kind!r} with owner {owner_ref!r}")
    return f"{book}:{kind}:{owner_ref}" if owner_ref else f"{book}:{kind}"


def _find(codes: Sequence[str], *, on: Connection | None = None) -> dict[str, int]:
    if driver.on_postgresql(on):
        return dict(driver.rows("SELECT code, id FROM account WHERE code = ANY(?)", list(codes), on=on))
    found: dict[str, int] = {}
    for start in range(0, len(codes), _CHUNK):
        some = codes[start : start + _CHUNK]
        marks = ", ".join("?" * len(some))
        found.update(driver.rows(f"SELECT code, id FROM account WHERE code IN ({marks})", *some, on=on))  # noqa: S608
    return found


def _open(book: int, missing: Sequence[tuple[str, str, str]]) -> None:
    db.session().info[_OPENED] = db.session().get_transaction()
    # Sorted, so that two who open the same accounts wait for each other in one order and never in a ring.
    rows = [
        {
            "code": code,
            "kind": kind,
            "book": book,
            "owner_ref": owner_ref,
            "currency": "CNY",
            "closed_at": None,
        }
        for code, kind, owner_ref in sorted(missing)
    ]
    table = cast("Table", Account.__table__)
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(postgresql_insert(table).on_conflict_do_nothing(index_elements=["code"]), rows)
    else:
        # One writer at a time: nobody can have opened them since they were looked for.
        db.session.execute(insert(table), rows)
