"""An alarm: something that is not as it should be, from when it is found until it is no more. People are told once, once a day while it
lasts, and when it is over.

Who looks says what is wrong now (``take``); what was wrong and is not named any more is solved. One message a person a look, however much
is found in it.
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
    """One thing that is or was wrong. ``told_at``: when people were last told that it is."""

    __tablename__ = "alarm"
    __table_args__ = (Index("uq_alarm_subject", "name", "subject", unique=True), Index("ix_alarm_open", "solved_at", "told_at"))

    name: Mapped[str] = mapped_column(String(30))
    subject: Mapped[str] = mapped_column(String(80))
    number: Mapped[str] = mapped_column(String(80))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    fen: Mapped[int | None]
    since: Mapped[datetime]
    found_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    solved_at: Mapped[datetime | None]


def take(found: Sequence[Wrong], names: Collection[str], *, once: Collection[str] = ()) -> tuple[int, int]:
    """What a look found of these ``names``: (alarms told, alarms solved). Two looks at once take turns.

    What is named in ``once`` has happened and cannot be undone: it is told once, and its end is no news.
    """
    now = clock.now()
    locked_where(Organisation, select(Organisation).where(Organisation.kind == "OPERATOR").order_by(Organisation.id).limit(1))
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
    due = [row for row in (known[key] for key in wrong) if row.told_at is None or (row.name not in once and now - row.told_at >= AGAIN)]
    for row in due:
        row.told_at = now
    db.session.flush()
    over = [row for row in solved if row.told_at is not None and row.name not in once]
    for kind, rows in (("money.alarm", due), ("money.solved", over)):
        _tell(kind, rows, now)
    return len(due), len(solved)


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


def _tell(kind: str, rows: Sequence[Alarm], now: datetime) -> None:
    if not rows:
        return
    for reader in readers(wants="alarms"):
        own = [row for row in rows if reader.of is None or row.organisation_id == reader.of]
        if own:
            message.write(
                kind, f"{kind}:{now:%Y%m%d%H%M%S.%f}:{reader.person_id}:{reader.organisation_id}", _data(own), person_id=reader.person_id,
                organisation_id=reader.organisation_id, path="/operator/money" if reader.of is None else "/cooperative/payments", by_mail=True,
            )  # fmt: skip


def _data(rows: Sequence[Alarm]) -> dict[str, Any]:
    named = [{"name": row.name, "number": row.number, "fen": row.fen, "since": row.since.isoformat()} for row in rows[:MOST]]
    return {"items": named, "more": max(0, len(rows) - MOST)}
