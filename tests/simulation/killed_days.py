"""Days of the county's trade, each in a process that is killed with SIGKILL in the midst of its work; the next day goes on from what is left.

``python -m tests.simulation.killed_days FOLDER DATABASE ROUNDS QUIET SEED`` prints what it saw as JSON. ROUNDS is a JSON list of [day, part]: with an empty
part chance says in which work of the day it dies, "whole" leaves it alive; DATABASE may be "". The market in FOLDER is seeded. After each round, when the morning's schedule has taken
up what was left lying, the books are checked; QUIET days without a kill at the end let everything that was under way come to its end.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

from sqlalchemy import event, func, select

from marketplace import create_app
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db, in_transaction
from marketplace.foundation.outbox import OutboxMessage
from marketplace.jobs import payments as asking
from marketplace.ledger import account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.organisation import Cooperative
from marketplace.payments.payment import OPEN, Payment
from marketplace.payments.refund import GOING, Refund
from marketplace.reporting import books
from marketplace.settlement import period_close
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.simulation import trading_day, transfers
from marketplace.simulation.gateway import Gateway, gateway
from marketplace.simulation.people import everybody

ASKED = {"refund", "payment.query", "payment.close", *transfers.KINDS}
ORDERS = 6
# Work that comes once a month or seldom, and how likely a day is killed in it when it comes: else two hundred days would hardly ever meet it.
SELDOM = {"distribute": 0.6, "credit": 0.6, "payout": 0.6, "results": 0.6, "close": 0.8, "remit": 0.5, "withdraw": 0.3, "refund": 0.4}
# The other parts of a day, each as likely as the next: if only those that were seen to end could be chosen, hardly a day would live to trade.
DAILY = ("seal", "settle", "balances", "confirm", "accept", "returns", "bills", "buy", "units", "ship", "ask", "statement")
WHOLE = "whole"  # instead of a part: the day is not killed
FEW = 20  # steps that any work has, where nothing is known of it
INSTANT = 0.003  # seconds within which the signal falls after the chosen step


class Fate:
    """Where in its work a day dies: a step of it, a statement or a commit inside a transaction, and a random instant after that.

    Chosen by the day's progress and not by the clock, so that a slow machine is killed as deep in its work as a fast one. Work begins with its
    first write: a part that only looked and found nothing to do is not killed. What is told to the parent ends with ``name:`` of the part that died.
    """

    def __init__(self, chance: random.Random, known: dict[str, int], wanted: str, never: Sequence[str], tell: int) -> None:
        self.chance, self.known, self.tell = chance, known, tell
        self.given = bool(wanted)
        self.wanted = wanted or chance.choice(never or DAILY)
        self.part, self.steps, self.left = "", 0, 0

    def begins(self, part: str) -> None:
        self.part, self.steps = part, 0

    def ends(self) -> None:
        if self.steps:
            os.write(self.tell, f"{self.steps}\n".encode())
        elif self.part == self.wanted and not self.left:
            self.left = self.chance.randint(1, FEW)  # it had nothing to do today: what comes next dies

    def statement(self, _connection: Any, _cursor: Any, statement: str, *_of_it: Any) -> None:
        self._step(writes=statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"))

    def commit(self, _connection: Any) -> None:
        self._step(writes=False)

    def _step(self, *, writes: bool) -> None:
        if not in_transaction() or not (self.steps or writes):
            return
        if not self.steps:
            os.write(self.tell, f"{self.part}:".encode())
            if self.part == self.wanted if self.given else self.part == self.wanted or self.chance.random() < SELDOM.get(self.part, 0):
                self.left = self.left or self.chance.randint(1, self.known.get(self.part, FEW))
        self.steps += 1
        if self.left:
            self.left -= 1
            if not self.left:
                self._dies()

    def _dies(self) -> None:
        if self.chance.random() < 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        Timer(self.chance.uniform(0, INSTANT), os.kill, (os.getpid(), signal.SIGKILL)).start()


class Days:
    """The market's calendar, a day a process."""

    def __init__(self, seed: int) -> None:
        self.people = everybody()
        self.day, self.seed = date.min, seed
        self.chance = random.Random(seed)
        self.seen = Counter[str]()
        self.killed_in = Counter[str]()
        self.known: dict[str, int] = {}  # the steps that each part of a day had when it last came to its end
        self.wrong: list[str] = []

    def passes(self, day: date, *, killed: bool, wanted: str = "") -> None:
        """A morning on which the schedule takes up what was left lying, the check, and the day, which dies in its work if it is to be ``killed``."""
        self.day = day
        self._here(self._sweep, "the morning")
        self._check()
        if not killed:
            self._here(lambda opened: self._trade(opened, None), "the day")
            self.seen["ended"] += 1
            return
        hears, tells = os.pipe()
        # What comes seldom, and no day has died in yet, is aimed at first: by chance alone one of nine months would have none of it. So is what settles: a
        # day that aims at what does not come dies in what comes next, which never is the first thing in the morning.
        never = [part for part in ("settle", *SELDOM) if not self.killed_in[part]]
        fate = Fate(random.Random(self.chance.random()), self.known, wanted, never, tells)
        child = self._forked(lambda opened: self._trade(opened, fate))
        os.close(tells)
        with os.fdopen(hears) as told:
            died_in = self._heard(told.read())
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.seen["killed"] += 1
            self.killed_in[died_in or "between"] += 1
            return
        self.seen["ended"] += 1
        if code := os.waitstatus_to_exitcode(status):
            self.wrong.append(f"{self.day}: the day ended with {code}")

    def _heard(self, told: str) -> str:
        """The part that a day died in, if it died in one; what the others did is remembered."""
        did = Counter[str]()
        died_in = ""
        for line in told.splitlines():
            name, _, steps = line.partition(":")
            if steps:
                did[name] += int(steps)
            else:
                died_in = name
        self.known |= {name: steps for name, steps in did.items() if name != died_in}
        return died_in

    def _check(self) -> None:
        self.wrong += [f"{self.day}: {each.rule}: {each.detail}" for each in books.check() if not each.ok]

    def _here(self, work: Callable[[Gateway], None], name: str) -> None:
        """Work that is not killed, on connections of its own. What it leaves warm (statements, keys) its children inherit."""
        try:
            with gateway() as opened:
                work(opened)
        except Exception as error:  # noqa: BLE001 - told at the end, with the rest
            traceback.print_exc()
            self.wrong.append(f"{self.day}: {name} ended with {error!r}")
        db.session.remove()

    def _forked(self, work: Callable[[Gateway], None]) -> int:
        """Work in a process of its own; its number."""
        db.session.remove()
        db.engine.dispose()  # a connection is not shared over a fork
        if child := os.fork():
            return child
        code = 1
        try:
            with gateway() as opened:
                work(opened)
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)  # nothing of the parent's runs here

    def _trade(self, opened: Gateway, fate: Fate | None) -> None:
        parts = trading_day.parts(self.day, random.Random(f"{self.seed}-{self.day}"), ORDERS, self.people, opened, Counter())
        if fate is not None:
            event.listen(db.engine, "before_cursor_execute", fate.statement)
            event.listen(db.engine, "commit", fate.commit)
        for part in parts:
            if fate is not None:
                fate.begins(part.name)
            with clock.travel(part.at):
                part.work()
            if fate is not None:
                fate.ends()

    def _sweep(self, _opened: Gateway) -> None:
        """What the schedule asks about at night: payments and transfers of which nothing was heard."""
        with clock.travel(clock.beijing_midnight(self.day) + timedelta(hours=1)):
            while asking.ask_due():
                pass
            outbox.drain(kinds=ASKED)
            asking.reconcile()

    def account(self) -> None:
        """Everything has come to an end, and the gateway's memory agrees with the books to the fen."""
        self._check()
        self._none("payments still open", select(func.count()).where(Payment.state.in_(OPEN), Payment.channel == "alipay", Payment.created_at < self._noon()))
        self._none("refunds under way", select(func.count()).where(Refund.state.in_(GOING), Refund.way == "alipay", Refund.approved_at < self._noon()))
        self._none(
            "work left in the outbox",
            select(func.count()).select_from(OutboxMessage).where(OutboxMessage.done_at.is_(None), OutboxMessage.kind.in_(ASKED), OutboxMessage.due_at < self._noon()),
        )
        self._none("distributions on the way", select(func.count()).where(Distribution.state.in_(("DRAFTED", "APPROVED")), Distribution.drafted_at < self._noon()))
        going = PayoutBatch.state.in_(("DRAFT", "APPROVED", "SENT")), PayoutBatch.made_at < self._noon() - timedelta(days=1)
        self._none("payout batches on the way", select(func.count()).select_from(PayoutBatch).where(*going))
        with clock.travel(self._noon()):
            late = clock.period_of(self.day - timedelta(days=31 + trading_day.CLOSES))
            self.wrong += [f"{period} is not closed" for period in period_close.due() if period < late]
        with gateway() as opened:
            for seller in db.session.scalars(select(Cooperative)):
                state = opened.emulator.state
                came = state.row("SELECT coalesce(sum(total_fen), 0) AS n FROM trade WHERE paid_at <> '' AND app_id = ?", seller.alipay_app_id)
                went = state.row("SELECT coalesce(sum(fen), 0) AS n FROM refund WHERE app_id = ?", seller.alipay_app_id)
                assert came is not None
                assert went is not None
                held = self._traded(seller.organisation_id)
                if held != came["n"] - went["n"]:
                    self.wrong.append(f"{seller.alipay_app_id}: {came['n']} - {went['n']} fen at the gateway, the books say {held}")

    def _traded(self, organisation_id: int) -> int:
        """What payments and refunds left in Alipay by the books; its fees, and what was drawn to the bank, are for reconciliation to tell."""
        lines = (
            select(func.coalesce(func.sum(JournalLine.fen), 0))
            .join(JournalEntry, (JournalEntry.period == JournalLine.period) & (JournalEntry.id == JournalLine.entry_id))
            .where(JournalEntry.book == organisation_id, JournalEntry.kind.in_(("alipay_paid", "alipay_unapplied", "refund_succeeded")))
            .where(JournalLine.account_id == account.existing("alipay", organisation_id))
        )
        return int(db.session.scalar(lines) or 0)

    def _noon(self) -> Any:
        return clock.beijing_midnight(self.day)

    def _none(self, what: str, query: Any) -> None:
        if count := db.session.scalar(query):
            self.wrong.append(f"{count} {what}")


def main(folder: str, database: str, rounds: str, quiet: str, seed: str) -> None:
    settings = read_settings({}, environment="test", data_dir=Path(folder), database_url=database, secret_key="t" * 40)
    planned = [(date.fromisoformat(day), part) for day, part in json.loads(rounds)]
    with create_app(settings).app_context():
        days, began = Days(int(seed)), time.monotonic()
        for day, part in planned:
            days.passes(day, killed=part != WHOLE, wanted=part)
        seconds = (time.monotonic() - began) / len(planned)
        for _ in range(int(quiet)):
            days.passes(days.day + timedelta(days=1), killed=False)
        days.account()
        kinds = dict.fromkeys(db.session.scalars(select(JournalEntry.kind).distinct().order_by(JournalEntry.kind)))
        report = {"wrong": days.wrong, **days.seen, "killed_in": days.killed_in, "kinds": list(kinds), "until": str(days.day), "seconds_a_round": round(seconds, 2)}
        print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
