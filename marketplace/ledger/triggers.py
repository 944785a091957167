"""What the database itself refuses, as statements for each dialect: whoever writes, in whatever language, meets the same rules.

Refused: an entry that does not sum to zero, has no lines, gaps in them, or lines written later; an account of another book
or currency; a second entry for one source; a posting to a closed month; and every UPDATE, DELETE, TRUNCATE and REPLACE of
entries, lines, closed months and their balances.
``create_all`` makes all this with the tables; a migration executes ``statements(dialect)`` after making them.
"""

import re
from typing import Any

from sqlalchemy import Connection, Table, event

from marketplace.ledger import triggers_postgresql, triggers_sqlite
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.ledger.period import ClosedPeriod, PeriodBalance

_BY_DIALECT = {"sqlite": triggers_sqlite.TRIGGERS, "postgresql": triggers_postgresql.TRIGGERS}


def statements(dialect_name: str) -> list[str]:
    """Every statement, in order, for "sqlite" or "postgresql"; to be executed once, after the ledger's tables exist."""
    return [statement for of_table in _BY_DIALECT[dialect_name].values() for statement in of_table]


def names(dialect_name: str) -> list[str]:
    """The names of all triggers that ``statements`` makes."""
    found = (re.match(r"CREATE (?:CONSTRAINT )?TRIGGER (\w+)", each) for each in statements(dialect_name))
    return [match[1] for match in found if match]


def _after_create(table: Table, connection: Connection, **rest: Any) -> None:
    for statement in _BY_DIALECT[connection.dialect.name][table.name]:
        # Without parameters: a per cent sign is one.
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


for _model in (Account, JournalLine, JournalEntry, ClosedPeriod, PeriodBalance):
    event.listen(_model.__table__, "after_create", _after_create)
