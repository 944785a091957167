"""What a household is still owed of a distribution, and what of it may be paid now: the queries that payouts and moves of credit share.

Owed of a distribution = its shares, less what a live batch pays (or paid), and what was moved to somebody else or from them. All of
it is SQL over the records; ``books check`` holds it against the ledger.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    Select,
    String,
    Subquery,
    and_,
    case,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Identified, Model, db
from marketplace.households.household import Household
from marketplace.settlement.distribution_share import Distribution, DistributionShare
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

# Kinds of moves: to the relief fund, back from it, to a household that split off or inherits.
MOVES = ("FUND", "BACK", "SPLIT", "HEIR")
TO_FUND = ("FUND", "BACK")  # what went to the relief fund, less what came back
CHANNELS = ("bank", "alipay")
LEAST_ALIPAY_FEN, MOST_ALIPAY_FEN = 10, 5_000_000  # one transfer to a person


class CreditMove(Identified, Model):
    """What came to a household's credit of a distribution (``fen`` above zero), or left it, other than by being paid.

    ``paper_type`` and ``paper_id`` name what it rests on. Never changed or deleted: what comes back is another row.
    """

    __tablename__ = "credit_move"
    __table_args__ = (
        CheckConstraint("kind IN ('FUND','BACK','SPLIT','HEIR')", name="kind"),
        CheckConstraint("fen <> 0", name="fen"),
        Index("ix_credit_move_distribution", "distribution_id", "household_id"),
        Index("ix_credit_move_paper", "paper_type", "paper_id"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    distribution_id: Mapped[int] = mapped_column(ForeignKey("distribution.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(6))
    fen: Mapped[int]
    paper_type: Mapped[str] = mapped_column(String(40))
    paper_id: Mapped[int]
    moved_at: Mapped[datetime]


@dataclass(frozen=True)
class Payable:
    """What could be paid of a distribution over a channel: households and fen now, what stays for want of an account there, and
    what stays above the cap of the month."""

    households: int
    fen: int
    without: int
    without_fen: int
    above: int
    above_fen: int


def owed(*distributions: ColumnElement[bool]) -> Subquery:
    """(distribution, household, fen above zero) of posted distributions, those of ``distributions`` only: what nobody is paying."""
    shares = select(DistributionShare.distribution_id, DistributionShare.household_id, DistributionShare.fen).where(DistributionShare.fen > 0)
    batched = (
        select(PayoutBatch.distribution_id, PayoutItem.household_id, -PayoutItem.fen)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutBatch.state != "CANCELLED", PayoutItem.state != "reissued")
    )
    moved = select(CreditMove.distribution_id, CreditMove.household_id, CreditMove.fen)
    parts = [_of(query, column, distributions) for query, column in ((shares, DistributionShare), (batched, PayoutBatch), (moved, CreditMove))]
    each = union_all(*parts).subquery("each")
    return (
        select(each.c.distribution_id, each.c.household_id, func.sum(each.c.fen).label("fen"))
        .group_by(each.c.distribution_id, each.c.household_id)
        .having(func.sum(each.c.fen) > 0)
        .subquery("owed")
    )


def payable(distribution: Distribution, channel: str = "bank") -> Select[Any]:
    """(household id, code, fen to pay now, fen owed) of each household with an account on the channel, in order of code.

    What is above the cap of the month is not in the fen to pay now; whom nothing can be paid of is left out.
    """
    of_it, month = owed(Distribution.id == distribution.id), _this_month(distribution.organisation_id)
    now = _now(of_it, month, channel)
    return (
        select(Household.id, Household.code, now.label("now"), of_it.c.fen)
        .join(of_it, of_it.c.household_id == Household.id)
        .outerjoin(month, month.c.household_id == Household.id)
        .where(has_account(channel), now >= (LEAST_ALIPAY_FEN if channel == "alipay" else 1))
        .order_by(Household.code)
    )


def counted(distribution: Distribution, channel: str = "bank") -> Payable:
    """The same in figures, one statement."""
    of_it, month = owed(Distribution.id == distribution.id), _this_month(distribution.organisation_id)
    now = _now(of_it, month, channel)
    goes = and_(has_account(channel), now >= (LEAST_ALIPAY_FEN if channel == "alipay" else 1))
    rest = of_it.c.fen - now
    figures = [(goes, now), (~has_account(channel), of_it.c.fen), (has_account(channel) & (rest > 0), rest)]
    columns = [
        column
        for which, fen in figures
        for column in (func.count().filter(which), func.coalesce(func.sum(fen).filter(which), 0))
    ]
    query = (
        select(*columns)
        .select_from(of_it)
        .join(Household, Household.id == of_it.c.household_id)
        .outerjoin(month, month.c.household_id == Household.id)
    )
    return Payable(*(int(each) for each in db.session.execute(query).one()))


def without_account(distribution: Distribution, channel: str = "bank") -> Select[Any]:
    """(household, fen owed) of those who cannot be paid over the channel, in order of code."""
    of_it = owed(Distribution.id == distribution.id)
    return (
        select(Household, of_it.c.fen)
        .join(of_it, of_it.c.household_id == Household.id)
        .where(~has_account(channel))
        .order_by(Household.code)
    )


def has_account(channel: str) -> ColumnElement[bool]:
    """That a household can be paid over the channel."""
    return (Household.alipay_account_sealed if channel == "alipay" else Household.bank_account_sealed) != ""


def _of(query: Any, model: Any, distributions: tuple[ColumnElement[bool], ...]) -> Any:
    column = model.distribution_id
    return query.where(column.in_(select(Distribution.id).where(Distribution.state == "POSTED", *distributions)))


def _this_month(organisation_id: int) -> Subquery:
    """What batches of this Beijing month pay each household of the cooperative: (household, fen)."""
    first = clock.beijing_midnight(clock.business_date().replace(day=1))
    return (
        select(PayoutItem.household_id, func.sum(PayoutItem.fen).label("fen"))
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(
            PayoutBatch.organisation_id == organisation_id, PayoutBatch.made_at >= first, PayoutBatch.state != "CANCELLED",
            PayoutItem.state.not_in(("returned", "reissued")),
        )
        .group_by(PayoutItem.household_id)
        .subquery("this_month")
    )  # fmt: skip


def _now(of_it: Subquery, month: Subquery, channel: str) -> ColumnElement[int]:
    most: Any = of_it.c.fen
    cap = settings().payout_cap_fen
    if cap:
        left = literal(cap) - func.coalesce(month.c.fen, 0)
        most = case((left < most, case((left > 0, left), else_=0)), else_=most)
    if channel == "alipay":
        most = case((most > MOST_ALIPAY_FEN, MOST_ALIPAY_FEN), else_=most)
    result: ColumnElement[int] = most
    return result
