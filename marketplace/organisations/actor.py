"""The actor: a person acting in an organisation in a role. Every write names one; every read of a person goes through one."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Select, false, or_, select

from marketplace.foundation.database import Base, db, locked, not_found
from marketplace.foundation.errors import InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role, by_login

M = TypeVar("M", bound=Base)


@dataclass(frozen=True)
class Actor:
    """Ids and names, no rows: it can cross transactions."""

    person_id: int
    organisation_id: int
    roles: frozenset[str]
    kind: str  # of the organisation
    person_name: str = field(compare=False, default="")
    organisation_name: str = field(compare=False, default="")
    organisation_name_en: str = field(compare=False, default="")
    unread: int = field(compare=False, default=0)  # messages that wait in the person's inbox
    stamp: str = field(compare=False, default="")  # changes with the password and on signing out: a session that bears an older one has ended

    @property
    def is_operator(self) -> bool:
        return self.kind == "OPERATOR"

    def has(self, *roles: str) -> bool:
        return bool(self.roles & set(roles))

    def must_have(self, kind: str, *roles: str) -> None:
        """Raise NotAllowed unless acting in an organisation of ``kind`` in one of ``roles``."""
        if self.kind != kind or not self.has(*roles):
            raise NotAllowed("role.missing", N_("这一步要由别的岗位来办。"), roles=list(roles))


def acting(person_id: int, organisation_id: int | None = None) -> Actor | None:
    """The actor for a person in an organisation (default: their first). None if they hold no role there."""
    query = (
        select(Role.name, Organisation, Person.name_zh, Person.password_hash, Person.unread_messages, Person.session_no)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .join(Person, Person.id == Role.person_id)
        .where(Role.person_id == person_id, Person.deactivated_at.is_(None), Organisation.suspended_at.is_(None))
        .order_by(Role.id)
    )
    if organisation_id is not None:
        query = query.where(Role.organisation_id == organisation_id)
    rows = db.session.execute(query).all()
    if not rows:
        return None
    organisation: Organisation = rows[0][1]
    return Actor(
        person_id=person_id,
        organisation_id=organisation.id,
        roles=frozenset(row[0] for row in rows if row[1].id == organisation.id),
        kind=organisation.kind,
        person_name=rows[0][2],
        organisation_name=organisation.name_zh,
        organisation_name_en=organisation.name_en or organisation.name_zh,
        unread=rows[0][4],
        stamp=hashlib.sha256(f"{rows[0][3]}:{rows[0][5]}".encode()).hexdigest()[:16],
    )


def by_name(login: str) -> Actor:
    """The actor of the command line's ``--actor WHO``. InvalidInput if nobody by that name has a role."""
    person = by_login(login)
    actor = acting(person.id) if person is not None else None
    if actor is None:
        raise InvalidInput("actor.unknown", N_("没有叫 %(login)s 的登录名，或没有岗位。"), login=login)
    return actor


def organisations_of(person_id: int) -> list[Organisation]:
    """The organisations a person may act in, in the order in which the roles were given."""
    query = (
        select(Organisation)
        .join(Role, Role.organisation_id == Organisation.id)
        .where(Role.person_id == person_id, Organisation.suspended_at.is_(None))
        .group_by(Organisation.id)
        .order_by(Organisation.id)
    )
    return list(db.session.scalars(query))


def own_row(model: type[M], row_id: int, actor: Actor, *roles: str) -> M:
    """A row of the actor's own cooperative, fresh and locked, for whoever works there in one of ``roles``. NotAllowed, NotFound."""
    actor.must_have("COOPERATIVE", *roles)
    row = locked(model, row_id)
    if row.organisation_id != actor.organisation_id:  # type: ignore[attr-defined]
        raise not_found(model)
    return row


def scoped(actor: Actor, model: type[Any], *owner_columns: str) -> Select[Any]:
    """A select of ``model`` holding only the rows that ``actor`` may know of.

    Without ``owner_columns`` the row's ``organisation_id`` decides; with them, any one of the named columns does (an order is known
    to its cooperative and to its buyer). The operator sees every row, save those of a model marked ``operator_blind``.
    """
    columns: Iterable[str] = owner_columns or getattr(model, "owner_columns", ("organisation_id",))
    query = select(model)
    if actor.is_operator and not getattr(model, "operator_blind", False):
        return query
    owned = [getattr(model, column) == actor.organisation_id for column in columns]
    return query.where(or_(*owned) if owned else false())
