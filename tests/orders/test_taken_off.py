"""Packs that are paid back before they leave are never sent: the order goes on with the others, or ends."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.orders import cancellation, promise, received, return_request, shipment
from marketplace.orders.order import lines_of
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from marketplace.settlement import settlement
from tests import builders
from tests.builders import Market
from tests.orders import trade

pytestmark = pytest.mark.both


@pytest.fixture
def at(app: Flask) -> tuple[Market, Actor, int]:
    """Three tins at ¥88.00, paid, ¥264.00 and no freight; ten in stock."""
    market, buyer = builders.market(), builders.customer()
    return market, buyer, trade.bought(buyer, (market.pack, 3))


def sends(market: Market, order_id: int, packs: int) -> None:
    (line,) = lines_of(order_id)
    parts = [(line.id, market.batch, packs)]
    transaction(lambda: shipment.ship(order_id, parts, "顺丰速运", actor=market.clerk))


def asks(buyer: Actor, order_id: int, packs: int = 0, *, unsent: int | None = None, fen: int = 0) -> int:
    """The buyer wants so many tins less, or so much money back; the request's id."""
    (line,) = lines_of(order_id)
    told: dict[str, Any] = {"packs": {line.id: packs} if packs else None, "unsent": None if unsent is None else {line.id: unsent}}
    return transaction(lambda: return_request.raise_request(order_id, fen, "不用这么多", actor=buyer, **told).id)


def agreed(market: Market, request_id: int) -> None:
    transaction(lambda: return_request.approve(request_id, actor=market.director))


def stands(market: Market, order_id: int) -> tuple[str, int, tuple[int, int]]:
    """(fulfilment, fen refunded, what is on hand and reserved); every rule of the books holds."""
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
    order = trade.order(order_id)
    return order.fulfilment, order.refunded_fen, trade.free(market.pack)


def test_the_last_pack_is_paid_back_and_the_order_comes_to_its_end(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    sends(market, order_id, 2)
    agreed(market, asks(buyer, order_id, 1, unsent=1))
    assert stands(market, order_id) == ("SHIPPED", 8_800, (8, 0))
    transaction(lambda: received.confirm(order_id, actor=buyer))
    assert trade.order(order_id).fulfilment == "RECEIVED"


def test_what_was_shipped_in_part_settles_on_what_was_kept(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    sends(market, order_id, 2)
    agreed(market, asks(buyer, order_id, 1, unsent=1))
    transaction(lambda: refunds.succeed(db.session.scalars(db.select(Refund.id)).one()))
    with clock.travel(clock.now() + timedelta(days=11)):
        assert transaction(received.confirm_due) == 1
    with clock.travel(clock.now() + timedelta(days=20)):
        row = transaction(lambda: settlement.settle(order_id))
        assert row.base_fen == 17_600
    assert stands(market, order_id)[0] == "RECEIVED"


def test_one_pack_less_before_anything_left_leaves_two_to_ship(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    agreed(market, asks(buyer, order_id, 1))
    assert stands(market, order_id) == ("READY", 8_800, (10, 2))
    assert [packs for _, packs in promise.of_pack(market.pack)] == [2]
    with pytest.raises(InvalidInput, match=r"shipment\.more"):
        sends(market, order_id, 3)
    sends(market, order_id, 2)
    assert stands(market, order_id) == ("SHIPPED", 8_800, (8, 0))


def test_all_packs_by_their_number_call_the_order_off_with_its_freight(app: Flask) -> None:
    market, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (market.pack, 1))  # ¥88.00 and ¥8.00 freight
    agreed(market, asks(buyer, order_id, 1))
    assert stands(market, order_id) == ("CANCELLED", 9_600, (10, 0))
    assert trade.order(order_id).payment == "REFUNDED"


def test_the_last_of_them_one_by_one_call_it_off_too(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    for _ in range(2):
        agreed(market, asks(buyer, order_id, 1))
    assert stands(market, order_id) == ("READY", 17_600, (10, 1))
    agreed(market, asks(buyer, order_id, 1))
    assert stands(market, order_id) == ("CANCELLED", 26_400, (10, 0))


def test_all_of_the_money_of_what_was_sent_in_part_ends_the_sending(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    sends(market, order_id, 1)
    agreed(market, asks(buyer, order_id, fen=26_400))
    assert stands(market, order_id) == ("SHIPPED", 26_400, (9, 0))
    transaction(lambda: received.confirm(order_id, actor=buyer))


def test_of_a_line_that_was_sent_in_part_one_must_say_which_packs(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    sends(market, order_id, 2)
    with pytest.raises(InvalidInput, match=r"return\.which"):
        asks(buyer, order_id, 1)
    for packs, unsent in ((2, 2), (3, 0), (1, -1), (1, 2), (4, 1)):
        with pytest.raises(InvalidInput, match=r"return\.packs"):
            asks(buyer, order_id, packs, unsent=unsent)
    agreed(market, asks(buyer, order_id, 1, unsent=0))  # a broken one comes back, the third is sent still
    assert stands(market, order_id) == ("PARTLY_SHIPPED", 8_800, (8, 1))
    sends(market, order_id, 1)
    assert stands(market, order_id) == ("SHIPPED", 8_800, (7, 0))


def test_what_leaves_before_the_answer_comes_back_instead(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    request_id = asks(buyer, order_id, 1)
    sends(market, order_id, 3)
    agreed(market, request_id)
    assert stands(market, order_id) == ("SHIPPED", 8_800, (7, 0))
    assert db.session.get_one(ReturnRequest, request_id).unsent is None


@pytest.mark.parametrize("refuse", [return_request.refuse, return_request.withdraw])
def test_what_is_not_agreed_to_takes_nothing_off(at: tuple[Market, Actor, int], refuse: Callable[..., Any]) -> None:
    market, buyer, order_id = at
    request_id = asks(buyer, order_id, 1)
    if refuse is return_request.refuse:
        transaction(lambda: return_request.refuse(request_id, "已经打包", actor=market.director))
    else:
        transaction(lambda: return_request.withdraw(request_id, actor=buyer))
    assert stands(market, order_id) == ("READY", 0, (10, 3))


def test_what_was_asked_of_an_order_that_is_cancelled_waits_for_nobody(at: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = at
    request_id = asks(buyer, order_id, 1, unsent=1)
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    assert stands(market, order_id) == ("CANCELLED", 26_400, (10, 0))
    request = db.session.get_one(ReturnRequest, request_id)
    assert (request.state, request.answered_by_id) == ("WITHDRAWN", buyer.person_id)
    assert return_request.open_of(order_id) is None
