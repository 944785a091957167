"""The jobs of payments: what nobody told us is asked for."""

import logging

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import MarketError
from marketplace.jobs.schedule import job
from marketplace.payments import call, sweep

log = logging.getLogger("market.jobs")


@job("ask", 5, "ask Alipay about open payments of which no notice came")
def ask() -> str:
    asked = ask_due(50)
    return f"{asked} asked about" if asked else ""


def ask_due(limit: int = 100) -> int:
    """Ask about each payment that is due, one call at a time; how many. Never inside a transaction."""
    payment_ids = transaction(lambda: sweep.due(limit))
    for payment_id in payment_ids:
        try:
            call.ask(payment_id)
        except MarketError as error:
            # One payment whose answer does not fit must not keep the others from being asked about.
            log.warning("payment %s could not be asked about: %s", payment_id, error.code)
            transaction(lambda number=payment_id: sweep.postpone(number))  # type: ignore[misc]
    return len(payment_ids)
