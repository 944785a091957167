"""An invitation: the way in for somebody whose sign-in an administrator made, or whose password is lost. Its link works once.

Only a hash of the link is kept; whoever made it sees it once and hands it over. Nobody ever knows another's password. A link that two people
agreed on is in two parts: one hands over the link, the other a code, so that neither can use it (``sign_in_proposal``).
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import Identified, Model, db, get, locked, locked_where, not_found
from marketplace.foundation.errors import Conflict, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.membership import must_belong
from marketplace.organisations.person import NO_PASSWORD, Person, hash_password, is_trusted

DAYS = 7
MOST_TRIES = 5  # wrong codes; then the link is over
OVER = N_("这个链接已经用过或过期了，请找县级运营方的管理员重新开一个。")
LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # of a code: none that is taken for another when it is read out
CODE = 8


class Invitation(Identified, Model):
    """A link that was made for a person. A newer one makes older ones worthless. One that came of a proposal (``proposal_id``) works only
    with a code; ``code_hash`` is empty until that was fetched."""

    __tablename__ = "invitation"

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))  # whose people made it, or for which they sign in
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    proposal_id: Mapped[int | None] = mapped_column(ForeignKey("sign_in_proposal.id"), index=True)
    code_hash: Mapped[str] = mapped_column(String(64), default="", server_default="")
    tries: Mapped[int] = mapped_column(default=0, server_default="0")  # codes that were wrong

    @property
    def in_two(self) -> bool:
        """Whether it works only with a code."""
        return self.proposal_id is not None

    @property
    def works(self) -> bool:
        """Whether it can still be used: not used, not too old, not tried too often."""
        return self.used_at is None and self.expires_at > clock.now() and self.tries < MOST_TRIES


def make(person_id: int, organisation_id: int, *, actor: Actor) -> str:
    """A new link's token for a person of an organisation, shown once and kept only as a hash. Earlier ones stop working.

    Raises NotFound unless they belong to it, NotAllowed ``roles.two`` for whoever has a role of TRUSTED (``sign_in_proposal.link``).
    """
    actor.must_have("OPERATOR", "administrator")
    # Held, so that no second administrator agrees to a role meanwhile: of two links made at once, the one without a code would be the later one.
    person = locked(Person, person_id)
    must_belong(person_id, organisation_id)
    if is_trusted(person_id):
        raise NotAllowed("roles.two", N_("管钱、管审核、看户内情况的岗位，要两位管理员同意。"))
    return renew(person, actor.organisation_id, by_id=actor.person_id)


def make_for_served(person_id: int, *, actor: Actor) -> str:
    """The same by a station's clerk, for a buyer whom the station wrote down and who has no password yet: they stand at the counter.

    NotFound for anybody else's buyer, Conflict ``invitation.known`` once there is a password.
    """
    actor.must_have("STATION", "station_clerk")
    person = locked(Person, person_id)
    served = select(AuditEvent.id).where(
        AuditEvent.action == "person.served", AuditEvent.subject_type == Person.__tablename__, AuditEvent.subject_id == person.id,
        AuditEvent.organisation_id == actor.organisation_id,
    )  # fmt: skip
    if db.session.scalar(served.limit(1)) is None:
        raise not_found(Person)
    if person.password_hash != NO_PASSWORD or is_trusted(person_id):
        raise Conflict("invitation.known", N_("这个人已经有密码了，直接登录就行。忘了密码请找县级运营方。"))
    return renew(person, actor.organisation_id, by_id=actor.person_id)


def renew(person: Person, organisation_id: int, *, by_id: int, proposal_id: int | None = None) -> str:
    """The token of the only link that works for a person from now on; in two parts if it came of a proposal. Whoever calls holds the person, and
    has asked who may."""
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
        proposal_id=proposal_id,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("invitation.made", row, person_id=by_id, invited_id=person.id)
    return token


def code(proposal_id: int, *, by_id: int) -> str:
    """The code that goes with the link of a proposal, new each time: the ones before are worthless. Whoever calls has asked who may.

    Wrong tries stay counted. Raises Conflict ``invitation.over``.
    """
    query = select(Invitation).where(Invitation.proposal_id == proposal_id)
    row = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if row is None or not row.works:
        raise Conflict("invitation.over", OVER)
    made = "".join(secrets.choice(LETTERS) for _ in range(CODE))
    row.code_hash = _of_code(row, made)
    db.session.flush()
    audit.record("invitation.code", row, person_id=by_id, invited_id=row.person_id)
    return f"{made[:4]}-{made[4:]}"


def of_token(token: str) -> Invitation | None:
    """The row of a link, while it works."""
    row = db.session.scalars(select(Invitation).where(Invitation.token_hash == _hashed(token))).one_or_none()
    return row if row is not None and row.works else None


def person_of(token: str) -> Person | None:
    """Whom a link lets in, while it works."""
    row = of_token(token)
    return get(Person, row.person_id) if row is not None else None


def accept(token: str, password: str, *, code: str = "") -> int | None:
    """The invited person chooses a password; their id. None if the code was wrong: one try is used up, which is to be committed.

    Raises Conflict ``invitation.over``, ``invitation.no_code`` while nobody has fetched the code, InvalidInput ``password.length``.
    """
    row = locked_where(Invitation, select(Invitation).where(Invitation.token_hash == _hashed(token)))
    if not row.works:
        raise Conflict("invitation.over", OVER)
    if row.in_two and not row.code_hash:
        raise Conflict("invitation.no_code", N_("口令还没有取：请找提出开通的那位管理员，由他把口令告诉您。"))
    if row.in_two and not hmac.compare_digest(row.code_hash, _of_code(row, code)):
        row.tries += 1
        db.session.flush()
        audit.record("invitation.wrong_code", row, invited_id=row.person_id, tries=row.tries)
        return None
    person = get(Person, row.person_id)
    person.password_hash = str(hash_password(password))
    row.used_at = clock.now()
    db.session.flush()
    audit.record("invitation.used", row, person_id=person.id)
    return person.id


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _of_code(row: Invitation, typed: str) -> str:
    """What is kept of a code: however it was written, and of this link only."""
    return _hashed(f"{row.token_hash}:{''.join(each for each in typed.upper()[:40] if each in LETTERS)}")
