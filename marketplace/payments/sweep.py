"""The sweep: which payments the channel is asked about because nobody told us. A browser's return proves nothing, and a notice may be lost.
An attempt that is still open when its time is over, or when another has paid, is closed (``call``); so each comes to an end.

It only finds and postpones; the job that asks opens its own transactions on either side of the network.
"""

from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, locked
from marketplace.payments.payment import ONLINE, OPEN, Payment

AFTER_TROUBLE = timedelta(minutes=10)
AT_LAST = timedelta(hours=1)  # a day after its time: nobody waits for it any more, and each question is a row


def due(limit: int = 100) -> list[int]:
    """Ids of open payments whose next question is due, longest due first."""
    query = select(Payment.id).where(Payment.state.in_(OPEN), Payment.ask_at <= clock.now(), Payment.channel.in_(ONLINE))
    return list(db.session.scalars(query.order_by(Payment.ask_at, Payment.id).limit(limit)))


def postpone(payment_id: int) -> None:
    """The answer did not fit, or the channel is not configured: ask again later, so that the others get their turn."""
    payment = locked(Payment, payment_id)
    payment.ask_at = clock.now() + (AFTER_TROUBLE if payment.expires_at > clock.now() - timedelta(days=1) else AT_LAST)
