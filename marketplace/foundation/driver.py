"""The driver's own cursor, in the open transaction: for the few statements that run at every order, payment and posting.

SQLAlchemy takes longer to say such a statement than a database to carry it out. Errors are SQLAlchemy's all the same, and a write
here is not seen by the session: what it has loaded of the row must be refreshed.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.orm.util import identity_key

from marketplace.foundation.connection import translated
from marketplace.foundation.database import Base, db

Row = tuple[Any, ...]
Write = tuple[str, Row]  # a statement that writes, and its values


def opened() -> Connection:
    """The connection of the open transaction, or of the session that only reads."""
    session = db.session()
    return session.info.get("connection") or session.connection()


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """A connection without a session and without an application's context, for what is said on it through this module alone. Only entrances open one.

    On SQLite a transaction begins with it and is committed at the end. On PostgreSQL each statement is a transaction of its own: what must
    be written together is one statement.
    """
    with engine.connect() as connection:
        own: Any = connection.connection.driver_connection
        if isinstance(own, sqlite3.Connection):
            rows("BEGIN IMMEDIATE", on=connection)
            try:
                yield connection
                rows("COMMIT", on=connection)
            except BaseException:
                if own.in_transaction:
                    own.execute("ROLLBACK")
                raise
            return
        own.autocommit = True
        try:
            yield connection
        finally:
            try:
                own.autocommit = False
            except Exception:  # noqa: BLE001 -- it was lost, or is in the middle of something: nobody finds it so
                connection.invalidate()


def on_postgresql(on: Connection | None = None) -> bool:
    return (on or opened()).dialect.name == "postgresql"


def rows(statement: str, *values: Any, on: Connection | None = None) -> list[Row]:
    """What ``statement`` answers. It is text from code, with ``?`` for each value: number, text, moment, None, or a dict for JSON."""
    connection = on or opened()
    own: Any = connection.connection.driver_connection
    try:
        if isinstance(own, sqlite3.Connection):
            return own.execute(statement, values).fetchall()
        cursor = _cursor(connection)
        cursor.execute(_for_psycopg(statement), [_json(value) if type(value) is dict else value for value in values])
        return cursor.fetchall() if cursor.pgresult.nfields else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error, statement, connection) from error


def array(numbers: Iterable[int]) -> str:
    """Numbers as PostgreSQL reads an array; in a statement ``?::bigint[]``. The driver takes ten times as long to write one."""
    return f"{{{','.join(map(str, numbers))}}}"


def together(*writes: Write) -> None:
    """Carry these out: on PostgreSQL in one way to the server and back, so none may need what another of them did."""
    if len(writes) > 1 and on_postgresql():
        parts = ", ".join(f"w{place} AS ({statement})" for place, (statement, _) in enumerate(writes))
        rows(f"WITH {parts} SELECT 1", *chain.from_iterable(values for _, values in writes))
        return
    for statement, values in writes:
        rows(statement, *values)


def _cursor(connection: Connection) -> Any:
    """One for the connection's life: to make one takes as long as to use it."""
    kept = connection.connection.info
    cursor = kept.get("cursor")
    if cursor is None:
        cursor = kept["cursor"] = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    return cursor


def copy(table: str, columns: Sequence[str], text: str) -> None:
    """PostgreSQL: append rows that are text as COPY reads it, a line a row, tabs between. Names come from code only."""
    connection = opened()
    own: Any = connection.connection.driver_connection
    statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
    try:
        with own.cursor() as cursor, cursor.copy(statement) as into:
            into.write(text)
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error, statement, connection) from error


def forget(model: type[Base], number: int) -> None:
    """Let the session read this row again when it is next asked for, if it holds it: it was written past the session."""
    session = db.session()
    if session.identity_map and (held := session.identity_map.get(identity_key(model, number))) is not None:
        session.expire(held)


def each(statement: str, many: Iterable[Sequence[Any]], *, on: Connection | None = None) -> None:
    """Carry ``statement`` out once for each row of plain numbers and texts."""
    connection = on or opened()
    own: Any = connection.connection.driver_connection
    try:
        if isinstance(own, sqlite3.Connection):
            own.executemany(statement, many)
        else:
            with own.cursor() as cursor:
                cursor.executemany(_for_psycopg(statement), many)
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error, statement, connection) from error


def alike(writes: Sequence[Write], *, on: Connection | None = None) -> None:
    """Carry these out, which differ in their values alone."""
    if writes:
        each(writes[0][0], [values for _, values in writes], on=on)


@lru_cache(maxsize=512)
def _for_psycopg(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def _json(value: dict[str, Any]) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value)
