"""Notices that come together are committed together: one waits for the database, and whatever came meanwhile is the next one's company.

A gateway tells of its payments in bursts, and what a commit costs hardly depends on how much is committed. Nobody is answered before it, and
nobody waits for company but within a burst, and then no longer than the last commit took.
"""

import logging
import threading
import time
from collections import deque

from flask import Flask

from marketplace.foundation import driver
from marketplace.foundation.database import db
from marketplace.payments import payment_at_once
from marketplace.payments.payment_at_once import MOST, Told

LINGER = 0.02  # seconds, at most, that the first of a burst waits for the others of it
log = logging.getLogger(__name__)


class _Waiting:
    """A notice, and what came of it: ``applied`` or ``repeated``, "" if it is not done and must go the longer way, None as long as it waits."""

    __slots__ = ("said", "told")

    def __init__(self, told: Told) -> None:
        self.told = told
        self.said: str | None = None


class Burst:
    """The notices of one process, of whatever threads."""

    def __init__(self, app: Flask) -> None:
        with app.app_context():
            self._engine = db.engine
        self._waiting: deque[_Waiting] = deque()
        self._turn = threading.Lock()
        self._about, self._took = 1, 0.0  # how many tell now, and how many seconds the last commit took
        self._as_many = threading.Event()  # as that wait now

    def hear(self, told: Told) -> bool:
        """Whether it was applied, now or before, and kept, and committed. Nothing is done otherwise."""
        mine = _Waiting(told)
        self._waiting.append(mine)
        if len(self._waiting) >= self._about:
            self._as_many.set()
        with self._turn:  # whoever has it does the work of all who wait for it
            while mine.said is None:
                self._commit(self._next())
        return bool(mine.said)

    def _next(self) -> list[_Waiting]:
        """Those who have waited longest, each of another payment."""
        self._as_many.clear()
        if len(self._waiting) < self._about:
            self._as_many.wait(min(LINGER, self._took))
        some: dict[str, _Waiting] = {}
        while self._waiting and len(some) < MOST and self._waiting[0].told.outcome.out_trade_no not in some:
            first = self._waiting.popleft()
            some[first.told.outcome.out_trade_no] = first
        return list(some.values())

    def _commit(self, some: list[_Waiting]) -> None:
        began = time.monotonic()
        try:
            with driver.alone(self._engine) as connection:
                said = payment_at_once.apply_all([each.told for each in some], connection)
            for each, word in zip(some, said, strict=True):
                each.said = word
        except Exception:  # one of them, or the database: each goes alone then, and meets its own error
            log.warning("%s notices go one by one", len(some), exc_info=True)
        finally:
            for each in some:
                each.said = each.said or ""
            # Whoever waits now is none of those that are answered now, and these tell the next one soon if it is a burst.
            self._about, self._took = len(some) + len(self._waiting), time.monotonic() - began
