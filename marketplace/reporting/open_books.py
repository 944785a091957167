"""The open books: what was sold, how it was divided, what reached households and what still waits. Aggregates only.

All amounts are fen. Computed from settlements, payout items and the ledger's refunds, which ``books.check`` holds against each other:
what waits is exactly what pools hold, less what they owe, and what households are owed or is on its way to their banks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.organisation import Organisation
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.settlement import Settlement


@dataclass(frozen=True)
class Year:
    """One year's settled revenue and its four parts, what refunds took back in it, and what of the households' part was credited and
    arrived. ``waiting_fen`` is of all years: the households' part, refunds off, that is not on a bank account now."""

    year: int
    orders: int
    base_fen: int
    cooperative_fen: int
    pool_fen: int
    village_fen: int
    fund_fen: int
    refunded_fen: int  # goods that came back after settlement, from all four parts
    pool_refunded_fen: int  # of it, from the households' part
    credited_fen: int
    paid_fen: int
    waiting_fen: int


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
    its = f"{number}-%"
    sums = [
        func.coalesce(func.sum(column).filter(Settlement.period.like(its)), 0)
        for column in (
            Settlement.base_fen, Settlement.cooperative_fen, Settlement.pool_fen, Settlement.village_fen, Settlement.fund_fen,
        )
    ]  # fmt: skip
    credited = select(func.sum(Distribution.total_fen)).where(Distribution.state == "POSTED", Distribution.period.like(its))
    ever_paid = select(func.sum(PayoutItem.fen)).where(PayoutItem.state == "paid")
    row: Any = db.session.execute(
        select(
            func.count().filter(Settlement.period.like(its)), *sums, func.coalesce(func.sum(Settlement.pool_fen), 0),
            func.coalesce(credited.scalar_subquery(), 0), func.coalesce(ever_paid.scalar_subquery(), 0),
        ).select_from(Settlement)
    ).one()  # fmt: skip
    orders, base, own, pool, village, fund, ever_pool, credited_fen, ever_paid_fen = (int(each) for each in row)
    back = _taken_back(its)
    return Year(
        number, orders, base, own, pool, village, fund,
        refunded_fen=sum(in_year for kind, (in_year, _ever) in back.items() if kind != "freight"),
        pool_refunded_fen=sum(back[kind][0] for kind in _POOLS if kind in back),
        credited_fen=credited_fen,
        paid_fen=sum(arrived.values()),
        waiting_fen=ever_pool - sum(back[kind][1] for kind in _POOLS if kind in back) - ever_paid_fen,
    )  # fmt: skip


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


_POOLS = ("household_pool", "pool_recoverable")


def _taken_back(its: str) -> dict[str, tuple[int, int]]:
    """What refunds after settlement took from each kind of account, in fen: posted in the year, and ever. A refund that failed for good
    was reversed and took nothing."""
    undone = aliased(JournalEntry)
    query = (
        select(Account.kind, func.coalesce(func.sum(JournalLine.fen).filter(JournalEntry.period.like(its)), 0), func.sum(JournalLine.fen))
        .join(JournalLine, (JournalLine.entry_id == JournalEntry.id) & (JournalLine.period == JournalEntry.period))
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.kind == "refund_after_settlement", Account.kind != "refunds_payable")
        .where(~select(undone.id).where(undone.reverses_id == JournalEntry.id, undone.kind == "reversed").exists())
        .group_by(Account.kind)
    )
    return {kind: (int(in_year), int(ever)) for kind, in_year, ever in db.session.execute(query)}
