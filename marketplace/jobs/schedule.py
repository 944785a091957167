"""What runs by itself: each job is a function that does what is due and says how much. Safe to run twice and at once.

A job opens its own short transactions, one an item: one bad item never holds up the others.
"""

import importlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

from marketplace.foundation import outbox
from marketplace.foundation.database import db

log = logging.getLogger("market.jobs")


@dataclass(frozen=True)
class Job:
    """``every`` seconds, ``work`` does what is due and returns a short report, empty if there was nothing."""

    name: str
    every: int
    about: str
    work: Callable[[], str]


def _drain_outbox() -> str:
    done, failed = outbox.drain()
    return f"{done} done, {failed} postponed" if done or failed else ""


JOBS: dict[str, Job] = {}


def job(name: str, every: int, about: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Declare a job."""

    def declare(work: Callable[[], str]) -> Callable[[], str]:
        JOBS[name] = Job(name, every, about, work)
        return work

    return declare


job("outbox", 2, "carry out what waits to be done outside: refunds, queries, search")(_drain_outbox)


def known() -> dict[str, Job]:
    """All jobs, by name."""
    for module in ("disclosure", "trade", "payments", "supply", "alarms"):
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
    """Run the schedule until ``stop`` is set. A job that fails is logged and comes round again."""
    due = {name: 0.0 for name in known() if names is None or name in names}
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
