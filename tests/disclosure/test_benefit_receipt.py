"""The receipt tells exact parts, and never singles out a household."""

from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.disclosure import benefit_receipt
from marketplace.disclosure.benefit_receipt import Amounts
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import NotFound
from marketplace.orders.order import Order
from marketplace.payments import refund as refunds
from marketplace.reporting import open_books
from marketplace.settlement import distribution, payout_batch, payout_progress, settlement
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_file import yuan
from tests import builders
from tests.builders import Market
from tests.settlement.builders import order
from tests.settlement.test_payout_batch import bring, sent
from tests.settlement.test_payout_found import again, found, items
from tests.settlement.test_payout_many import capped
from tests.settlement.test_recovery import paid_back, refunded, settled, traded


def receipt(order_id: int) -> benefit_receipt.BenefitReceipt:
    return benefit_receipt.of_order(db.session.get_one(Order, order_id))


def distribute(market: Market, period: str) -> int:
    row = transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    notice = transaction(lambda: distribution.publish(row.id, actor=market.director))
    with clock.travel(clock.beijing_midnight(notice.ends_on + timedelta(days=1))):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
    return row.id


def pay(market: Market, distribution_id: int, *, returned: int) -> None:
    """Everything is paid but the item of this sequence."""
    batch = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant))
    transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(batch.id, actor=market.accountant))
    lines = ["number,sequence,amount,result,reason"]
    for item in payout_batch.items_of(batch.id):
        outcome = "returned,x" if item.sequence == returned else "paid,"
        lines.append(f"{batch.number},{item.sequence},{item.fen / 100:.2f},{outcome}")
    transaction(lambda: payout_batch.import_results(batch.id, "\n".join(lines).encode(), actor=market.accountant))


def test_no_such_address(app: Flask) -> None:
    with pytest.raises(NotFound):
        benefit_receipt.for_token("nothing")


def test_a_group_under_five_households_has_neither_name_nor_number(app: Flask) -> None:
    (part,) = receipt(order(builders.market(), 10_000)).groups
    assert (part.name_zh, part.village_zh, part.households, part.promised_fen) == (None, None, None, 2_000)


def test_nothing_in_a_receipt_names_a_buyer_or_a_household(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 10_000)
    period = transaction(lambda: settlement.settle(order_id)).period
    pay(market, distribute(market, period), returned=1)
    told = repr(receipt(order_id))
    assert "王小明" not in told
    assert "JA-TEST" not in told
    assert "测" not in told


def test_a_cancelled_or_refunded_order_says_so(app: Flask) -> None:
    row = receipt(order(builders.market(), 10_000, refunded_fen=500))
    assert (row.refunded_fen, row.cancelled) == (500, False)


