"""A unit's order: its price, who may decide, and that whatever ends gives its stock back."""

import pytest
from flask import Flask

from marketplace.catalogue.product import Pack
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.orders.order import lines_of
from marketplace.procurement import commitment, directed_order
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.supply.stock import Stock, StockShortage
from tests import builders
from tests.procurement.unit_market import DESTINATION, confirmed, order_of, submit, unit_market


@pytest.mark.parametrize(("quantity", "price"), [(1, 8800), (9, 8800), (10, 8000), (29, 8000), (30, 7000), (99, 7000)])
def test_the_quantity_reached_decides_the_price(app: Flask, quantity: int, price: int) -> None:
    at = unit_market()
    builders.tier(at.market.pack, 30, 7000)
    line = lines_of(order_of(submit(at, quantity)).id)[0]
    assert (line.price_fen, line.goods_fen, line.list_price_fen) == (price, price * quantity, 8800)


def test_a_unit_never_pays_more_than_the_public(app: Flask) -> None:
    at = unit_market()
    with transaction():
        db.session.get_one(Pack, at.market.pack).price_fen = 7500
    assert lines_of(order_of(submit(at, 10)).id)[0].price_fen == 7500


def test_the_same_key_is_the_same_order(app: Flask) -> None:
    at = unit_market()
    assert submit(at, 10) == submit(at, 10)
    assert db.session.get_one(Stock, at.market.pack).reserved == 10
    with pytest.raises(Conflict):
        submit(at, 11)


def test_more_than_is_there_cannot_be_ordered(app: Flask) -> None:
    at = unit_market(on_hand=9)
    with pytest.raises(StockShortage):
        submit(at, 10)
    assert db.session.query(DirectedOrder).count() == 0


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_quantity_is_positive(app: Flask, quantity: int) -> None:
    with pytest.raises(InvalidInput):
        submit(unit_market(), quantity)


def test_one_order_is_of_one_cooperative(app: Flask) -> None:
    at, other = unit_market(), builders.market(name="乙社")
    with pytest.raises(InvalidInput), transaction():
        directed_order.submit({other.pack: 1}, cooperative_id=at.market.cooperative, destination=DESTINATION, terms="PREPAY", actor=at.buyer, key="k")


def test_returned_with_a_reason_the_stock_is_free_again(app: Flask) -> None:
    at = unit_market()
    made = submit(at)
    with pytest.raises(InvalidInput), transaction():
        directed_order.give_back(made, " ", actor=at.approver)
    with transaction():
        directed_order.give_back(made, "太多了", actor=at.approver)
    row = db.session.get_one(DirectedOrder, made)
    assert (row.approval, row.decided_reason, order_of(made).fulfilment) == ("RETURNED", "太多了", "CANCELLED")
    assert db.session.get_one(Stock, at.market.pack).reserved == 0
    with pytest.raises(Conflict), transaction():
        directed_order.approve(made, actor=at.approver)


def test_the_cooperative_declines_with_a_reason(app: Flask) -> None:
    at = unit_market()
    made = submit(at)
    with pytest.raises(Conflict), transaction():
        directed_order.decline(made, "没货", actor=at.market.clerk)  # nobody approved it yet
    with transaction():
        directed_order.approve(made, actor=at.approver)
    with transaction():
        directed_order.decline(made, "没货", actor=at.market.clerk)
    assert (db.session.get_one(DirectedOrder, made).approval, db.session.get_one(Stock, at.market.pack).reserved) == ("DECLINED", 0)


def test_what_is_confirmed_cannot_be_taken_back(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    with pytest.raises(Conflict), transaction():
        directed_order.withdraw(made, actor=at.buyer)


def test_nobody_decides_for_others(app: Flask) -> None:
    at = unit_market()
    made = submit(at)
    with pytest.raises(NotAllowed), transaction():
        directed_order.approve(made, actor=at.buyer)
    with pytest.raises(NotFound), transaction():
        directed_order.approve(made, actor=builders.person(builders.unit("别的单位"), "approver"))
    with pytest.raises(NotFound), transaction():
        directed_order.confirm(made, actor=builders.market(name="乙社").director)
    with pytest.raises(NotAllowed), transaction():
        directed_order.confirm(made, actor=at.market.accountant)


def test_a_pledge_is_drawn_on_by_the_orders_that_name_it(app: Flask) -> None:
    at = unit_market()
    year = order_of(submit(at, key="other")).placed_on.year
    with transaction():
        pledge = commitment.make(fen=200_000, year=year, cooperative_id=at.market.cooperative, actor=at.buyer).id
    first = submit(at, 10, key="a", commitment_id=pledge)
    submit(at, 10, key="b", commitment_id=pledge)
    assert commitment.drawn(pledge) == 160_000
    with transaction():
        directed_order.withdraw(first, actor=at.buyer)
    assert commitment.drawn(pledge) == 80_000
    with transaction():
        commitment.withdraw(pledge, version=1, actor=at.buyer)
    with pytest.raises(Conflict):
        submit(at, 10, key="c", commitment_id=pledge)


def test_a_pledge_of_another_unit_or_to_another_cooperative_is_not_drawn_on(app: Flask) -> None:
    at, stranger = unit_market(), unit_market()
    year = order_of(submit(at, key="other")).placed_on.year
    with transaction():
        foreign = commitment.make(fen=100, year=year, actor=stranger.buyer).id
        elsewhere = commitment.make(fen=100, year=year, cooperative_id=stranger.market.cooperative, actor=at.buyer).id
    with pytest.raises(NotFound):
        submit(at, key="a", commitment_id=foreign)
    with pytest.raises(Conflict):
        submit(at, key="b", commitment_id=elsewhere)
