"""Rules of the way from a settled order to a household: every fen of a share is in a pool, with a household, in transit or paid."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, func, or_, select

from marketplace.foundation.database import db
from marketplace.ledger.entry import JournalEntry
from marketplace.orders.order import Order
from marketplace.reporting.books_posted import (
    Owner,
    by_book,
    differences,
    on_accounts,
    per_book,
    through,
    total,
)
from marketplace.settlement import distribution_check
from marketplace.settlement.distribution import Distribution, DistributionGroup, DistributionShare
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutItem
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.settlement.taken_back import TakenBack

ON_THE_WAY = ("sent", "unknown")


def settlements_divide_exactly() -> list[str]:
    """A settlement's shares sum to its base, its lines to its shares, its entry to base and freight; its order says it is settled."""
    shares = Settlement.cooperative_fen + Settlement.pool_fen + Settlement.village_fen + Settlement.fund_fen
    inexact = select(Settlement.id).where(shares != Settlement.base_fen)
    sums = [
        func.coalesce(func.sum(getattr(SettlementLine, name)), 0) != getattr(Settlement, name)
        for name in ("base_fen", "cooperative_fen", "pool_fen", "village_fen", "fund_fen")
    ]
    unequal = select(Settlement.id).outerjoin(SettlementLine).group_by(Settlement.id).having(or_(*sums))
    whole = Settlement.base_fen + Settlement.freight_fen
    unposted = (
        select(Settlement.id)
        .outerjoin(JournalEntry, (JournalEntry.id == Settlement.entry_id) & (JournalEntry.kind == "settled"))
        .where(func.coalesce(JournalEntry.gross, 0) != whole)
    )
    unsaid = (
        select(Order.id)
        .outerjoin(Settlement, Settlement.order_id == Order.id)
        .where(Order.settled_at.is_(None) != Settlement.id.is_(None))
    )
    return (
        [f"settlement {number}: its shares are not its base" for number in db.session.scalars(inexact)]
        + [f"settlement {number}: its lines do not add up to it" for number in db.session.scalars(unequal)]
        + [f"settlement {number}: its entry is not what it says" for number in db.session.scalars(unposted)]
        + [
            f"order {number}: settled in one record and not in the other"
            for number in db.session.scalars(unsaid)
        ]
    )


def pools_add_up() -> list[str]:
    """Pool − recoverable = the group's share of settled revenue, refunds off, less what was distributed. Per linkage group."""
    settled = _owners(
        "linkage_group",
        select(
            SettlementLine.organisation_id, SettlementLine.linkage_group_id, func.sum(SettlementLine.pool_fen)
        ).group_by(SettlementLine.organisation_id, SettlementLine.linkage_group_id),
    )
    distributed = _owners(
        "linkage_group",
        select(
            DistributionShare.organisation_id,
            DistributionShare.linkage_group_id,
            func.sum(DistributionShare.fen),
        )
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(Distribution.posted_at.is_not(None))
        .group_by(DistributionShare.organisation_id, DistributionShare.linkage_group_id),
    )
    ours = total((1, on_accounts("household_pool")), (-1, on_accounts("pool_recoverable")))
    return differences("pool", ours, total((1, settled), (1, _refunded_pools()), (-1, distributed)))


def refunds_are_counted_to_lines() -> list[str]:
    """What refunds after settlement took of each pool, collective, the fund and revenue is counted to the settled lines that it was of."""

    def taken(owner: str, column: Any, name: str) -> dict[Owner, int]:
        query = select(TakenBack.organisation_id, column, -func.sum(getattr(TakenBack, name))).join(SettlementLine)
        return _owners(owner, query.group_by(TakenBack.organisation_id, column))

    _, villages = _owed_less_recoverable("village_collective", "village_recoverable", "refund_after_settlement")
    _, fund = _owed_less_recoverable("relief_fund", "fund_recoverable", "refund_after_settlement")
    ids = SettlementLine.linkage_group_id
    return (
        differences("refunds of pool", _refunded_pools(), taken("linkage_group", ids, "pool_fen"))
        + differences("refunds of collective", villages, taken("village", SettlementLine.village_id, "village_fen"))
        + differences("refunds of fund", per_book(fund), per_book(taken("linkage_group", ids, "fund_fen")))
        + differences("refunds of revenue", per_book(through("revenue", "refund_after_settlement")), per_book(taken("linkage_group", ids, "cooperative_fen")))
    )


