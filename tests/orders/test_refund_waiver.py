"""A refund that was refused holds the split until it is made again, or two people give it up; what was divided, nobody takes alone."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.orders import cancellation, order_refund, received, refund_reissue, return_request, shipment
from marketplace.orders.order import lines_of, locked_order
from marketplace.organisations.approval import OwnWork
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments import refund_news, refund_waiver
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GIVEN_UP, Refund
from marketplace.payments.refund_waiver import RefundWaiver
from marketplace.reporting import books, money_health
from marketplace.settlement import settlement
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.web.work_desk import browser

PAYEE = ("王小明", "6217 0000 1111 2222", "靖安农商银行")


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market(on_hand=20)


def refused(market: Market, fen: int = 3_000) -> int:
    """A refund of two tins, bought and received, that the channel refused for good; its id."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    trade.shipped(market, order_id)
    transaction(lambda: received.confirm(order_id, actor=buyer))
    number = transaction(lambda: order_refund.pay_back(locked_order(order_id), fen, "少了", person_id=None)[0])
    transaction(lambda: refunds.fail(number, "ACQ.TRADE_HAS_FINISHED"))
    return number


def order_of(number: int) -> int:
    order_id = db.session.get_one(Refund, number).order_id or 0
    db.session.rollback()
    return order_id


def asked(market: Market, number: int) -> int:
    return transaction(lambda: refund_reissue.waive(number, "买家同意留下货", actor=market.accountant).id)


def settled(order_id: int) -> int:
    with clock.travel(clock.now() + timedelta(days=8)):
        return transaction(lambda: settlement.settle(order_id)).base_fen


def unsound() -> list[str]:
    db.session.rollback()
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


@pytest.mark.both
def test_two_people_give_it_up_and_the_order_is_divided_whole(market: Market) -> None:
    number = refused(market)
    order_id = order_of(number)
    with pytest.raises(Conflict, match=r"settlement\.refund_refused"):
        settled(order_id)
    row = asked(market, number)
    with pytest.raises(Conflict, match=r"waiver\.open"):
        asked(market, number)
    with pytest.raises(NotAllowed), transaction():
        refund_reissue.decide_waiver(row, version=1, approved=True, actor=market.accountant)
    own = transaction(lambda: refund_reissue.decide_waiver(row, version=1, approved=False, reason="买家要退", actor=market.director))
    assert own.state == "RETURNED"
    by_director = transaction(lambda: refund_reissue.waive(number, "买家来电说不退了", actor=market.director).id)
    with pytest.raises(OwnWork), transaction():
        refund_reissue.decide_waiver(by_director, version=1, approved=True, actor=market.director)
    another = refused(market)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        refund_reissue.waive(another, " ", actor=market.accountant)
    other = builders.person(market.cooperative, "director")
    transaction(lambda: refund_reissue.decide_waiver(by_director, version=1, approved=True, actor=other))
    assert db.session.get_one(Refund, number).sub_code == GIVEN_UP
    db.session.rollback()
    with pytest.raises(Conflict, match=r"refund\.given_up"), transaction():
        refund_reissue.resend(number, actor=market.accountant)
    with pytest.raises(Conflict, match=r"waiver\.decided|refund\.given_up"), transaction():
        refund_reissue.decide_waiver(by_director, version=1, approved=True, actor=other)
    assert settled(order_id) == 17_600
    assert unsound() == []
    assert next(each.count for each in money_health.standing(market.cooperative) if each.name == "refused_refunds") == 1  # the other one's
    # That it had left is still news, and then the shares pay.
    transaction(lambda: refund_news.left(number))
    assert trade.held(market, "alipay") == 4 * 8_800 + 2 * trade.order(order_id).freight_fen - 3_000
    assert unsound() == []


def test_money_that_would_be_nobodys_cannot_be_given_up(market: Market) -> None:
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 1))
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    called_off = db.session.scalars(select(Refund.id)).one()
    db.session.rollback()
    transaction(lambda: refunds.fail(called_off, "ACQ.REFUSED"))
    with pytest.raises(Conflict, match=r"waiver\.buyers"):
        asked(market, called_off)
    came_back = refused(market)
    again = transaction(lambda: refund_reissue.resend(came_back, actor=market.accountant).id)
    transaction(lambda: refunds.succeed(again))
    settled(order_of(again))
    transaction(lambda: refunds.fail(again, "expired_or_canceled_card", came_back=True))
    with pytest.raises(Conflict, match=r"waiver\.buyers"):
        asked(market, again)


@pytest.mark.parametrize("what", ["resent", "left"])
def test_nobody_decides_about_what_was_made_again_or_had_left(market: Market, what: str) -> None:
    number = refused(market)
    row = asked(market, number)
    if what == "resent":
        transaction(lambda: refund_reissue.resend(number, actor=market.accountant))
    else:
        transaction(lambda: refund_news.left(number))
    dropped = db.session.get_one(RefundWaiver, row)
    assert (dropped.state, dropped.answer) == ("RETURNED", refund_waiver.MADE_AGAIN)
    db.session.rollback()
    with pytest.raises(Conflict), transaction():
        refund_reissue.decide_waiver(row, version=1, approved=True, actor=market.director)
    stranger = builders.market(name="土蜂蜜合作社", category="honey")
    with pytest.raises(NotFound), transaction():
        refund_reissue.decide_waiver(row, version=1, approved=True, actor=stranger.director)


