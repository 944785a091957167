"""The jobs of trade: what falls due in an order's life when nobody presses a button."""

import logging
from collections.abc import Callable, Sequence

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import Conflict
from marketplace.jobs.schedule import job
from marketplace.settlement import settlement

log = logging.getLogger("market.jobs")


@job("settle", 300, "divide the money of orders whose return window is over")
def settle() -> str:
    return _each("settled", settlement.settle_due(200), settlement.settle)


def _each(done: str, ids: Sequence[int], act: Callable[[int], object]) -> str:
    """Act on each in a transaction of its own; who was quicker, or what is no longer due, is passed over."""
    count = 0
    for row_id in ids:
        try:
            transaction(lambda row_id=row_id: act(row_id))  # type: ignore[misc]
            count += 1
        except Conflict as error:
            log.info("%s %s: %s", done, row_id, error.code)
    return f"{count} {done}" if count else ""
