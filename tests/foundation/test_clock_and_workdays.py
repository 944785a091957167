"""The day is Beijing's, whatever the server's zone; working days follow the state's calendar and an officer's overrides."""

from datetime import UTC, date, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock, workdays
from marketplace.foundation.database import db, transaction
from marketplace.foundation.workdays import WorkdayOverride


def test_the_business_date_turns_at_beijing_midnight() -> None:
    assert clock.business_date(datetime(2026, 11, 23, 15, 59, tzinfo=UTC)) == date(2026, 11, 23)
    assert clock.business_date(datetime(2026, 11, 23, 16, 0, tzinfo=UTC)) == date(2026, 11, 24)
    with pytest.raises(ValueError, match="naive"):
        clock.business_date(datetime(2026, 11, 23, tzinfo=UTC).replace(tzinfo=None))


def test_travelling_and_coming_back() -> None:
    there = datetime(2026, 9, 14, 1, 26, tzinfo=UTC)
    with clock.travel(there):
        assert clock.now() == there
        assert clock.period_of(clock.business_date()) == "2026-09"
    assert clock.now() != there


def test_the_national_day_week_does_not_count(app: Flask) -> None:
    # 2026: 1–7 October free, Saturday 10 October worked for it.
    assert workdays.after_workdays(date(2026, 9, 30), 1) == date(2026, 10, 8)
    assert workdays.after_workdays(date(2026, 9, 30), 3) == date(2026, 10, 10)


def test_an_unknown_year_is_provisional_and_an_override_settles_it(app: Flask) -> None:
    day = date(2031, 1, 2)
    assert workdays.is_provisional(day)
    assert workdays.is_workday(day)
    with transaction():
        db.session.add(WorkdayOverride(day=day, is_workday=False, reason="元旦调休"))
    assert not workdays.is_provisional(day)
    assert not workdays.is_workday(day)
    assert workdays.after_workdays(date(2031, 1, 1), 1) == date(2031, 1, 3)
