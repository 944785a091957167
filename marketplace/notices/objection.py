"""Objection (异议): anybody may speak against a notice while it stands; the organisation must answer before it takes effect."""

from typing import NamedTuple

from sqlalchemy import ColumnElement, case, func, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import by_public_id, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.language import N_
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.organisations.actor import Actor

LONGEST = 2000
PAGE = 20
MOST_AT_ONCE = 500  # of the same text that one answer answers


class Spoken(NamedTuple):
    """How many objections there are to a notice, how many of them wait for an answer, and how many were upheld."""

    all: int = 0
    open: int = 0
    upheld: int = 0


def counted(notice_id: int | None) -> Spoken:
    """Of one notice. One query, whatever their number."""
    outcomes = [func.count(case((Objection.outcome == outcome, 1))) for outcome in ("OPEN", "UPHELD")]
    row = db.session.execute(select(func.count(), *outcomes).where(Objection.notice_id == (notice_id or 0))).one()
    return Spoken(row[0], row[1], row[2])


def listed(notice_id: int, after: str = "") -> tuple[list[Objection], str]:
    """A page of a notice's objections behind the one with the outside name ``after``, and the name behind which the next page begins."""
    query = select(Objection).where(Objection.notice_id == notice_id).order_by(Objection.id)
    if after:
        query = query.where(Objection.id > by_public_id(Objection, after).id)
    rows = list(db.session.scalars(query.limit(PAGE + 1)))
    return rows[:PAGE], rows[PAGE - 1].public_id if len(rows) > PAGE else ""


def at_desk(notice_id: int | None) -> list[tuple[Objection, int]]:
    """A page of them for whoever answers, those that wait first; each with how many others that wait say the very same."""
    query = select(Objection).where(Objection.notice_id == (notice_id or 0)).order_by(case((Objection.outcome == "OPEN", 0), else_=1), Objection.id)
    rows = list(db.session.scalars(query.limit(PAGE)))
    texts = {row.text for row in rows if row.outcome == "OPEN"}
    same = select(Objection.text, func.count()).where(_waiting(notice_id or 0), Objection.text.in_(texts)).group_by(Objection.text)
    counts = dict(db.session.execute(same).all()) if texts else {}
    return [(row, counts[row.text] - 1 if row.outcome == "OPEN" else 0) for row in rows]


def _waiting(notice_id: int) -> ColumnElement[bool]:
    return (Objection.notice_id == notice_id) & (Objection.outcome == "OPEN")


def raise_(notice_id: int, *, text: str, name: str = "", contact: str = "", actor: Actor | None = None) -> Objection:
    """Object to a notice that still stands (through the end of its last day, Beijing). Name and contact may stay empty.

    Raises InvalidInput ``objection.text`` for an empty or overlong text, Conflict ``notice.ended``.
    """
    text = text.strip()
    if not 1 <= len(text) <= LONGEST:
        raise InvalidInput("objection.text", N_("请写明异议的内容，最多 2000 字。"), field="text")
    notice = locked(PublicNotice, notice_id)
    if notice.withdrawn_at is not None or clock.business_date() > notice.ends_on:
        raise Conflict("notice.ended", N_("这份公示已经结束，异议请直接找合作社或县运营方。"))
    row = Objection(
        notice_id=notice.id,
        organisation_id=notice.organisation_id,
        text=text,
        raised_at=clock.now(),
        raised_by_id=actor.person_id if actor else None,
    )
    row.name, row.contact = name.strip()[:60], contact.strip()[:60]
    db.session.add(row)
    db.session.flush()
    audit.record("objection.raised", row, person_id=row.raised_by_id)
    return row


def answer(objection_id: int, *, text: str, upheld: bool, alike: bool = False, actor: Actor) -> Objection:
    """Answer an objection: the cooperative's director, or the operator. An upheld one stops what was announced.

    ``alike`` answers the others to the same notice too that wait and say the very same, MOST_AT_ONCE of them.

    Raises Conflict ``objection.answered``, InvalidInput ``answer.text``; NotFound for another organisation's objection.
    """
    row = locked(Objection, objection_id)
    if not actor.is_operator:
        actor.must_have("COOPERATIVE", "director")
        if actor.organisation_id != row.organisation_id:
            raise NotFound("objection.missing", N_("没有找到，或不归您的单位查看。"))
    else:
        actor.must_have("OPERATOR", "administrator", "reviewer", "treasurer")
    if row.answered_at is not None:
        raise Conflict("objection.answered", N_("这条异议已经答复过了。"))
    if not 1 <= len(text.strip()) <= LONGEST:
        raise InvalidInput("answer.text", N_("请写明答复，最多 2000 字。"), field="text")
    answered = [row]
    if alike:
        same = select(Objection).where(_waiting(row.notice_id), Objection.text == row.text, Objection.id != row.id).order_by(Objection.id)
        answered += db.session.scalars(same.limit(MOST_AT_ONCE).with_for_update()).all()
    for each in answered:
        each.answer, each.answered_at, each.answered_by_id = text.strip(), clock.now(), actor.person_id
        each.outcome = "UPHELD" if upheld else "REJECTED"
        audit.record(f"objection.{each.outcome.lower()}", each, person_id=actor.person_id, organisation_id=actor.organisation_id)
    db.session.flush()
    return row
