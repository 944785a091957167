"""Rows planted straight into the tables, past every rule of the domain: what a fault, a bug or a burglar could leave behind.

Only what a test names is said; the other columns get something of their type. Parents need not exist.
"""

import re
from datetime import date
from typing import Any

from sqlalchemy import Connection, Executable, Table, insert, text

from marketplace.foundation import clock
from marketplace.foundation.database import Base, UtcDateTime, db, new_public_id

_SOMETHING: dict[type, Any] = {int: 0, bool: False, dict: {}, list: []}


def row(model: type[Base], **said: Any) -> None:
    """Insert one row, foreign keys and checks unasked, and commit."""
    table = model.__table__
    assert isinstance(table, Table)
    values = {
        column.name: said[column.name] if column.name in said else _something(column)
        for column in table.columns
        if _asked(column, said)
    }
    _unchecked(insert(table).values(values))


def change(statement: str) -> None:
    """Run one statement with foreign keys and checks unasked, and commit."""
    _unchecked(text(statement))


def _unchecked(statement: Executable) -> None:
    db.session.remove()
    with db.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            _switch(connection, checked=False)
            connection.execute(statement)
            connection.commit()
            _switch(connection, checked=True)
        else:
            _take_checks_away(connection, str(statement))
            connection.execute(text("SET LOCAL session_replication_role = replica"))  # neither foreign keys nor triggers
            connection.execute(statement)
            _count_on(connection, str(statement))
            connection.commit()


def _switch(connection: Connection, *, checked: bool) -> None:
    """On the driver's own connection: within a transaction SQLite would not listen."""
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA foreign_keys = {'ON' if checked else 'OFF'}")
    cursor.execute(f"PRAGMA ignore_check_constraints = {'OFF' if checked else 'ON'}")
    cursor.close()


def _take_checks_away(connection: Connection, statement: str) -> None:
    """PostgreSQL cannot look away from a check: those of the statement's table are gone for the rest of the test."""
    table = _table(statement)
    found = text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = CAST(:name AS regclass)")
    for name in connection.scalars(found, {"name": table}).all():
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))


def _count_on(connection: Connection, statement: str) -> None:
    """The next row without a number gets one that was not planted, as SQLite would give it."""
    table = _table(statement)
    counter = connection.scalar(text("SELECT pg_get_serial_sequence(:name, attname) FROM pg_attribute WHERE attrelid = CAST(:name AS regclass) AND attname = 'id'"), {"name": table})
    if counter is not None:
        connection.execute(text(f"SELECT setval('{counter}', coalesce(max(id), 0) + 1, false) FROM {table}"))


def _table(statement: str) -> str:
    found = re.match(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+|\"\w+\")", statement)
    assert found, statement
    return found[1]


def _asked(column: Any, said: dict[str, Any]) -> bool:
    return column.name in said or not (column.nullable or (column.primary_key and column.autoincrement))


def _something(column: Any) -> Any:
    if column.default is not None and column.default.is_scalar:
        return column.default.arg
    if isinstance(column.type, UtcDateTime):
        return clock.now()
    kind = column.type.python_type
    if kind is date:
        return clock.business_date()
    if kind is str:
        return new_public_id()[: column.type.length]
    return _SOMETHING[kind]
