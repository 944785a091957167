"""Benefit receipt (受益凭证): what an order's yuan is to do, and then what it did. At a random address, naming no buyer and no household.

Promised, settled, distributed and paid amounts are exact parts: over all orders of a distribution they sum to what the books hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.disclosure import log_leaf, tree_head
from marketplace.disclosure.tree_head import TreeHead
from marketplace.foundation.database import db, not_found
from marketplace.foundation.money import split
from marketplace.households.linkage_group import LinkageGroup
from marketplace.notices.suppression import LEAST_HOUSEHOLDS
from marketplace.orders.order import Order, OrderLine, lines_of
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.settlement import distribution_pool, payout_found, payout_progress, recovery, taken_back
from marketplace.settlement.distribution import (
    Distribution,
    DistributionGroup,
    DistributionShare,
    groups_of,
)
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.settlement.taken_back import Shares

STEPS = ("placed", "paid", "shipped", "received", "settled", "published", "distributed", "paid_out")


@dataclass(frozen=True)
class Amounts:
    """Fen of the order's goods by destination."""

    cooperative_fen: int
    pool_fen: int
    village_fen: int
    fund_fen: int

    @property
    def total_fen(self) -> int:
        return self.cooperative_fen + self.pool_fen + self.village_fen + self.fund_fen

    def less(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.cooperative_fen - other.cooperative_fen, self.pool_fen - other.pool_fen, self.village_fen - other.village_fen, self.fund_fen - other.fund_fen
        )


@dataclass(frozen=True)
class GroupPart:
    """What goes to a linkage group. Without names (``None``): groups of fewer than five households, merged; ``households`` is None
    if even together they are fewer. Fen; the later ones are None until it happened. ``given_back_fen`` is what refunds took back of
    ``settled_fen`` since."""

    name_zh: str | None
    name_en: str | None
    village_zh: str | None
    village_en: str | None
    households: int | None
    promised_fen: int
    settled_fen: int | None
    distributed_fen: int | None
    paid_fen: int | None
    given_back_fen: int


@dataclass(frozen=True)
class Step:
    """A step of the way, one of ``STEPS``; ``at`` is None while it has not been taken."""

    code: str
    at: datetime | None


@dataclass(frozen=True)
class Seal:
    """Where the order's settlement stands in the log, and the newest head that covers it: from then on it is proven."""

    index: int
    head: TreeHead


@dataclass(frozen=True)
class BenefitReceipt:
    """All that the page shows. Fen; ``settled`` is None before the settlement, ``seal`` before the first head that covers it and every
    refund since, ``given_back`` what those took back of it."""

    token: str
    cooperative_zh: str
    cooperative_en: str | None
    placed_at: datetime
    goods_fen: int
    freight_fen: int
    refunded_fen: int
    cancelled: bool
    promised: Amounts
    settled: Amounts | None
    given_back: Amounts
    settled_entry_id: int | None
    seal: Seal | None
    distributed_fen: int
    paid_fen: int
    groups: list[GroupPart]
    steps: list[Step]

    @property
    def now(self) -> Amounts:
        """What is divided, refunds off; before the settlement, what is to be."""
        return self.settled.less(self.given_back) if self.settled else self.promised


@dataclass(frozen=True)
class _Line:
    group_id: int
    village_id: int
    households: int
    promised: Amounts
    settled: SettlementLine | None
    left: Shares | None
    distributed_fen: int | None
    paid_fen: int | None

    @property
    def given_back(self) -> Amounts:
        if self.settled is None or self.left is None:
            return Amounts(0, 0, 0, 0)
        return _amounts(self.settled).less(Amounts(*self.left))


def for_token(token: str) -> BenefitReceipt:
    """The receipt at this address. NotFound if there is none."""
    order = db.session.scalars(select(Order).where(Order.receipt_token == token)).one_or_none()
    if order is None:
        raise not_found(Order)
    return of_order(order)


