"""A small market trades through its own functions, and after every step every rule of the books holds."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import transaction
from marketplace.ledger import balance
from marketplace.orders import cancellation, received, return_request
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from marketplace.settlement import distribution, payout_batch, settlement
from tests import builders
from tests.orders import trade

ORDERED = datetime(2026, 3, 2, 2, 0, tzinfo=clock.BEIJING)


def all_rules_hold() -> None:
    assert [finding for finding in books.check() if not finding.ok] == []


def refunds_arrived() -> None:
    """The channel answers every refund that is on its way."""
    from marketplace.foundation.database import db

    with transaction():
        for refund_id in list(db.session.scalars(db.select(Refund.id).where(Refund.state == "approved"))):
            refunds.succeed(refund_id)


@pytest.mark.both
def test_from_the_shelf_to_the_household(app: Flask) -> None:
    market = builders.market(on_hand=20)
    buyer = builders.customer()
    with clock.travel(ORDERED):
        kept = trade.bought(buyer, (market.pack, 3))
        all_rules_hold()
        cancelled = trade.bought(buyer, (market.pack, 2))
        with transaction():
            cancellation.cancel(cancelled, actor=buyer)
        all_rules_hold()
        refunds_arrived()
        (unpaid,) = trade.placed(buyer, (market.pack, 1))
        (late,) = trade.opened([unpaid])
        with transaction():
            cancellation.cancel(unpaid, actor=buyer)
        outcome = trade.succeeded(late)
        with transaction():
            assert payments.apply(outcome) == "unapplied"
        all_rules_hold()
        trade.shipped(market, kept)
        with transaction():
            received.confirm(kept, actor=buyer)
        with transaction():
            asked = return_request.raise_request(kept, 1_000, "one tin is dented", actor=buyer).id
        with transaction():
            return_request.approve(asked, actor=market.clerk)
        all_rules_hold()
        refunds_arrived()
        all_rules_hold()
    with clock.travel(ORDERED + timedelta(days=8)):
        with transaction():
            settled = settlement.settle(kept).pool_fen
        all_rules_hold()
    with clock.travel(ORDERED + timedelta(days=31)):
        with transaction():
            drafted = distribution.draft(market.cooperative, "2026-03", actor=market.accountant)
            number, version = drafted.id, drafted.version
            assert drafted.total_fen == settled
        with transaction():
            distribution.approve(number, actor=market.director, version=version)
        with transaction():
            distribution.publish(number, actor=market.director)
        all_rules_hold()
    with clock.travel(ORDERED + timedelta(days=60)):
        with transaction():
            distribution.post(number, actor=market.director)
        all_rules_hold()
        with transaction():
            batch = payout_batch.make(number, actor=market.accountant)
            batch_id, batch_number, version = batch.id, batch.number, batch.version
        with transaction():
            payout_batch.approve(batch_id, actor=market.director, version=version)
        with transaction():
            payout_batch.mark_sent(batch_id, actor=market.accountant)
        all_rules_hold()
        with transaction():
            payout_batch.import_results(
                batch_id, answer(batch_id, batch_number, "paid", "returned"), actor=market.accountant
            )
        all_rules_hold()
        with transaction():
            again = payout_batch.reissue(batch_id, actor=market.accountant)
            again_id, again_number, version = again.id, again.number, again.version
        with transaction():
            payout_batch.approve(again_id, actor=market.director, version=version)
        with transaction():
            payout_batch.mark_sent(again_id, actor=market.accountant)
        all_rules_hold()
        with transaction():
            payout_batch.import_results(
                again_id, answer(again_id, again_number, "paid"), actor=market.accountant
            )
    all_rules_hold()
    assert (
        balance.held("in_transit", market.cooperative) > 0
    )  # the third household's: the bank has not answered yet
    with transaction():
        balance.roll_up()
    all_rules_hold()


def answer(batch_id: int, number: str, *results: str) -> bytes:
    """The bank's file: one result each for the first items of a batch."""
    lines = ["number,sequence,amount,result,reason"]
    for item, result in zip(payout_batch.items_of(batch_id), results, strict=False):
        reason = "" if result == "paid" else "account closed"
        lines.append(f"{number},{item.sequence},{item.fen // 100}.{item.fen % 100:02d},{result},{reason}")
    return "\n".join(lines).encode()
