"""Pages that a cooperative and the county office share: each sees them inside its own desk, and only what is theirs to see."""

from collections.abc import Iterable
from typing import Any

from flask import request, url_for
from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Person
from marketplace.web import cooperative_desk, operator_desk
from marketplace.web.permission import permission

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")


def desk(actor: Actor) -> dict[str, Any]:
    """The roads of whoever reads."""
    return operator_desk.desk(actor) if actor.is_operator else cooperative_desk.desk(actor)


def money_home(actor: Actor) -> str:
    """Where the breadcrumbs of money pages begin."""
    return url_for("operator_desk.today") if actor.is_operator else url_for("cooperative_money.show")


def names_of(person_ids: Iterable[int | None]) -> dict[int, str]:
    """Names of colleagues, by id."""
    query = select(Person.id, Person.name_zh).where(Person.id.in_({each for each in person_ids if each}))
    return dict(db.session.execute(query).all())


def typed_version() -> int:
    """The version that a form was shown at. InvalidInput if the form is not whole."""
    typed = request.form.get("version", "")
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
        raise InvalidInput("version.bad", N_("这一页不完整，请刷新后再试。"), field="version")
    return int(typed)
