"""The job of errands: steps with very many households, taken one after another by a worker of their own, so that nothing else waits for them."""

import logging
import time
from contextlib import suppress
from functools import partial
from typing import Any

from marketplace.errands import attempt
from marketplace.errands.errand import KIND
from marketplace.foundation import outbox
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import Conflict, MarketError
from marketplace.jobs.schedule import drained, job

BREATH = 0.1  # seconds between two goes of a step: SQLite gives the turn to whoever asks at the right moment
log = logging.getLogger("market.jobs")

job("errands", 2, "take the steps with very many households that people asked for", asks=KIND)(partial(drained, KIND))


@outbox.handles(KIND, asks=KIND)
def _attempt(payload: dict[str, Any]) -> None:
    """What goes wrong is tried again after the outbox's pause, until it is given up; what the rules refuse is not."""
    number = int(payload["errand_id"])
    if not transaction(partial(attempt.begin, number)):
        return
    try:
        work = attempt.ahead(number, partial(_tell, number))
        while not transaction(partial(attempt.carry_out, number, work)):
            time.sleep(BREATH)
    except Exception as error:
        if isinstance(error, MarketError) and error.code != "database.busy":
            transaction(partial(attempt.refuse, number, error))
            return
        log.exception("errand %s failed", number)
        if not transaction(partial(attempt.fail, number)):
            raise


def _tell(number: int, done: int, of: int) -> None:
    """Write down how far it is; where others are writing, it is told the next time."""
    with suppress(Conflict):
        transaction(partial(attempt.tell, number, done, of), attempts=1)
