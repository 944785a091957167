"""Benefits besides the pool: wages, rent of land, relief. They are the cooperative's costs, recorded so that anybody can see what a household got.

They are never lines of the household pool (design: floor prices, wages and rent are costs).
"""

from datetime import date, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageShare
from marketplace.households.linkage_share import group_of
from marketplace.organisations.actor import Actor

KINDS = ("WAGE", "LEASE", "RELIEF")
FEN_MOST = 100_000_000


class HouseholdBenefit(Identified, Model):
    """So many fen that the cooperative paid a household by itself, on a day, for something."""

    __tablename__ = "household_benefit"
    __table_args__ = (CheckConstraint("kind IN ('WAGE','LEASE','RELIEF')", name="kind"), CheckConstraint("fen > 0", name="fen"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    fen: Mapped[int]
    paid_on: Mapped[date]
    note: Mapped[str] = mapped_column(String(200))
    recorded_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    recorded_at: Mapped[datetime]


def record(group_id: int, household_id: int, kind: str, fen: int, paid_on: date, note: str, *, actor: Actor, key: str) -> int:
    """Record a benefit; its id. By the accountant or the director; the household must have a link of this kind on that day.

    Raises InvalidInput naming its field.
    """
    group = group_of(group_id, actor, "accountant", "director")
    request = [household_id, kind, fen, f"{paid_on}", note]
    return int(once(f"benefit:{group.id}", key, request, lambda: {"id": _record(group_id, household_id, kind, fen, paid_on, note.strip(), actor)})["id"])


def _record(group_id: int, household_id: int, kind: str, fen: int, paid_on: date, note: str, actor: Actor) -> int:
    today = clock.business_date()
    if not today - timedelta(days=366) <= paid_on <= today:
        raise InvalidInput("benefit.day", N_("日期要在一年以内，不能晚于今天。"), field="paid_on")
    links = select(LinkageShare).where(LinkageShare.group_id == group_id, LinkageShare.household_id == household_id, LinkageShare.kind == kind)
    if kind not in KINDS or not any(link.in_force(paid_on) for link in db.session.scalars(links)):
        raise InvalidInput("benefit.kind", N_("这户那天没有这种方式的联结。"), field="kind")
    if not 0 < fen <= FEN_MOST:
        raise InvalidInput("benefit.fen", N_("金额要大于零，最多 1,000,000 元。"), field="amount")
    if not 2 <= len(note) <= 200:
        raise InvalidInput("benefit.note", N_("请写一句说明，200 字以内。"), field="note")
    row = HouseholdBenefit(
        organisation_id=actor.organisation_id, group_id=group_id, household_id=household_id, kind=kind, fen=fen, paid_on=paid_on, note=note,
        recorded_by_id=actor.person_id, recorded_at=clock.now(),
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record("benefit.recorded", row, person_id=actor.person_id, kind=kind, fen=fen)
    return row.id


def of(group_id: int, household_id: int) -> list[HouseholdBenefit]:
    """What the household got through the group, newest first."""
    query = select(HouseholdBenefit).where(HouseholdBenefit.group_id == group_id, HouseholdBenefit.household_id == household_id)
    return list(db.session.scalars(query.order_by(HouseholdBenefit.paid_on.desc(), HouseholdBenefit.id.desc()).limit(100)))

