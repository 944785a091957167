"""A person who signs in, and the roles that person has in organisations.

Passwords are argon2id hashes; hashing is capped in number, because each takes 64 MB and a tenth of a second.
"""

import re
import threading
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.crypto import Sealed, keyring, sealed_column
from marketplace.foundation.database import Identified, Model, Public, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.organisation import Organisation

ROLES: dict[str, tuple[str, ...]] = {
    "OPERATOR": ("administrator", "reviewer", "treasurer", "auditor", "village_officer"),
    "COOPERATIVE": ("director", "accountant", "clerk"),
    "UNIT": ("buyer", "approver", "accountant"),
    "STATION": ("station_clerk",),
    "VILLAGE": ("village_accountant",),
    "PERSON": ("customer",),
}

# Whoever holds one of these is one of the two people that money, listings or sign-ins wait for.
DECIDES = frozenset({"administrator", "reviewer", "treasurer", "director", "accountant", "approver"})
# And to these is open what is sealed about households: names, hardship, what was found on a visit.
READS = frozenset({"auditor", "village_officer", "village_accountant"})
TRUSTED = DECIDES | READS  # no single administrator gives one of them, nor a password to who has one
NO_PASSWORD = "!"  # noqa: S105  fits no hash, so that nobody gets in before a password was chosen
_strong = PasswordHasher()
_quick = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)  # tests and demonstrations only
_turnstile = threading.BoundedSemaphore(3)


class Person(Public, Model):
    """Somebody with a sign-in. The phone number is sealed, with a blind index to find it."""

    __tablename__ = "person"

    login: Mapped[str] = mapped_column(String(60), unique=True)
    name_zh: Mapped[str] = mapped_column(String(60))
    password_hash: Mapped[str] = mapped_column(String(200))
    phone_sealed: Mapped[str] = sealed_column(default="")
    phone = Sealed()
    phone_index: Mapped[str | None] = mapped_column(String(64), unique=True)
    is_demo: Mapped[bool] = mapped_column(default=False)
    unread_messages: Mapped[int] = mapped_column(default=0, server_default="0")  # kept by notices.message, so that no page counts them
    session_no: Mapped[int] = mapped_column(default=0, server_default="0")  # counts up when they sign out: every session before is over
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]


class Role(Identified, Model):
    """That a person acts in an organisation in a role of the glossary."""

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("person_id", "organisation_id", "name"),
        CheckConstraint("name <> ''", name="name"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    name: Mapped[str] = mapped_column(String(30))


class Hashed(str):
    """A password's hash. An entrance makes it before its transaction begins: it takes its time, and SQLite has one writer at a time."""

    __slots__ = ()


def hash_password(password: str) -> Hashed:
    """An argon2id hash; what is one already stays. InvalidInput below 8 or above 200 characters."""
    if isinstance(password, Hashed):
        return password
    if not 8 <= len(password) <= 200:
        raise InvalidInput("password.length", N_("密码要 8 个字以上。"), field="password")
    with _turnstile:
        return Hashed((_strong if settings().is_production else _quick).hash(password))


def password_fits(person: Person | None, password: str) -> bool:
    """Whether this is the person's password. Takes as long for a person who does not exist."""
    hasher = _strong if settings().is_production else _quick
    with _turnstile:
        if person is None:
            hasher.hash(password[:200])
            return False
        try:
            return hasher.verify(person.password_hash, password[:200])
        except (Argon2Error, InvalidHashError):
            return False


def by_login(login: str) -> Person | None:
    """The person who signs in with this name or phone number."""
    login = login.strip().lower()
    found = db.session.scalars(select(Person).where(Person.login == login)).one_or_none()
    if found is None:
        found = by_phone(login)
    return found


def by_phone(number: str) -> Person | None:
    """The person with this phone number, by its blind index."""
    index = keyring().blind_index(number, "person.phone")
    return db.session.scalars(select(Person).where(Person.phone_index == index)).one_or_none()


def national_number(phone: str) -> str:
    """A Chinese phone number without country code and spaces. InvalidInput ``phone.bad`` for anything else."""
    import phonenumbers

    try:
        number = phonenumbers.parse(phone, "CN")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise InvalidInput("phone.bad", N_("这个手机号不对，请核对 11 位数字。"), field="phone")
    return str(number.national_number)


def register(*, phone: str, name: str, password: str) -> Person:
    """A new private buyer: a person, and an organisation of kind PERSON in which they are ``customer``.

    ``phone`` is a valid Chinese mobile number. Raises InvalidInput for a bad field, Conflict ``phone.taken``.
    """
    national = national_number(phone)
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidInput("name.bad", N_("请写上姓名。"), field="name")
    if by_login(national) is not None:
        raise Conflict("phone.taken", N_("这个手机号已经注册过，请直接登录。"), field="phone")
    person = Person(
        login=f"p{national}", name_zh=name.strip(), password_hash=str(hash_password(password)), is_demo=False, created_at=clock.now()
    )
    person.phone = national
    person.phone_index = keyring().blind_index(national, "person.phone")
    own = Organisation(kind="PERSON", name_zh=name.strip(), created_at=clock.now(), version=1)
    db.session.add_all([person, own])
    db.session.flush()
    db.session.add(Role(person_id=person.id, organisation_id=own.id, name="customer"))
    db.session.flush()
    return person


def add(*, login: str, name: str, password: str) -> Person:
    """Somebody who works for an organisation, without a role yet. ``login``: 3 to 60 of a–z, 0–9, ``.`` and ``-``.

    Raises InvalidInput for a bad field, Conflict ``login.taken``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9.-]{2,59}", login):
        raise InvalidInput("login.bad", N_("登录名用小写字母开头，由小写字母、数字、点和短横组成，3 到 60 个。"), field="login")
    if not 1 <= len(name.strip()) <= 60:
        raise InvalidInput("name.bad", N_("请写上姓名。"), field="name")
    if by_login(login) is not None:
        raise Conflict("login.taken", N_("这个登录名已经有人用了。"), field="login")
    row = Person(login=login, name_zh=name.strip(), password_hash=str(hash_password(password)), is_demo=False, created_at=clock.now())
    db.session.add(row)
    db.session.flush()
    return row


def roles_of(person_id: int, organisation_id: int) -> list[str]:
    """The names of a person's roles in an organisation."""
    query = select(Role.name).where(Role.person_id == person_id, Role.organisation_id == organisation_id)
    return list(db.session.scalars(query.order_by(Role.name)))


def is_trusted(person_id: int) -> bool:
    """Whether a person anywhere decides about money or reads about households."""
    query = select(Role.id).where(Role.person_id == person_id, Role.name.in_(TRUSTED))
    return db.session.scalar(query.limit(1)) is not None


def is_staff(person_id: int) -> bool:
    """Whether a person works for an organisation, and is not only a private buyer."""
    query = select(Role.id).where(Role.person_id == person_id, Role.name != "customer")
    return db.session.scalar(query.limit(1)) is not None


def grant(person_id: int, organisation_id: int, role: str) -> Role:
    """Give a person a role in an organisation; InvalidInput if organisations of that kind have no such role."""
    organisation = db.session.get_one(Organisation, organisation_id)
    if role not in ROLES[organisation.kind]:
        raise InvalidInput("role.bad", N_("这类单位没有这个岗位。"), role=role, kind=organisation.kind)
    row = Role(person_id=person_id, organisation_id=organisation_id, name=role)
    db.session.add(row)
    db.session.flush()
    return row
