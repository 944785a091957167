"""The receipt tells exact parts, and never singles out a household."""

from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.disclosure import benefit_receipt
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import NotFound
from marketplace.orders.order import Order
from marketplace.settlement import distribution, payout_batch, settlement
from tests import builders
from tests.builders import Market
from tests.settlement.builders import order


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


@given(goods=st.lists(st.integers(1, 99_999), min_size=2, max_size=4), returned=st.integers(0, 3))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_orders_of_a_distribution_share_it_to_the_fen(app: Flask, goods: list[int], returned: int) -> None:
    market = builders.market()
    orders = [order(market, fen) for fen in (*goods, 30_000)]
    periods = {transaction(lambda number=each: settlement.settle(number)).period for each in orders}
    distribution_id = distribute(market, periods.pop())
    pay(market, distribution_id, returned=returned)
    receipts = [receipt(each) for each in orders]
    shares = distribution.shares_of(distribution_id)
    arrived = sum(each.fen for n, each in enumerate(shares, start=1) if n != returned)
    assert sum(each.distributed_fen for each in receipts) == sum(each.fen for each in shares)
    assert sum(each.paid_fen for each in receipts) == arrived
    for each in receipts:
        assert each.settled is not None
        assert each.distributed_fen == each.settled.pool_fen, "nothing was refunded or recovered"
