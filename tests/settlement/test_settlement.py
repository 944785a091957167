"""When an order is due, and how its yuan divides."""

from datetime import timedelta

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.orders.order import Order, lines_of
from marketplace.settlement import settlement, settlement_run
from marketplace.settlement.settlement import NotDue, Settlement
from tests import builders
from tests.ledger.account_book import read
from tests.settlement.builders import open_return, order


def settled(order_id: int) -> Settlement:
    return transaction(lambda: settlement.settle(order_id))


def test_each_line_divides_by_its_frozen_scheme_and_the_entry_is_their_sum(app: Flask) -> None:
    market = builders.market()
    row = settled(order(market, 8_800, 4_800, freight_fen=1_000))
    assert (row.base_fen, row.freight_fen) == (13_600, 1_000)
    assert (row.cooperative_fen, row.pool_fen, row.village_fen, row.fund_fen) == (9_520, 2_720, 816, 544)
    assert row.entry_id is not None
    assert read(row.entry_id).splitlines() == [
        "debit  buyer_funds 146.00",
        "credit revenue 95.20",
        "credit freight 10.00",
        f"credit household_pool linkage_group:{market.group} 27.20",
        f"credit village_collective village:{market.village} 8.16",
        "credit relief_fund 5.44",
    ]
    assert balance.held("buyer_funds", market.cooperative) == 0


def test_an_order_settles_once(app: Flask) -> None:
    order_id = order(builders.market(), 8_800)
    settled(order_id)
    with pytest.raises(NotDue) as refused:
        settled(order_id)
    assert refused.value.data["why"] == "settled"


def test_what_is_not_due_says_why_and_is_not_listed(app: Flask) -> None:
    market = builders.market()
    fresh = order(market, 8_800, received_at=clock.now() - timedelta(days=6))
    unpaid = order(market, 8_800, paid=False)
    disputed = order(market, 8_800)
    open_return(disputed)
    due = order(market, 8_800)
    reasons = [settlement.why_not_due(db.session.get_one(Order, each)) for each in (fresh, unpaid, disputed, due)]
    assert reasons == ["return_window", "unpaid", "return_open", ""]
    assert settlement.settle_due() == [due]
    for each, reason in ((fresh, "return_window"), (unpaid, "unpaid"), (disputed, "return_open")):
        with pytest.raises(NotDue) as refused:
            settled(each)
        assert refused.value.code == f"settlement.{reason}"


def test_a_day_of_return_window_left_means_not_yet(app: Flask) -> None:
    received = clock.now() - timedelta(days=7)
    order_id = order(builders.market(), 100, received_at=received)
    with clock.travel(received + timedelta(days=7, seconds=-1)):
        assert settlement.settle_due() == []
    with clock.travel(received + timedelta(days=7)):
        assert settlement.settle_due() == [order_id]


def test_the_period_is_the_beijing_month_of_settling(app: Flask) -> None:
    order_id = order(builders.market(), 8_800)
    with clock.travel(clock.beijing_midnight(clock.business_date().replace(year=2031, month=3, day=1))):
        assert settled(order_id).period == "2031-03"


def test_refunds_come_off_before_dividing(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 8_800, 4_800, freight_fen=1_000, refunded_fen=4_800)
    with transaction():
        lines_of(order_id)[1].refunded_fen = 4_800
    row = settled(order_id)
    assert (row.base_fen, row.freight_fen) == (8_800, 1_000)
    assert balance.held("buyer_funds", market.cooperative) == 0


def test_a_refund_that_names_no_line_comes_off_all_in_proportion(app: Flask) -> None:
    order_id = order(builders.market(), 6_000, 3_000, refunded_fen=900)
    settled(order_id)
    parts = db.session.scalars(db.select(settlement.SettlementLine.base_fen)).all()
    assert parts == [5_400, 2_700]


def test_a_unit_pays_for_the_packs_it_accepted(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 10_000)
    with transaction():
        row, line = db.session.get_one(Order, order_id), lines_of(order_id)[0]
        line.quantity, line.price_fen, line.accepted, line.shipped = 10, 1_000, 7, 10
        row.kind, row.accepted_fen, row.paid_fen = "DIRECTED", 7_000, 7_000
    assert settled(order_id).base_fen == 7_000


def test_more_money_than_goods_needs_a_person(app: Flask) -> None:
    order_id = order(builders.market(), 10_000)
    with transaction():
        db.session.get_one(Order, order_id).paid_fen = 10_001
    with pytest.raises(NotDue) as refused:
        settled(order_id)
    assert refused.value.data["why"] == "overpaid"


def test_a_zero_order_settles_without_an_entry(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 8_800, refunded_fen=8_800)
    with transaction():
        db.session.get_one(Order, order_id).payment = "REFUNDED"
        lines_of(order_id)[0].refunded_fen = 8_800
    row = settled(order_id)
    assert (row.base_fen, row.entry_id) == (0, None)
    assert db.session.get_one(Order, order_id).settled_at is not None


@given(goods=st.lists(st.integers(1, 9_999_999), min_size=1, max_size=5), freight=st.integers(0, 9_999))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_lost_or_made_for_any_amounts(app: Flask, goods: list[int], freight: int) -> None:
    market = builders.market()
    row = settled(order(market, *goods, freight_fen=freight))
    assert row.cooperative_fen + row.pool_fen + row.village_fen + row.fund_fen == row.base_fen == sum(goods)
    assert row.freight_fen == freight
    assert balance.held("buyer_funds", market.cooperative) == 0


@pytest.mark.both
def test_what_is_settled_is_sold_and_the_list_by_sales_says_so(app: Flask) -> None:
    """Packs count once, when the order can no longer come back; what went back whole, or did not arrive, is not sold."""
    behind, ahead = builders.market(on_hand=50), builders.market(name="宝峰油茶合作社", on_hand=50)
    ids = [behind.product, ahead.product]

    def products() -> list[Product]:
        db.session.expire_all()
        return [db.session.get_one(Product, each) for each in ids]

    def listed() -> list[int]:
        page = app.test_client().get("/goods?sort=popular").text
        return [row.id for row in sorted(products(), key=lambda row: page.index(row.slug))]

    assert listed() == [ahead.product, behind.product], "nothing is sold: the newest first"
    versions = [row.version for row in products()]
    two = order(behind, 8_800, 4_800)
    back = order(ahead, 9_000, refunded_fen=9_000)
    unit = order(ahead, 7_000)
    with transaction():
        line = lines_of(unit)[0]
        line.quantity, line.price_fen, line.accepted, line.shipped = 7, 1_000, 1, 7
        db.session.get_one(Order, unit).refunded_fen = 6_000
    assert listed() == [ahead.product, behind.product], "what is only paid is not sold yet"
    with transaction():
        rows, refused = settlement.settle_many([two, back, unit])
        assert (len(rows), refused) == (3, {})
    assert [row.sold_count for row in products()] == [2, 1]
    assert listed() == [behind.product, ahead.product]
    settlement_run.settle([order(ahead, 100, 200)], transaction)
    assert [row.sold_count for row in products()] == [2, 3]
    assert listed() == [ahead.product, behind.product], "read afresh: a list by sales is never kept"
    with pytest.raises(NotDue):
        settled(two)
    assert [row.sold_count for row in products()] == [2, 3], "once"
    assert [row.version for row in products()] == versions, "no editor's form went stale"
