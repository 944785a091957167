"""Time: aware UTC inside, a Beijing business date where law or accounts need a day.

Everything that asks for the time asks here, so that the simulation and tests can travel.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

BEIJING = timezone(timedelta(hours=8), "Asia/Shanghai")

# A context variable and not a global: a thread of the simulation travels without taking the others along.
_travelled: ContextVar[datetime | None] = ContextVar("travelled", default=None)


def now() -> datetime:
    """The present moment, aware, in UTC."""
    return _travelled.get() or datetime.now(UTC)


def business_date(moment: datetime | None = None) -> date:
    """The day in Beijing on which ``moment`` (default: now) falls. Naive moments are refused with ValueError."""
    moment = moment or now()
    if moment.tzinfo is None:
        raise ValueError("a naive moment has no day")
    return moment.astimezone(BEIJING).date()


@lru_cache(maxsize=64)
def period_of(day: date) -> str:
    """The accounting period, ``YYYY-MM``, of a Beijing day."""
    return f"{day:%Y-%m}"


def beijing_midnight(day: date) -> datetime:
    """The moment at which ``day`` begins in Beijing, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING).astimezone(UTC)


@contextmanager
def travel(to: datetime) -> Iterator[None]:
    """Within the block, ``now()`` is ``to``. For the simulation and for tests only."""
    if to.tzinfo is None:
        raise ValueError("travel needs an aware moment")
    token = _travelled.set(to.astimezone(UTC))
    try:
        yield
    finally:
        _travelled.reset(token)
