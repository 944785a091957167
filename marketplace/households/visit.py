"""A visit (入户): a village officer was at a household assigned to them on a day, and what they found. Records are added, never edited.

What was found may be about health and hardship: it is sealed, and every reading of a household's record is logged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, Select, String, func, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Identified, Model, Public, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.organisations import sign_in_proposal
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Person, Role
from marketplace.organisations.region import Region
from marketplace.organisations.sign_in_proposal import SignInProposal

FINDINGS = ("STEADY", "INCOME", "ILLNESS", "DISASTER", "OTHER")
LATE_DAYS = 31  # a visit is written down within a month
MONTHLY = 31  # and a household is due again when its last one is older


class OfficerAssignment(Identified, Model):
    """That an officer looks after the households of a village, from a day on. The last day is written when it ends."""

    __tablename__ = "officer_assignment"
    __table_args__ = (Index("ix_officer_assignment_person", "person_id", "village_id"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))  # the operator
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    village_id: Mapped[int] = mapped_column(ForeignKey("region.id"), index=True)
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]


class Visit(Public, Model):
    """One visit on a Beijing day."""

    __tablename__ = "visit"
    __table_args__ = (CheckConstraint("finding IN ('STEADY','INCOME','ILLNESS','DISASTER','OTHER')", name="finding"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))  # the operator
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    officer_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    visited_on: Mapped[date]
    finding: Mapped[str] = mapped_column(String(10))
    note_sealed: Mapped[str] = sealed_column(4000, default="")
    note = Sealed()
    written_at: Mapped[datetime]


@dataclass(frozen=True)
class Charge:
    """A household that an officer looks after, and when they were last there."""

    household: Household
    village: Region
    visited_on: date | None

    @property
    def due(self) -> bool:
        return self.visited_on is None or (clock.business_date() - self.visited_on).days > MONTHLY


def assign(person_id: int, village_ids: Sequence[int], *, actor: Actor) -> SignInProposal | None:
    """The county's administrator says which villages an officer looks after. Fewer hold from today on; for one more, whose households are
    opened to the officer, a second administrator is asked, and nothing changes until then.

    Raises InvalidInput ``officer.bad`` for somebody who is no village officer, ``village.bad`` for what is no village, NotAllowed ``roles.own``,
    Conflict ``sign_in.waiting``.
    """
    actor.must_have("OPERATOR", "administrator")
    locked(Person, person_id)
    wanted = set(village_ids)
    codes = dict(db.session.execute(select(Region.id, Region.code).where(Region.id.in_(wanted | set(villages_of(person_id))), Region.kind == "VILLAGE")).all())
    if wanted - set(codes):
        raise InvalidInput("village.bad", N_("请选择村。"), field="villages")
    _must_be_officer(person_id, actor.organisation_id)
    held = set(villages_of(person_id))
    if wanted <= held:
        _write(person_id, actor.organisation_id, wanted, by_id=actor.person_id)
        return None
    return sign_in_proposal.ask_villages(person_id, before=[codes[each] for each in held], villages=[codes[each] for each in wanted], actor=actor)


def _must_be_officer(person_id: int, organisation_id: int) -> None:
    holds = select(Role.id).where(Role.person_id == person_id, Role.organisation_id == organisation_id, Role.name == "village_officer")
    if db.session.scalar(holds) is None:
        raise InvalidInput("officer.bad", N_("这个人不是帮扶干部。"), field="villages")


def _write(person_id: int, organisation_id: int, wanted: set[int], *, by_id: int) -> None:
    """These are an officer's villages from today on; others end yesterday, or never began."""
    today = clock.business_date()
    held = {row.village_id: row for row in db.session.scalars(_in_force(person_id))}
    for village_id, row in held.items():
        if village_id in wanted:
            continue
        if row.starts_on == today:
            db.session.delete(row)
        else:
            row.ends_on = today - timedelta(days=1)
    for village_id in sorted(wanted - set(held)):
        db.session.add(OfficerAssignment(organisation_id=organisation_id, person_id=person_id, village_id=village_id, starts_on=today))
    db.session.flush()
    audit.record("officer.assigned", get(Person, person_id), person_id=by_id, organisation_id=organisation_id, villages=sorted(wanted))


def _agreed(row: SignInProposal) -> None:
    """Carry out what a second person allowed. Conflict ``version.stale`` if the officer's villages changed since."""
    locked(Person, row.person_id)
    _must_be_officer(row.person_id, row.organisation_id)
    held = set(db.session.scalars(select(Region.code).where(Region.id.in_(villages_of(row.person_id)))))
    if held != set(row.villages_before.split()):
        raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"))
    wanted = set(db.session.scalars(select(Region.id).where(Region.code.in_(row.villages.split()))))
    _write(row.person_id, row.organisation_id, wanted, by_id=row.proposed_by_id)


sign_in_proposal.carried_out["VILLAGES"] = _agreed


def villages_of(person_id: int) -> list[int]:
    """Ids of the villages that an officer looks after today."""
    return [row.village_id for row in db.session.scalars(_in_force(person_id))]


