"""What the database itself refuses of the log, for each dialect: leaves, heads and keys are added, one after the other, and never
changed, deleted or replaced. ``create_all`` makes all this with the tables; a migration executes ``statements(dialect)``.
"""

import re
from typing import Any

from sqlalchemy import Connection, Table, event

from marketplace.disclosure.log_key import LogKey
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.disclosure.tree_head import TreeHead

# A function of the log's own, so that it stands on nothing but its own tables.
_REFUSE = """CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: ' || lower(TG_OP) || ' of ' || TG_TABLE_NAME || ' is refused';
           END $body$"""


def _sqlite(table: str, next_number: str, first: int, exists: str) -> list[str]:
    # INSERT OR REPLACE would delete the old row without a word; it is stopped before it begins.
    return [
        f"""CREATE TRIGGER {table}_new BEFORE INSERT ON {table}
           BEGIN
             SELECT RAISE(ABORT, 'UNIQUE constraint failed: log: this {table} exists') WHERE EXISTS
               (SELECT 1 FROM {table} o WHERE {exists});
             SELECT RAISE(ABORT, 'log: {table} has no gaps') WHERE NEW.{next_number} IS NOT
               (SELECT coalesce(max(o.{next_number}) + 1, {first}) FROM {table} o);
           END""",  # noqa: S608 -- the texts are ours: nothing from outside is in them
        f"""CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table}
           BEGIN SELECT RAISE(ABORT, 'log: {table} is never changed'); END""",
        f"""CREATE TRIGGER {table}_kept BEFORE DELETE ON {table}
           BEGIN SELECT RAISE(ABORT, 'log: {table} is never deleted'); END""",
    ]


def _postgresql(table: str, next_number: str, first: int) -> list[str]:
    return [
        _REFUSE,
        f"""CREATE OR REPLACE FUNCTION {table}_follows() RETURNS trigger LANGUAGE plpgsql AS $body$
           BEGIN
             IF EXISTS (SELECT 1 FROM fresh) AND (SELECT max(f.{next_number}) - min(f.{next_number}) + 1 <> count(*) OR min(f.{next_number}) <>
                 (SELECT coalesce(max(o.{next_number}) + 1, {first}) FROM {table} o WHERE o.{next_number} < (SELECT min(f.{next_number}) FROM fresh f))
                 FROM fresh f) THEN
               RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'log: {table} has no gaps';
             END IF;
             RETURN NULL;
           END $body$""",  # noqa: S608
        f"""CREATE TRIGGER {table}_new AFTER INSERT ON {table} REFERENCING NEW TABLE AS fresh
           FOR EACH STATEMENT EXECUTE FUNCTION {table}_follows()""",
        f"""CREATE TRIGGER {table}_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
           FOR EACH STATEMENT EXECUTE FUNCTION log_refuse()""",
    ]


_SQLITE = {
    "log_leaf": _sqlite("log_leaf", "seq", 0, "o.seq = NEW.seq OR (o.kind = NEW.kind AND o.ref = NEW.ref)"),
    "log_key": _sqlite("log_key", "id", 1, "o.id = NEW.id OR o.public_key = NEW.public_key"),
    "tree_head": _sqlite("tree_head", "number", 1, "o.number = NEW.number OR o.fingerprint = NEW.fingerprint"),
}
_POSTGRESQL = {
    "log_leaf": _postgresql("log_leaf", "seq", 0),
    "log_key": _postgresql("log_key", "id", 1),
    "tree_head": _postgresql("tree_head", "number", 1),
}
_BY_DIALECT = {"sqlite": _SQLITE, "postgresql": _POSTGRESQL}


def statements(dialect_name: str) -> list[str]:
    """Every statement, in order, for "sqlite" or "postgresql"; to be executed once, after the tables exist."""
    return [statement for of_table in _BY_DIALECT[dialect_name].values() for statement in of_table]


def names(dialect_name: str) -> list[str]:
    """The names of all triggers that ``statements`` makes."""
    found = (re.match(r"CREATE TRIGGER (\w+)", statement) for statement in statements(dialect_name))
    return [match[1] for match in found if match]


def _after_create(table: Table, connection: Connection, **rest: Any) -> None:
    for statement in _BY_DIALECT[connection.dialect.name][table.name]:
        connection.exec_driver_sql(statement)


for _model in (LogLeaf, LogKey, TreeHead):
    event.listen(_model.__table__, "after_create", _after_create)
