"""Working days of the People's Republic: the state's calendar, extended and overridden by a table.

A year that the calendar does not know falls back to weekends plus fixed-date holidays and is *provisional*: nothing stops,
and whoever approves over such a date confirms it.
"""

from datetime import date, timedelta

import chinese_calendar
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db

_FIXED_HOLIDAYS = {(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)}


class WorkdayOverride(Model):
    """A day that an officer declared working or free, over what the calendar says."""

    __tablename__ = "workday_override"

    day: Mapped[date] = mapped_column(primary_key=True)
    is_workday: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(200))


def is_workday(day: date) -> bool:
    """Whether ``day`` (Beijing) is a working day."""
    override = db.session.get(WorkdayOverride, day)
    if override is not None:
        return override.is_workday
    return _by_calendar(day)


def is_provisional(day: date) -> bool:
    """Whether the state's calendar for ``day``'s year is not known yet and no override says otherwise."""
    try:
        chinese_calendar.is_workday(day)
    except NotImplementedError:
        return db.session.get(WorkdayOverride, day) is None
    return False


def after_workdays(start: date, days: int) -> date:
    """The last of ``days`` whole working days that follow ``start`` (``start`` itself does not count)."""
    overrides = {
        row.day: row.is_workday
        for row in db.session.scalars(select(WorkdayOverride).where(WorkdayOverride.day > start).order_by(WorkdayOverride.day))
    }
    day = start
    while days > 0:
        day += timedelta(days=1)
        if overrides.get(day, _by_calendar(day)):
            days -= 1
    return day


def _by_calendar(day: date) -> bool:
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5 and (day.month, day.day) not in _FIXED_HOLIDAYS
