"""What of a month still waits when it is about to be closed: told to whoever closes it, and forbids nothing.

What comes of it later is posted to the open month. What forbids a closing stands in ``period_close``: the rules of the books.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, literal, select

from marketplace.disclosure import tree_head
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger.entry import JournalEntry
from marketplace.payments import bill_day
from marketplace.payments.bill_difference import BillDifference
from marketplace.reporting import cooperative_money
from marketplace.settlement import reconciliation, taken_back
from marketplace.settlement.difference import Difference
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_pool import WAITING
from marketplace.settlement.distribution_weights import days_of
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.settlement import SettlementLine

# In the order of money's way.
NAMES = ("due", "pools", "distributions", "payouts", "days", "differences", "bill_differences", "unsealed")


@dataclass(frozen=True)
class Waits:
    """One kind: how many wait, and how many fen (None where it is no money). Nothing waits: both are 0."""

    name: str
    count: int
    fen: int | None


def waits(period: str) -> list[Waits]:
    """Each kind of ``NAMES`` for a month (YYYY-MM), those of which nothing waits too."""
    _, last = days_of(period)
    end = clock.beijing_midnight(last + timedelta(days=1))
    gone = taken_back.of_pools()
    asked: dict[str, Any] = {
        "due": cooperative_money.due(end),
        "pools": select(func.count(SettlementLine.linkage_group_id.distinct()), func.sum(taken_back.pool_left(gone)))
        .outerjoin(gone, gone.c.line_id == SettlementLine.id)
        .where(SettlementLine.period == period, SettlementLine.distribution_id.is_(None), taken_back.pool_left(gone) > 0),
        "distributions": select(func.count(), func.sum(Distribution.total_fen)).where(Distribution.period == period, Distribution.state.in_(WAITING)),
        "payouts": select(func.count(PayoutBatch.id.distinct()), func.sum(PayoutItem.fen))
        .join(PayoutItem, PayoutItem.batch_id == PayoutBatch.id)
        .where(PayoutItem.state.in_(("sent", "unknown")), PayoutBatch.sent_at < end),
        "differences": select(func.count(), func.sum(func.abs(Difference.fen))).where(Difference.state == "OPEN", Difference.day <= last),
        "bill_differences": select(func.count(), func.sum(func.abs(BillDifference.ours_fen - BillDifference.theirs_fen))).where(
            BillDifference.explained_at.is_(None), BillDifference.found_at < end + timedelta(days=2)
        ),
    }
    rows = db.session.execute(_together(asked)).all()
    found = {name: Waits(name, int(count), int(fen or 0)) for name, count, fen in rows}
    found["days"] = Waits("days", _days_without(last), None)
    found["unsealed"] = Waits("unsealed", _unsealed(period), None)
    return [found[name] for name in NAMES]


def _together(asked: dict[str, Any]) -> Any:
    first, *others = (select(literal(name), *query.subquery(name).columns) for name, query in asked.items())
    return first.union_all(*others)


def _days_without(last: date) -> int:
    """Days up to the month's end of which a cooperative has no statement or bill, over all accounts that are followed; where a bank moved and
    none of its statements was ever taken, all days since it moved."""
    days = sum(max(0, (last - since).days + 1) for _book, since in reconciliation.never_seen())
    ends = bill_day.ends()
    for book in reconciliation.cooperatives_with_statements():
        for side in reconciliation.followed(book):
            covered = reconciliation.covered(book, side)
            if covered is not None and covered.first <= last:
                # Of one that has left Alipay no bill is wanted once its money cannot move there any more.
                until = min(last, ends.get(book, last)) if side == "alipay" else last
                days += max(0, (until - covered.last).days)
    return days


def _unsealed(period: str) -> int:
    """Entries of the month that no signed head covers yet."""
    head = tree_head.newest()
    query = select(func.count()).select_from(JournalEntry).outerjoin(LogLeaf, (LogLeaf.kind == "entry") & (LogLeaf.ref == JournalEntry.id))
    query = query.where(JournalEntry.period == period, LogLeaf.seq.is_(None) | (LogLeaf.seq >= (head.size if head else 0)))
    return int(db.session.scalar(query) or 0)
