"""Reading households: a village's accountant may look at those of their village, for a purpose, and every look is written down."""

from sqlalchemy import select

from marketplace.foundation import audit
from marketplace.foundation.database import db, not_found
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation, ServiceStation


def village_of(actor: Actor) -> int:
    """The village that a village organisation or a station serves. NotFound for one that serves none."""
    if actor.kind == "STATION":
        found = db.session.scalars(select(ServiceStation.region_id).where(ServiceStation.organisation_id == actor.organisation_id)).one_or_none()
    else:
        actor.must_have("VILLAGE", "village_accountant")
        found = db.session.get_one(Organisation, actor.organisation_id).region_id
    if found is None:
        raise not_found(Household)
    return found


def of_village(actor: Actor, *, after: str = "", limit: int = 50) -> list[Household]:
    """Households of the accountant's village that have not left, by number. One line in the audit a page: call inside a transaction."""
    actor.must_have("VILLAGE", "village_accountant")
    office = db.session.get_one(Organisation, actor.organisation_id)
    query = select(Household).where(Household.village_id == office.region_id, Household.exited_on.is_(None), Household.code > after[:30])
    rows = list(db.session.scalars(query.order_by(Household.code).limit(limit)))
    audit.record("households.listed", office, person_id=actor.person_id, organisation_id=office.id, households=len(rows), purpose="village")
    return rows


def of_number(code: str, *, actor: Actor) -> Household:
    """The household of this number in the accountant's village. NotFound for any other; whoever shows it to somebody logs it."""
    actor.must_have("VILLAGE", "village_accountant")
    query = select(Household).where(Household.code == code.strip().upper()[:30], Household.village_id == village_of(actor), Household.exited_on.is_(None))
    row = db.session.scalars(query).one_or_none()
    if row is None:
        raise not_found(Household)
    return row
