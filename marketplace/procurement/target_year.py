"""A year of the county's targets: who has filed, who is behind, and the lock of the finance office, after which nothing is edited.

The lock takes every target that its parent unit has reviewed, and those of units that nobody supervises. What is filed or
reviewed later is locked one by one and counts as a late filing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ForeignKey, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, aliased, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, broke_unique, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role
from marketplace.procurement import target
from marketplace.procurement.target import Target


class TargetYear(Identified, Model):
    """That a year is locked: once, and for good. ``organisation_id`` is the operator's."""

    __tablename__ = "target_year"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    year: Mapped[int] = mapped_column(unique=True)
    locked_at: Mapped[datetime]
    locked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


@dataclass(frozen=True)
class Filing:
    """One unit of a year, its target, if it has one, and how many people can sign in for it."""

    unit: Organisation
    parent: Organisation | None
    target: Target | None
    people: int

    @property
    def stage(self) -> str:
        """MISSING, DRAFT (returned), FILED, REVIEWED or LOCKED."""
        return self.target.state if self.target is not None else "MISSING"


def of(year: int) -> TargetYear | None:
    """The lock of a year, if it is locked."""
    return db.session.scalars(select(TargetYear).where(TargetYear.year == year)).one_or_none()


def deadline(year: int) -> date:
    """The last day for filing: 31 March."""
    return date(year, 3, 31)


def filings(year: int, *, parent_id: int | None = None, stages: Sequence[str] = ()) -> list[Filing]:
    """Every unit of the county (or of one parent unit) with its target of a year, by name; whoever is behind stands in it too. One query."""
    parent = aliased(Organisation)
    people = (
        select(func.count(Role.person_id.distinct()))
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id == Organisation.id, Person.deactivated_at.is_(None))
        .correlate(Organisation)
        .scalar_subquery()
    )
    query = (
        select(Organisation, parent, Target, people)
        .outerjoin(parent, parent.id == Organisation.parent_id)
        .outerjoin(Target, (Target.organisation_id == Organisation.id) & (Target.year == year))
        .where(Organisation.kind == "UNIT", Organisation.suspended_at.is_(None))
        .order_by(Organisation.name_zh, Organisation.id)
    )
    if parent_id is not None:
        query = query.where(Organisation.parent_id == parent_id)
    found = [Filing(*row) for row in db.session.execute(query)]
    return [each for each in found if not stages or each.stage in stages]


def lock_year(year: int, *, actor: Actor) -> int:
    """Lock a year; how many targets it took. Raises Conflict ``year.locked`` the second time, InvalidInput ``year.bad``."""
    actor.must_have("OPERATOR", "administrator", "treasurer")
    if not 2000 <= year <= clock.business_date().year:
        raise InvalidInput("year.bad", N_("年份不对。"), field="year")
    try:
        with db.session.begin_nested():
            row = TargetYear(organisation_id=actor.organisation_id, year=year, locked_at=clock.now(), locked_by_id=actor.person_id)
            db.session.add(row)
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        raise Conflict("year.locked", N_("%(year)s 年已经锁定过了。"), year=year) from None
    taken = [each.target.id for each in filings(year, stages=("FILED", "REVIEWED")) if each.target is not None and _ready(each)]
    for target_id in taken:
        target.lock(target_id, actor=actor)
    db.session.flush()
    audit.record("target_year.locked", row, person_id=actor.person_id, year=year, targets=len(taken))
    return len(taken)


def _ready(filing: Filing) -> bool:
    return filing.stage == "REVIEWED" or filing.parent is None
