"""A household was paid the same money twice, as two people found, and then one of the two came back, or was never made: it has it once.

Whichever of the two that is. If it is the other one, its credit is what the cooperative bore of the found one, and is not the household's to be
paid once more. Where somebody said already how the matter ended (the household gave it back, say), the credit is the household's.
"""

from collections.abc import Collection

from sqlalchemy import select

from marketplace.foundation import audit
from marketplace.foundation.database import db, one_of
from marketplace.ledger import share_event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.settlement import payout_found
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

_KIND = "payout_found_back"


def one_came_back(batch: PayoutBatch, sequences: Collection[int]) -> None:
    """These payments of a batch that is held are their households' credit again: of whom the other one was found too many, it is the cooperative's."""
    open_ones = (
        select(PayoutFound, PayoutItem.household_id)
        .join(PayoutItem, PayoutItem.id == PayoutFound.item_id)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutBatch.distribution_id == batch.distribution_id, payout_found.waits_for_an_end())
        .order_by(PayoutFound.id)
    )
    query = open_ones.with_for_update(of=PayoutFound).execution_options(populate_existing=True)
    found = [(row, household_id) for row, household_id in db.session.execute(query)] if sequences else []
    if not found:
        return
    back = select(PayoutItem).where(
        PayoutItem.batch_id == batch.id, PayoutItem.state == "returned", one_of(PayoutItem.household_id, sorted({home for _row, home in found})),
        one_of(PayoutItem.sequence, list(sequences)),
    )  # fmt: skip
    for item in db.session.scalars(back.order_by(PayoutItem.id)).all():
        left = item.fen
        for row, household_id in found:
            fen = min(left, row.beyond_fen) if household_id == item.household_id and row.item_id != item.id else 0
            if fen:
                _even(row, batch, item, fen)
                left -= fen
        if left < item.fen:
            item.state, item.moved = "reissued", True  # what is left of it is owed of its distribution
    db.session.flush()


def _even(row: PayoutFound, batch: PayoutBatch, item: PayoutItem, fen: int) -> None:
    number = 1 + len(of_source("payout_found", row.id, _KIND))  # 0 is the found one's own coming back
    share_event.payout_found_back(book=row.organisation_id, source=Source("payout_found", row.id, number), household_id=item.household_id, fen=fen)
    payout_found.bear(row, batch, item, -fen)
    row.beyond_fen -= fen
    row.version += 1
    db.session.flush()
    audit.record("payout_found.other_came_back", row, item_id=item.id, fen=fen)