@given(
    goods=st.lists(st.tuples(st.integers(1, 99_999), st.sampled_from((0, 0, 1, 50, 100))), min_size=2, max_size=4),
    returned=st.integers(0, 3), cap=st.sampled_from((0, 0, 1_000, 2_500)),
)  # fmt: skip
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_orders_of_a_distribution_share_it_to_the_fen(app: Flask, goods: list[tuple[int, int]], returned: int, cap: int) -> None:
    """Some percent of an order goes back before the distribution; a cap holds back what a household may be paid; one transfer comes back."""
    capped(app, cap)
    market = builders.market()
    orders = [order(market, fen) for fen, _ in (*goods, (30_000, 0))]
    periods = {transaction(lambda number=each: settlement.settle(number)).period for each in orders}
    for order_id, (fen, percent) in zip(orders, goods, strict=False):
        if fen * percent // 100:
            refunded(order_id, fen * percent // 100)
    distribution_id = distribute(market, periods.pop())
    pay(market, distribution_id, returned=returned)
    receipts = [receipt(each) for each in orders]
    shares = distribution.shares_of(distribution_id)
    arrived = sum(each.fen for each in db.session.query(PayoutItem).join(PayoutBatch).filter_by(distribution_id=distribution_id) if each.state == "paid")
    assert cap == 0 or arrived <= cap * len(shares)
    assert sum(each.distributed_fen for each in receipts) == sum(each.fen for each in shares)
    assert sum(each.paid_fen for each in receipts) == arrived
    for each in receipts:
        assert each.distributed_fen == each.now.pool_fen, "what refunds left, and nothing was recovered"


@pytest.mark.both
def test_what_was_paid_twice_is_told_once(app: Flask) -> None:
    """A payment was called refused, issued again and paid; then it turns out that the bank had made the first one too."""
    market = builders.market()
    order_id = order(market, 10_000)
    distribution_id = distribute(market, transaction(lambda: settlement.settle(order_id)).period)
    row = sent(market, distribution_id)
    bring(row, market, *(f"{row.number},{each.sequence},{yuan(each.fen)},{'refused,户名不符' if each.sequence == 2 else 'paid,'}" for each in items(row)))
    fresh = again(market, row)
    assert {step.code: step.at for step in receipt(order_id).steps}["paid_out"] is None
    (second,) = items(fresh)
    bring(fresh, market, f"{fresh.number},1,{yuan(second.fen)},paid,")
    arrived = {step.code: step.at for step in receipt(order_id).steps}["paid_out"]
    with clock.travel(clock.now() + timedelta(days=3)):
        assert found(market, items(row)[1].id).beyond_fen == second.fen
    told = receipt(order_id)
    assert (told.distributed_fen, told.paid_fen) == (2_000, 2_000)
    assert arrived is not None and {step.code: step.at for step in told.steps}["paid_out"] == arrived
    assert payout_progress.of_distributions([distribution_id]) == {distribution_id: 2_000}
    progress = payout_progress.of_distribution(db.session.get_one(Distribution, distribution_id))
    assert (progress.paid[1], progress.owed_fen) == (2_000, 0)
    year = open_books.year(clock.business_date().year)
    assert (year.paid_fen, year.waiting_fen) == (2_000, 0)


@pytest.mark.both
def test_an_order_that_went_back_has_no_part_in_what_was_distributed(app: Flask) -> None:
    """¥10.00 of the pool went back before the month was divided, and ¥1.00 was distributed: all of it is the other order's."""
    market = builders.market(on_hand=50)
    given_back, kept = settled(market, 5_000), settled(market, 500)
    refunded(given_back, 5_000)
    distribute(market, clock.period_of(clock.business_date()))
    row, other = receipt(given_back), receipt(kept)
    assert (row.distributed_fen, other.distributed_fen) == (0, 100)
    assert row.settled == row.given_back == Amounts(3_500, 1_000, 300, 200)
    assert (row.now, other.now) == (Amounts(0, 0, 0, 0), Amounts(350, 100, 30, 20))
    assert [(part.settled_fen, part.given_back_fen) for part in row.groups] == [(1_000, 1_000)]


def test_what_went_back_after_the_distribution_was_distributed_all_the_same(app: Flask) -> None:
    market = builders.market(on_hand=50)
    given_back = settled(market, 5_000)
    distribute(market, clock.period_of(clock.business_date()))
    refunded(given_back, 2_500)
    row = receipt(given_back)
    assert (row.distributed_fen, row.given_back.pool_fen, row.now.pool_fen) == (1_000, 500, 500)


def test_what_a_failed_refund_brought_back_is_no_other_orders(app: Flask) -> None:
    market = builders.market(on_hand=50)
    order_id = traded(market, 3)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        refund_id = paid_back(order_id, 8_800)
        distribute(market, clock.period_of(clock.business_date()))
    with clock.travel(clock.now() + timedelta(days=45)):
        transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        later = settled(market, 10_000)
        assert db.session.get_one(Distribution, distribute(market, clock.period_of(clock.business_date()))).total_fen == 2_000 + 1_760
    assert (receipt(order_id).distributed_fen, receipt(later).distributed_fen, receipt(order_id).now.pool_fen) == (3_520, 2_000, 5_280)


@pytest.mark.both
def test_a_payment_counts_for_its_groups_in_proportion_and_no_more_than_was_paid(app: Flask) -> None:
    """The first household has ¥13.33 of two groups, and each may be paid ¥8.00 in the month: 8.00, 6.67 and 8.00 of 10.00."""
    market = builders.market(on_hand=50)
    second = builders.linkage_group(market.cooperative)
    builders.share(second, market.households[0], 1)
    orders = [order(market, 10_000, batch_id=0), order(market, 5_000, batch_id=0, group_id=second)]
    periods = {transaction(lambda number=each: settlement.settle(number)).period for each in orders}
    distribution_id = distribute(market, periods.pop())
    capped(app, 800)
    pay(market, distribution_id, returned=0)
    paid = [receipt(each).paid_fen for each in orders]
    assert sum(paid) == sum(each.fen for each in db.session.query(PayoutItem)) == 2_267
    assert all(fen <= receipt(each).distributed_fen for fen, each in zip(paid, orders, strict=True))
