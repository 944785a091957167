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
    func,
    select,
    union_all,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.settlement import payout_cap
from marketplace.settlement.distribution_share import Distribution, DistributionShare
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

# Kinds of moves: to the relief fund, back from it, to a household that split off or inherits; and what the cooperative bore of a payment
# that was made twice.
MOVES = ("FUND", "BACK", "SPLIT", "HEIR", "TWICE")
TO_FUND = ("FUND", "BACK")  # what went to the relief fund, less what came back
OUTSIDE = (*TO_FUND, "TWICE")  # what makes the sum of all credit another: the rest only goes from one household to another
CHANNELS = ("bank", "alipay")


class CreditMove(Identified, Model):
    """What came to a household's credit of a distribution (``fen`` above zero), or left it, other than by being paid.

    ``paper_type`` and ``paper_id`` name what it rests on. Never changed or deleted: what comes back is another row.
    """

    __tablename__ = "credit_move"
    __table_args__ = (
        CheckConstraint("kind IN ('FUND','BACK','SPLIT','HEIR','TWICE')", name="kind"),
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
    """What could be paid of a distribution over a channel: households and fen now, what stays for want of an account there,
    what stays above the cap of the month (or of one transfer), and what is less than the channel sends at all."""

    households: int
    fen: int
    without: int
    without_fen: int
    above: int
    above_fen: int
    below: int = 0
    below_fen: int = 0


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
    of_it, month = owed(Distribution.id == distribution.id), payout_cap.counted(distribution.organisation_id)
    now, enough = payout_cap.fits(of_it.c.fen, month, channel)
    return (
        select(Household.id, Household.code, now.label("now"), of_it.c.fen)
        .join(of_it, of_it.c.household_id == Household.id)
        .outerjoin(month, month.c.household_id == Household.id)
        .where(has_account(channel), enough)
        .order_by(Household.code)
    )


def counted(distribution: Distribution, channel: str = "bank") -> Payable:
    """The same in figures, one statement."""
    return _counted(owed(Distribution.id == distribution.id), distribution.organisation_id, channel)


def payable_again(batch: PayoutBatch, channel: str) -> Select[Any]:
    """(household id, fen to pay now, item id) of what came back of a batch, as ``payable``. Of an item of which only a part may be
    paid now, the rest is owed of its distribution again once the part is issued."""
    of_it, month = _back(batch), payout_cap.counted(batch.organisation_id)
    now, enough = payout_cap.fits(of_it.c.fen, month, channel)
    return (
        select(Household.id, now.label("now"), of_it.c.item_id)
        .join(of_it, of_it.c.household_id == Household.id)
        .outerjoin(month, month.c.household_id == Household.id)
        .where(has_account(channel), enough)
        .order_by(Household.code)
    )


def counted_again(batch: PayoutBatch, channel: str) -> Payable:
    """The same in figures, one statement."""
    return _counted(_back(batch), batch.organisation_id, channel)


def _back(batch: PayoutBatch) -> Subquery:
    query = select(PayoutItem.household_id, PayoutItem.fen, PayoutItem.id.label("item_id"))
    return query.where(PayoutItem.batch_id == batch.id, PayoutItem.state == "returned").subquery("back")


def _counted(of_it: Subquery, organisation_id: int, channel: str) -> Payable:
    month = payout_cap.counted(organisation_id)
    now, enough = payout_cap.fits(of_it.c.fen, month, channel)
    rest = of_it.c.fen - now
    figures = [
        (and_(has_account(channel), enough), now), (~has_account(channel), of_it.c.fen), (has_account(channel) & (rest > 0), rest),
        (and_(has_account(channel), now > 0, ~enough), now),
    ]  # fmt: skip
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
    """That a household can be paid over the channel; Alipay compares the name, so an account there is none without it."""
    if channel == "alipay":
        return and_(Household.alipay_account_sealed != "", Household.alipay_name_sealed != "")
    return Household.bank_account_sealed != ""


def must_be_channel(channel: str) -> None:
    """Raise InvalidInput ``payout.channel`` for a way that there is not."""
    if channel not in CHANNELS:
        raise InvalidInput("payout.channel", N_("请选怎么发：银行或支付宝。"), field="channel")


def _of(query: Any, model: Any, distributions: tuple[ColumnElement[bool], ...]) -> Any:
    column = model.distribution_id
    return query.where(column.in_(select(Distribution.id).where(Distribution.state == "POSTED", *distributions)))
