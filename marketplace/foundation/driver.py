"""The driver's own cursor, in the open transaction: for the few statements that run at every order, payment and posting.

SQLAlchemy takes longer to say such a statement than a database to carry it out. Errors are SQLAlchemy's all the same, and a write
here is not seen by the session: what it has loaded of the row must be refreshed.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy.exc import DBAPIError

from marketplace.foundation.database import db

Row = tuple[Any, ...]


def rows(statement: str, *values: Any) -> list[Row]:
    """What ``statement`` answers. It is text from code, with ``?`` for each value: number, text, moment, None, or a dict for JSON."""
    connection = db.session.connection()
    own: Any = connection.connection.driver_connection
    try:
        if isinstance(own, sqlite3.Connection):
            return own.execute(statement, [_for_sqlite(value) for value in values]).fetchall()
        cursor = own.execute(_for_psycopg(statement), [_json(value) if type(value) is dict else value for value in values])
        return cursor.fetchall() if cursor.description else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, statement, connection) from error


def each(statement: str, many: Iterable[Sequence[Any]]) -> None:
    """Carry ``statement`` out once for each row of plain numbers and texts."""
    connection = db.session.connection()
    own: Any = connection.connection.driver_connection
    try:
        if isinstance(own, sqlite3.Connection):
            own.executemany(statement, many)
        else:
            with own.cursor() as cursor:
                cursor.executemany(_for_psycopg(statement), many)
    except connection.dialect.loaded_dbapi.Error as error:
        raise _translated(error, statement, connection) from error


def _for_sqlite(value: Any) -> Any:
    kind = type(value)
    if kind is datetime:
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"  # as UtcDateTime keeps it there
    return json.dumps(value) if kind is dict else value


@lru_cache(maxsize=512)
def _for_psycopg(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def _json(value: dict[str, Any]) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value)


def _translated(error: Exception, statement: str, connection: Any) -> BaseException:
    """The error as SQLAlchemy would raise it, so that whoever tells races, repeats and losses apart need not know of the driver."""
    dialect = connection.dialect
    lost = dialect.is_disconnect(error, connection.connection.driver_connection, None)
    if lost:
        connection.invalidate(error)
    return DBAPIError.instance(
        statement, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, connection_invalidated=lost, dialect=dialect
    )
