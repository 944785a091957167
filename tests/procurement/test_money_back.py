"""Money back to a unit that has not paid all yet, or whose goods have not come yet: what went back of goods that came is not owed again."""

import itertools

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.ledger import balance
from marketplace.orders import return_request
from marketplace.orders.order import Order, lines_of
from marketplace.procurement import price_cut, scorecard
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.reporting import books
from tests.orders import trade
from tests.procurement.unit_market import (
    UnitMarket,
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    unit_market,
)

pytestmark = pytest.mark.both

_number = itertools.count(1)


def pays(at: UnitMarket, made: int, fen: int) -> None:
    serial = f"S{next(_number)}"
    match(at, receipt(at, fen, serial=serial), made, fen, key=serial)


def gives_back(at: UnitMarket, made: int, fen: int = 0, *, packs: int = 0) -> None:
    """The cooperative, by two people: so much, or what so many packs cost."""
    order_id = order_of(made).id
    named = {lines_of(order_id)[0].id: packs} if packs else None
    asked = transaction(lambda: return_request.propose(order_id, fen, "抽检不合格", actor=at.market.clerk, packs=named))
    transaction(lambda: return_request.approve(asked.id, actor=at.market.director))


def stands(at: UnitMarket, made: int) -> tuple[str, int, int]:
    """How the order stands, what of it is open, and what the books say is owed; every rule of them holds."""
    db.session.expire_all()
    order: Order = order_of(made)
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
    return order.payment, order.open_fen, balance.held("receivable", at.market.cooperative)


def test_what_goes_back_of_a_part_that_was_paid_leaves_the_rest_owed(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    pays(at, made, 40_000)
    gives_back(at, made, 8_000)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 40_000)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)
    with pytest.raises(Conflict, match=r"cut\.exceeds"), transaction():
        price_cut.ask(order_of(made).id, 1, "再减一点", actor=at.buyer, key="cut")


def test_all_that_was_paid_goes_back_and_the_rest_is_owed_still(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    pays(at, made, 40_000)
    gives_back(at, made, 40_000)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 40_000)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)


def test_what_went_back_before_the_goods_came_is_not_put_on_credit(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    gives_back(at, made, 8_000)
    ship(at, made, 10)
    accept(at, made, 10)
    assert stands(at, made) == ("PAID", 0, 0)
    assert order_of(made).refunded_fen == 8_000


def test_what_went_back_of_a_pack_is_not_given_back_again_when_it_is_short(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    gives_back(at, made, packs=1)
    ship(at, made, 9)
    accept(at, made, 9, short=1)
    assert stands(at, made) == ("PAID", 0, 0)
    order = order_of(made)
    assert (order.refunded_fen, order.short_fen) == (8_000, 8_000)


def test_an_order_that_is_paid_first_can_be_paid_to_its_end(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    pays(at, made, 40_000)
    gives_back(at, made, packs=1)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 0)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)
    assert order_of(made).fulfilment == "READY"
    ship(at, made, 9)
    assert order_of(made).fulfilment == "SHIPPED"
    accept(at, made, 9, short=1)
    assert stands(at, made) == ("PAID", 0, 0)


def test_a_part_payment_that_goes_back_never_lowers_the_price(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    pays(at, made, 40_000)
    with pytest.raises(InvalidInput, match=r"return\.part_paid"):
        gives_back(at, made, 39_999)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 0)


@pytest.mark.parametrize("terms", ["PREPAY", "POSTPAY"])
def test_all_of_a_part_payment_goes_back_and_the_order_ends(app: Flask, terms: str) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms=terms)
    pays(at, made, 40_000)
    gives_back(at, made, 40_000)
    assert stands(at, made)[0] == "REFUNDED"
    assert (order_of(made).fulfilment, db.session.get_one(DirectedOrder, made).approval) == ("CANCELLED", "CANCELLED")
    assert trade.free(at.market.pack) == (100, 0)


def test_more_that_is_paid_before_the_answer_goes_back_with_the_rest(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    pays(at, made, 40_000)
    order_id = order_of(made).id
    asked = transaction(lambda: return_request.propose(order_id, 40_000, "采摘受灾", actor=at.market.clerk).id)
    pays(at, made, 40_000)
    transaction(lambda: return_request.approve(asked, actor=at.market.director))
    assert (stands(at, made)[0], order_of(made).refunded_fen, order_of(made).fulfilment) == ("REFUNDED", 80_000, "CANCELLED")


@pytest.mark.parametrize("unsent", [True, False])
def test_what_went_back_of_goods_that_are_then_short_is_taken_off_what_counts_once(app: Flask, unsent: bool) -> None:
    """A tin less before it was sent, or one that came broken and went back before the unit signed: nine tins count."""
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    if unsent:
        gives_back(at, made, packs=1)
        ship(at, made, 9)
    else:
        ship(at, made, 10)
        gives_back(at, made, packs=1)
    accept(at, made, 9, short=1)
    assert stands(at, made) == ("PAID", 0, 0)
    assert scorecard.figures(at.unit, clock.business_date().year).counted_fen == 72_000