def of_order(order: Order) -> BenefitReceipt:
    """The receipt of an order: promised by the schemes frozen on it, then what was done."""
    cooperative = db.session.get_one(Organisation, order.organisation_id)
    settlement = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one_or_none()
    parts = _settled_lines(settlement)
    left = taken_back.left_of(list(parts.values()))
    lines = [_line(order, line, parts.get(line.id), left) for line in lines_of(order.id)]
    return BenefitReceipt(
        token=order.receipt_token,
        cooperative_zh=cooperative.name_zh,
        cooperative_en=cooperative.name_en,
        placed_at=order.placed_at,
        goods_fen=order.goods_fen,
        freight_fen=order.freight_fen,
        refunded_fen=order.refunded_fen,
        cancelled=order.cancelled_at is not None,
        promised=_sum([line.promised for line in lines]),
        settled=_amounts(settlement) if settlement else None,
        given_back=_sum([line.given_back for line in lines]),
        settled_entry_id=settlement.entry_id if settlement else None,
        seal=_seal(settlement),
        distributed_fen=sum(line.distributed_fen or 0 for line in lines),
        paid_fen=sum(line.paid_fen or 0 for line in lines),
        groups=_groups(lines),
        steps=_steps(order, [part for part in parts.values() if part.distribution_id or left[part.id].pool_fen]),
    )


def _seal(settlement: Settlement | None) -> Seal | None:
    if settlement is None or settlement.entry_id is None:
        return None
    newest, refunds = tree_head.newest(), recovery.entries_of(settlement.entry_id)
    leaves = log_leaf.of_many("entry", [settlement.entry_id, *refunds])
    if newest is None or len(leaves) <= len(refunds) or any(leaf.seq >= newest.size for leaf in leaves.values()):
        return None
    return Seal(leaves[settlement.entry_id].seq, newest)


def parts_of_group(distribution_id: int, group_id: int) -> tuple[dict[int, int], dict[int, int]]:
    """What each settlement line has in a group's distribution, and in what of it was paid on: fen by settlement line id.

    Pro rata to what the distribution found of the lines' pool shares, refunds off, with the largest remainder: the parts sum to what the
    households were credited and paid, but for what a refund that failed brought back of lines of earlier distributions.
    """
    query = select(SettlementLine.id, distribution_pool.covered()).where(
        SettlementLine.distribution_id == distribution_id, SettlementLine.linkage_group_id == group_id
    )
    rows = db.session.execute(query.order_by(SettlementLine.id)).all()
    groups = {each.linkage_group_id: each for each in groups_of(distribution_id)}
    ids, pools = [row[0] for row in rows], [row[1] for row in rows]
    if not any(pools):
        return dict.fromkeys(ids, 0), dict.fromkeys(ids, 0)
    brought_fen = max(0, groups[group_id].pool_fen - sum(pools))
    keys = [*(str(each) for each in ids), "brought back"]
    salt = f"{distribution_id}:{group_id}"
    distributed = split(groups[group_id].fen, [*pools, brought_fen], keys, salt)
    # By what was distributed, so that a line whose part is paid in full shows the same fen in both places.
    paid = split(_paid(distribution_id, groups)[group_id], distributed if any(distributed) else [*pools, brought_fen], keys, salt)
    return dict(zip(ids, distributed, strict=False)), dict(zip(ids, paid, strict=False))


def _paid(distribution_id: int, groups: Mapping[int, DistributionGroup]) -> dict[int, int]:
    """What was paid on of each group's part. A payment is of a distribution and of none of its groups: where there are several, it counts for
    each in proportion to what those who were paid have of it."""
    items = (PayoutBatch.distribution_id == distribution_id, PayoutItem.state == "paid")
    paid_fen = payout_progress.of_distributions([distribution_id]).get(distribution_id, 0)
    if len(groups) == 1 or not paid_fen:
        return dict.fromkeys(groups, paid_fen)
    households = select(PayoutItem.household_id).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id).where(*items)
    shares = (
        select(DistributionShare.linkage_group_id, func.sum(DistributionShare.fen))
        .where(DistributionShare.distribution_id == distribution_id, DistributionShare.household_id.in_(households))
        .group_by(DistributionShare.linkage_group_id)
    )
    theirs = {group_id: int(fen) for group_id, fen in db.session.execute(shares)}
    # To heirs alone, say, who have no share of their own.
    weights = [theirs.get(group_id, 0) for group_id in groups] if any(theirs.values()) else [group.fen for group in groups.values()]
    return dict(zip(groups, split(paid_fen, weights, [str(each) for each in groups], f"{distribution_id}:paid"), strict=True))


