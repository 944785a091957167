"""Acceptance: what a unit may sign, and what its signature does."""

import pytest
from flask import Flask

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.orders.order import WrongState, lines_of
from marketplace.procurement import acceptance
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import Acceptance
from tests import builders
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
