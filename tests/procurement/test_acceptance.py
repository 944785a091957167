"""Acceptance: what a unit may sign, and what its signature does."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.orders import order_refund
from marketplace.orders.order import Order, WrongState, lines_of, locked_order
from marketplace.procurement import acceptance, price_cut
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import Acceptance
from marketplace.reporting import books
from marketplace.settlement import settlement
from tests import builders
from tests.orders import trade
from tests.procurement.unit_market import accept, confirmed, order_of, ship, unit_market

pytestmark = pytest.mark.both


@pytest.mark.parametrize(("accepted", "short"), [(9, 0), (10, 1), (11, -1), (-1, 11), (9, 1)])
def test_the_numbers_must_add_up_and_nothing_is_accepted_that_was_not_sent(app: Flask, accepted: int, short: int) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 8)
    with pytest.raises(InvalidInput):
        accept(at, made, accepted, short)
    assert db.session.query(Acceptance).count() == 0


def test_a_shortage_is_explained(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 8)
    order_id = order_of(made).id
    with pytest.raises(InvalidInput), transaction():
        acceptance.accept(order_id, [Arrived(lines_of(order_id)[0].id, 8, 2)], actor=at.buyer)


def test_every_line_is_answered_once(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    order_id = order_of(made).id
    line = Arrived(lines_of(order_id)[0].id, 10)
    for said in ([], [line, line], [line, Arrived(999, 1)]):
        with pytest.raises(InvalidInput), transaction():
            acceptance.accept(order_id, said, actor=at.buyer)


def test_before_anything_was_sent_there_is_nothing_to_accept_and_afterwards_not_again(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    with pytest.raises(WrongState):
        accept(at, made, 0, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    with pytest.raises(WrongState):
        accept(at, made, 10)
    with pytest.raises(Conflict):
        ship(at, made, 1)


def test_another_unit_signs_nothing(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    order_id = order_of(made).id
    stranger = builders.person(builders.unit("别的单位"), "buyer")
    with pytest.raises(NotFound), transaction():
        acceptance.accept(order_id, [Arrived(lines_of(order_id)[0].id, 10)], actor=stranger)


def settled_at_nothing(order_id: int) -> None:
    """Nothing is owed and nothing was paid: it is divided at nothing, once its time is over, and waits for nobody."""
    order = db.session.get_one(Order, order_id)
    assert (order.payment, order.paid_fen) == ("PAID", 0)
    with clock.travel(clock.now() + timedelta(days=60)):
        assert settlement.settle_due() == [order_id]
        row = transaction(lambda: settlement.settle(order_id))
        assert (row.base_fen, row.freight_fen, row.entry_id) == (0, 0, None)
        assert settlement.settle_due() == []
        assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []


def test_what_was_all_short_and_never_paid_owes_nothing_and_comes_to_its_end(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 0, 10)
    settled_at_nothing(order_of(made).id)


def test_what_was_accepted_and_cut_to_nothing_comes_to_its_end_too(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    order_id = order_of(made).id
    cut = transaction(lambda: price_cut.ask(order_id, 80_000, "整批受潮", actor=at.buyer, key="c"))
    transaction(lambda: price_cut.decide(cut, version=1, approved=True, actor=at.market.director))
    settled_at_nothing(order_id)


def test_what_went_back_of_one_line_is_no_part_of_what_another_lacks(app: Flask) -> None:
    """¥88.00 were paid for a tin, of which ¥50.00 went back, and ¥264.00 for three small ones, of which one arrived: ¥176.00 are given back, all
    of them on the small ones, and the tin's ¥50.00 stay given back."""
    at = unit_market()
    small = builders.pack(at.market.product)
    buyer = builders.customer()
    order_id = trade.bought(buyer, (at.market.pack, 1), (small, 3))
    with transaction():
        order = locked_order(order_id)
        tin, boxes = lines_of(order_id)
        order_refund.pay_back(order, 5_000, "破损", person_id=None, lines={tin.id: 5_000})
        tin.accepted, boxes.accepted = 1, 1
        acceptance._give_back(order, [tin, boxes], order.paid_fen - order.refunded_fen - 3_800 - 8_800, person_id=at.market.director.person_id)
    tin, boxes = lines_of(order_id)
    assert (tin.refunded_fen, boxes.refunded_fen) == (5_000, 17_600)
