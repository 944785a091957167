"""One Beijing day of the simulated county, from just after midnight to the evening, part by part in the order in which it goes.

Whatever a part finds half done, because the day before broke off in it, it takes up: like people, it looks at what waits, not at a diary.
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import NamedTuple

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.simulation import (
    bank,
    month_end,
    payouts,
    public_trade,
    remitting,
    returns,
    seal,
    transfers,
    treasury,
    unit_trade,
)
from marketplace.simulation.gateway import Gateway
from marketplace.simulation.people import People

DIVIDES = 2  # the day of a month from which on the one before is distributed
CLOSES = 15  # … and closed
REMITS = 20  # the day on which villages, fund and cooperatives get what is theirs


class Part(NamedTuple):
    """A kind of work, when it is done, and the doing of it. The same name may come several times a day."""

    name: str
    at: datetime
    work: Callable[[], object]


def trade(
    day: date, chance: random.Random, orders: int, people: People, opened: Gateway, done: Counter[str], *,
    late: Collection[int] = (), ships: bool = True, looks: bool = True,
) -> None:  # fmt: skip
    """Trade one day; see ``parts``."""
    for part in parts(day, chance, orders, people, opened, done, late=late, ships=ships, looks=looks):
        with clock.travel(part.at):
            part.work()
    db.session.remove()


def parts(
    day: date, chance: random.Random, orders: int, people: People, opened: Gateway, done: Counter[str], *,
    late: Collection[int] = (), ships: bool = True, looks: bool = True,
) -> Iterator[Part]:  # fmt: skip
    """The parts of a day; each is to be done before the next is asked for. The cooperatives that are ``late`` do not distribute; what came in
    is sent if it ``ships``; Alipay's bills are compared with the books if somebody ``looks``."""
    midnight, account = clock.beijing_midnight(day), bank.Bank()
    yield Part("seal", midnight + timedelta(minutes=10), partial(seal.close_the_day, done))
    morning = midnight + timedelta(hours=8)
    yield Part("settle", morning, partial(public_trade.fall_due, done))
    yield Part("balances", morning, partial(transaction, balance.roll_up))
    yield Part("confirm", morning, partial(public_trade.confirm, chance, people, done))
    yield Part("accept", morning, partial(unit_trade.accept, chance, people, done))
    yield Part("returns", morning, partial(returns.answer, chance, people, done))
    yield Part("returns", morning, partial(returns.raise_some, chance, people, done))
    yield Part("results", morning, partial(payouts.answer, chance, people, opened, done))
    if day.day >= DIVIDES:
        yield Part("distribute", morning, partial(month_end.distribute, [each for each in people.cooperatives if each not in late], people, done))
    bills_out = morning + timedelta(hours=2, minutes=10)
    yield Part("withdraw", bills_out, partial(treasury.write_down, people, opened, done))
    yield Part("bills", bills_out, partial(treasury.bills, opened, done, looks=looks))
    if day.day >= CLOSES:
        yield Part("close", bills_out, partial(month_end.close, done))
    if day.weekday() == 0:
        yield Part("withdraw", bills_out, partial(treasury.withdraw, people, opened, done))
    yield Part("credit", bills_out, partial(month_end.credit, people, done))
    yield Part("payout", bills_out, partial(payouts.pay, chance, people, opened, done))
    yield Part("remit", bills_out, partial(remitting.remit, people, done, asks=day.day == REMITS))
    for number in range(max(1, round(chance.gauss(orders, 2)))):
        at = morning + timedelta(hours=1, minutes=chance.randrange(500))
        yield Part("buy", at, partial(public_trade.buy, chance, people, opened, str(day), number, done))
    if day.weekday() < 5:
        noon = morning + timedelta(hours=3)
        for number in range(chance.choice((0, 1, 1, 2))):
            yield Part("units", noon, partial(unit_trade.order, chance, people, str(day), number, done))
        yield Part("units", noon, partial(unit_trade.pay, chance, people, account, done))
    evening = morning + timedelta(hours=9)
    if ships:
        yield Part("ship", evening, partial(public_trade.ship, chance, people, done))
    yield Part("refund", evening, partial(outbox.drain, kinds={"refund"}))
    yield Part("ask", evening, partial(outbox.drain, kinds={"payment.query", *transfers.KINDS}))
    yield Part("statement", evening + timedelta(hours=1), partial(bank.evening, account, people, done))
