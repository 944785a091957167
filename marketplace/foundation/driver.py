"""The driver's own cursor, in the open transaction: for the few statements that run at every order, payment and posting.

SQLAlchemy takes longer to say such a statement than a database to carry it out. Errors are SQLAlchemy's all the same, and a write
here is not seen by the session: what it has loaded of the row must be refreshed.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from marketplace.foundation.connection import translated
from marketplace.foundation.database import db

Row = tuple[Any, ...]


def rows(statement: str, *values: Any) -> list[Row]:
    """What ``statement`` answers. It is text from code, with ``?`` for each value: number, text, moment, None, or a dict for JSON."""
    connection = db.session.connection()
    own: Any = connection.connection.driver_connection
    try:
        if isinstance(own, sqlite3.Connection):
            return own.execute(statement, values).fetchall()
        cursor = own.execute(_for_psycopg(statement), [_json(value) if type(value) is dict else value for value in values])
        return cursor.fetchall() if cursor.description else []
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error, statement, connection) from error


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
        raise translated(error, statement, connection) from error


@lru_cache(maxsize=512)
def _for_psycopg(statement: str) -> str:
    return statement.replace("%", "%%").replace("?", "%s")


def _json(value: dict[str, Any]) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(value)
