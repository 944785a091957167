"""How far money is on its way to households: of a distribution, or of batches, in households and fen by where it is. It only reads.

Of a distribution, what a household was paid twice is paid once: the second time it was the cooperative's own money.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, union_all

from marketplace.foundation.database import db
from marketplace.settlement.distribution_share import Distribution, DistributionShare
from marketplace.settlement.household_credit import TO_FUND, CreditMove, owed
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

# Where a distribution's money is → the states of the payments that have it there. "owed" is what no batch pays, "fund" what nobody claimed.
PLACES: dict[str, tuple[str, ...]] = {"paid": ("paid",), "going": ("draft", "approved", "sent"), "unknown": ("unknown",), "back": ("returned",)}
NONE = (0, 0)
Standing = tuple[int, int]  # households (of batches: payments), fen


@dataclass(frozen=True)
class Progress:
    """Households and fen by place, of ``households`` that were credited ``total_fen``. Of two payments in two places a household is in both."""

    households: int
    total_fen: int
    paid: Standing
    going: Standing
    unknown: Standing
    back: Standing
    fund: Standing
    owed_fen: int


def of_distribution(row: Distribution) -> Progress:
    """Of a posted distribution, in two statements."""
    batched = _live(select(PayoutItem.state, func.count(PayoutItem.household_id.distinct()), func.sum(PayoutItem.fen))).where(PayoutBatch.distribution_id == row.id)
    moved = select(CreditMove.kind, func.count(CreditMove.household_id.distinct()), func.sum(CreditMove.fen)).where(CreditMove.distribution_id == row.id)
    rows: Any = db.session.execute(union_all(batched.group_by(PayoutItem.state), moved.group_by(CreditMove.kind)))
    found = {place: (int(count), int(fen)) for place, count, fen in rows}
    at = {place: _sum(found, states) for place, states in PLACES.items()}
    twice_fen = found.get("TWICE", NONE)[1]
    at["paid"] = (at["paid"][0], at["paid"][1] - twice_fen)
    fund, moves_fen = _sum(found, TO_FUND), sum(fen for kind, (_count, fen) in found.items() if kind.isupper()) - twice_fen
    credited = select(func.count(DistributionShare.household_id.distinct())).where(DistributionShare.distribution_id == row.id, DistributionShare.fen > 0)
    return Progress(
        households=db.session.scalar(credited) or 0,
        total_fen=row.total_fen,
        fund=(fund[0], -fund[1]),
        owed_fen=row.total_fen + moves_fen - sum(fen for _count, fen in at.values()),
        **at,
    )


def of_distributions(ids: Sequence[int]) -> dict[int, int]:
    """Fen of distributions that reached households."""
    paid = _live(select(PayoutBatch.distribution_id, PayoutItem.fen)).where(PayoutBatch.distribution_id.in_(ids), PayoutItem.state == "paid")
    twice = select(CreditMove.distribution_id, -CreditMove.fen).where(CreditMove.distribution_id.in_(ids), CreditMove.kind == "TWICE")
    each = union_all(paid, twice).subquery("each")
    query = select(each.c.distribution_id, func.sum(each.c.fen)).group_by(each.c.distribution_id)
    return {number: int(fen) for number, fen in db.session.execute(query)} if ids else {}


def of_batches(ids: Sequence[int]) -> dict[int, dict[str, Standing]]:
    """Payments and fen of batches by state."""
    query = select(PayoutItem.batch_id, PayoutItem.state, func.count(), func.sum(PayoutItem.fen)).where(PayoutItem.batch_id.in_(ids))
    found: dict[int, dict[str, Standing]] = {number: {} for number in ids}
    for number, state, count, fen in db.session.execute(query.group_by(PayoutItem.batch_id, PayoutItem.state)) if ids else ():
        found[number][state] = (count, int(fen))
    return found


def households_at(row: Distribution, place: str) -> Select[Any]:
    """Ids of the households that have money of the distribution at a place; KeyError for one that there is not."""
    if place == "owed":
        of_it = owed(Distribution.id == row.id)
        return select(of_it.c.household_id)
    if place == "fund":
        return select(CreditMove.household_id).where(CreditMove.distribution_id == row.id, CreditMove.kind.in_(TO_FUND))
    found: Select[Any] = _live(select(PayoutItem.household_id)).where(PayoutBatch.distribution_id == row.id, PayoutItem.state.in_(PLACES[place]))
    return found


def _live(query: Any) -> Any:
    """Of payments that count: not of a cancelled batch, and not issued again in another."""
    return query.join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id).where(PayoutBatch.state != "CANCELLED", PayoutItem.state != "reissued")


def _sum(found: dict[str, Standing], places: Sequence[str]) -> Standing:
    return sum(found.get(each, NONE)[0] for each in places), sum(found.get(each, NONE)[1] for each in places)
