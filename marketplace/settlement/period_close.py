"""Closing a month (结账): the treasurer's act, after which nothing is posted to it any more, by anyone.

Verified before, alone with the month while it is done; what comes late is posted to the open month with its own ``event_at``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import period as ledger_period
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.period import ClosedPeriod
from marketplace.organisations.actor import Actor
from marketplace.settlement.distribution_weights import days_of

# What must hold of all books before a month is closed: names of the rules that are broken. Registered by reporting, a rung above.
Verified = Callable[[], Sequence[str]]
_verified: list[Verified] = []


def verified_by(check: Verified) -> Verified:
    """Register who checks the books. The last one registered counts."""
    _verified[:] = [check]
    return check


@dataclass(frozen=True)
class Checklist:
    """What must be so before a month is closed: it is over, the next, has entries, and no rule is ``broken``."""

    period: str
    over: bool
    closed: ClosedPeriod | None
    oldest_open: str | None
    entries: int
    broken: Sequence[str]

    @property
    def can_close(self) -> bool:
        return self.over and self.closed is None and self.oldest_open == self.period and not self.broken


def checklist(period: str) -> Checklist:
    """The state of a month (YYYY-MM). Outside of a transaction, so that the check sees one moment. InvalidInput ``period.bad``."""
    days_of(period)
    entries = select(func.count()).select_from(JournalEntry).where(JournalEntry.period == period)
    return Checklist(
        period=period,
        over=period < clock.period_of(clock.business_date()),
        closed=db.session.get(ClosedPeriod, period),
        oldest_open=ledger_period.oldest_open(),
        entries=db.session.scalar(entries) or 0,
        broken=_verified[0]() if _verified else (),
    )


def close(state: Checklist, *, actor: Actor) -> ClosedPeriod:
    """Close the month that was just checked: it is over, and the oldest that is open. By the operator's treasurer or administrator.

    What was posted to it since the check is verified once nobody can post to it any more. Raises Conflict ``period.closed``,
    ``period.running``, ``period.order`` (an older month is open), ``period.empty``, ``period.broken`` (``rules`` names the broken rules).
    """
    actor.must_have("OPERATOR", "treasurer", "administrator")
    period = state.period
    if state.closed is not None or period <= ledger_period.last_closed():
        raise Conflict("period.closed", N_("%(period)s 已经结账。"), period=period)
    if not state.over:
        raise Conflict("period.running", N_("%(period)s 还没有过完，下个月才能结账。"), period=period)
    if state.entries == 0:
        raise Conflict("period.empty", N_("%(period)s 没有账，不用结。"), period=period)
    if (oldest := ledger_period.oldest_open()) != period:
        raise Conflict("period.order", N_("请先结 %(oldest)s 的账。"), oldest=oldest, period=period)
    if state.broken:
        raise Conflict("period.broken", N_("账目检查没有通过，不能结账：%(rules)s"), rules=", ".join(state.broken))
    ledger_period.lock(period)
    if faults := ledger_period.faults(period):
        raise Conflict("period.broken", N_("账目检查没有通过，不能结账：%(rules)s"), rules="; ".join(faults))
    written = ledger_period.written(period)
    row = ClosedPeriod(
        period=period,
        closed_at=clock.now(),
        closed_by_id=actor.person_id,
        entries=written.entries,
        lines=written.lines,
        gross=written.gross,
        sha256=written.sha256,
    )
    ledger_period.write_closed(row)
    audit.record(
        "period.closed", row, person_id=actor.person_id, organisation_id=actor.organisation_id,
        period=period, sha256=written.sha256, entries=written.entries,
    )  # fmt: skip
    db.session.flush()
    return row


def due() -> list[str]:
    """Months that are over and not closed though they have entries, oldest first."""
    query = (
        select(JournalEntry.period)
        .where(
            JournalEntry.period > ledger_period.last_closed(),
            JournalEntry.period < clock.period_of(clock.business_date()),
        )
        .distinct()
        .order_by(JournalEntry.period)
    )
    return list(db.session.scalars(query))