def charges(actor: Actor, *, after_id: int = 0, due: bool = False, limit: int = 50) -> list[Charge]:
    """Households in the officer's villages, by number; with ``due`` only those not visited for a month. At most ``limit``."""
    actor.must_have("OPERATOR", "village_officer")
    last = select(Visit.household_id, func.max(Visit.visited_on).label("on")).group_by(Visit.household_id).subquery()
    query = (
        select(Household, Region, last.c.on)
        .join(Region, Region.id == Household.village_id)
        .outerjoin(last, last.c.household_id == Household.id)
        .where(Household.village_id.in_(_villages(actor)), Household.exited_on.is_(None), Household.id > after_id)
        .order_by(Household.id)
        .limit(limit)
    )
    if due:
        query = query.where(or_(last.c.on.is_(None), last.c.on < clock.business_date() - timedelta(days=MONTHLY)))
    return [Charge(*row) for row in db.session.execute(query)]


def due_count(actor: Actor) -> tuple[int, int]:
    """(households not visited for a month, all households) in the officer's villages."""
    seen = select(Visit.household_id).where(Visit.visited_on >= clock.business_date() - timedelta(days=MONTHLY))
    waiting = func.count(Household.id).filter(Household.id.not_in(seen))
    query = select(waiting, func.count(Household.id)).where(Household.village_id.in_(_villages(actor)), Household.exited_on.is_(None))
    missing, all_of_them = db.session.execute(query).one()
    return missing, all_of_them


def charged(public_id: str, actor: Actor) -> Household:
    """A household assigned to the officer; NotFound for anybody else's. The reading is logged: call inside a transaction."""
    actor.must_have("OPERATOR", "village_officer")
    query = select(Household).where(Household.public_id == public_id, Household.village_id.in_(villages_of(actor.person_id)))
    row = db.session.scalars(query).one_or_none()
    if row is None:
        raise not_found(Household)
    audit.record("household.read", row, person_id=actor.person_id, organisation_id=actor.organisation_id, purpose="visit")
    return row


def record(household_id: int, visited_on: date, finding: str, note: str, *, actor: Actor, key: str) -> int:
    """Write a visit down; its id. The same ``key``: the same visit.

    Raises NotFound for a household that is not assigned, InvalidInput ``visit.day`` (in the future or more than a month ago),
    ``visit.finding``, ``visit.note`` (needed for anything but a steady household), Conflict ``visit.twice`` for a second one that day.
    """
    actor.must_have("OPERATOR", "village_officer")
    request = [household_id, visited_on.isoformat(), finding, note.strip()]
    answer = once(f"visit:{actor.person_id}", key, request, lambda: {"visit_id": _record(household_id, visited_on, finding, note, actor)})
    return int(answer["visit_id"])


def of_household(household_id: int) -> list[tuple[Visit, str]]:
    """(visit, officer's name), the latest first."""
    query = select(Visit, Person.name_zh).join(Person, Person.id == Visit.officer_id).where(Visit.household_id == household_id)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(Visit.visited_on.desc(), Visit.id.desc()))]


def _record(household_id: int, visited_on: date, finding: str, note: str, actor: Actor) -> int:
    household = get(Household, household_id)
    if household.village_id not in villages_of(actor.person_id) or household.exited_on is not None:
        raise not_found(Household)
    today = clock.business_date()
    if not today - timedelta(days=LATE_DAYS) <= visited_on <= today:
        raise InvalidInput("visit.day", N_("入户日期要在最近 %(days)s 天之内。"), field="visited_on", days=LATE_DAYS)
    if finding not in FINDINGS:
        raise InvalidInput("visit.finding", N_("请选择这次看到的情况。"), field="finding")
    if len(note.strip()) > 1000 or (finding != "STEADY" and len(note.strip()) < 2):
        raise InvalidInput("visit.note", N_("请写明看到的情况，1000 字以内。"), field="note")
    twice = select(Visit.id).where(Visit.household_id == household_id, Visit.officer_id == actor.person_id, Visit.visited_on == visited_on)
    if db.session.scalar(twice.limit(1)) is not None:
        raise Conflict("visit.twice", N_("这一天的入户已经记过了。"))
    row = Visit(
        organisation_id=actor.organisation_id, household_id=household_id, officer_id=actor.person_id,
        visited_on=visited_on, finding=finding, written_at=clock.now(),
    )  # fmt: skip
    row.note = note.strip()
    db.session.add(row)
    db.session.flush()
    audit.record("visit.recorded", row, person_id=actor.person_id, household_id=household_id, finding=finding)
    return row.id


def _villages(actor: Actor) -> Select[int]:
    return _in_force(actor.person_id).with_only_columns(OfficerAssignment.village_id)


def _in_force(person_id: int) -> Select[OfficerAssignment]:
    today = clock.business_date()
    return select(OfficerAssignment).where(
        OfficerAssignment.person_id == person_id,
        OfficerAssignment.starts_on <= today,
        or_(OfficerAssignment.ends_on.is_(None), OfficerAssignment.ends_on >= today),
    )
