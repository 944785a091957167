"""A connection to the database: how SQLite's is prepared and begins, and how one that was lost is noticed before it is used.

A server that was restarted has closed its connections, and the pool does not know. To ask each one first costs a way to the server
and back every time; a closed socket is seen here without asking.
"""

import json
import select
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, InvalidatePoolError

# A connection that was quiet for so many seconds is asked: a firewall forgets connections without a word to either side.
QUIET = 30.0
_PREPARED = (
    "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON", "busy_timeout=15000",
    "journal_size_limit=67108864",  # what grew in a long read is cut to 64 MiB again
)  # fmt: skip

# What SQLite is given past SQLAlchemy, as SQLAlchemy would keep it there.
sqlite3.register_adapter(datetime, lambda moment: moment.astimezone(UTC).isoformat(" ", "microseconds")[:26])
sqlite3.register_adapter(dict, json.dumps)


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, record: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    # The driver must not begin or commit on its own; "begin" below does it with the words we need.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PREPARED:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@event.listens_for(Engine, "connect")
def _prepare_postgresql(connection: Any, record: Any) -> None:
    """Sums of whole numbers come back whole, as on SQLite: PostgreSQL adds bigints up as numeric, which the driver reads as Decimal."""
    if isinstance(connection, sqlite3.Connection):
        return
    from psycopg.types.numeric import NumericLoader

    class Whole(NumericLoader):
        def load(self, data: Any) -> Any:
            return super().load(data) if b"." in bytes(data) else int(bytes(data))

    connection.adapters.register_loader("numeric", Whole)


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Any) -> None:
    if connection.dialect.name == "sqlite":
        options = connection.get_execution_options()
        begin = "BEGIN IMMEDIATE" if options.get("immediate", False) else "BEGIN"
        try:
            with _patient(connection.connection.driver_connection, options.get("wait")):
                connection.connection.driver_connection.execute(begin)
        except sqlite3.Error as error:
            raise translated(error, begin, connection) from error


@contextmanager
def _patient(own: Any, seconds: float | None) -> Iterator[None]:
    """Let SQLite wait no longer than so many seconds for whoever writes; None: as long as the connection waits anyway."""
    usual = own.execute("PRAGMA busy_timeout").fetchone()[0] if seconds is not None else 0
    if seconds is None or (least := int(seconds * 1000)) >= usual:
        yield
        return
    own.execute(f"PRAGMA busy_timeout={least}")
    try:
        yield
    finally:
        own.execute(f"PRAGMA busy_timeout={usual}")


@event.listens_for(Engine, "checkin")
def _note(connection: Any, record: Any) -> None:
    record.info["back_at"] = time.monotonic()


@event.listens_for(Engine, "checkout")
def _must_live(connection: Any, record: Any, fairy: Any) -> None:
    """Let the pool make new connections if this one was lost while nobody used it."""
    back_at = record.info.get("back_at")
    if back_at is None or isinstance(connection, sqlite3.Connection):
        return
    if (_has_news(connection) or time.monotonic() - back_at > QUIET) and not _answers(connection):
        raise InvalidatePoolError


def _has_news(connection: Any) -> bool:
    """Whether the server said something unasked: mostly farewell. A look at the socket, microseconds."""
    try:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        return bool(waiting.poll(0))
    except Exception:  # noqa: BLE001 -- the driver's own error says that it is closed
        return True


def _answers(connection: Any) -> bool:
    try:
        connection.autocommit = True
        connection.execute("SELECT 1")
    except Exception:  # noqa: BLE001 -- whatever it says, the connection is of no use
        return False
    finally:
        with suppress(Exception):
            connection.autocommit = False
    return True


def translated(error: Exception, statement: str, connection: Connection) -> BaseException:
    """A driver's error as SQLAlchemy would raise it, so that whoever tells races, repeats and losses apart need not know of the driver."""
    dialect: Any = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        statement, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=lost, dialect=dialect
    )
