"""The county's letters, to be looked at: what waits, what went out, what was given up and may be tried once more. Texts are not shown:
what a person is told is theirs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked_where
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.outbox import OutboxMessage
from marketplace.notices.mail import KIND, masked
from marketplace.notices.mail_wish import MailWish
from marketplace.notices.message import Message
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Person

STATES = ("waiting", "given_up", "sent")


@dataclass(frozen=True)
class Sent:
    """A letter's row, to whom, and what about: a subject of the configuration's letters, a kind of a person's."""

    row: OutboxMessage
    to: str
    about: str


def letters(state: str, *, before_id: int = 0, limit: int = 51) -> list[Sent]:
    """Letters in a state, the latest first, in at most two statements."""
    query = select(OutboxMessage).where(OutboxMessage.kind == KIND, _is(state))
    if before_id:
        query = query.where(OutboxMessage.id < before_id)
    rows = db.session.scalars(query.order_by(OutboxMessage.id.desc()).limit(limit)).all()
    people = _people(rows)
    return [Sent(row, *_shown(row, people)) for row in rows]


def again(key: str, *, actor: Actor) -> None:
    """Try a letter that was given up once more, from the start. NotFound, Conflict ``mail.state`` if it was not given up."""
    actor.must_have("OPERATOR", "administrator")
    row = locked_where(OutboxMessage, select(OutboxMessage).where(OutboxMessage.kind == KIND, OutboxMessage.key == key))
    if row.given_up_at is None:
        raise Conflict("mail.state", N_("这封信没有停发，不用再发。"))
    row.given_up_at, row.attempts, row.due_at = None, 0, clock.now()
    db.session.flush()
    audit.record("mail.again", row, person_id=actor.person_id, organisation_id=actor.organisation_id)


def _is(state: str) -> ColumnElement[bool]:
    if state == "sent":
        return OutboxMessage.done_at.is_not(None)
    if state == "given_up":
        return OutboxMessage.given_up_at.is_not(None)
    return OutboxMessage.done_at.is_(None) & OutboxMessage.given_up_at.is_(None)


def _people(rows: Sequence[OutboxMessage]) -> dict[tuple[str, int], tuple[str, str]]:
    """(kind of letter, id) → name of the person and what it is about, for the letters that name a row."""
    named = [(row.payload["written"], int(row.payload["id"])) for row in rows if "written" in row.payload]
    found: dict[tuple[str, int], tuple[str, str]] = {}
    messages = [row_id for kind, row_id in named if kind == "message"]
    wishes = [row_id for kind, row_id in named if kind == "confirm"]
    if messages:
        query = select(Message.id, Person.name_zh, Message.kind).join(Person, Person.id == Message.person_id).where(Message.id.in_(messages))
        found |= {("message", row[0]): (row[1], row[2]) for row in db.session.execute(query)}
    if wishes:
        asked = select(MailWish.id, Person.name_zh).join(Person, Person.id == MailWish.person_id).where(MailWish.id.in_(wishes))
        found |= {("confirm", row[0]): (row[1], "confirm") for row in db.session.execute(asked)}
    return found


def _shown(row: OutboxMessage, people: dict[tuple[str, int], tuple[str, str]]) -> tuple[str, str]:
    payload: dict[str, Any] = row.payload
    if "written" in payload:
        return people.get((payload["written"], int(payload["id"])), ("—", payload["written"]))
    return masked(str(payload["to"])), str(payload["subject"])