def _line(order: Order, line: OrderLine, settled: SettlementLine | None, left: Mapping[int, Shares]) -> _Line:
    scheme = db.session.get_one(SplitScheme, line.scheme_id)
    distributed_fen = paid_fen = None
    if settled is not None and settled.distribution_id is not None:
        distribution = db.session.get_one(Distribution, settled.distribution_id)
        if distribution.posted_at is not None:
            distributed, paid = parts_of_group(distribution.id, settled.linkage_group_id)
            distributed_fen, paid_fen = distributed[settled.id], paid[settled.id]
    return _Line(
        group_id=line.linkage_group_id,
        village_id=line.village_id,
        households=line.households_shown,
        promised=Amounts(*scheme.divide(line.goods_fen, order.public_id)),
        settled=settled,
        left=left[settled.id] if settled else None,
        distributed_fen=distributed_fen,
        paid_fen=paid_fen,
    )


def _groups(lines: Sequence[_Line]) -> list[GroupPart]:
    """The groups of at least five households each by name; the others merged into one row."""
    by_group: dict[int, list[_Line]] = {}
    for line in lines:
        by_group.setdefault(line.group_id, []).append(line)
    named = {group: its for group, its in by_group.items() if its[0].households >= LEAST_HOUSEHOLDS}
    small = {group: its for group, its in by_group.items() if group not in named}
    rows = []
    for group_id, its in named.items():
        group = db.session.get_one(LinkageGroup, group_id)
        village = db.session.get_one(Region, its[0].village_id)
        rows.append(_group_part(its, its[0].households, group, village))
    if small:
        count = sum(its[0].households for its in small.values())
        merged = [line for its in small.values() for line in its]
        rows.append(_group_part(merged, count if count >= LEAST_HOUSEHOLDS else None, None, None))
    return rows


def _group_part(
    lines: Sequence[_Line], households: int | None, group: LinkageGroup | None, village: Region | None
) -> GroupPart:
    settled = [line.settled.pool_fen for line in lines if line.settled is not None]
    distributed = [line.distributed_fen for line in lines if line.distributed_fen is not None]
    paid = [line.paid_fen for line in lines if line.paid_fen is not None]
    return GroupPart(
        name_zh=group.name_zh if group else None,
        name_en=group.name_en if group else None,
        village_zh=village.name_zh if village else None,
        village_en=village.name_en if village else None,
        households=households,
        promised_fen=sum(line.promised.pool_fen for line in lines),
        settled_fen=sum(settled) if settled else None,
        distributed_fen=sum(distributed) if distributed else None,
        paid_fen=sum(paid) if paid else None,
        given_back_fen=sum(line.given_back.pool_fen for line in lines),
    )


def _steps(order: Order, parts: Sequence[SettlementLine]) -> list[Step]:
    ids = {part.distribution_id for part in parts if part.pool_fen}
    distributions = [db.session.get_one(Distribution, each) for each in ids if each is not None]
    # A step is taken when the last of the order's parts took it.
    complete = bool(ids) and None not in ids
    moments = {
        "placed": order.placed_at,
        "paid": order.paid_at,
        "shipped": order.shipped_at,
        "received": order.received_at,
        "settled": order.settled_at,
        "published": _last([each.published_at for each in distributions]) if complete else None,
        "distributed": _last([each.posted_at for each in distributions]) if complete else None,
        "paid_out": _last([_paid_out_at(each) for each in distributions]) if complete else None,
    }
    return [Step(code, moments[code]) for code in STEPS]


def _paid_out_at(distribution: Distribution) -> datetime | None:
    """When the last household's money arrived, or None while any is still owed. What was paid a second time came to nobody's share."""
    if payout_progress.of_distributions([distribution.id]).get(distribution.id) != distribution.total_fen:
        return None
    last = (
        select(func.max(PayoutItem.paid_at))
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutBatch.distribution_id == distribution.id, PayoutItem.state == "paid", PayoutItem.id.not_in(payout_found.only_twice()))
    )
    return db.session.scalar(last)


def _last(moments: Sequence[datetime | None]) -> datetime | None:
    taken = [moment for moment in moments if moment is not None]
    return max(taken) if taken and len(taken) == len(moments) else None


def _settled_lines(settlement: Settlement | None) -> dict[int, SettlementLine]:
    if settlement is None:
        return {}
    query = select(SettlementLine).where(SettlementLine.settlement_id == settlement.id)
    return {line.order_line_id: line for line in db.session.scalars(query)}


def _amounts(row: Settlement | SettlementLine) -> Amounts:
    return Amounts(row.cooperative_fen, row.pool_fen, row.village_fen, row.fund_fen)


def _sum(parts: Sequence[Amounts]) -> Amounts:
    return Amounts(
        sum(each.cooperative_fen for each in parts),
        sum(each.pool_fen for each in parts),
        sum(each.village_fen for each in parts),
        sum(each.fund_fen for each in parts),
    )