def households_share_is_accounted_for() -> list[str]:
    """Pool − recoverable + households + in transit + paid out + what nobody claimed and the fund has = the households' share of
    settled revenue, refunds off, and what the cooperative paid twice."""
    ours = total(
        (1, by_book("household_pool")),
        (-1, by_book("pool_recoverable")),
        (1, by_book("household")),
        (1, by_book("in_transit")),
        (1, _items("paid")),
    )
    settled = _sums(
        select(Settlement.organisation_id, func.sum(Settlement.pool_fen)).group_by(Settlement.organisation_id)
    )
    moved = _sums(
        select(CreditMove.organisation_id, func.sum(CreditMove.fen))
        .where(CreditMove.kind.in_(("FUND", "BACK", "TWICE")))
        .group_by(CreditMove.organisation_id)
    )
    return differences("households' share", ours, total((1, settled), (1, per_book(_refunded_pools())), (1, moved)))


def households_are_owed_what_was_not_paid() -> list[str]:
    """A household's account = what was distributed to it − in transit − paid + what was moved to or from it. In transit = what the bank has not answered."""
    credited = _owners(
        "household",
        select(
            DistributionShare.organisation_id, DistributionShare.household_id, func.sum(DistributionShare.fen)
        )
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(Distribution.posted_at.is_not(None))
        .group_by(DistributionShare.organisation_id, DistributionShare.household_id),
    )
    gone = _owners(
        "household",
        select(PayoutItem.organisation_id, PayoutItem.household_id, func.sum(PayoutItem.fen))
        .where(PayoutItem.state.in_((*ON_THE_WAY, "paid")))
        .group_by(PayoutItem.organisation_id, PayoutItem.household_id),
    )
    moved = _owners(
        "household",
        select(CreditMove.organisation_id, CreditMove.household_id, func.sum(CreditMove.fen)).group_by(
            CreditMove.organisation_id, CreditMove.household_id
        ),
    )
    return differences("owed to", on_accounts("household"), total((1, credited), (-1, gone), (1, moved))) + differences(
        "in transit", by_book("in_transit"), _items(*ON_THE_WAY)
    )


def collectives_add_up() -> list[str]:
    """What a village collective is owed and was paid, less what is recoverable from it = its share of settled revenue, refunds off."""
    settled = _owners(
        "village",
        select(
            SettlementLine.organisation_id, SettlementLine.village_id, func.sum(SettlementLine.village_fen)
        ).group_by(SettlementLine.organisation_id, SettlementLine.village_id),
    )
    ours, moved = _owed_less_recoverable("village_collective", "village_recoverable", "refund_after_settlement", "collective_paid")
    return differences("collective", ours, total((1, settled), (1, moved)))


def fund_adds_up() -> list[str]:
    """The relief fund's account − recoverable = its share of settled revenue, refunds off, less what was remitted to its holder, who has it
    or gave it back."""
    settled = _sums(
        select(Settlement.organisation_id, func.sum(Settlement.fund_fen)).group_by(Settlement.organisation_id)
    )
    ours, moved = _owed_less_recoverable(
        "relief_fund", "fund_recoverable", "refund_after_settlement", "fund_remitted", "fund_received", "fund_given_back", "fund_sent_back",
        "unclaimed_to_fund", "unclaimed_back",
    )  # fmt: skip
    sent = -sum(_owed_less_recoverable("relief_fund", "fund_recoverable", "fund_remitted", "fund_given_back")[1].values())
    received = sum(through("relief_fund", "fund_received", "fund_sent_back").values())
    breaches = differences("fund", per_book(ours), total((1, settled), (1, per_book(moved))))
    return breaches + ([] if sent == received else [f"the fund: {sent} fen remitted, {received} received"])


