"""The most that a cooperative pays one household in a Beijing month (PAYOUT_CAP_FEN): whichever distribution the money is of, over
whichever channel, sent anew or issued again. And what one transfer over a channel takes.

What is on its way counts in every month until it has left; what left counts in the month in which it did. So two batches made on
either side of a month's end never pay more than the cap in one month.
"""

from typing import Any

from sqlalchemy import ColumnElement, Subquery, case, func, literal, or_, select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.payments.transfer import LEAST_FEN, MOST_FEN
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem


def hold(organisation_id: int) -> None:
    """Whoever makes a batch of the cooperative at the same time waits until the transaction ends: each sees what the other promised.
    Before any other lock. Nothing else that is written for the cooperative waits."""
    query = select(Organisation.id).where(Organisation.id == organisation_id)
    db.session.execute(query.with_for_update(key_share=True)).all()


def counted(organisation_id: int) -> Subquery:
    """(household, fen) of what counts towards this month's cap. What came back to a household's credit does not."""
    first = clock.beijing_midnight(clock.business_date().replace(day=1))
    # A bank takes a file whole, on the day it gets it; transfers leave one by one, and may wait for a balance.
    left = case((PayoutBatch.channel == "alipay", PayoutItem.paid_at), else_=PayoutBatch.sent_at)
    return (
        select(PayoutItem.household_id, func.sum(PayoutItem.fen).label("fen"))
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(
            PayoutBatch.organisation_id == organisation_id, PayoutBatch.state != "CANCELLED",
            PayoutItem.state.not_in(("returned", "reissued")), or_(left.is_(None), left >= first),
        )
        .group_by(PayoutItem.household_id)
        .subquery("this_month")
    )  # fmt: skip


def fits(fen: ColumnElement[int], month: Subquery, channel: str) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    """What of ``fen`` may be paid now to a household of which ``month`` (``counted``, joined from outside) says what it had; and
    whether that is enough for a transfer."""
    most: Any = fen
    cap = settings().payout_cap_fen
    if cap:
        left = literal(cap) - func.coalesce(month.c.fen, 0)
        most = case((left < most, case((left > 0, left), else_=0)), else_=most)
    if channel == "alipay":
        most = case((most > MOST_FEN, MOST_FEN), else_=most)
    return most, most >= (LEAST_FEN if channel == "alipay" else 1)
