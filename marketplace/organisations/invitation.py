"""An invitation: the way in for somebody whose sign-in an administrator made, or whose password is lost. Its link works once.

Only a hash of the link is kept; whoever made it sees it once and hands it over. Nobody ever knows another's password.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import Identified, Model, db, get, locked_where, not_found
from marketplace.foundation.errors import Conflict, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.membership import must_belong
from marketplace.organisations.person import NO_PASSWORD, Person, hash_password, is_trusted

DAYS = 7


class Invitation(Identified, Model):
    """A link that was made for a person. A newer one makes older ones worthless."""

    __tablename__ = "invitation"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))  # whose people made it, or for which they sign in
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


def make(person_id: int, organisation_id: int, *, actor: Actor) -> str:
    """A new link's token for a person of an organisation, shown once and kept only as a hash. Earlier ones stop working.

    Raises NotFound unless they belong to it, NotAllowed ``roles.two`` for whoever decides about money (``sign_in_proposal.link``).
    """
    actor.must_have("OPERATOR", "administrator")
    must_belong(person_id, organisation_id)
    if is_trusted(person_id):
        raise NotAllowed("roles.two", N_("管钱的岗位要两位管理员同意。"))
    return renew(get(Person, person_id), actor.organisation_id, by_id=actor.person_id)


def make_for_served(person_id: int, *, actor: Actor) -> str:
    """The same by a station's clerk, for a buyer whom the station wrote down and who has no password yet: they stand at the counter.

    NotFound for anybody else's buyer, Conflict ``invitation.known`` once there is a password.
    """
    actor.must_have("STATION", "station_clerk")
    person = get(Person, person_id)
    served = select(AuditEvent.id).where(
        AuditEvent.action == "person.served", AuditEvent.subject_type == Person.__tablename__, AuditEvent.subject_id == person.id,
        AuditEvent.organisation_id == actor.organisation_id,
    )  # fmt: skip
    if db.session.scalar(served.limit(1)) is None:
        raise not_found(Person)
    if person.password_hash != NO_PASSWORD or is_trusted(person_id):
        raise Conflict("invitation.known", N_("这个人已经有密码了，直接登录就行。忘了密码请找县级运营方。"))
    return renew(person, actor.organisation_id, by_id=actor.person_id)


def renew(person: Person, organisation_id: int, *, by_id: int) -> str:
    """The token of the only link that works for a person from now on. Whoever calls has asked who may."""
    now, token = clock.now(), secrets.token_urlsafe(24)
    for earlier in db.session.scalars(select(Invitation).where(Invitation.person_id == person.id, Invitation.used_at.is_(None))):
        earlier.expires_at = min(earlier.expires_at, now)
    row = Invitation(
        person_id=person.id,
        organisation_id=organisation_id,
        token_hash=_hashed(token),
        made_at=now,
        made_by_id=by_id,
        expires_at=now + timedelta(days=DAYS),
    )
    db.session.add(row)
    db.session.flush()
    audit.record("invitation.made", row, person_id=by_id, invited_id=person.id)
    return token


def person_of(token: str) -> Person | None:
    """Whom a link lets in, while it works."""
    row = db.session.scalars(select(Invitation).where(Invitation.token_hash == _hashed(token))).one_or_none()
    return get(Person, row.person_id) if row is not None and _works(row) else None


def accept(token: str, password: str) -> int:
    """The invited person chooses a password; their id. Raises Conflict ``invitation.over``, InvalidInput ``password.length``."""
    row = locked_where(Invitation, select(Invitation).where(Invitation.token_hash == _hashed(token)))
    if not _works(row):
        raise Conflict("invitation.over", N_("这个链接已经用过或过期了，请找县级运营方的管理员重新开一个。"))
    person = get(Person, row.person_id)
    person.password_hash = hash_password(password)
    row.used_at = clock.now()
    db.session.flush()
    audit.record("invitation.used", row, person_id=person.id)
    return person.id


def _works(row: Invitation) -> bool:
    return row.used_at is None and row.expires_at > clock.now()


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
