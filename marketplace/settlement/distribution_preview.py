"""What a distribution of a month would divide, before anybody drafts it: the months with something, and each group's part."""

from dataclasses import dataclass

from sqlalchemy import case, func, literal, select

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.settlement import taken_back
from marketplace.settlement.distribution_pool import (
    available,
    brought_back,
    came_back_in,
    pools_left,
    something_failed,
    undivided,
)
from marketplace.settlement.distribution_weights import days_of
from marketplace.settlement.pool_division import Divided, Parts, divide_group, salt_of
from marketplace.settlement.settlement import SettlementLine
from marketplace.settlement.taken_back import TakenBack


@dataclass(frozen=True)
class Month:
    """A period in which settled goods, or what a failed refund brought back, wait for their division; fen with refunds off, and orders of which
    something is left."""

    period: str
    orders: int
    pool_fen: int


@dataclass(frozen=True)
class GroupPreview:
    """One group's part. ``pool_fen`` is what refunds left of ``settled_fen``, and what one that failed brought back; ``recovered_fen`` of it
    makes good earlier refunds. ``refused`` says why it cannot be divided, if so. Not ``divided``: ``households`` are its shares, and who
    gets what is not told."""

    group: LinkageGroup
    orders: int
    settled_fen: int
    pool_fen: int
    recovered_fen: int
    patronage_fen: int
    equity_fen: int
    households: int
    basis: str
    refused: Conflict | None
    relief_fen: int = 0
    guaranteed_fen: int = 0
    guaranteed_due_fen: int = 0
    divided: bool = True

    @property
    def fen(self) -> int:
        if not self.divided:
            return self.pool_fen - self.recovered_fen
        return self.patronage_fen + self.equity_fen + self.relief_fen + self.guaranteed_fen


def months(organisation_id: int) -> list[Month]:
    """Months of the cooperative that have something undivided, the oldest first."""
    gone = taken_back.of_pools(TakenBack.organisation_id == organisation_id)
    left_fen = func.sum(taken_back.pool_left(gone))
    orders = case((taken_back.pool_left(gone) > 0, SettlementLine.settlement_id)).distinct()
    settled = (
        select(SettlementLine.period, func.count(orders), left_fen)
        .outerjoin(gone, gone.c.line_id == SettlementLine.id)
        .where(SettlementLine.organisation_id == organisation_id, SettlementLine.distribution_id.is_(None))
        .group_by(SettlementLine.period)
        .having(left_fen > 0)
    )
    # Seldom is there anything that came back: whether to ask for it is asked with the rest.
    undone = select(literal(""), literal(0), literal(0)).where(something_failed(organisation_id))
    rows = db.session.execute(settled.union_all(undone)).all()
    found = {period: Month(period, orders, int(fen)) for period, orders, fen in rows if period}
    for back in brought_back(organisation_id).values() if len(found) < len(rows) else ():
        known = found.get(back.period, Month(back.period, 0, 0))
        found[back.period] = Month(back.period, known.orders, known.pool_fen + back.fen)
    return [found[period] for period in sorted(found)]


def preview(organisation_id: int, period: str, *, divided: bool = True) -> list[GroupPreview]:
    """What ``distribution.draft`` would write now, group by group. Changes nothing. InvalidInput ``period.bad``.

    Not ``divided``: only what there is to divide, for so many households that a page cannot wait for the rest.
    """
    days_of(period)
    came_back = came_back_in(organisation_id, period)
    by_group: dict[int, list[SettlementLine]] = {group_id: [] for group_id in came_back}
    for line in undivided(organisation_id, period, lock=False):
        by_group.setdefault(line.linkage_group_id, []).append(line)
    group = _group if divided else _undivided
    return [group(organisation_id, period, group_id, its, comes_back=group_id in came_back) for group_id, its in sorted(by_group.items())]


def _undivided(organisation_id: int, _period: str, group_id: int, lines: list[SettlementLine], *, comes_back: bool) -> GroupPreview:
    orders, settled_fen, pool_fen, recovered_fen = _pool(organisation_id, group_id, lines, comes_back=comes_back)
    return GroupPreview(
        group=db.session.get_one(LinkageGroup, group_id), orders=orders, settled_fen=settled_fen, pool_fen=pool_fen,
        recovered_fen=recovered_fen, patronage_fen=0, equity_fen=0,
        households=db.session.scalar(select(func.count(LinkageShare.id)).where(LinkageShare.group_id == group_id)) or 0, basis="", refused=None, divided=False,
    )  # fmt: skip


def _group(organisation_id: int, period: str, group_id: int, lines: list[SettlementLine], *, comes_back: bool) -> GroupPreview:
    import numpy as np

    group = db.session.get_one(LinkageGroup, group_id)
    orders, settled_fen, pool_fen, recovered_fen = _pool(organisation_id, group_id, lines, comes_back=comes_back)
    divided, refused = None, None
    try:
        divided = divide_group(
            group, pool_fen - recovered_fen, period=period, order_line_ids=[line.order_line_id for line in lines],
            salt=salt_of(period, group),
        )  # fmt: skip
    except Conflict as error:
        refused = error
    divided = divided or Divided("", 0, 0, Parts(np.zeros(0, np.int64)))
    return GroupPreview(
        group=group, orders=orders, settled_fen=settled_fen, pool_fen=pool_fen,
        recovered_fen=recovered_fen, patronage_fen=divided.patronage_fen, equity_fen=divided.equity_fen,
        households=divided.parts.households_with_money, basis=divided.basis, refused=refused, relief_fen=divided.relief_fen,
        guaranteed_fen=divided.guaranteed_fen, guaranteed_due_fen=divided.guaranteed_due_fen,
    )  # fmt: skip


def _pool(organisation_id: int, group_id: int, lines: list[SettlementLine], *, comes_back: bool) -> tuple[int, int, int, int]:
    """Orders of which refunds left something, fen that were settled, what of them can be divided, and what of that recovers earlier refunds."""
    left = pools_left(lines)
    left_fen = sum(left.values())
    orders = len({line.settlement_id for line in lines if left[line.id]})
    return orders, sum(line.pool_fen for line in lines), *available(organisation_id, group_id, left_fen, waits_fen=left_fen, comes_back=comes_back)
