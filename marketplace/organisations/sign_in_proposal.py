"""What one administrator asks for and a second one allows: a role that decides about money or opens what is sealed about households, the villages
of an officer, and a link by which somebody with such a role chooses a password. Else a single administrator would be both people of every
approval in the county, and read of every household under a name of their own making.

Where there is no second administrator, whoever holds the machine is the second person (``flask person agree``). Whoever gets a first such role
chooses a new password: who made the sign-in may know the old one. The second person hands over the link, who asked for it a code: neither has both,
so neither becomes the person that they agreed on.
"""

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, get, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations import approval, invitation, membership
from marketplace.organisations.actor import Actor
from marketplace.organisations.invitation import Invitation
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import DECIDES, NO_PASSWORD, TRUSTED, Person, Role, is_trusted, roles_of

WAITS = text("state = 'PROPOSED'")


class SignInProposal(Public, Versioned, Model):
    """``roles_before`` and ``roles`` of the person in the organisation, names with a space between; only ROLES change them. ``villages_before``
    and ``villages``, codes with a space between, of VILLAGES. ``decided_by_id`` is None where the machine was the second person."""

    __tablename__ = "sign_in_proposal"
    __table_args__ = (
        CheckConstraint("kind IN ('ROLES','LINK','VILLAGES')", name="kind"),
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint("(state = 'PROPOSED') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("decided_by_id IS NULL OR (decided_by_id <> proposed_by_id AND decided_by_id <> person_id)", name="two_people"),
        Index("uq_sign_in_proposal_waiting", "person_id", unique=True, sqlite_where=WAITS, postgresql_where=WAITS),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # for which the person signs in
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(String(8))
    roles_before: Mapped[str] = mapped_column(String(200), default="")
    roles: Mapped[str] = mapped_column(String(200), default="")
    villages_before: Mapped[str] = mapped_column(Text, default="", server_default="")
    villages: Mapped[str] = mapped_column(Text, default="", server_default="")
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    returned_reason: Mapped[str] = mapped_column(String(300), default="")

    @property
    def change(self) -> tuple[str, str]:
        """What it changes, as it is and as it is to be."""
        return (self.villages_before, self.villages) if self.kind == "VILLAGES" else (self.roles_before, self.roles)


# Higher rungs tell the person and the administrators what was asked for, and what came of it.
told: list[Callable[[SignInProposal], None]] = []
# And carry out what is theirs, by kind.
carried_out: dict[str, Callable[[SignInProposal], None]] = {}


def invite(organisation_id: int, *, login: str, name: str, roles: Collection[str], actor: Actor) -> tuple[Person, str | None]:
    """A new person, with the roles and a link's token; without both where a role is of TRUSTED, which waits for a second one.

    Raises as ``membership.invite``.
    """
    person = membership.invite(organisation_id, login=login, name=name, roles=roles, actor=actor)
    if TRUSTED.isdisjoint(roles):
        return person, invitation.make(person.id, organisation_id, actor=actor)
    _propose(person.id, organisation_id, "ROLES", actor, roles_before=set(), roles=roles)
    return person, None


def set_roles(person_id: int, organisation_id: int, roles: Collection[str], *, read: Collection[str], actor: Actor) -> SignInProposal | None:
    """Make these the person's roles there, or ask a second person for one of TRUSTED. Raises as ``membership.set_roles``;
    Conflict ``sign_in.waiting`` while something waits for this person."""
    if not (set(roles) - set(read)) & TRUSTED:
        membership.set_roles(person_id, organisation_id, roles, read=read, actor=actor)
        return None
    membership.may_set_roles(person_id, organisation_id, roles, read=read, actor=actor)
    return _propose(person_id, organisation_id, "ROLES", actor, roles_before=read, roles=roles)


def link(person_id: int, organisation_id: int, *, actor: Actor) -> str | None:
    """A new link's token; for whoever has a role of TRUSTED None: a second person is asked. Raises as ``invitation.make``, ``sign_in.waiting``."""
    if not is_trusted(person_id):
        return invitation.make(person_id, organisation_id, actor=actor)
    actor.must_have("OPERATOR", "administrator")
    membership.must_belong(person_id, organisation_id)
    if person_id == actor.person_id:
        raise NotAllowed("roles.own", N_("自己的登录名和岗位，要由另一位管理员来改。"))
    held = roles_of(person_id, organisation_id)
    _propose(person_id, organisation_id, "LINK", actor, roles_before=held, roles=held)
    return None


def ask_villages(person_id: int, *, before: Collection[str], villages: Collection[str], actor: Actor) -> SignInProposal:
    """Ask a second person to let an officer of the operator look after these villages (codes). Raises ``sign_in.waiting``, ``roles.own``."""
    actor.must_have("OPERATOR", "administrator")
    if person_id == actor.person_id:
        raise NotAllowed("roles.own", N_("自己的登录名和岗位，要由另一位管理员来改。"))
    held = roles_of(person_id, actor.organisation_id)
    return _propose(person_id, actor.organisation_id, "VILLAGES", actor, roles_before=held, roles=held, villages_before=before, villages=villages)


def decide(proposal_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor | None) -> str | None:
    """The second person's word; a link's token where the person is to choose a password, of no use without the ``code`` that who asked
    hands over. ``actor`` None is who holds the machine.

    Raises OwnWork for who asked, NotAllowed ``roles.own`` for whom it is about, Conflict ``sign_in.decided``, ``version.stale``,
    InvalidInput ``reason.missing`` for a return without one.
    """
    row = locked(SignInProposal, proposal_id)
    row.must_be_version(version)
    if row.state != "PROPOSED":
        raise Conflict("sign_in.decided", N_("这一件已经有结果了，请刷新页面看看。"), state=row.state)
    if actor is not None:
        actor.must_have("OPERATOR", "administrator")
        if actor.person_id == row.person_id:
            raise NotAllowed("roles.own", N_("自己的登录名和岗位，要由另一位管理员来改。"))
        approval.decide(row, maker_id=row.proposed_by_id, actor=actor, version=version, approved=approved, reason=reason)
    elif not approved and not reason.strip():
        raise InvalidInput("reason.missing", N_("退回时请写明理由，对方才知道怎么改。"), field="reason")
    row.state, row.returned_reason = ("APPROVED", "") if approved else ("RETURNED", reason.strip()[:300])
    row.decided_at, row.decided_by_id = clock.now(), actor.person_id if actor else None
    db.session.flush()
    audit.record(
        f"sign_in.{row.state.lower()}", row, person_id=row.decided_by_id, of_id=row.person_id, kind=row.kind, by_machine=actor is None,
        before=row.change[0], after=row.change[1],
    )  # fmt: skip
    token = _carry_out(row) if approved else None
    for tell in told:
        tell(row)
    return token


def code(proposal_id: int, *, actor: Actor) -> tuple[Person, str]:
    """Whom to hand it to, and the code without which the link does nothing; for who asked, and nobody else. Another each time.

    Raises NotAllowed ``sign_in.others``, Conflict ``invitation.over``.
    """
    actor.must_have("OPERATOR", "administrator")
    row = get(SignInProposal, proposal_id)
    if row.proposed_by_id != actor.person_id:
        raise NotAllowed("sign_in.others", N_("口令只给提出的那位管理员，链接在同意的人手里。"))
    return get(Person, row.person_id), invitation.code(row.id, by_id=actor.person_id)


def handing_over(actor: Actor) -> list[tuple[SignInProposal, Person, Organisation]]:
    """What this administrator asked for, was allowed, and has a link that works: the person waits for the code."""
    query = (
        select(SignInProposal, Person, Organisation, Invitation)
        .join(Person, Person.id == SignInProposal.person_id)
        .join(Organisation, Organisation.id == SignInProposal.organisation_id)
        .join(Invitation, Invitation.proposal_id == SignInProposal.id)
        .where(SignInProposal.proposed_by_id == actor.person_id, Invitation.used_at.is_(None), Invitation.expires_at > clock.now())
        .order_by(SignInProposal.id)
    )
    return [(row, person, own) for row, person, own, link in db.session.execute(query) if link.works]


def waiting() -> list[tuple[SignInProposal, Person, Organisation]]:
    """What waits for a second person, the oldest first."""
    query = (
        select(SignInProposal, Person, Organisation)
        .join(Person, Person.id == SignInProposal.person_id)
        .join(Organisation, Organisation.id == SignInProposal.organisation_id)
        .where(SignInProposal.state == "PROPOSED")
        .order_by(SignInProposal.id)
    )
    return [(row, person, own) for row, person, own in db.session.execute(query)]


def _propose(
    person_id: int, organisation_id: int, kind: str, actor: Actor, *, roles_before: Collection[str], roles: Collection[str],
    villages_before: Collection[str] = (), villages: Collection[str] = (),
) -> SignInProposal:  # fmt: skip
    locked(Person, person_id)
    if db.session.scalar(select(SignInProposal.id).where(SignInProposal.person_id == person_id, SignInProposal.state == "PROPOSED")) is not None:
        raise Conflict("sign_in.waiting", N_("这个人已经有一件在等另一位管理员。先办完那一件。"))
    row = SignInProposal(
        organisation_id=organisation_id, person_id=person_id, kind=kind, roles_before=" ".join(sorted(roles_before)), roles=" ".join(sorted(roles)),
        villages_before=" ".join(sorted(villages_before)), villages=" ".join(sorted(villages)), proposed_at=clock.now(), proposed_by_id=actor.person_id,
        version=1,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record("sign_in.proposed", row, person_id=actor.person_id, of_id=person_id, kind=kind, before=row.change[0], after=row.change[1])
    for tell in told:
        tell(row)
    return row


def _carry_out(row: SignInProposal) -> str | None:
    if row.kind in carried_out:
        carried_out[row.kind](row)
        return None
    # Held in the order of ``write_roles``: nobody makes a link, or takes a role, between the question who knows the password and the answer.
    locked(Organisation, row.organisation_id)
    person, known = locked(Person, row.person_id), _is_known(row)
    if row.kind == "ROLES":
        membership.write_roles(row.person_id, row.organisation_id, row.roles.split(), read=row.roles_before.split(), by_id=row.proposed_by_id)
        if known:
            return None
        person.password_hash = NO_PASSWORD
    return invitation.renew(person, row.organisation_id, by_id=row.proposed_by_id, proposal_id=row.id)


def _is_known(row: SignInProposal) -> bool:
    """Whether two people agreed on this person before, so that nobody but them knows the password: they decide about money, or read about
    households since a proposal. Sign-ins of readers were once made by one administrator, with a link that was shown to them."""
    if db.session.scalar(select(Role.id).where(Role.person_id == row.person_id, Role.name.in_(DECIDES)).limit(1)) is not None:
        return True
    agreed = select(SignInProposal.id).where(
        SignInProposal.person_id == row.person_id, SignInProposal.kind != "VILLAGES", SignInProposal.state == "APPROVED", SignInProposal.id != row.id
    )
    return is_trusted(row.person_id) and db.session.scalar(agreed.limit(1)) is not None
