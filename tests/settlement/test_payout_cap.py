"""The cap of a month holds whatever pays a household: two distributions, a return issued again, two accountants at once, a month's end."""

from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.settlement import household_credit, payout_batch
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from tests.builders import Market
from tests.settlement.alipay_desk import AlipayDesk, started, with_accounts
from tests.settlement.test_at_once import at_once
from tests.settlement.test_payout_batch import approved, bring, made, posted, posted_of, sent
from tests.settlement.test_payout_many import capped, fens

pytestmark = pytest.mark.both
CAP = 1_500


@pytest.fixture
def two(app: Flask) -> tuple[Market, int, int]:
    """Two posted distributions of one cooperative, each of ¥10.00, ¥20.00 and ¥30.00, and a cap of ¥15.00."""
    market, first = posted()
    second = posted_of(market)
    capped(app, CAP)
    return market, first, second


def next_month() -> clock.datetime:
    return clock.beijing_midnight((clock.business_date().replace(day=28) + timedelta(days=7)).replace(day=1))


def by_household(market: Market) -> list[int]:
    """What live batches are paying each household, whatever they are of."""
    paid = Counter[int]()
    query = db.select(PayoutItem).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
    for item in db.session.scalars(query.where(PayoutBatch.state != "CANCELLED", PayoutItem.state.not_in(("returned", "reissued")))):
        paid[item.household_id] += item.fen
    return [paid[each] for each in market.households]


def again(market: Market, row: PayoutBatch) -> PayoutBatch:
    return transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))


def send(market: Market, row: PayoutBatch) -> None:
    transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))


def test_two_distributions_share_the_cap(two: tuple[Market, int, int]) -> None:
    market, first, second = two
    assert fens(made(market, first)) == [1_000, 1_500, 1_500]
    assert fens(made(market, second)) == [500]
    assert by_household(market) == [CAP] * 3


def test_what_is_issued_again_is_under_the_cap_too(two: tuple[Market, int, int]) -> None:
    market, first, second = two
    back = sent(market, first)
    bring(back, market, f"{back.number},2,15.00,returned,户名不符")
    other = sent(market, second)
    assert fens(other) == [500, 1_500]
    with pytest.raises(Conflict, match=r"payout\.capped"):
        again(market, back)
    with clock.travel(next_month()):
        assert fens(again(market, back)) == [1_500]
        with pytest.raises(Conflict, match=r"payout\.nothing_returned"):
            again(market, back)


def test_of_what_came_back_a_part_is_issued_again_and_the_rest_is_owed(two: tuple[Market, int, int]) -> None:
    market, first, second = two
    back = sent(market, first)
    bring(back, market, f"{back.number},1,10.00,returned,户名不符")
    send(market, made(market, second))  # ¥10.00 to the first household
    part = again(market, back)
    assert (fens(part), part.held_back_households, part.held_back_fen, by_household(market)[0]) == ([500], 1, 500, CAP)
    send(market, part)
    with clock.travel(next_month()):
        assert fens(made(market, first))[0] == 500
    assert by_household(market)[0] == 2_000, "both distributions, to the fen"
    assert balance.held("household", market.cooperative, f"household:{market.households[0]}") == 500, "drafted, and not sent"


def test_a_part_that_the_director_returns_is_owed_whole_again(two: tuple[Market, int, int]) -> None:
    market, first, second = two
    back = sent(market, first)
    bring(back, market, f"{back.number},1,10.00,returned,户名不符")
    send(market, made(market, second))
    part = again(market, back)
    with clock.travel(next_month()):
        assert fens(made(market, first)) == [500, 500, 1_500]  # the rest of the first household's is in another batch by now
        transaction(lambda: payout_batch.approve(part.id, actor=market.director, version=1, approved=False, reason="先核对"))
        with pytest.raises(Conflict, match=r"payout\.nothing_returned"):
            again(market, back)
        assert fens(made(market, first)) == [500]
    assert by_household(market)[0] == 2_000


def test_two_batches_made_at_once_share_the_cap(app: Flask, two: tuple[Market, int, int]) -> None:
    market, *both = two
    said = at_once(app, lambda n: payout_batch.make(both[n % 2], actor=market.accountant))
    assert said == ["done"] * 2 + ["payout.empty"] * 2
    assert by_household(market) == [CAP] * 3


def test_a_new_batch_and_one_issued_again_at_once_share_the_cap(app: Flask, two: tuple[Market, int, int]) -> None:
    market, first, second = two
    back = sent(market, first)
    bring(back, market, *(f"{back.number},{n},{fen},returned,户名不符" for n, fen in ((1, "10.00"), (2, "15.00"), (3, "15.00"))))
    batch_id = back.id

    def work(number: int) -> object:
        return payout_batch.make(second, actor=market.accountant) if number % 2 else payout_batch.reissue(batch_id, actor=market.accountant)

    assert "done" in at_once(app, work)
    assert by_household(market) == [CAP] * 3


def test_what_was_made_in_one_month_and_sent_in_the_next_is_the_next_ones(two: tuple[Market, int, int]) -> None:
    market, first, second = two
    row = approved(market, first)
    with pytest.raises(Conflict, match=r"payout\.empty"), clock.travel(next_month()):
        assert fens(made(market, second)) == [500]  # the other may go out in this month: it counts
        made(market, second)
    with clock.travel(next_month() + timedelta(days=1)):
        transaction(lambda: payout_batch.mark_sent(row.id, actor=market.accountant))
        with pytest.raises(Conflict, match=r"payout\.empty"):
            made(market, second)
    assert by_household(market) == [CAP] * 3
    with clock.travel(next_month() + timedelta(days=40)):
        distribution = db.session.get_one(Distribution, first)
        counted = household_credit.counted(distribution)
        assert (counted.households, counted.fen) == (2, 500 + 1_500), "the first batch's month is over"


def test_transfers_count_until_each_has_left(app: Flask, two: tuple[Market, int, int]) -> None:
    """They go one by one, and may wait for a balance over a month's end."""
    market, first, second = two
    with_accounts(*market.households)
    AlipayDesk(app, market, fen=0)
    row = started(market, first)
    sent_on = clock.now()
    with transaction():
        done = payout_batch.items_of(row.id)[1]
        done.state, done.paid_at = "paid", sent_on
    with clock.travel(next_month()):
        assert fens(made(market, second)) == [500, 1_500]
