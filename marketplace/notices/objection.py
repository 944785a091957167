"""Objection (异议): anybody may speak against a notice while it stands; the organisation must answer before it takes effect."""

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.language import N_
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.organisations.actor import Actor

LONGEST = 2000


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


def answer(objection_id: int, *, text: str, upheld: bool, actor: Actor) -> Objection:
    """Answer an objection: the cooperative's director, or the operator. An upheld one stops what was announced.

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
    row.answer, row.answered_at, row.answered_by_id = text.strip(), clock.now(), actor.person_id
    row.outcome = "UPHELD" if upheld else "REJECTED"
    audit.record(f"objection.{row.outcome.lower()}", row, person_id=actor.person_id, organisation_id=actor.organisation_id)
    db.session.flush()
    return row
