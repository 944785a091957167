"""``flask simulate``: trades days through the same functions that the screens use, the same for the same seed."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import event

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.simulation import last_evening, seal, trading_day
from marketplace.simulation.gateway import gateway
from marketplace.simulation.people import everybody

WATCHED = 7  # on so many of the last days somebody compares Alipay's bills with the books; before that on the day that closes a month


@click.command("simulate")
@click.option("--days", type=click.IntRange(1, 400), default=60, show_default=True, help="How many days to trade.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), default=None, help="The last day (Beijing); default: yesterday.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed trades the same days.")
@click.option("--orders", type=click.IntRange(1, 500), default=6, show_default=True, help="Public purchases on an average day.")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON.")
@with_appcontext
def group(days: int, until: datetime | None, seed: int, orders: int, as_json: bool) -> None:
    """Trade DAYS days up to UNTIL: orders, payments through the emulator, shipments, acceptances, returns, settlements, distributions, payouts."""
    if settings().is_production:
        raise click.ClickException("MARKET_ENV is production: invented trade does not go into real books")
    last = until.date() if until else clock.business_date() - timedelta(days=1)
    people = everybody()
    if not people.customers or not people.cooperatives:
        raise click.ClickException("nobody trades yet: run `flask seed` first")
    began, done = time.monotonic(), Counter[str]()
    with _not_waiting_for_the_disk(), gateway() as opened:
        for back in range(days - 1, -1, -1):
            day = last - timedelta(days=back)
            late, looks = last_evening.late(people, day, last), back < WATCHED or day.day == trading_day.CLOSES
            trading_day.trade(day, random.Random(f"{seed}-{day}"), orders, people, opened, done, late=late, ships=day < last, looks=looks)
            if not as_json and (days - back) % 10 == 0:
                click.echo(f"  {days - back} of {days} days, {done['orders']} orders, {time.monotonic() - began:.0f} s")
        with clock.travel(clock.beijing_midnight(last) + timedelta(hours=19)):
            last_evening.leave(people, done)
        with clock.travel(clock.beijing_midnight(last + timedelta(days=1)) + timedelta(minutes=10)):
            seal.close_the_day(done)
    report = {"days": days, "until": str(last), "seed": seed, "seconds": round(time.monotonic() - began, 1), **dict(sorted(done.items()))}
    click.echo(json.dumps(report, ensure_ascii=False) if as_json else ", ".join(f"{key} {value}" for key, value in report.items()))


@contextmanager
def _not_waiting_for_the_disk() -> Iterator[None]:
    """Invented days need not outlive a power cut: SQLite's thousands of commits stay whole, but nobody waits for the platter."""

    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    if db.engine.dialect.name != "sqlite":
        yield
        return
    db.session.remove()
    db.engine.dispose()
    event.listen(db.engine, "connect", prepare)
    try:
        yield
    finally:
        event.remove(db.engine, "connect", prepare)
        db.session.remove()
        db.engine.dispose()
