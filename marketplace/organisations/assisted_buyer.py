"""A buyer who is served at a counter: found by telephone number, or written down for the first time. They cannot sign in until they register.

Whoever serves them learns nothing about them: not whether they were known, and nothing that they bought.
"""

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.crypto import keyring
from marketplace.foundation.database import db, new_public_id
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import NO_PASSWORD, Person, Role, by_phone, national_number


def found_or_made(*, phone: str, name: str, actor: Actor) -> int:
    """The buying organisation of whoever was served with this number before; made if nobody was. InvalidInput ``phone.bad``, ``name.bad``.

    Whoever registered with the number by themself is not taken for the person at the counter: nobody has seen that it is theirs.
    """
    actor.must_have("STATION", "station_clerk")
    number = national_number(phone)
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidInput("name.bad", N_("请写上姓名。"), field="name")
    holder = by_phone(number)
    at_counter = keyring().blind_index(number, "person.served")
    person = holder if holder is not None and _was_served(holder) else db.session.scalars(select(Person).where(Person.phone_index == at_counter)).one_or_none()
    if person is None:
        login = f"p{number}" if holder is None else f"s{new_public_id().lower()}"
        person = Person(login=login, name_zh=name.strip(), password_hash=NO_PASSWORD, is_demo=False, created_at=clock.now())
        person.phone = number
        person.phone_index = keyring().blind_index(number, "person.phone") if holder is None else at_counter
        db.session.add(person)
        db.session.flush()
        audit.record("person.served", person, person_id=actor.person_id, organisation_id=actor.organisation_id)
    query = db.select(Organisation.id).join(Role, Role.organisation_id == Organisation.id).where(Role.person_id == person.id, Organisation.kind == "PERSON")
    own = db.session.scalars(query.order_by(Organisation.id).limit(1)).first()
    if own is None:
        home = Organisation(kind="PERSON", name_zh=person.name_zh, created_at=clock.now(), version=1)
        db.session.add(home)
        db.session.flush()
        db.session.add(Role(person_id=person.id, organisation_id=home.id, name="customer"))
        db.session.flush()
        own = home.id
    return own


def _was_served(person: Person) -> bool:
    written = select(AuditEvent.id).where(AuditEvent.action == "person.served", AuditEvent.subject_type == Person.__tablename__, AuditEvent.subject_id == person.id)
    return db.session.scalar(written.limit(1)) is not None
