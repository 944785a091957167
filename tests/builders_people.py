"""Builders of people and places: the county, organisations, and who acts in them."""

import itertools
from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy import select

from marketplace.catalogue.category import CATEGORIES, Category
from marketplace.foundation import clock
from marketplace.foundation.database import db, in_transaction, transaction
from marketplace.organisations.actor import Actor, acting
from marketplace.organisations.organisation import Organisation, ServiceStation
from marketplace.organisations.person import Person, Role
from marketplace.organisations.region import Region

P = ParamSpec("P")
R = TypeVar("R")
LONG_AGO = date(2020, 1, 1)
serial = itertools.count(1)


def committed(build: Callable[P, R]) -> Callable[P, R]:
    """Run in the open transaction, or in one of its own."""

    @wraps(build)
    def built(*args: P.args, **kwargs: P.kwargs) -> R:
        if in_transaction():
            return build(*args, **kwargs)
        with transaction():
            return build(*args, **kwargs)

    return built


def kept(row: R) -> R:
    db.session.add(row)
    db.session.flush()
    return row


@committed
def county() -> int:
    """The county, one township 中源乡 with one village 三坪村, the four categories. Returns the village's id; safe to repeat."""
    village = db.session.scalars(select(Region).where(Region.code == "360925201001")).one_or_none()
    if village is not None:
        return village.id
    top = kept(Region(code="360925", kind="COUNTY", name_zh="靖安县", name_en="Jing'an"))
    township = kept(
        Region(
            code="360925201",
            kind="TOWNSHIP",
            parent_id=top.id,
            name_zh="中源乡",
            altitude_m=600,
            gi_area=True,
        )
    )
    village = kept(
        Region(
            code="360925201001",
            kind="VILLAGE",
            parent_id=township.id,
            name_zh="三坪村",
            name_en="Sanping",
            altitude_m=620,
            gi_area=True,
        )
    )
    for code, (name, licence) in CATEGORIES.items():
        kept(Category(code=code, name_zh=name, licence_category=licence))
    return village.id


@committed
def village(name: str = "港下村") -> int:
    """One more village of the township; its id."""
    beside = db.session.get_one(Region, county())
    return kept(Region(code=f"{360925201100 + next(serial)}", kind="VILLAGE", parent_id=beside.parent_id, name_zh=name, altitude_m=500)).id


@committed
def organisation(kind: str = "UNIT", name: str = "", *, parent_id: int | None = None) -> int:
    """An organisation of a kind; its id."""
    number = next(serial)
    row = Organisation(
        kind=kind,
        code=f"{kind}-{number}",
        name_zh=name or f"{kind} {number}",
        parent_id=parent_id,
        created_at=clock.now(),
        version=1,
    )
    return kept(row).id


@committed
def operator() -> int:
    """The county office, once; its id."""
    found = db.session.scalars(
        select(Organisation.id).where(Organisation.kind == "OPERATOR").order_by(Organisation.id)
    ).first()
    return found or organisation("OPERATOR", "靖安县消费帮扶办")


@committed
def person(organisation_id: int, *roles: str, login: str = "") -> Actor:
    """A new person with roles in an organisation, as an actor. No password fits."""
    number = next(serial)
    row = kept(
        Person(
            login=login or f"person{number}", name_zh=f"甲{number}", password_hash="-", created_at=clock.now()
        )
    )
    for role in roles:
        kept(Role(person_id=row.id, organisation_id=organisation_id, name=role))
    actor = acting(row.id, organisation_id)
    assert actor is not None
    return actor


@committed
def customer(name: str = "王小明") -> Actor:
    """A private buyer with an organisation of their own."""
    return person(organisation("PERSON", name), "customer")


@committed
def unit(name: str = "靖安县第一中学", *, parent_id: int | None = None) -> int:
    """A unit's organisation id; ``person(unit_id, "buyer")`` gives it people."""
    return organisation("UNIT", name, parent_id=parent_id)


@committed
def station(name: str = "中源服务站") -> int:
    """A service station's organisation id."""
    own = organisation("STATION", name)
    kept(ServiceStation(organisation_id=own, region_id=county()))
    return own
