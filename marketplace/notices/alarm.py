"""An alarm: something that is not as it should be, from when it is found until it is no more. People are told once, once a day while it
lasts, and when it is over; what comes back after that is told again.

Who looks says what is wrong now (``take``); what was wrong and is not named any more is solved. What is known of it is kept by reader: nobody
gets two letters within ``PAUSE``; what happens meanwhile is in the second, and what came and went meanwhile is in none.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, db, locked_where
from marketplace.notices import message
from marketplace.notices.mail_wish import MailWish
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role

AGAIN = timedelta(days=1)  # the same alarm is not told sooner
PAUSE = timedelta(minutes=10)
MOST = 20  # named in one message; how many more is said
# Who is told: of what concerns one cooperative, its own people and the county; of the rest, the county.
ROLES = (("OPERATOR", ("administrator", "treasurer", "auditor")), ("COOPERATIVE", ("director", "accountant")))


@dataclass(frozen=True)
class Wrong:
    """What is wrong now. ``name`` and ``subject`` make it the same alarm as before; ``number`` is what people know it by."""

    name: str
    subject: str
    number: str
    since: datetime
    organisation_id: int | None = None
    fen: int | None = None


@dataclass(frozen=True)
class Reader:
    """Somebody to be told, as whose person; ``organisation_id`` None in ``of`` means: of everything."""

    person_id: int
    organisation_id: int
    of: int | None


class Alarm(Identified, Model):
    """One thing that is or was wrong."""

    __tablename__ = "alarm"
    __table_args__ = (Index("uq_alarm_subject", "name", "subject", unique=True), Index("ix_alarm_open", "solved_at"))

    name: Mapped[str] = mapped_column(String(30))
    subject: Mapped[str] = mapped_column(String(80))
    number: Mapped[str] = mapped_column(String(80))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    fen: Mapped[int | None]
    since: Mapped[datetime]
    found_at: Mapped[datetime]
    solved_at: Mapped[datetime | None]


class AlarmTold(Identified, Model):
    """What a reader last heard of an alarm, and when: that it is, or that it is ``over``."""

    __tablename__ = "alarm_told"
    __table_args__ = (Index("uq_alarm_told_reader", "alarm_id", "person_id", "organisation_id", unique=True),)

    alarm_id: Mapped[int] = mapped_column(ForeignKey("alarm.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    told_at: Mapped[datetime] = mapped_column(index=True)
    over: Mapped[bool] = mapped_column(default=False)


def take(found: Sequence[Wrong], names: Collection[str], *, once: Collection[str] = ()) -> tuple[int, int]:
    """What a look found of these ``names``: (alarms told, alarms solved). Two looks at once take turns. Whatever waits to be told is told,
    whoever found it.

    What is named in ``once`` has happened and cannot be undone: it is told once, and its end is no news.
    """
    locked_where(Organisation, select(Organisation).where(Organisation.kind == "OPERATOR").order_by(Organisation.id).limit(1))
    now = clock.now()
    wrong = {(each.name, each.subject[:80]): each for each in found}
    known = _known(names, wrong)
    for key, each in wrong.items():
        row = known.get(key)
        if row is None:
            row = Alarm(name=each.name, subject=key[1], number=each.number[:80], organisation_id=each.organisation_id, since=each.since, found_at=now)
            db.session.add(row)
            known[key] = row
        elif row.solved_at is not None:
            row.solved_at, row.since, row.found_at = None, each.since, now
        row.fen = each.fen
    solved = [row for key, row in known.items() if row.solved_at is None and key not in wrong]
    for row in solved:
        row.solved_at = now
    db.session.flush()
    return _tell(once, now), len(solved)


def readers(*, wants: str) -> list[Reader]:
    """Everybody whose role it is and who wants it: ``alarms`` unless they said no, ``digest`` if they said yes."""
    wish = getattr(MailWish, wants)
    query = (
        select(Role.person_id, Organisation.id, Organisation.kind)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .join(Person, Person.id == Role.person_id)
        .outerjoin(MailWish, MailWish.person_id == Role.person_id)
        .where(or_(*((Organisation.kind == kind) & Role.name.in_(names) for kind, names in ROLES)))
        .where(Person.deactivated_at.is_(None), Organisation.suspended_at.is_(None))
        .where(or_(MailWish.id.is_(None), wish) if wants == "alarms" else wish)
        .distinct()
        .order_by(Role.person_id, Organisation.id)
    )
    return [Reader(row[0], row[1], None if row[2] == "OPERATOR" else row[1]) for row in db.session.execute(query)]


def _known(names: Collection[str], wrong: Collection[tuple[str, str]]) -> dict[tuple[str, str], Alarm]:
    """Alarms that are open, and those that were and are found again."""
    rows = list(db.session.scalars(select(Alarm).where(Alarm.name.in_(names), Alarm.solved_at.is_(None))))
    subjects = sorted({subject for _, subject in wrong})
    for start in range(0, len(subjects), 500):
        again = select(Alarm).where(Alarm.name.in_(names), Alarm.solved_at.is_not(None), Alarm.subject.in_(subjects[start : start + 500]))
        rows += [row for row in db.session.scalars(again) if (row.name, row.subject) in wrong]
    return {(row.name, row.subject): row for row in rows}


def _tell(once: Collection[str], now: datetime) -> int:
    """Write to every reader who has heard nothing for a while what is news to them; how many alarms were news to somebody."""
    lasts = Alarm.solved_at.is_(None) | (Alarm.solved_at > now - AGAIN)
    rows = list(db.session.scalars(select(Alarm).where(lasts).order_by(Alarm.id)))
    heard = {(each.alarm_id, each.person_id, each.organisation_id): each for each in db.session.scalars(select(AlarmTold).join(Alarm, Alarm.id == AlarmTold.alarm_id).where(lasts))}
    lately = {(row[0], row[1]) for row in db.session.execute(select(AlarmTold.person_id, AlarmTold.organisation_id).where(AlarmTold.told_at > now - PAUSE))}
    news = set[int]()
    for reader in readers(wants="alarms"):
        if (reader.person_id, reader.organisation_id) in lately:
            continue
        its = [(row, heard.get((row.id, reader.person_id, reader.organisation_id))) for row in rows if reader.of in (None, row.organisation_id)]
        wrong = [row for row, known in its if row.solved_at is None and _is_news(row, known, once, now)]
        over = [row for row, known in its if row.solved_at is not None and known is not None and not known.over and row.name not in once]
        for row, known in its:
            if row in wrong or row in over:
                _remember(row, known, reader, now)
        _write(reader, wrong, over, now)
        news |= {row.id for row in wrong}
    db.session.flush()
    return len(news)


def _is_news(row: Alarm, known: AlarmTold | None, once: Collection[str], now: datetime) -> bool:
    return known is None or known.over or (row.name not in once and now - known.told_at >= AGAIN)


def _remember(row: Alarm, known: AlarmTold | None, reader: Reader, now: datetime) -> None:
    if known is None:
        known = AlarmTold(alarm_id=row.id, person_id=reader.person_id, organisation_id=reader.organisation_id)
        db.session.add(known)
    known.told_at, known.over = now, row.solved_at is not None


def _write(reader: Reader, wrong: Sequence[Alarm], over: Sequence[Alarm], now: datetime) -> None:
    """One message: what is wrong, and what is no more."""
    if not wrong and not over:
        return
    kind, data = ("money.alarm", _data(wrong) | ({"over": _data(over)} if over else {})) if wrong else ("money.solved", _data(over))
    message.write(
        kind, f"{kind}:{now:%Y%m%d%H%M%S.%f}:{reader.person_id}:{reader.organisation_id}", data, person_id=reader.person_id,
        organisation_id=reader.organisation_id, path="/operator/money" if reader.of is None else "/cooperative/payments", by_mail=True,
    )  # fmt: skip


def _data(rows: Sequence[Alarm]) -> dict[str, Any]:
    named = [{"name": row.name, "number": row.number, "fen": row.fen, "since": row.since.isoformat()} for row in rows[:MOST]]
    return {"items": named, "more": max(0, len(rows) - MOST)}
