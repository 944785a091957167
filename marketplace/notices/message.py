"""A message to a person who works here: what happened that they want to know of, in their inbox and, if they wish, by e-mail.

A message holds a code and data; its words are made for whoever reads it, in their language. Only its own person ever sees it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, select, update
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.language import in_language, language
from marketplace.notices import mail, mail_wish
from marketplace.organisations.person import Person

MAIL_AT_LATEST = 7  # days after which a letter is no news: it stays in the inbox only


class Message(Public, Model):
    """``number`` is unique: the same news twice is one message. ``path`` is where one looks next."""

    __tablename__ = "message"
    __table_args__ = (Index("ix_message_inbox", "person_id", "id"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # as whose they get it
    kind: Mapped[str] = mapped_column(String(40))
    number: Mapped[str] = mapped_column(String(80), unique=True)
    data: Mapped[dict[str, Any]]
    path: Mapped[str] = mapped_column(String(200))
    written_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


Say = Callable[..., str]  # the gettext of one language
Words = Callable[[dict[str, Any], Say], tuple[str, str]]
words: dict[str, Words] = {}


def worded(kind: str) -> Callable[[Words], Words]:
    """Register what messages of ``kind`` say: (data, gettext) → subject in one line, text."""

    def register(make: Words) -> Words:
        words[kind] = make
        return make

    return register


def write(kind: str, number: str, data: dict[str, Any], *, person_id: int, organisation_id: int, path: str = "", by_mail: bool = False) -> Message | None:
    """Put a message into a person's inbox, and ask for it by e-mail too if they wish so. None if it was written before under ``number``."""
    if kind not in words:
        raise ValueError(kind)
    if was_written(number):
        return None
    row = Message(
        person_id=person_id, organisation_id=organisation_id, kind=kind, number=number[:80], data=data, path=path, written_at=clock.now()
    )
    db.session.add(row)
    db.session.execute(update(Person).where(Person.id == person_id).values(unread_messages=Person.unread_messages + 1))
    db.session.flush()
    if by_mail and mail_wish.address_of(person_id):
        mail.post_written(f"message:{row.public_id}", "message", row.id)
    return row


def was_written(number: str) -> bool:
    """Whether there is a message of this number."""
    return db.session.scalar(select(Message.id).where(Message.number == number[:80])) is not None


def said(row: Message, code: str = "") -> tuple[str, str]:
    """Subject and text of a message, in the language ``code`` or the reader's."""
    spoken = code or language()

    def say(sentence: str, **values: Any) -> str:
        return in_language(spoken, sentence, **values)

    # Of a kind that is not known any more only its name is left.
    return words[row.kind](row.data, say) if row.kind in words else (row.kind, "")


def inbox(person_id: int, *, unread: bool = False, before_id: int = 0, limit: int = 51) -> Sequence[Message]:
    """A person's messages, the latest first."""
    query = select(Message).where(Message.person_id == person_id)
    if unread:
        query = query.where(Message.read_at.is_(None))
    if before_id:
        query = query.where(Message.id < before_id)
    return db.session.scalars(query.order_by(Message.id.desc()).limit(limit)).all()


def read(person_id: int, message_ids: Sequence[int] | None = None) -> int:
    """Mark a person's messages as read, all of them or these; how many were not before."""
    query = update(Message).where(Message.person_id == person_id, Message.read_at.is_(None)).values(read_at=clock.now())
    if message_ids is not None:
        query = query.where(Message.id.in_(message_ids))
    count = int(db.session.execute(query).rowcount)  # type: ignore[attr-defined]
    if count:
        db.session.execute(update(Person).where(Person.id == person_id).values(unread_messages=Person.unread_messages - count))
    return count


@mail.written("message")
def _letter(message_id: int) -> tuple[str, str, str] | None:
    row = db.session.get(Message, message_id)
    wish = mail_wish.of(row.person_id) if row else None
    if row is None or wish is None or not wish.confirmed_at or (clock.now() - row.written_at).days >= MAIL_AT_LATEST:
        return None
    subject, text = said(row, wish.language)
    base = settings().base_url.rstrip("/")
    link = f"{base}{row.path or f'/messages/{row.public_id}'}"
    off = in_language(wish.language, mail_wish.FOOT, url=f"{base}/account/mail")
    return wish.address, subject, f"{text}\n\n{link}\n\n-- \n{off}\n"
