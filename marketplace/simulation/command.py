"""``flask simulate``: trades days through the same functions that the screens use, the same for the same seed."""

import json
import random
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any

import click
from flask.cli import with_appcontext
from sqlalchemy import event

from marketplace.foundation import clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.simulation import (
    bank,
    last_evening,
    month_end,
    public_trade,
    returns,
    seal,
    transfers,
    treasury,
    unit_trade,
)
from marketplace.simulation.gateway import Gateway, gateway
from marketplace.simulation.people import People, everybody

WATCHED = 7  # on so many of the last days somebody compares Alipay's bills with the books; before that on the day that closes a month
CLOSES = 15  # the day of a month on which the one before is closed


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
            trade_day(day, random.Random(f"{seed}-{day}"), orders, people, opened, done, late=last_evening.late(people, day, last), ships=day < last, looks=back < WATCHED or day.day == CLOSES)
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


def trade_day(
    day: date, chance: random.Random, orders: int, people: People, opened: Gateway, done: Counter[str], *,
    late: Collection[int] = (), ships: bool = True, looks: bool = True,
) -> None:  # fmt: skip
    """One Beijing day, from morning to evening. The cooperatives that are ``late`` do not distribute; what came in is sent if it ``ships``;
    Alipay's bills are compared with the books if somebody ``looks``."""
    morning, account = clock.beijing_midnight(day) + timedelta(hours=8), bank.Bank()
    with clock.travel(clock.beijing_midnight(day) + timedelta(minutes=10)):
        seal.close_the_day(done)
    with clock.travel(morning):
        public_trade.fall_due(done)
        transaction(balance.roll_up)
        public_trade.confirm(chance, people, done)
        unit_trade.accept(chance, people, done)
        returns.answer(chance, people, done)
        returns.raise_some(chance, people, done)
        month_end.answer(chance, people, done)
        if day.day == 2:
            month_end.distribute([each for each in people.cooperatives if each not in late], people, done)
    with clock.travel(morning + timedelta(hours=2, minutes=10)):
        treasury.bills(opened, done, looks=looks)
        if day.day == CLOSES:
            month_end.close(done)
        if day.weekday() == 0:
            treasury.withdraw(people, opened, done)
        month_end.credit(chance, people, opened, done)
        if day.day == 20:
            month_end.remit(people, done)
    for number in range(max(1, round(chance.gauss(orders, 2)))):
        with clock.travel(morning + timedelta(hours=1, minutes=chance.randrange(500))):
            public_trade.buy(chance, people, opened, str(day), number, done)
    if day.weekday() < 5:
        with clock.travel(morning + timedelta(hours=3)):
            for number in range(chance.choice((0, 1, 1, 2))):
                unit_trade.order(chance, people, str(day), number, done)
            unit_trade.pay(chance, people, account, done)
    with clock.travel(morning + timedelta(hours=9)):
        if ships:
            public_trade.ship(chance, people, done)
        outbox.drain(kinds={"refund", "payment.query", *transfers.KINDS})
    with clock.travel(morning + timedelta(hours=10)):
        bank.evening(account, people, done)
    db.session.remove()


