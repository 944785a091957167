"""Days of the county's trade, each in a process that may be killed with SIGKILL at any moment; the next day goes on from what is left.

``python -m tests.simulation.killed_days FOLDER DATABASE FIRST ROUNDS QUIET SEED`` (FIRST: a day; DATABASE may be ""): prints what it saw as JSON. The market in
FOLDER is seeded. After each round, when the morning's schedule has taken up what was left lying, the books are checked; QUIET days without a kill at the end let everything that was under way come to its end.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from marketplace import create_app
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import read_settings
from marketplace.foundation.database import db
from marketplace.foundation.outbox import OutboxMessage
from marketplace.jobs import payments as asking
from marketplace.ledger import account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.organisation import Cooperative
from marketplace.payments.payment import OPEN, Payment
from marketplace.payments.refund import GOING, Refund
from marketplace.reporting import books
from marketplace.simulation import public_trade
from marketplace.simulation.command import trade_day
from marketplace.simulation.gateway import Gateway, gateway
from marketplace.simulation.people import everybody

ASKED = {"refund", "payment.query", "payment.close"}
ORDERS = 6


class Days:
    """The market's calendar, a day a process."""

    def __init__(self, first: date, seed: int) -> None:
        self.people = everybody()
        self.day, self.seed = first, seed
        self.seen = Counter[str]()
        self.wrong: list[str] = []
        self.longest = 0.3

    def passes(self, kill_after: float | None) -> None:
        """A morning on which the schedule takes up what was left lying, the check, and the day, killed after so many seconds if it still runs."""
        if code := os.waitstatus_to_exitcode(self._waited(self._forked(self._sweep))):
            self.wrong.append(f"{self.day}: the morning ended with {code}")
        self._check()
        began = time.monotonic()
        child = self._forked(self._trade)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        status = self._waited(child)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        self.seen["killed" if killed else "ended"] += 1
        if not killed:
            self.longest = max(self.longest, time.monotonic() - began)
            if code := os.waitstatus_to_exitcode(status):
                self.wrong.append(f"{self.day}: the day ended with {code}")
        self.day += timedelta(days=1)

    def _check(self) -> None:
        self.wrong += [f"{self.day}: {each.rule}: {each.detail}" for each in books.check() if not each.ok]

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

    def _waited(self, child: int) -> int:
        return os.waitpid(child, 0)[1]

    def _trade(self, opened: Gateway) -> None:
        trade_day(self.day, random.Random(f"{self.seed}-{self.day}"), ORDERS, self.people, opened, Counter())

    def _sweep(self, _opened: Gateway) -> None:
        """What the schedule asks about at night: payments of which nothing was heard."""
        with clock.travel(clock.beijing_midnight(self.day) + timedelta(hours=1)):
            public_trade.fall_due(Counter())
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
        return clock.beijing_midnight(self.day - timedelta(days=1))

    def _none(self, what: str, query: Any) -> None:
        if count := db.session.scalar(query):
            self.wrong.append(f"{count} {what}")


def main(folder: str, database: str, first: str, rounds: str, quiet: str, seed: str) -> None:
    settings = read_settings({}, environment="test", data_dir=Path(folder), database_url=database, secret_key="t" * 40)
    with create_app(settings).app_context():
        days = Days(date.fromisoformat(first), int(seed))
        chance = random.Random(int(seed))
        days.passes(None)
        for _ in range(int(rounds)):
            days.passes(chance.uniform(0.02, days.longest))
        for _ in range(int(quiet)):
            days.passes(None)
        days.account()
        kinds = dict.fromkeys(db.session.scalars(select(JournalEntry.kind).distinct().order_by(JournalEntry.kind)))
        print(json.dumps({"wrong": days.wrong, **days.seen, "kinds": list(kinds), "until": str(days.day)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
