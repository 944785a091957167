"""Returns of some of the goods: what comes back is what these packs cost, and no line gives back more than it has."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.orders import order_refund, refund_reissue, return_request
from marketplace.orders.order import Purchase, lines_of, locked_order
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.payments import refund as refunds
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.web.work_desk import browser


@pytest.fixture
def bought(app: Flask) -> tuple[Market, Actor, int]:
    """Two tins at ¥88.00 and one at ¥30.00, shipped."""
    market = builders.market()
    second = builders.pack(market.product, price_fen=3000, net_grams=20, name="20 克袋")
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2), (second, 1))
    trade.shipped(market, order_id)
    return market, buyer, order_id


def asked(order_id: int, buyer: Actor, *packs: int) -> ReturnRequest:
    lines = lines_of(order_id)
    wanted = {line.id: count for line, count in zip(lines, packs, strict=False) if count}
    db.session.rollback()
    made: Any = transaction(lambda: return_request.raise_request(order_id, 0, "罐子瘪了", actor=buyer, packs=wanted).id)
    return db.session.get_one(ReturnRequest, made)


def test_one_of_two_tins_comes_back_and_its_line_alone_counts_it(bought: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = bought
    request = asked(order_id, buyer, 1)
    assert request.fen == 8800
    number = request.id
    db.session.rollback()
    transaction(lambda: return_request.approve(number, actor=market.director))
    db.session.expire_all()
    assert [line.refunded_fen for line in lines_of(order_id)] == [8800, 0]
    rest = asked(order_id, buyer, 2, 1)
    assert rest.fen == 11_800  # what is left of both lines
    number = rest.id
    db.session.rollback()
    transaction(lambda: return_request.approve(number, actor=market.director))
    assert [line.refunded_fen for line in lines_of(order_id)] == [17_600, 3000]
    assert [each.detail for each in books.check() if not each.ok] == []


@pytest.mark.parametrize("packs", [(3,), (0, 2)])
def test_more_packs_than_were_bought_are_refused(bought: tuple[Market, Actor, int], packs: tuple[int, ...]) -> None:
    _, buyer, order_id = bought
    with pytest.raises(InvalidInput):
        asked(order_id, buyer, *packs)


def test_the_buyer_chooses_packs_on_the_page_and_the_cooperative_sees_them(app: Flask, bought: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = bought
    order = trade.order(order_id)
    purchase = db.session.scalars(select(Purchase.public_id)).one()
    address = f"/orders/{purchase}/return/{order.public_id}"
    public_id = order.public_id
    client = browser(app, buyer)
    assert client.post(address, data={"packs-1": "x", "reason": "罐子瘪了"}).status_code == 422
    assert client.post(address, data={"packs-1": "1", "yuan": "999", "reason": "罐子瘪了"}).status_code == 303
    seen = browser(app, market.director).get(f"/cooperative/orders/{public_id}").text
    assert "50 克罐 × 1 · ¥88.00" in seen
    request = db.session.scalars(select(ReturnRequest.id)).one()
    db.session.rollback()
    transaction(lambda: return_request.approve(request, actor=market.director))
    assert "正在退回" in client.get(f"/orders/{purchase}").text


@pytest.mark.both
def test_a_refund_of_one_line_that_fails_is_counted_back_and_made_again_for_that_line_alone(bought: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = bought

    def refund_of(*packs: int) -> int:
        number = asked(order_id, buyer, *packs).id
        db.session.rollback()
        return int(transaction(lambda: return_request.approve(number, actor=market.director).refund_id) or 0)

    def counted() -> list[int]:
        db.session.expire_all()
        return [line.refunded_fen for line in lines_of(order_id)]

    tin, bag = refund_of(1, 0), refund_of(0, 1)
    assert counted() == [8800, 3000]
    transaction(lambda: refunds.fail(bag, "ACQ.TRADE_HAS_FINISHED"))
    assert counted() == [8800, 0]
    transaction(lambda: refunds.fail(tin, "ACQ.TRADE_HAS_FINISHED"))
    assert counted() == [0, 0]
    again = transaction(lambda: refund_reissue.resend(tin, actor=market.accountant).id)
    assert counted() == [8800, 0]
    proposal = transaction(lambda: refund_reissue.propose(bag, "李四", "6222000011112222", "农商行", actor=market.accountant).id)
    transaction(lambda: refund_reissue.decide(proposal, approved=True, actor=market.director))
    assert counted() == [8800, 3000]
    transaction(lambda: refunds.fail(again, "ACQ.TRADE_HAS_FINISHED"))
    assert counted() == [0, 3000]
    assert [each.detail for each in books.check() if not each.ok] == []


def test_freight_that_fails_to_go_back_comes_back_as_freight(app: Flask) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 1))
    goods = sum(line.goods_fen for line in lines_of(order_id))
    freight = trade.order(order_id).total_fen - goods
    assert freight > 0

    def back(fen: int) -> int:
        return int(transaction(lambda: order_refund.pay_back(locked_order(order_id), fen, "退", person_id=None)[0]))

    back(goods)
    only = back(freight)
    transaction(lambda: refunds.fail(only, "ACQ.TRADE_HAS_FINISHED"))
    db.session.expire_all()
    assert sum(line.refunded_fen for line in lines_of(order_id)) == goods == trade.order(order_id).refunded_fen
    transaction(lambda: refund_reissue.resend(only, actor=market.accountant))
    assert trade.order(order_id).refunded_fen == goods + freight
