"""The months of the ledger: on PostgreSQL each is a partition, made ahead by a job.

A month that the job did not make is made by whoever posts to it first: no money is ever refused for want of a table.
"""

from collections.abc import Collection
from datetime import date
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db

# Months that were there before the transaction that asked: a month never goes away again.
_known: WeakKeyDictionary[Engine, set[str]] = WeakKeyDictionary()


def must_exist(periods: Collection[str]) -> list[str]:
    """Make these months (YYYY-MM) if they are not there; those that were new. Nothing to do on SQLite."""
    if db.engine.dialect.name != "postgresql":
        return []
    known = _known.setdefault(db.engine, set())
    made = []
    for period in sorted(set(periods) - known):
        if db.session.scalar(select(func.ledger_open_month(period))):
            made.append(period)
            db.session().info[_MADE] = db.session().get_transaction()
        elif db.session().info.get(_MADE) is not db.session().get_transaction():
            known.add(period)  # what this transaction made is gone again if it does not commit
    return made


_MADE = "months_made_in"


def is_known(period: str, engine: Engine) -> bool:
    """Whether the month is certainly there. The database is not asked."""
    return engine.dialect.name != "postgresql" or period in _known.get(engine, ())


def ahead(months: int) -> list[str]:
    """The present month and those that follow, ``months`` in all, as YYYY-MM."""
    today = clock.business_date()
    places = range(today.year * 12 + today.month - 1, today.year * 12 + today.month - 1 + months)
    return [clock.period_of(date(place // 12, place % 12 + 1, 1)) for place in places]
