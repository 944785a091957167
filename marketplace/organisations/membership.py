"""Membership: who may sign in for an organisation and in which roles. Made, changed and suspended by the county's administrator.

Everything is written to the audit; nobody changes their own roles, the county never loses its last administrator, and what decides about
money or opens what is sealed about households is given by two (``sign_in_proposal``).
"""

import re
from collections.abc import Collection

from sqlalchemy import func, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import NO_PASSWORD, ROLES, TRUSTED, Person, Role, by_login, roles_of


def invite(organisation_id: int, *, login: str, name: str, roles: Collection[str], actor: Actor) -> Person:
    """A new person with roles in an organisation, without a password: an invitation lets them choose one. If one of the roles is
    of TRUSTED, they have none yet: a second administrator is to be asked.

    Raises InvalidInput ``login.bad``, ``name.bad``, ``role.bad``, Conflict ``login.taken``.
    """
    actor.must_have("OPERATOR", "administrator")
    organisation = get(Organisation, organisation_id)
    login = login.strip().lower()
    if not re.fullmatch(r"[a-z][a-z0-9-]{2,39}", login):
        raise InvalidInput("login.bad", N_("登录名用小写字母开头，可以有数字和短横，3 到 40 个字。"), field="login")
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidInput("name.bad", N_("请写上姓名。"), field="name")
    wanted = _roles(organisation, roles)
    if not wanted:
        raise InvalidInput("role.bad", N_("请至少选一个岗位。"), field="roles")
    if by_login(login) is not None:
        raise Conflict("login.taken", N_("这个登录名已经有人用了。"), field="login")
    person = Person(login=login, name_zh=name.strip(), password_hash=NO_PASSWORD, is_demo=False, created_at=clock.now())
    db.session.add(person)
    db.session.flush()
    given = sorted(wanted) if wanted.isdisjoint(TRUSTED) else []
    db.session.add_all(Role(person_id=person.id, organisation_id=organisation_id, name=role) for role in given)
    db.session.flush()
    audit.record("person.invited", person, person_id=actor.person_id, organisation_id=organisation_id, roles=given, name=person.name_zh)
    return person


def set_roles(person_id: int, organisation_id: int, roles: Collection[str], *, read: Collection[str], actor: Actor) -> list[str]:
    """Make these the person's roles in an organisation; none takes the membership away. ``read`` are those that the page showed.

    Raises as ``may_set_roles``; NotAllowed ``roles.two`` for one more of TRUSTED, Conflict ``administrator.last``.
    """
    may_set_roles(person_id, organisation_id, roles, read=read, actor=actor)
    if (set(roles) - set(read)) & TRUSTED:
        raise NotAllowed("roles.two", N_("管钱、管审核、看户内情况的岗位，要两位管理员同意。"))
    return write_roles(person_id, organisation_id, roles, read=read, by_id=actor.person_id)


def may_set_roles(person_id: int, organisation_id: int, roles: Collection[str], *, read: Collection[str], actor: Actor) -> None:
    """Raise unless this administrator may ask for these roles: NotFound unless the person belongs there, NotAllowed ``roles.own``,
    InvalidInput ``role.bad``, Conflict ``version.stale``."""
    actor.must_have("OPERATOR", "administrator")
    must_belong(person_id, organisation_id)
    _must_not_be_own(get(Person, person_id), actor)
    if set(roles_of(person_id, organisation_id)) != set(read):
        raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"))
    _roles(get(Organisation, organisation_id), roles)


def write_roles(person_id: int, organisation_id: int, roles: Collection[str], *, read: Collection[str], by_id: int) -> list[str]:
    """Write what ``set_roles`` or two people said. Raises Conflict ``version.stale``, ``administrator.last``."""
    # Whoever takes a role or a sign-in away holds the organisation: two administrators who remove each other at once take turns.
    organisation, person = locked(Organisation, organisation_id), locked(Person, person_id)
    held = {row.name: row for row in db.session.scalars(select(Role).where(Role.person_id == person_id, Role.organisation_id == organisation_id))}
    if set(held) != set(read):
        raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"))
    wanted = _roles(organisation, roles)
    if "administrator" in held and "administrator" not in wanted:
        _must_not_be_last(person_id, organisation)
    for name in set(held) - wanted:
        db.session.delete(held[name])
    db.session.add_all(Role(person_id=person_id, organisation_id=organisation_id, name=name) for name in sorted(wanted - set(held)))
    db.session.flush()
    audit.record("person.roles", person, person_id=by_id, organisation_id=organisation_id, before=sorted(held), after=sorted(wanted))
    return sorted(wanted)


