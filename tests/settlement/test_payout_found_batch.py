"""A batch that was called off here and that the bank paid: one question, one answer, in as many goes as it takes."""

from typing import Any

import pytest
from flask import Flask

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.settlement import payout_batch, payout_found, payout_found_batch, reconciliation
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_found_batch import Go
from tests import builders
from tests.builders import Market
from tests.settlement.test_payout_batch import approved, bring, made, posted, sent
from tests.settlement.test_payout_found import WHY, broken, cancelled
from tests.settlement.test_payout_unknown import items, statement, told

pytestmark = pytest.mark.both


def decided(market: Market, row: PayoutBatch, who: Actor | None = None, **word: Any) -> Go:
    """What a page does with the director's word, as they read what waits."""
    actor, waits = who or market.director, payout_found_batch.waiting(row.id)

    def both() -> Go:
        payout_found_batch.must_be_decidable(row.id, **{"count": waits.count, "last_id": waits.last_id, "approved": True, **word}, actor=actor)
        return payout_found_batch.decide(row.id, last_id=waits.last_id, approved=word.get("approved", True), answer=word.get("answer", ""), actor=actor)

    return transaction(both)


def test_a_cancelled_batch_that_the_bank_paid_is_one_question_and_one_answer(app: Flask) -> None:
    market, distribution_id = posted()
    row = cancelled(market, distribution_id)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        payout_found_batch.propose(row.id, "付", actor=market.accountant)
    with pytest.raises(NotFound), transaction():
        payout_found_batch.propose(row.id, WHY, actor=builders.market(name="另一家").accountant)
    said = [transaction(lambda: payout_found_batch.propose(row.id, WHY, actor=market.accountant)).done for _ in range(2)]
    waits = payout_found_batch.waiting(row.id)
    assert (said, waits.count, waits.fen) == ([3, 0], 3, 6_000)
    stranger = builders.market(name="第三家").director
    for who, error, count in ((market.accountant, NotAllowed, 3), (stranger, NotFound, 3), (stranger, NotFound, 2)):  # nor whether any wait
        with pytest.raises(error):
            decided(market, row, who, count=count)
        with pytest.raises(error):
            transaction(lambda who=who: payout_found_batch.decide(row.id, last_id=waits.last_id, approved=True, actor=who))
    with pytest.raises(Conflict, match=r"found\.changed"):
        decided(market, row, count=2)
    with pytest.raises(InvalidInput, match=r"reason\.missing"):
        decided(market, row, approved=False)
    assert (decided(market, row), payout_found_batch.waiting(row.id).count, [state for state, _reason in told(row)]) == (Go(3, 3, 0), 0, ["paid"] * 3)
    assert (balance.held("bank", market.cooperative), balance.held("outside", market.cooperative), broken()) == (-6_000, 0, [])
    statement(market, (-6_000, "代发专户", f"代发 {row.number}", "S1"))
    assert list(reconciliation.position(market.cooperative, "bank").items) == []
    with pytest.raises(Conflict, match=r"found\.changed"):
        decided(market, row, count=3, last_id=waits.last_id)


@pytest.mark.parametrize("how", ["handed over", "never out"])
def test_a_batch_that_goes_on_or_never_left_is_not_said_to_be_paid_as_a_whole(app: Flask, how: str) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id) if how == "handed over" else approved(market, distribution_id)
    if how == "never out":
        transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=2, approved=False, reason="重做"))
    assert db.session.get_one(PayoutBatch, row.id).state == ("SENT" if how == "handed over" else "CANCELLED")
    with pytest.raises(Conflict, match=r"found\.state"):
        transaction(lambda: payout_found_batch.propose(row.id, WHY, actor=market.accountant))


def test_a_batch_of_very_many_is_said_and_decided_on_in_several_goes_the_oldest_first(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payout_found_batch, "MOST", 2)
    market, distribution_id = posted()
    row = cancelled(market, distribution_id)
    assert transaction(lambda: payout_found_batch.propose(row.id, WHY, actor=market.accountant)) == Go(2, 2, 2)
    assert transaction(lambda: payout_found_batch.propose(row.id, WHY, after=2, actor=market.accountant)) == Go(1, 1, 0)
    last_id = payout_found_batch.waiting(row.id).last_id
    done = decided(market, row)
    assert (done.done, done.seen, [state for state, _reason in told(row)][2] == "paid") == (2, 2, False)
    done = transaction(lambda: payout_found_batch.decide(row.id, last_id=last_id, approved=True, after=done.last, actor=market.director))
    assert (done, [state for state, _reason in told(row)], broken()) == (Go(1, 1, 0), ["paid"] * 3, [])


def test_of_a_cancelled_batch_what_waits_in_another_is_left_and_ones_own_word_too(app: Flask) -> None:
    market, distribution_id = posted()
    row = cancelled(market, distribution_id)
    fresh = made(market, distribution_id)
    transaction(lambda: payout_batch.approve(fresh.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(fresh.id, actor=market.accountant))
    bring(fresh, market, f"{fresh.number},1,10.00,paid,", f"{fresh.number},2,20.00,paid,")
    own = transaction(lambda: payout_found.propose(items(row)[0].id, WHY, actor=market.director).id)
    with pytest.raises(OwnWork):
        decided(market, row)
    assert transaction(lambda: payout_found_batch.propose(row.id, WHY, actor=market.accountant)).done == 2
    assert (decided(market, row), payout_found_batch.waiting(row.id).count) == (Go(1, 3, 0), 2), "the third is on its way in the other batch"
    with pytest.raises(Conflict, match=r"found\.second"):
        decided(market, row)
    assert (db.session.get_one(PayoutFound, own).state, [state for state, _reason in told(row)]) == ("PROPOSED", ["reissued", "paid", "reissued"])
    second = builders.person(market.cooperative, "director")
    bring(fresh, market, f"{fresh.number},3,30.00,paid,")
    with pytest.raises(InvalidInput, match=r"reason\.missing"):
        decided(market, row, second, approved=False)
    decided(market, row, second)
    assert [state for state, _reason in told(row)] == ["paid"] * 3
    assert (balance.held("outside", market.cooperative), balance.held("bank", market.cooperative), broken()) == (-6_000, -12_000, [])
