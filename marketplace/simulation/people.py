"""Who trades in the simulation: actors by organisation and role, as the seed made them."""

from dataclasses import dataclass, field

from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.organisations.actor import Actor, acting
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role


@dataclass
class People:
    """``customers`` buy for themselves; ``staff[organisation][role]`` acts for a cooperative or a unit.

    ``shown`` are the cooperatives whose accountant and director a visitor of the demonstration can sign in as.
    """

    customers: list[Actor] = field(default_factory=list)
    staff: dict[int, dict[str, Actor]] = field(default_factory=dict)
    cooperatives: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)


def everybody() -> People:
    """All who have a role, in the order in which they were made: the same for the same seed."""
    people = People()
    query = (
        select(Role.person_id, Role.name, Organisation.id, Organisation.kind)
        .join(Organisation, Organisation.id == Role.organisation_id)
        .order_by(Role.id)
    )
    for person_id, role, organisation_id, kind in db.session.execute(query).all():
        if kind not in {"PERSON", "COOPERATIVE", "UNIT"}:
            continue
        actor = acting(person_id, organisation_id)
        if actor is None:
            continue
        if kind == "PERSON":
            people.customers.append(actor)
        else:
            people.staff.setdefault(organisation_id, {}).setdefault(role, actor)
            known = people.cooperatives if kind == "COOPERATIVE" else people.units
            if organisation_id not in known:
                known.append(organisation_id)
    shown = (
        select(Role.organisation_id)
        .join(Person, Person.id == Role.person_id)
        .where(Person.is_demo, Role.name == "director", Role.organisation_id.in_(people.cooperatives))
        .order_by(Role.organisation_id)
    )
    people.shown = list(db.session.scalars(shown))
    people.units = [each for each in people.units if {"buyer", "approver"} <= set(people.staff[each])]
    return people
