"""What a person changes about their own sign-in: name, phone number, password. Nobody changes another's here."""

from marketplace.foundation import audit
from marketplace.foundation.crypto import keyring
from marketplace.foundation.database import db, get, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import (
    Person,
    by_phone,
    is_staff,
    national_number,
    password_fits,
)


def rename(name: str, *, actor: Actor) -> Person:
    """Another name for oneself; a private buyer's organisation is called so too. InvalidInput ``name.bad``, NotAllowed ``name.staff``
    for whoever works for an organisation: two people are told apart by their names."""
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidInput("name.bad", N_("请写上姓名。"), field="name")
    if is_staff(actor.person_id):
        raise NotAllowed("name.staff", N_("在单位里办事的人，姓名由县级运营方的管理员来改。"))
    person = locked(Person, actor.person_id)
    before, person.name_zh = person.name_zh, name.strip()
    if actor.kind == "PERSON":
        locked(Organisation, actor.organisation_id).name_zh = name.strip()
    db.session.flush()
    audit.record("person.renamed", person, person_id=person.id, organisation_id=actor.organisation_id, before=before, after=person.name_zh)
    return person


def proven(password: str, *, actor: Actor) -> str:
    """The hash that one's own password fits: whoever changes a sign-in brings it. InvalidInput ``password.wrong``.

    Outside of a transaction: a hash takes its time, and SQLite has one writer at a time.
    """
    person = get(Person, actor.person_id)
    if not password_fits(person, password):
        raise InvalidInput("password.wrong", N_("现在的密码不对。"), field="current")
    return person.password_hash


def change_phone(phone: str, proof: str, *, actor: Actor) -> Person:
    """Another phone number to sign in with. InvalidInput ``phone.bad``, ``phone.same``, ``password.wrong``, Conflict ``phone.taken``."""
    number = national_number(phone)
    person = locked(Person, actor.person_id)
    _must_be_proven(person, proof)
    if number == person.phone:
        raise InvalidInput("phone.same", N_("这就是现在的手机号。"), field="phone")
    other = by_phone(number)
    if other is not None and other.id != person.id:
        raise Conflict("phone.taken", N_("这个手机号已经有人用了。"), field="phone")
    person.phone = number
    person.phone_index = keyring().blind_index(number, "person.phone")
    db.session.flush()
    audit.record("person.phone_changed", person, person_id=person.id, organisation_id=actor.organisation_id)
    return person


def change_password(proof: str, wanted: str, *, actor: Actor) -> Person:
    """Another password, of which ``wanted`` is the hash. InvalidInput ``password.wrong`` if it was changed since it was proven."""
    person = locked(Person, actor.person_id)
    _must_be_proven(person, proof)
    person.password_hash = str(wanted)
    db.session.flush()
    audit.record("person.password_changed", person, person_id=person.id, organisation_id=actor.organisation_id)
    return person


def sign_out(person_id: int) -> None:
    """End every session of a person, on whatever machine: who copied a cookie is out too."""
    person = locked(Person, person_id)
    person.session_no += 1
    db.session.flush()
    audit.record("person.signed_out", person, person_id=person.id)


def _must_be_proven(person: Person, proof: str) -> None:
    if person.password_hash != proof:
        raise InvalidInput("password.wrong", N_("现在的密码不对。"), field="current")
