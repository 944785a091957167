"""The shelf's version: one number that goes up in the very transaction that changes what the shelf shows, and at no other time.

Whoever keeps a page remembers the number it was made under: as long as it stands, the page is what the database would say. What
is sold is never read from a kept page; checkout asks the database.
"""

import threading
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event, inspect, update
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, SessionTransaction, mapped_column
from sqlalchemy.schema import DDL

from marketplace.foundation.database import Model, db

FEW = 20  # from so many free packs down, the page says how many are left
# What each table shows on the shelf's pages: all of it but these columns. A sale changes stock, and shows only when few are left.
SHOWN: dict[str, frozenset[str]] = {
    "product": frozenset({"version", "sold_count", "submitted_by_id", "submitted_at"}),
    "pack": frozenset({"version"}),
    "stock": frozenset(),
    "split_scheme": frozenset(),
    "distribution_rule": frozenset(),
    "rule_proposal": frozenset(),
    "scheme_proposal": frozenset(),  # one that is announced stands on its cooperative's page
    "category": frozenset(),
    "region": frozenset(),
    "organisation": frozenset({"version"}),
    "cooperative": frozenset({"version"}),
    "linkage_group": frozenset({"version"}),
    "linkage_share": frozenset(),
    "batch": frozenset({"version", "grams_sold", "grams_packed"}),
    "settlement": frozenset(),
    "payout_batch": frozenset({"version"}),
    "payout_item": frozenset(),
    "payout_found": frozenset({"version"}),  # what was paid twice is not counted twice
    "search_document": frozenset(),
}
_CHANGED = "shelf_changed"


class ShelfVersion(Model):
    """One row."""

    __tablename__ = "shelf_version"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]


_table: Any = ShelfVersion.__table__
event.listen(_table, "after_create", DDL("INSERT INTO shelf_version (id, number) VALUES (1, 1)"))  # type: ignore[no-untyped-call]


class _Kept(threading.local):
    """This thread's own connection for the one question that every reader asks: a session would cost ten times the answer."""

    engine: Engine | None = None
    connection: Any = None


_kept = _Kept()


def number() -> int:
    """The version as it is committed at this moment. Whoever asks before reading a page reads nothing older."""
    if _kept.engine is not db.engine:
        _open()
    try:
        return _ask()
    except db.engine.dialect.loaded_dbapi.Error:
        _open()  # the server was restarted, or a proxy let go of a quiet connection
        return _ask()


def _ask() -> int:
    cursor = _kept.connection.cursor()
    try:
        row = cursor.execute("SELECT number FROM shelf_version").fetchone()
    finally:
        cursor.close()
    return int(row[0]) if row else 0


def _open() -> None:
    if _kept.connection is not None:
        with suppress(Exception):
            _kept.connection.close()
    _kept.engine = None
    fairy = db.engine.raw_connection()
    fairy.detach()  # the pool keeps its places for those who write
    _kept.connection = fairy.dbapi_connection
    if db.engine.dialect.name == "postgresql":
        _kept.connection.autocommit = True  # SQLite's connections are so already
    _kept.engine = db.engine


def raise_it() -> None:
    """Let every kept page be made anew once the open transaction is committed: for a change that no row of ``SHOWN`` tells."""
    db.session().info[_CHANGED] = True


@event.listens_for(Session, "after_flush")
def _notice(session: Session, context: Any) -> None:
    if session.info.get(_CHANGED):
        return
    for row in (*session.new, *session.deleted):
        if _is_shown(row):
            session.info[_CHANGED] = True
            return
    for row in session.dirty:
        if _is_shown(row) and _shows(row):
            session.info[_CHANGED] = True
            return


@event.listens_for(Session, "do_orm_execute")
def _notice_bulk(state: ORMExecuteState) -> None:
    if state.is_select:
        return
    table = getattr(state.statement, "table", None)
    if getattr(table, "name", None) in SHOWN:
        state.session.info[_CHANGED] = True


@event.listens_for(Session, "before_commit")
def _count_up(session: Session) -> None:
    if session.in_nested_transaction():
        return
    session.flush()
    if session.info.pop(_CHANGED, False):
        # The last row that the transaction takes: nobody who holds it waits for anything.
        session.connection().execute(update(_table).values(number=_table.c.number + 1))


@event.listens_for(Session, "after_soft_rollback")
def _forget(session: Session, previous: SessionTransaction) -> None:
    # A savepoint that is rolled back leaves the transaction around it, and what that one changed.
    if previous.parent is None:
        session.info.pop(_CHANGED, None)


def _is_shown(row: Any) -> bool:
    name = row.__tablename__
    if name == "organisation":
        return bool(row.kind == "COOPERATIVE")  # a buyer who registers is on no page
    return name in SHOWN


def _shows(row: Any) -> bool:
    changed = {name: history for name, history in _changes(row) if name not in SHOWN[row.__tablename__]}
    if row.__tablename__ == "stock" and changed:
        now = row.on_hand - row.reserved
        before = _before(changed, "on_hand", row.on_hand) - _before(changed, "reserved", row.reserved)
        return bool(now != before and min(now, before) <= FEW)
    return bool(changed)


def _changes(row: Any) -> list[tuple[str, Any]]:
    found = []
    for attribute in inspect(row).mapper.column_attrs:
        history = inspect(row).attrs[attribute.key].history
        if history.has_changes():
            found.append((attribute.key, history))
    return found


def _before(changed: dict[str, Any], name: str, now: int) -> int:
    deleted = changed[name].deleted if name in changed else ()
    return int(deleted[0]) if deleted else now
