"""A household that divided, or whose heir is another household: what was credited to it and not paid is moved by the document, in each
cooperative's book, exactly."""

from collections import Counter

from sqlalchemy import select, union, update

from marketplace.foundation import clock
from marketplace.foundation.database import db, get
from marketplace.households import household_change
from marketplace.households.household_change import HouseholdChange
from marketplace.ledger import share_event
from marketplace.ledger.posting import Source
from marketplace.settlement.distribution_share import Distribution, DistributionShare
from marketplace.settlement.household_credit import CreditMove, owed
from marketplace.settlement.payout_item import UNSEEN, PayoutBatch, PayoutItem, seen_anew


def divide(change: HouseholdChange) -> None:
    """Move the named part of what nobody is paying to the other household. What is on its way stays the old one's."""
    if change.other_id is None or not change.credit_bp:
        return
    # Only distributions that gave the household something, or of which something was moved to it: the rest of the county is not looked at.
    its = union(
        select(DistributionShare.distribution_id).where(DistributionShare.household_id == change.household_id),
        select(CreditMove.distribution_id).where(CreditMove.household_id == change.household_id),
    )
    db.session.execute(select(Distribution.id).where(Distribution.id.in_(its)).order_by(Distribution.id).with_for_update()).all()
    _take_back_returned(change.household_id)
    of_all = owed(Distribution.id.in_(its))
    query = select(of_all.c.distribution_id, of_all.c.fen).where(of_all.c.household_id == change.household_id)
    moved: Counter[int] = Counter()
    for distribution_id, fen in db.session.execute(query.order_by(of_all.c.distribution_id)).all():
        part = int(fen) * change.credit_bp // 10_000
        if not part:
            continue
        book = get(Distribution, distribution_id).organisation_id
        moved[book] += part
        for household_id, signed in ((change.household_id, -part), (change.other_id, part)):
            db.session.add(
                CreditMove(
                    organisation_id=book, distribution_id=distribution_id, household_id=household_id,
                    kind="SPLIT" if change.kind == "SPLITS" else "HEIR", fen=signed, paper_type="household_change", paper_id=change.id,
                    moved_at=clock.now(),
                )
            )  # fmt: skip
    for book, fen in sorted(moved.items()):
        share_event.credit_divided(
            book=book, source=Source("household_change", change.id, book), household_id=change.household_id, other_id=change.other_id, fen=fen,
            inherited=change.kind != "SPLITS",
        )  # fmt: skip
    db.session.flush()


def _take_back_returned(household_id: int) -> None:
    """What came back from the bank lies on the household's account: it is divided with the rest, and not issued again as it was."""
    its = select(PayoutItem.batch_id).where(PayoutItem.household_id == household_id, PayoutItem.state == "returned")
    # Whoever issues one of them again waits here, or we for them.
    db.session.execute(select(PayoutBatch.id).where(PayoutBatch.id.in_(its)).order_by(PayoutBatch.id).with_for_update()).all()
    back = update(PayoutItem).where(PayoutItem.household_id == household_id, PayoutItem.state == "returned")
    db.session.execute(back.values(state="reissued", moved=True), **UNSEEN)
    seen_anew()


if divide not in household_change.carries:
    household_change.carries.append(divide)
