"""What runs by itself: each job is a function that does what is due and says how much. Safe to run twice and at once.

A job opens its own short transactions, one an item: one bad item never holds up the others. Jobs that wait for another's answer (the payment
gateway, the mail server) have a worker of their own each: while that one hangs, everything else goes on.
"""

import importlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Flask

from marketplace.foundation import outbox
from marketplace.foundation.database import db

log = logging.getLogger("market.jobs")


@dataclass(frozen=True)
class Job:
    """``every`` seconds, ``work`` does what is due and returns a short report, empty if there was nothing. ``asks``: whose answer it waits for."""

    name: str
    every: int
    about: str
    work: Callable[[], str]
    asks: str = ""


SPELL = 60.0  # seconds after which a job that asks another begins nothing more: its worker has other jobs too


def drained(other: str) -> str:
    """Carry out the messages of the outbox that wait for this other, for a spell."""
    done, failed = outbox.drain(kinds=outbox.asking(other), seconds=SPELL)
    return f"{done} done, {failed} postponed" if done or failed else ""


JOBS: dict[str, Job] = {}


def job(name: str, every: int, about: str, *, asks: str = "") -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Declare a job."""

    def declare(work: Callable[[], str]) -> Callable[[], str]:
        JOBS[name] = Job(name, every, about, work, asks)
        return work

    return declare


job("outbox", 2, "carry out what waits to be done beside the pages: search, exports")(partial(drained, ""))
job("calls", 2, "carry out what the payment gateway is asked for: refunds, queries, closings", asks="gateway")(partial(drained, "gateway"))
job("letters", 2, "send the e-mails that wait", asks="mail")(partial(drained, "mail"))
job("transfers", 2, "transfer what goes to households over Alipay, and ask about what is unknown", asks="transfers")(partial(drained, "transfers"))


def known() -> dict[str, Job]:
    """All jobs, by name."""
    for module in ("disclosure", "trade", "payments", "supply", "alarms", "errands"):
        importlib.import_module(f"marketplace.jobs.{module}")
    return JOBS


def once(app: Flask, name: str) -> str:
    """Run one job now. Its report; an error propagates."""
    with app.app_context():
        try:
            return known()[name].work()
        finally:
            db.session.remove()


def run(app: Flask, stop: threading.Event, names: set[str] | None = None) -> None:
    """Run the schedule until ``stop`` is set, a worker for each other that is asked. A job that fails is logged and comes round again."""
    chosen = [each for each in known().values() if names is None or each.name in names]
    workers = [
        threading.Thread(target=_rounds, args=(app, stop, [each.name for each in chosen if each.asks == other]), name=f"jobs-{other or 'own'}")
        for other in sorted({each.asks for each in chosen})
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _rounds(app: Flask, stop: threading.Event, names: list[str]) -> None:
    due = dict.fromkeys(names, 0.0)
    while not stop.is_set():
        for name, at in due.items():
            if time.monotonic() < at or stop.is_set():
                continue
            try:
                report = once(app, name)
                if report:
                    log.info("%s: %s", name, report)
            except Exception:
                log.exception("%s failed", name)
            due[name] = time.monotonic() + JOBS[name].every
        stop.wait(0.5)
