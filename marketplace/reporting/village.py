"""A village's books: what its collective was given by sales of what grew there, what of it was paid, and what its households received."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.ledger import account, balance
from marketplace.ledger.account import Account
from marketplace.organisations.organisation import Organisation
from marketplace.reporting import fairness
from marketplace.settlement import payout_found
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.settlement.payout_batch import PayoutItem
from marketplace.settlement.settlement import SettlementLine


@dataclass(frozen=True)
class Receipt:
    """What one cooperative's sales of one month gave the collective, in fen, of so many orders."""

    period: str
    cooperative: Organisation
    orders: int
    fen: int


def collective(village_id: int, year: int) -> list[Receipt]:
    """The collective's part of what was settled, by month and cooperative, the latest first. Refunds since are in ``owed``."""
    query = (
        select(SettlementLine.period, Organisation, func.count(SettlementLine.settlement_id.distinct()), func.sum(SettlementLine.village_fen))
        .join(Organisation, Organisation.id == SettlementLine.organisation_id)
        .where(SettlementLine.village_id == village_id, SettlementLine.period.like(f"{year}-%"), SettlementLine.village_fen > 0)
        .group_by(SettlementLine.period, Organisation.id)
        .order_by(SettlementLine.period.desc(), func.sum(SettlementLine.village_fen).desc())
    )
    return [Receipt(period, cooperative, orders, int(fen)) for period, cooperative, orders, fen in db.session.execute(query)]


@dataclass(frozen=True)
class Owed:
    """What a cooperative still owes the collective by its books, and what of later shares it recovers, within the cap, because goods came
    back after a transfer. Fen."""

    cooperative: Organisation
    fen: int
    recoverable_fen: int


def owed(village_id: int) -> list[Owed]:
    """Each cooperative that owes the collective something, or waits to recover something."""
    kinds = ("village_collective", "village_recoverable")
    accounts = balance.each().where(Account.kind.in_(kinds), Account.owner_ref == account.owner_of(kinds[0], village_id))
    held = {(row.book, row.kind): account.natural(row.kind, int(fen)) for row, fen in db.session.execute(accounts)}
    books = {book for (book, _kind), fen in held.items() if fen}
    query = select(Organisation).where(Organisation.id.in_(books)).order_by(Organisation.name_zh, Organisation.id)
    return [Owed(each, *(held.get((each.id, kind), 0) for kind in kinds)) for each in db.session.scalars(query)]


def received(household_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Household id → (credited, paid) in fen, of all time; what was paid twice is in it once. Two queries."""
    credited = (
        select(DistributionShare.household_id, func.sum(DistributionShare.fen))
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(Distribution.posted_at.is_not(None), DistributionShare.household_id.in_(household_ids))
        .group_by(DistributionShare.household_id)
    )
    each = payout_found.arrived([PayoutItem.household_id], PayoutItem.household_id.in_(household_ids)).subquery("each")
    paid = select(each.c.household_id, func.sum(each.c.fen)).group_by(each.c.household_id)
    credits = {row[0]: int(row[1]) for row in db.session.execute(credited)}
    payments = {row[0]: int(row[1]) for row in db.session.execute(paid)}
    return {number: (credits.get(number, 0), payments.get(number, 0)) for number in household_ids}


def households(village_id: int, year: int) -> fairness.Fairness:
    """How many households of the village the year reached."""
    return fairness.fairness(fairness.homes(year, village_ids=[village_id], hardship=False))
