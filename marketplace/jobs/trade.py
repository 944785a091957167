"""The jobs of trade: what falls due in an order's life when nobody presses a button."""

import logging
from collections.abc import Callable, Sequence

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import Conflict
from marketplace.jobs.schedule import job
from marketplace.ledger import balance, month
from marketplace.orders import cart, expiry, received
from marketplace.procurement import pay_deadline
from marketplace.settlement import period_close, settlement, settlement_run

log = logging.getLogger("market.jobs")


@job("expire", 20, "give the stock of unpaid purchases back to the shelf")
def expire() -> str:
    return _each("expired", expiry.due(200), expiry.expire)


@job("receive", 600, "count as received what was shipped long enough ago and nobody confirmed")
def receive() -> str:
    count = transaction(lambda: received.confirm_due(200))
    return f"{count} received" if count else ""


@job("lapse", 600, "end units' orders that were to be paid first and were not, and give their stock back")
def lapse() -> str:
    return _each("lapsed", pay_deadline.lapsed(200), pay_deadline.lapse)


@job("settle", 300, "divide the money of orders whose return window is over")
def settle() -> str:
    done = settlement_run.settle(settlement.settle_due(20_000), transaction)
    for refused in done.refused:
        log.info("not settled: %s", refused.code)
    if not (done.settled or done.failed):
        return ""
    return f"{done.settled} settled" + (f", {len(done.failed)} failed" if done.failed else "")


@job("carts", 600, "forget the carts that visitors left")
def forget_carts() -> str:
    count = transaction(lambda: cart.forget(5_000))
    return f"{count} carts forgotten" if count else ""


@job("balances", 60, "roll the ledger's lines up into balances, so that they are read quickly")
def balances() -> str:
    transaction(balance.roll_up)
    return ""


@job("close", 24 * 3600, "remind that a month is over and not closed; closing is a person's act")
def remind_to_close() -> str:
    waiting = period_close.due()
    return f"not closed: {', '.join(waiting)} (flask books close --period {waiting[0]})" if waiting else ""


@job("months", 6 * 3600, "make the ledger's months ahead, a year of them (PostgreSQL)")
def months() -> str:
    made = transaction(lambda: month.must_exist(month.ahead(13)))
    return f"made {', '.join(made)}" if made else ""


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
