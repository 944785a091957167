"""The open books: what was sold, how it was divided, what reached households and what still waits. Aggregates only.

All amounts are fen. Computed from settlements, payout items and the ledger's refunds, which ``books.check`` holds against each other:
what waits is exactly what pools hold, less what they owe, and what households are owed or is on its way to their banks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.organisation import Organisation
from marketplace.settlement import payout_found
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.household_credit import OUTSIDE, CreditMove
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
    """One cooperative's part of a year; ``waiting_fen`` is of all years, and adds up to the year's."""

    public_id: str
    name_zh: str
    name_en: str | None
    base_fen: int
    pool_fen: int
    paid_fen: int
    waiting_fen: int


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
    elsewhere = select(-func.sum(CreditMove.fen)).where(CreditMove.kind.in_(OUTSIDE))
    row: Any = db.session.execute(
        select(
            func.count().filter(Settlement.period.like(its)), *sums, func.coalesce(func.sum(Settlement.pool_fen), 0),
            func.coalesce(credited.scalar_subquery(), 0), func.coalesce(ever_paid.scalar_subquery(), 0),
            func.coalesce(elsewhere.scalar_subquery(), 0),
        ).select_from(Settlement)
    ).one()  # fmt: skip
    orders, base, own, pool, village, fund, ever_pool, credited_fen, ever_paid_fen, elsewhere_fen = (int(each) for each in row)
    back = _taken_back(its)
    return Year(
        number, orders, base, own, pool, village, fund,
        refunded_fen=sum(in_year for kind, (in_year, _ever) in back.items() if kind != "freight"),
        pool_refunded_fen=sum(back[kind][0] for kind in _POOLS if kind in back),
        credited_fen=credited_fen,
        paid_fen=sum(arrived.values()),
        waiting_fen=ever_pool - sum(back[kind][1] for kind in _POOLS if kind in back) - ever_paid_fen - elsewhere_fen,
    )  # fmt: skip


def parts(number: int, arrived: Mapping[int, int] | None = None) -> list[Part]:
    """The same by cooperative, the largest first; those that only have something waiting stand in it too."""
    arrived = paid(number) if arrived is None else arrived
    its = Settlement.period.like(f"{number}-%")
    sums = [func.coalesce(func.sum(column).filter(its), 0) for column in (Settlement.base_fen, Settlement.pool_fen)]
    ever_paid = select(func.sum(PayoutItem.fen)).where(PayoutItem.state == "paid", PayoutItem.organisation_id == Organisation.id)
    elsewhere = select(-func.sum(CreditMove.fen)).where(CreditMove.kind.in_(OUTSIDE), CreditMove.organisation_id == Organisation.id)
    back = _refund_lines(func.sum(JournalLine.fen)).where(Account.kind.in_(_POOLS), Account.book == Organisation.id)
    query = (
        select(
            Organisation, *sums, func.sum(Settlement.pool_fen), func.coalesce(back.correlate(Organisation).scalar_subquery(), 0),
            func.coalesce(ever_paid.correlate(Organisation).scalar_subquery(), 0),
            func.coalesce(elsewhere.correlate(Organisation).scalar_subquery(), 0),
        )
        .join(Settlement, Settlement.organisation_id == Organisation.id)
        .group_by(Organisation.id)
        .order_by(sums[0].desc(), Organisation.id)
    )  # fmt: skip
    found = []
    rows: Any = db.session.execute(query)
    for own, base, pool, ever, taken, sent, given in rows:
        waiting_fen = int(ever) - int(taken) - int(sent) - int(given)
        found.append(Part(own.public_id, own.name_zh, own.name_en, int(base), int(pool), arrived.get(own.id, 0), waiting_fen))
    return [each for each in found if each.base_fen or each.waiting_fen]


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
    """Fen on households' bank accounts, by cooperative, of distributions whose period is in the year; what was paid twice is in it once."""
    its = select(Distribution.id).where(Distribution.period.like(f"{number}-%"))
    each = payout_found.arrived([PayoutItem.organisation_id], PayoutBatch.distribution_id.in_(its)).subquery("each")
    query = select(each.c.organisation_id, func.sum(each.c.fen)).group_by(each.c.organisation_id)
    return {row[0]: int(row[1]) for row in db.session.execute(query)}


_POOLS = ("household_pool", "pool_recoverable")


def _taken_back(its: str) -> dict[str, tuple[int, int]]:
    """What refunds after settlement took from each kind of account, in fen: posted in the year, and ever. A refund that failed for good
    was reversed and took nothing."""
    in_year = func.coalesce(func.sum(JournalLine.fen).filter(JournalEntry.period.like(its)), 0)
    query = _refund_lines(Account.kind, in_year, func.sum(JournalLine.fen)).where(Account.kind != "refunds_payable").group_by(Account.kind)
    return {kind: (int(within), int(ever)) for kind, within, ever in db.session.execute(query)}


def _refund_lines(*columns: Any) -> Select[Any]:
    """These columns of the lines of refunds after settlement that stand."""
    undone = aliased(JournalEntry)
    return (
        select(*columns)
        .select_from(JournalEntry)
        .join(JournalLine, (JournalLine.entry_id == JournalEntry.id) & (JournalLine.period == JournalEntry.period))
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.kind == "refund_after_settlement")
        .where(~select(undone.id).where(undone.reverses_id == JournalEntry.id, undone.kind == "reversed").exists())
    )
