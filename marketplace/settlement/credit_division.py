"""A household that divided: what was credited to it and not paid is divided by the document, in each cooperative's book, exactly."""

from collections import Counter

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, get
from marketplace.households import household_change
from marketplace.households.household_change import HouseholdChange
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.settlement.distribution_share import Distribution, DistributionShare
from marketplace.settlement.household_credit import CreditMove, owed


def divide(change: HouseholdChange) -> None:
    """Move the named part of what nobody is paying yet from the old household to the new one. What is on its way stays the old one's."""
    if change.kind != "SPLITS" or change.other_id is None or not change.credit_bp:
        return
    # Only distributions that gave the household something: the rest of the county is not looked at.
    its = select(DistributionShare.distribution_id).where(DistributionShare.household_id == change.household_id)
    db.session.execute(select(Distribution.id).where(Distribution.id.in_(its)).order_by(Distribution.id).with_for_update()).all()
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
                    organisation_id=book, distribution_id=distribution_id, household_id=household_id, kind="SPLIT", fen=signed,
                    paper_type="household_change", paper_id=change.id, moved_at=clock.now(),
                )
            )  # fmt: skip
    for book, fen in sorted(moved.items()):
        event.credit_divided(book=book, source=Source("household_change", change.id, book), household_id=change.household_id, other_id=change.other_id, fen=fen)
    db.session.flush()


if divide not in household_change.carries:
    household_change.carries.append(divide)
