"""Payouts and the accounts they go to: which cooperative a household is known to by money, and which accounts are new to the bank."""

from datetime import UTC, datetime

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.households import account_correction
from marketplace.households.account_correction import AccountCorrection
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem


def was_given(household_id: int, organisation_id: int) -> bool:
    """Whether a posted distribution of this cooperative gave the household money, or such money was moved to it; every payout item comes
    of one of them."""
    moved = select(CreditMove.id).where(CreditMove.household_id == household_id, CreditMove.organisation_id == organisation_id)
    query = (
        select(DistributionShare.id)
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(
            DistributionShare.household_id == household_id, DistributionShare.fen > 0,
            Distribution.organisation_id == organisation_id, Distribution.state == "POSTED",
        )
    )  # fmt: skip
    return any(db.session.scalar(each.limit(1)) is not None for each in (query, moved))


def others_pay(household_id: int, organisation_id: int) -> bool:
    """Whether another cooperative gives the household money or is about to: by a distribution that is not withdrawn, by what was moved to
    it, or by a payout."""
    moved = select(CreditMove.id).where(CreditMove.household_id == household_id, CreditMove.organisation_id != organisation_id)
    given = (
        select(DistributionShare.id)
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(
            DistributionShare.household_id == household_id, DistributionShare.fen > 0,
            Distribution.organisation_id != organisation_id, Distribution.state != "WITHDRAWN",
        )
    )  # fmt: skip
    paid = (
        select(PayoutItem.id)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutItem.household_id == household_id, PayoutItem.organisation_id != organisation_id, PayoutBatch.state != "CANCELLED")
    )
    return any(db.session.scalar(each.limit(1)) is not None for each in (given, moved, paid))


def new_accounts(batch: PayoutBatch) -> set[int]:
    """Households of the batch whose account on its channel was corrected, by whichever organisation, before the batch was made and after
    the batch of the same cooperative that last reached them there (at all, if none has): of what another one paid, this one saw nothing."""
    paid = (
        select(PayoutItem.household_id, func.max(PayoutBatch.made_at).label("made_at"))
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutItem.state == "paid", PayoutBatch.channel == batch.channel, PayoutBatch.organisation_id == batch.organisation_id)
        .where(PayoutItem.household_id.in_(select(PayoutItem.household_id).where(PayoutItem.batch_id == batch.id)))
        .group_by(PayoutItem.household_id)
        .subquery()
    )
    query = (
        select(PayoutItem.household_id)
        .join(AccountCorrection, AccountCorrection.household_id == PayoutItem.household_id)
        .outerjoin(paid, paid.c.household_id == PayoutItem.household_id)
        .where(
            PayoutItem.batch_id == batch.id,
            AccountCorrection.kind == batch.channel,
            AccountCorrection.at <= batch.made_at,
            AccountCorrection.at >= func.coalesce(paid.c.made_at, datetime(2000, 1, 1, tzinfo=UTC)),
        )
    )
    return set(db.session.scalars(query))


if was_given not in account_correction.known_by:
    account_correction.known_by.append(was_given)
    account_correction.shared_with.append(others_pay)
