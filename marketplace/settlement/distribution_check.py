"""A posted distribution, divided once more: from the weights, the rule and the amounts that are frozen in it, to the fen.

Whoever moved a fen from one household to another, or from grams to shares, is found, though all sums stay as they were.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.linkage_group import LinkageGroup
from marketplace.ledger import period
from marketplace.settlement import distribution_pool, distribution_rule, pool_division, taken_back
from marketplace.settlement.distribution_share import Distribution, DistributionGroup, DistributionShare
from marketplace.settlement.distribution_weights import PAGE, codes_of, days_of
from marketplace.settlement.settlement import SettlementLine
from marketplace.settlement.taken_back import TakenBack

if TYPE_CHECKING:
    from marketplace.settlement.pool_division import Column

SHOWN = 20  # households named of a group; that there are more is said
_WEIGHTS = ("household_id", "grams", "share_days", "relief_units", "guaranteed_due_fen")
_FENS = ("patronage_fen", "equity_fen", "relief_fen", "guaranteed_fen")


def open_ones() -> list[Distribution]:
    """Those posted since the last month that is closed: what was posted before was checked when it was closed, and cannot be changed
    in the ledger, which the households' shares must agree with."""
    closed = period.last_closed()
    query = select(Distribution).where(Distribution.posted_at.is_not(None)).order_by(Distribution.id)
    if closed:
        day = days_of(closed)[1] + timedelta(days=1)
        query = query.where(Distribution.posted_at >= clock.beijing_midnight(day))
    return list(db.session.scalars(query))


def faults(row: Distribution) -> list[str]:
    """What does not come out as it stands, a sentence each. Empty if everything does."""
    query = select(DistributionGroup, LinkageGroup).join(LinkageGroup, LinkageGroup.id == DistributionGroup.linkage_group_id)
    each = db.session.execute(query.where(DistributionGroup.distribution_id == row.id).order_by(DistributionGroup.id)).all()
    return [f"distribution {row.id}, {group.code}: {said}" for part, group in each for said in (*_of_month(row, part), *_of_group(row, part, group))]


def _of_month(row: Distribution, part: DistributionGroup) -> list[str]:
    """Whether it divides its month's own: what refunds had left of the settlements that it covers, and what failed ones brought back."""
    its = (SettlementLine.distribution_id == row.id, SettlementLine.linkage_group_id == part.linkage_group_id)
    more_fen = part.pool_fen - int(db.session.scalar(select(func.coalesce(func.sum(distribution_pool.covered()), 0)).where(*its)) or 0)
    said = []
    if more_fen > 0 and more_fen > distribution_pool.ever_came_back(row.organisation_id, part.linkage_group_id):
        said.append(f"{more_fen} fen more than its month's settlements left")
    taken = taken_back.of_pools(TakenBack.organisation_id == row.organisation_id, TakenBack.taken_at < row.posted_at)
    left = taken_back.pool_left(taken)
    wrong = select(SettlementLine.id, SettlementLine.divided_fen, left).join(taken, taken.c.line_id == SettlementLine.id)
    for line_id, fen, left_fen in db.session.execute(wrong.where(*its, SettlementLine.divided_fen > left).order_by(SettlementLine.id).limit(SHOWN)):
        said.append(f"counts {fen} fen of settled line {line_id}, of which refunds had left {left_fen}")
    return said


def _of_group(row: Distribution, part: DistributionGroup, group: LinkageGroup) -> list[str]:
    import numpy as np

    rule = distribution_rule.in_force(group.id, row.period)
    if part.rule_id != (rule.id if rule else None):
        return [f"divided by rule {part.rule_id}, and {rule.id if rule else None} was in force in {row.period}"]
    terms, (first, last) = distribution_rule.terms_of(group, rule), days_of(row.period)
    columns = _columns(row.id, group.id)
    households, grams, days, units, due = (columns[name] for name in _WEIGHTS)
    left = part.fen - part.relief_fen - part.guaranteed_fen
    patronage_fen = pool_division.by_patronage(left, terms, grams, days)
    said = []
    # What others of the month had given of the promise by then is not known any more: it can only have made these less.
    if part.relief_fen > pool_division.relief_of(part.fen, terms, int(units.sum()), 0):
        said.append(f"{part.relief_fen} fen of relief, more than the rule gives")
    if bool((due > days * terms.guaranteed_fen // ((last - first).days + 1)).any()):
        said.append("more is guaranteed than the rule promises")
    if (part.relief_units, part.guaranteed_due_fen) != (int(units.sum()), int(due.sum())):
        said.append("its households' weights are not those of the group")
    if part.guaranteed_fen != min(part.fen - part.relief_fen, int(due.sum())):
        said.append(f"{part.guaranteed_fen} fen guaranteed of {int(due.sum())} that are due")
    if (part.patronage_fen, part.equity_fen) != (patronage_fen, left - patronage_fen):
        said.append(f"{part.patronage_fen} fen by grams and {part.equity_fen} by shares, and it should be {patronage_fen} and {left - patronage_fen}")
    if said:
        return said
    fens = (part.patronage_fen, part.equity_fen, part.relief_fen, part.guaranteed_fen)
    expected = pool_division.spread(fens, grams, days, units, due, codes_of(households.tolist()), pool_division.salt_of(row.period, group))
    wrong = np.flatnonzero(np.any([columns[name] != should for name, should in zip(_FENS, expected, strict=True)], axis=0))
    for place in wrong[:SHOWN].tolist():
        stands, should = ([int(column[place]) for column in of] for of in ([columns[name] for name in _FENS], expected))
        said.append(f"household {int(households[place])} has {stands} fen by grams, by shares, of relief and guaranteed, and should have {should}")
    return said + ([f"and {len(wrong) - SHOWN} households more"] if len(wrong) > SHOWN else [])


def _columns(distribution_id: int, group_id: int) -> "dict[str, Column]":
    """The group's shares in columns, in the order of household ids: a million of them take 72 MB."""
    import numpy as np

    names = (*_WEIGHTS, *_FENS)
    query = (
        select(*(getattr(DistributionShare, name) for name in names))
        .where(DistributionShare.distribution_id == distribution_id, DistributionShare.linkage_group_id == group_id)
        .order_by(DistributionShare.household_id)
    )
    pages = [np.array(rows, dtype=np.int64) for rows in db.session.execute(query.execution_options(yield_per=PAGE)).partitions()]
    whole = np.concatenate(pages) if pages else np.zeros((0, len(names)), dtype=np.int64)
    return {name: whole[:, place] for place, name in enumerate(names)}
