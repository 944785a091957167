"""The open books: what was sold, how it was divided, what reached households and what still waits. Aggregates only.

All amounts are fen, of everything since the market opened unless a year is given. Computed from settlements and payout items,
which ``books.check`` holds against the ledger.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.organisation import Organisation
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.settlement import Settlement


@dataclass(frozen=True)
class Year:
    """One year's settled revenue and its four parts, and what of the households' part was credited and arrived."""

    year: int
    orders: int
    base_fen: int
    cooperative_fen: int
    pool_fen: int
    village_fen: int
    fund_fen: int
    credited_fen: int
    paid_fen: int

    @property
    def waiting_fen(self) -> int:
        """Of the households' part: not on a bank account yet. Refunds after settlement come off here."""
        return max(0, self.pool_fen - self.paid_fen)


@dataclass(frozen=True)
class Part:
    """One cooperative's part of a year."""

    public_id: str
    name_zh: str
    name_en: str | None
    base_fen: int
    pool_fen: int
    paid_fen: int


def year(number: int, arrived: Mapping[int, int] | None = None) -> Year:
    """The figures of a year, by the accounting period of the settlement or distribution. ``arrived``: what ``paid`` said, if asked before."""
    arrived = paid(number) if arrived is None else arrived
    periods = Settlement.period.like(f"{number}-%")
    sums = [
        func.coalesce(func.sum(column), 0)
        for column in (
            Settlement.base_fen, Settlement.cooperative_fen, Settlement.pool_fen, Settlement.village_fen, Settlement.fund_fen,
        )
    ]  # fmt: skip
    row: Any = db.session.execute(select(func.count(), *sums).where(periods)).one()
    orders, base, own, pool, village, fund = row
    credited = select(func.coalesce(func.sum(Distribution.total_fen), 0)).where(
        Distribution.state == "POSTED", Distribution.period.like(f"{number}-%")
    )
    return Year(
        number, orders, int(base), int(own), int(pool), int(village), int(fund), int(db.session.scalar(credited) or 0), sum(arrived.values())
    )


def parts(number: int, arrived: Mapping[int, int] | None = None) -> list[Part]:
    """The same by cooperative, the largest first."""
    arrived = paid(number) if arrived is None else arrived
    query = (
        select(Organisation, func.sum(Settlement.base_fen), func.sum(Settlement.pool_fen))
        .join(Settlement, Settlement.organisation_id == Organisation.id)
        .where(Settlement.period.like(f"{number}-%"))
        .group_by(Organisation.id)
        .order_by(func.sum(Settlement.base_fen).desc(), Organisation.id)
    )
    return [
        Part(own.public_id, own.name_zh, own.name_en, int(base), int(pool), arrived.get(own.id, 0)) for own, base, pool in db.session.execute(query)
    ]


def notices(*, standing: bool, limit: int = 20) -> list[tuple[PublicNotice, Organisation]]:
    """Notices open for objection today, the next to end first; or those that have ended, the latest first."""
    today = clock.business_date()
    query = select(PublicNotice, Organisation).join(Organisation, Organisation.id == PublicNotice.organisation_id)
    query = query.where(PublicNotice.withdrawn_at.is_(None))
    if standing:
        query = query.where(PublicNotice.ends_on >= today).order_by(PublicNotice.ends_on, PublicNotice.id)
    else:
        query = query.where(PublicNotice.ends_on < today).order_by(PublicNotice.ends_on.desc(), PublicNotice.id.desc())
    return [(row[0], row[1]) for row in db.session.execute(query.limit(limit))]


def paid(number: int) -> dict[int, int]:
    """Fen on households' bank accounts, by cooperative, of distributions whose period is in the year."""
    query = (
        select(PayoutItem.organisation_id, func.sum(PayoutItem.fen))
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .join(Distribution, Distribution.id == PayoutBatch.distribution_id)
        .where(PayoutItem.state == "paid", Distribution.period.like(f"{number}-%"))
        .group_by(PayoutItem.organisation_id)
    )
    return {row[0]: int(row[1]) for row in db.session.execute(query)}
