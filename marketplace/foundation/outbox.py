"""The outbox: what must happen outside is a row, written in the same transaction as its cause.

A job claims a due row, acts between transactions, and records the outcome; a claim that is not finished in time (a killed
worker) is due again. Handlers are therefore repeatable by their own request numbers. What cannot come to a good end is given up,
kept, and shown to a person; nothing is thrown away.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, String, Text, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, db, in_transaction, transaction

CLAIM = timedelta(minutes=2)
# Seconds until the next try, by the number of tries made; the last one repeats.
BACKOFF = (10, 30, 120, 600, 1800, 3600, 7200, 21600)


class OutboxMessage(Identified, Model):
    """One thing to do outside. ``key`` is unique among the kind: asking twice is asking once."""

    __tablename__ = "outbox_message"
    __table_args__ = (
        Index("uq_outbox_message_kind_key", "kind", "key", unique=True),
        Index("ix_outbox_message_due", "done_at", "due_at"),
    )

    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(80))
    payload: Mapped[dict[str, Any]]
    made_at: Mapped[datetime | None] = mapped_column(default=clock.now)  # when it was asked for; of old rows it is not known
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    done_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]  # not tried again until a person says so
    last_error: Mapped[str | None] = mapped_column(Text)


class GiveUp(Exception):
    """Raised by a handler: trying again is useless, a person must look at it."""


Handler = Callable[[dict[str, Any]], None]
handlers: dict[str, Handler] = {}
tries: dict[str, int] = {}  # after so many a message of the kind is given up; what is not named is tried for ever
others: dict[str, str] = {}  # whose answer a kind waits for (the gateway, the mail server); what is not named waits for nobody's
ready: dict[str, Callable[[], bool]] = {}  # messages of the kind wait, untried, until this says yes


def handles(kind: str, *, most: int = 0, when: Callable[[], bool] | None = None, asks: str = "") -> Callable[[Handler], Handler]:
    """Register the function that carries out messages of ``kind``. It runs outside any transaction and may open its own.

    ``most``: tries until it is given up (0: never). ``when``: whether they can be carried out at all now; until then they wait.
    ``asks``: who is asked over the network, if anybody is: such messages are carried out apart, since the other may keep us waiting.
    """

    def register(handler: Handler) -> Handler:
        if handlers.get(kind, handler).__qualname__ != handler.__qualname__:
            raise ValueError(f"two handlers for {kind}")
        handlers[kind] = handler
        if asks:
            others[kind] = asks
        if most:
            tries[kind] = most
        if when is not None:
            ready[kind] = when
        return handler

    return register


def put(kind: str, key: str, payload: dict[str, Any] | None = None, *, due_at: datetime | None = None) -> None:
    """Ask for ``kind`` to be done; asked again before it was done, it stays one. Asked after, it is due once more."""
    due_at = due_at or clock.now()
    # Held, so that a worker that is finishing it has finished, or finds that it was asked for again.
    query = select(OutboxMessage).where(OutboxMessage.kind == kind, OutboxMessage.key == key)
    waiting = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if waiting is None:
        db.session.add(OutboxMessage(kind=kind, key=key, payload=json.loads(json.dumps(payload or {})), due_at=due_at, attempts=0))
    else:
        waiting.payload = payload or {}
        if waiting.done_at is not None or waiting.given_up_at is not None:
            waiting.done_at, waiting.given_up_at, waiting.attempts, waiting.due_at, waiting.last_error = None, None, 0, due_at, None
            waiting.made_at = clock.now()
        else:
            # Zero tells a worker that is busy with it now that it was asked for again, and must stay due.
            waiting.due_at, waiting.attempts = min(waiting.due_at, due_at), 0
    db.session.flush()


def put_many(kind: str, payloads: Mapping[str, dict[str, Any]]) -> None:
    """Ask for many at once, by their keys: due now, whether they were done, given up or are waiting. In a handful of statements."""
    keys, now = list(payloads), clock.now()
    known = set[str]()
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        its = OutboxMessage.kind == kind, OutboxMessage.key.in_(some)
        known |= set(db.session.scalars(select(OutboxMessage.key).where(*its)))
        fresh = {"done_at": None, "given_up_at": None, "attempts": 0, "made_at": now, "due_at": now, "last_error": None}
        db.session.execute(update(OutboxMessage).where(*its).values(fresh).execution_options(synchronize_session="fetch"))
    rows = [{"kind": kind, "key": key, "payload": payloads[key], "made_at": now, "due_at": now, "attempts": 0} for key in keys if key not in known]
    if rows:
        db.session.execute(insert(OutboxMessage), rows)
    db.session.flush()


def asking(other: str = "") -> set[str]:
    """The kinds that wait for this other's answer; by default those that wait for nobody's."""
    return {kind for kind in handlers if others.get(kind, "") == other}


def drain(limit: int = 200, kinds: set[str] | None = None, *, seconds: float = math.inf) -> tuple[int, int]:
    """Carry out what is due, each message on its own, and begin none after ``seconds``. Returns (done, failed). Never inside a transaction."""
    if in_transaction():
        raise RuntimeError("drain() acts outside; it cannot run inside a transaction")
    done = failed = 0
    until = time.monotonic() + seconds
    for _ in range(limit):
        if time.monotonic() >= until:
            break
        claimed = transaction(lambda: _claim(kinds))
        if claimed is None:
            break
        message_id, kind, payload, attempts = claimed
        try:
            handlers[kind](payload)
        except Exception as error:  # noqa: BLE001 -- one message's trouble, of any kind, must not stop the others
            failed += 1
            db.session.rollback()
            transaction(lambda m=message_id, e=error, n=attempts: _failed(m, e, n))  # type: ignore[misc]
        else:
            done += 1
            transaction(lambda m=message_id: _finish(m))  # type: ignore[misc]
    return done, failed


def _claim(kinds: set[str] | None) -> tuple[int, str, dict[str, Any], int] | None:
    known = {kind for kind in (kinds or set(handlers)) & set(handlers) if kind not in ready or ready[kind]()}
    query = (
        select(OutboxMessage)
        .where(OutboxMessage.done_at.is_(None), OutboxMessage.given_up_at.is_(None))
        .where(OutboxMessage.due_at <= clock.now(), OutboxMessage.kind.in_(known))
        .order_by(OutboxMessage.due_at, OutboxMessage.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    message = db.session.scalars(query).one_or_none()
    if message is None:
        return None
    message.attempts += 1
    message.due_at = clock.now() + CLAIM
    return message.id, message.kind, dict(message.payload), message.attempts


def _finish(message_id: int) -> None:
    message = _held(message_id)
    # Asked for again while it was being done: then it stays due.
    if message is not None and message.attempts > 0:
        message.done_at = clock.now()


def _held(message_id: int) -> OutboxMessage | None:
    """The message as it stands once nobody else is changing it."""
    query = select(OutboxMessage).where(OutboxMessage.id == message_id)
    return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()


def _failed(message_id: int, error: Exception, attempts: int) -> None:
    message = _held(message_id)
    if message is None:
        return
    message.last_error = f"{type(error).__name__}: {error}"[:2000]
    if message.attempts > 0 and (isinstance(error, GiveUp) or attempts >= tries.get(message.kind, attempts + 1)):
        message.given_up_at = clock.now()
    # Asked for again while it was being done: then it is as young as that.
    message.due_at = clock.now() + timedelta(seconds=BACKOFF[min(attempts, len(BACKOFF)) - 1 if message.attempts else 0])