def distributions_are_exact() -> list[str]:
    """A distribution's shares sum to its groups, the groups to its total; once posted, each group's entry is their sum."""
    groups = (
        select(Distribution.id)
        .outerjoin(DistributionGroup)
        .group_by(Distribution.id, Distribution.total_fen)
        .having(
            func.coalesce(func.sum(DistributionGroup.fen), 0) != Distribution.total_fen
        )
    )
    its_shares = (DistributionShare.distribution_id == DistributionGroup.distribution_id) & (
        DistributionShare.linkage_group_id == DistributionGroup.linkage_group_id
    )
    ways = ("patronage_fen", "equity_fen", "relief_fen", "guaranteed_fen")
    shares = (
        select(DistributionGroup.id)
        .outerjoin(DistributionShare, its_shares)
        .group_by(DistributionGroup.id, *(getattr(DistributionGroup, name) for name in ways))
        .having(or_(*(func.coalesce(func.sum(getattr(DistributionShare, name)), 0) != getattr(DistributionGroup, name) for name in ways)))
    )
    unposted = (
        select(DistributionGroup.id)
        .join(Distribution, Distribution.id == DistributionGroup.distribution_id)
        .outerjoin(
            JournalEntry,
            (JournalEntry.id == DistributionGroup.entry_id) & (JournalEntry.kind == "distributed"),
        )
        .where(Distribution.posted_at.is_not(None), func.coalesce(JournalEntry.gross, 0) != DistributionGroup.fen)
    )
    return (
        [f"distribution {number}: its groups are not its total" for number in db.session.scalars(groups)]
        + [
            f"distribution group {number}: its shares are not its sum"
            for number in db.session.scalars(shares)
        ]
        + [
            f"distribution group {number}: its entry is not what it says"
            for number in db.session.scalars(unposted)
        ]
    )


def distributions_come_out_again() -> list[str]:
    """A distribution posted since the last closed month, divided once more by its rule and its frozen weights, gives each household what it got."""
    return [said for row in distribution_check.open_ones() for said in distribution_check.faults(row)]


def _refunded_pools() -> dict[Owner, int]:
    """What refunds after settlement took from each group, as a negative: from its pool, or as recoverable."""
    return total(
        (1, through("household_pool", "refund_after_settlement")),
        (-1, through("pool_recoverable", "refund_after_settlement")),
    )


def _owed_less_recoverable(kind: str, recoverable: str, *entry_kinds: str) -> tuple[dict[Owner, int], dict[Owner, int]]:
    """What an account owes less what is recoverable from it, and what entries of these kinds did to that."""
    return (
        total((1, on_accounts(kind)), (-1, on_accounts(recoverable))),
        total((1, through(kind, *entry_kinds)), (-1, through(recoverable, *entry_kinds))),
    )


def _items(*states: str) -> dict[int, int]:
    return _sums(
        select(PayoutItem.organisation_id, func.sum(PayoutItem.fen))
        .where(PayoutItem.state.in_(states))
        .group_by(PayoutItem.organisation_id)
    )


def _owners(owner: str, query: Select[*tuple[Any, ...]]) -> dict[Owner, int]:
    return {(book, f"{owner}:{number}"): int(fen) for book, number, fen in db.session.execute(query)}


def _sums(query: Select[*tuple[Any, ...]]) -> dict[int, int]:
    return {key: int(fen) for key, fen in db.session.execute(query)}


RULES: tuple[Callable[[], list[str]], ...] = (
    settlements_divide_exactly,
    pools_add_up,
    refunds_are_counted_to_lines,
    households_share_is_accounted_for,
    households_are_owed_what_was_not_paid,
    collectives_add_up,
    fund_adds_up,
    distributions_are_exact,
    distributions_come_out_again,
)
