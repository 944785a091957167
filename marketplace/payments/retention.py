"""How long the inbox and the outbox of payments are kept. What money rests on (payments, refunds, entries, bills) is never deleted.

Calls and notices are evidence against the channel: kept as long as account books' papers of daily use. What was done outside is
kept while somebody may ask whether it was; a key as long as a form may come again.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, func, null, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.idempotency import IdempotencyKey
from marketplace.foundation.outbox import OutboxMessage
from marketplace.ledger.entry import JournalEntry
from marketplace.payments.call import PaymentCall
from marketplace.payments.notice_inbox import ASKING, AlipayNotice
from marketplace.payments.refused_notice import for_people

# An entry of the books may rest on a dispute: what Stripe kept for it.
_POSTED = select(JournalEntry.id).where(JournalEntry.source_type == AlipayNotice.__tablename__, JournalEntry.source_id == AlipayNotice.id).exists()
# What a person must look into is finished when somebody has, and what Stripe is asked about when it has answered, however long ago it came.
_WAITS = (for_people() & AlipayNotice.handled_at.is_(None)) | (AlipayNotice.outcome == ASKING) | ((AlipayNotice.outcome == "disputed") & _POSTED)
_FINISHED = case((_WAITS, null()), else_=func.coalesce(AlipayNotice.handled_at, AlipayNotice.received_at))

# table, since when a row counts, how long it is kept
KEPT: tuple[tuple[Any, Any, timedelta], ...] = (
    (OutboxMessage, OutboxMessage.done_at, timedelta(days=90)),
    (IdempotencyKey, IdempotencyKey.claimed_at, timedelta(days=400)),
    (PaymentCall, PaymentCall.answered_at, timedelta(days=3 * 366)),
    (AlipayNotice, _FINISHED, timedelta(days=3 * 366)),
)


def forget(limit: int = 1000) -> int:
    """Delete what was kept long enough, at most ``limit`` rows a table; how many. What is not finished stays however old it is."""
    gone = 0
    for model, since, kept in KEPT:
        old: ColumnElement[bool] = since < clock.now() - kept
        ids = list(db.session.scalars(select(model.id).where(old).order_by(model.id).limit(limit)))
        if ids:
            db.session.execute(delete(model).where(model.id.in_(ids)))
        gone += len(ids)
    return gone
