"""The month's end: last month's pools are drafted, approved, published, credited and, once everything is in order, the month is closed."""

from collections import Counter
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Select, select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import by_name
from marketplace.settlement import distribution, period_close
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.settlement import SettlementLine
from marketplace.simulation.people import People


def distribute(cooperatives: Collection[int], people: People, done: Counter[str]) -> None:
    """These cooperatives publish what they will divide of the month before, and what they drafted of any."""
    period = clock.period_of(clock.business_date().replace(day=1) - timedelta(days=1))
    undivided = select(SettlementLine.organisation_id).where(SettlementLine.period == period, SettlementLine.distribution_id.is_(None), SettlementLine.pool_fen > 0)
    for cooperative_id in db.session.scalars(undivided.where(SettlementLine.organisation_id.in_(cooperatives)).distinct().order_by(SettlementLine.organisation_id)).all():
        try:
            transaction(lambda c=cooperative_id: distribution.draft(c, period, actor=people.staff[c]["accountant"]))  # type: ignore[misc]
        except Conflict:
            done["nothing to distribute"] += 1
        _publish(cooperative_id, people, done)
    begun = _of(cooperatives, "DRAFTED", "APPROVED").with_only_columns(Distribution.organisation_id).order_by(None)
    for cooperative_id in db.session.scalars(begun.distinct().order_by(Distribution.organisation_id)).all():
        _publish(cooperative_id, people, done)


def _publish(cooperative_id: int, people: People, done: Counter[str]) -> None:
    """The director agrees to what was drafted, and it is published."""
    director = people.staff[cooperative_id]["director"]
    for row_id, version, state in db.session.execute(
        _of([cooperative_id], "DRAFTED", "APPROVED").with_only_columns(Distribution.id, Distribution.version, Distribution.state)
    ).all():
        if state == "DRAFTED":
            transaction(lambda r=row_id, v=version: distribution.approve(r, actor=director, version=v))  # type: ignore[misc]
        transaction(lambda r=row_id: distribution.publish(r, actor=director))  # type: ignore[misc]
        done["distributions"] += 1


def credit(people: People, done: Counter[str]) -> None:
    """Once its notice has ended a distribution is credited; one that a refund or an objection stands against is left to people."""
    query = (
        select(Distribution.id, Distribution.organisation_id)
        .join(PublicNotice, PublicNotice.id == Distribution.notice_id)
        .where(Distribution.state == "PUBLISHED", PublicNotice.ends_on < clock.business_date())
        .order_by(Distribution.id)
    )
    for row_id, cooperative_id in db.session.execute(query).all():
        try:
            transaction(lambda r=row_id, c=cooperative_id: distribution.post(r, actor=people.staff[c]["accountant"]))  # type: ignore[misc]
        except Conflict as error:
            done[f"not credited: {error.code}"] += 1


def close(done: Counter[str]) -> None:
    """The treasurer closes every month that is over, the oldest first; broken books are not closed, and the day goes on."""
    for period in period_close.due():
        try:
            state = period_close.checklist(period)
            transaction(lambda state=state: period_close.close(state, actor=by_name("treasurer")))  # type: ignore[misc]
        except Conflict as error:
            done[f"not closed: {error.code}"] += 1
            return
        done["months closed"] += 1


def _of(cooperatives: Collection[int], *states: str) -> Select[Distribution]:
    return select(Distribution).where(Distribution.organisation_id.in_(cooperatives), Distribution.state.in_(states)).order_by(Distribution.id)
