"""The sweeper: asks the channel about payments that nobody told us of. A browser's return proves nothing, and a notice may be lost."""

import logging
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, locked, transaction
from marketplace.foundation.errors import MarketError
from marketplace.payments import call
from marketplace.payments.payment import OPEN, Payment

log = logging.getLogger(__name__)
AFTER_TROUBLE = timedelta(minutes=10)


def due(limit: int = 100) -> list[int]:
    """Ids of open payments whose next question is due."""
    query = select(Payment.id).where(Payment.state.in_(OPEN), Payment.ask_at <= clock.now(), Payment.channel == "alipay")
    return list(db.session.scalars(query.order_by(Payment.ask_at, Payment.id).limit(limit)))


def ask_due(limit: int = 100) -> int:
    """Ask about each payment that is due, one call at a time; how many. Never inside a transaction."""
    payment_ids = transaction(lambda: due(limit))
    for payment_id in payment_ids:
        try:
            call.ask(payment_id)
        except MarketError as error:
            # One payment whose answer does not fit must not keep the others from being asked about.
            log.warning("payment %s could not be asked about: %s", payment_id, error.code)
            transaction(lambda number=payment_id: _postpone(number))  # type: ignore[misc]
    return len(payment_ids)


def _postpone(payment_id: int) -> None:
    locked(Payment, payment_id).ask_at = clock.now() + AFTER_TROUBLE