@pytest.mark.both
def test_what_would_take_shares_now_is_not_sent_again_by_one_person(market: Market) -> None:
    """Approved before the split it came back after it; meanwhile two people gave the buyer what lay undivided. Once more would take shares."""
    number = refused(market)
    again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    transaction(lambda: refunds.succeed(again))
    order_id = order_of(again)
    settled(order_id)
    with clock.travel(clock.now() + timedelta(days=9)):
        transaction(lambda: refunds.fail(again, "expired_or_canceled_card", came_back=True))
        proposed = transaction(lambda: return_request.propose(order_id, 3_000, "卡退不回去，另退", actor=market.clerk)).id
        transaction(lambda: return_request.approve(proposed, actor=market.director))
        with pytest.raises(Conflict, match=r"refund\.divided"), transaction():
            refund_reissue.resend(again, actor=market.accountant)
        row = asked(market, again)
        transaction(lambda: refund_reissue.decide_waiver(row, version=1, approved=True, actor=market.director))
    assert unsound() == []


def test_what_went_back_elsewhere_is_not_sent_again(market: Market) -> None:
    """The refund of an order that was called off is refused; staff give a part of it back on the channel's pages: the rest goes."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    number, paid = db.session.scalars(select(Refund.id)).one(), trade.order(order_id).paid_fen
    payment_id = db.session.scalars(select(Payment.id)).one()
    said: Any = trade.succeeded(payment_id, at=clock.now(), refunded_fen=4_000, refund_no="CONSOLE-1", by_number=True)
    db.session.rollback()
    transaction(lambda: refunds.fail(number, "ACQ.REFUSED"))
    assert transaction(lambda: payments.apply(said)) == "refunded_elsewhere"
    page = browser(app_of(market), market.accountant).get(f"/cooperative/refunds/{db.session.get_one(Refund, number).public_id}").text
    assert "重办时还退" in page
    db.session.rollback()
    again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    assert db.session.get_one(Refund, again).fen == paid - 4_000
    assert unsound() == []


def app_of(_market: Market) -> Flask:
    from flask import current_app

    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]


def test_the_pages_say_what_is_waited_for_and_both_decide_there(app: Flask, market: Market) -> None:
    number = refused(market)
    order_id = order_of(number)
    public_id, order_public = db.session.get_one(Refund, number).public_id, trade.order(order_id).public_id
    address = f"/cooperative/refunds/{public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    with clock.travel(clock.now() + timedelta(days=8)):
        assert "理事长同意不再退，然后才能结算" in accountant.get(f"/cooperative/orders/{order_public}").text
        assert "退款没退成，等人重办" in accountant.get("/cooperative/money/orders?why=refund_refused").text
    assert "先不分账" in accountant.get(address).text
    assert accountant.post(f"{address}/waiver", data={"waiver_reason": ""}).status_code == 422
    assert accountant.post(f"{address}/waiver", data={"waiver_reason": "买家同意留下货"}).status_code == 303
    assert accountant.post(f"{address}/waiver", data={"waiver_reason": "买家同意留下货"}).status_code == 409
    waiting = accountant.get(address).text
    assert ("等理事长决定" in waiting, "同意不再退" in waiting) == (True, False)
    row = db.session.scalars(select(RefundWaiver.public_id)).one()
    decision = {"waiver": row, "version": 1, "decision": "return", "reason": ""}
    assert accountant.post(f"{address}/waiver/decision", data=decision).status_code == 403
    assert director.post(f"{address}/waiver/decision", data=decision).status_code == 422
    assert director.post(f"{address}/waiver/decision", data={**decision, "decision": "approve"}).status_code == 303
    assert "两个人同意了不再退" in accountant.get(address).text
    assert browser(app, builders.market(name="乙社").accountant).post(f"{address}/waiver", data={"waiver_reason": "买家"}).status_code == 404
    assert settled(order_id) == 17_600


@pytest.mark.both
def test_who_was_never_sent_the_goods_has_nothing_to_keep_instead(market: Market) -> None:
    """One of two tins was taken off before it left; the refund of it was refused, and so was what was made instead."""
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    (line,) = lines_of(order_id)
    transaction(lambda: shipment.ship(order_id, [(line.id, market.batch, 1)], "顺丰速运", actor=market.clerk))
    row = transaction(lambda: return_request.raise_request(order_id, 0, "不用这么多", actor=buyer, packs={line.id: 1}, unsent={line.id: 1}).id)
    transaction(lambda: return_request.approve(row, actor=market.clerk))
    number = db.session.scalars(select(Refund.id)).one()
    db.session.rollback()
    transaction(lambda: refunds.fail(number, "ACQ.TRADE_HAS_FINISHED"))
    again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    transaction(lambda: refunds.fail(again, "ACQ.TRADE_HAS_FINISHED"))
    with pytest.raises(Conflict, match=r"waiver\.buyers"):
        asked(market, again)
    assert unsound() == []