def rename(person_id: int, organisation_id: int, name: str, *, actor: Actor) -> Person:
    """Another name for somebody who works here: under it stands what they made and checked, so nobody changes their own.

    Raises NotFound unless they belong to the organisation, NotAllowed ``roles.own``, InvalidInput ``name.bad``.
    """
    actor.must_have("OPERATOR", "administrator")
    person = locked(Person, person_id)
    must_belong(person_id, organisation_id)
    _must_not_be_own(person, actor)
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidInput("name.bad", N_("请写上姓名。"), field="name")
    before, person.name_zh = person.name_zh, name.strip()
    db.session.flush()
    audit.record("person.renamed", person, person_id=actor.person_id, organisation_id=organisation_id, before=before, after=person.name_zh)
    return person


def suspend(person_id: int, organisation_id: int, *, suspended: bool, reason: str, actor: Actor) -> Person:
    """Shut a sign-in, or open it again; it takes effect with the person's next click. NotFound unless
    they belong to the organisation, InvalidInput ``reason.missing``, NotAllowed ``roles.own``, Conflict ``person.state``, ``administrator.last``."""
    actor.must_have("OPERATOR", "administrator")
    own, person = locked(Organisation, actor.organisation_id), locked(Person, person_id)
    must_belong(person_id, organisation_id)
    _must_not_be_own(person, actor)
    if (person.deactivated_at is not None) == suspended:
        raise Conflict("person.state", N_("这个登录名已经是这个状态了，请刷新页面看看。"))
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("请写明理由。"), field="reason")
    if suspended:
        _must_not_be_last(person_id, own)
    person.deactivated_at = clock.now() if suspended else None
    db.session.flush()
    audit.record(
        "person.suspended" if suspended else "person.restored", person, person_id=actor.person_id, organisation_id=actor.organisation_id,
        reason=reason.strip()[:200],
    )  # fmt: skip
    return person


def suspend_organisation(organisation_id: int, *, suspended: bool, reason: str, version: int, actor: Actor) -> Organisation:
    """Shut an organisation out, or let it in again: its people cannot act, its goods cannot be bought. Nothing it has is lost.

    Raises NotAllowed ``organisation.own``, InvalidInput ``reason.missing``, Conflict ``organisation.state``, ``version.stale``.
    """
    actor.must_have("OPERATOR", "administrator")
    row = locked(Organisation, organisation_id)
    if row.id == actor.organisation_id:
        raise NotAllowed("organisation.own", N_("不能停用自己的单位。"))
    if (row.suspended_at is not None) == suspended:
        raise Conflict("organisation.state", N_("这家单位已经是这个状态了，请刷新页面看看。"))
    row.must_be_version(version)
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("请写明理由。"), field="reason")
    row.suspended_at = clock.now() if suspended else None
    db.session.flush()
    audit.record(
        "organisation.suspended" if suspended else "organisation.restored", row, person_id=actor.person_id, organisation_id=actor.organisation_id,
        reason=reason.strip()[:200],
    )  # fmt: skip
    return row


def belongs(person_id: int, organisation_id: int) -> bool:
    """Whether a person is an organisation's: has a role in it, or has none anywhere, so that a last one taken by mistake can be given back."""
    held = set(db.session.scalars(select(Role.organisation_id).where(Role.person_id == person_id)))
    return not held or organisation_id in held


def must_belong(person_id: int, organisation_id: int) -> None:
    """NotFound otherwise: nobody else's sign-in, and no private buyer's, is administered under an organisation's address."""
    if not belongs(person_id, organisation_id):
        raise not_found(Person)


def _roles(organisation: Organisation, roles: Collection[str]) -> set[str]:
    wanted = set(roles)
    if wanted - set(ROLES[organisation.kind]):
        raise InvalidInput("role.bad", N_("这类单位没有这个岗位。"), field="roles")
    return wanted


def _must_not_be_own(person: Person, actor: Actor) -> None:
    if person.id == actor.person_id:
        raise NotAllowed("roles.own", N_("自己的登录名和岗位，要由另一位管理员来改。"))


def _must_not_be_last(person_id: int, organisation: Organisation) -> None:
    if organisation.kind != "OPERATOR":
        return
    others = (
        select(func.count())
        .select_from(Role)
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id == organisation.id, Role.name == "administrator", Role.person_id != person_id, Person.deactivated_at.is_(None))
    )
    if not db.session.scalar(others):
        raise Conflict("administrator.last", N_("至少要留一位管理员。"))
