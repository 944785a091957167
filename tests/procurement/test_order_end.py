"""An order that was taken on and cannot be, or is not wanted any more: either side can end it while nothing was sent and no money is there."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.notices import message
from marketplace.notices.message import Message
from marketplace.orders import return_request
from marketplace.orders.order import WrongState
from marketplace.orders.return_request import ReturnRequest
from marketplace.payments import match_undo
from marketplace.procurement import order_end, pay_deadline
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.order_end import EndRequest
from marketplace.reporting import books
from tests import builders
from tests.orders import trade
from tests.procurement.unit_market import UnitMarket, confirmed, match, order_of, receipt, ship, unit_market
from tests.web.work_desk import browser

pytestmark = pytest.mark.both


@pytest.fixture
def at(app: Flask) -> UnitMarket:
    return unit_market()


def stands(at: UnitMarket, made: int) -> tuple[str, str, tuple[int, int]]:
    """(the unit's side, fulfilment, what is on hand and reserved)."""
    db.session.expire_all()
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
    return db.session.get_one(DirectedOrder, made).approval, order_of(made).fulfilment, trade.free(at.market.pack)


def told(person_id: int) -> list[str]:
    """Subject and text of what came into somebody's inbox."""
    rows = db.session.scalars(select(Message).where(Message.person_id == person_id).order_by(Message.id))
    return ["\n".join(message.said(row, "zh")) for row in rows]


@pytest.mark.parametrize("terms", ["POSTPAY", "PREPAY"])
def test_the_cooperative_gives_up_what_it_took_on_and_the_unit_is_told_why(at: UnitMarket, terms: str) -> None:
    made = confirmed(at, 10, terms=terms)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        order_end.give_up(made, " ", actor=at.market.director)
    with pytest.raises(NotFound), transaction():
        order_end.give_up(made, "没有货了", actor=builders.market(name="别家").director)
    with pytest.raises(NotAllowed), transaction():
        order_end.give_up(made, "没有货了", actor=at.market.accountant)
    transaction(lambda: order_end.give_up(made, "采摘遇冻害，没有货了", actor=at.market.director))
    assert stands(at, made) == ("DECLINED", "CANCELLED", (100, 0))
    for person in (at.buyer, at.approver):
        (said,) = told(person.person_id)
        assert "采摘遇冻害，没有货了" in said
    with pytest.raises(Conflict, match=r"directed_order\.state"), transaction():
        order_end.give_up(made, "再来一次", actor=at.market.director)


def test_the_unit_asks_and_the_cooperative_agrees(at: UnitMarket) -> None:
    made = confirmed(at, 10)
    asked = transaction(lambda: order_end.ask(made, "活动取消了", actor=at.buyer).id)
    assert stands(at, made) == ("CONFIRMED", "READY", (100, 10)), "until the cooperative agrees, it stands"
    with pytest.raises(Conflict, match=r"end\.open"), transaction():
        order_end.ask(made, "活动取消了", actor=at.approver)
    with pytest.raises(NotFound), transaction():
        order_end.decide(asked, approved=True, version=1, actor=builders.market(name="别家").director)
    assert "活动取消了" in told(at.market.director.person_id)[0]
    transaction(lambda: order_end.decide(asked, approved=True, version=1, actor=at.market.clerk))
    assert stands(at, made) == ("CANCELLED", "CANCELLED", (100, 0))
    assert "同意取消" in told(at.buyer.person_id)[0]
    with pytest.raises(Conflict), transaction():
        order_end.decide(asked, approved=True, version=1, actor=at.market.clerk)


def test_the_cooperative_says_no_and_why_or_the_unit_wants_it_after_all(at: UnitMarket) -> None:
    made = confirmed(at, 10)
    asked = transaction(lambda: order_end.ask(made, "活动取消了", actor=at.buyer).id)
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        order_end.decide(asked, approved=False, version=1, actor=at.market.clerk)
    transaction(lambda: order_end.decide(asked, approved=False, version=1, reason="已经炒好装箱", actor=at.market.clerk))
    assert "已经炒好装箱" in told(at.buyer.person_id)[0]
    again = transaction(lambda: order_end.ask(made, "真的不要了", actor=at.approver).id)
    with pytest.raises(NotFound), transaction():
        order_end.withdraw(again, actor=builders.person(builders.unit("别的单位"), "buyer"))
    transaction(lambda: order_end.withdraw(again, actor=at.buyer))
    assert [each.state for each in order_end.of_order(made)] == ["WITHDRAWN", "RETURNED"]
    assert stands(at, made) == ("CONFIRMED", "READY", (100, 10))
    ship(at, made, 10)


def test_what_was_sent_or_paid_is_not_ended_like_this(at: UnitMarket) -> None:
    sent = confirmed(at, 10, key="sent")
    asked = transaction(lambda: order_end.ask(sent, "活动取消了", actor=at.buyer).id)
    ship(at, sent, 1)
    paid = confirmed(at, 10, key="paid")
    match(at, receipt(at, 1_000), paid, 1_000)
    for made, error in ((sent, WrongState), (paid, Conflict)):
        with pytest.raises(error), transaction():
            order_end.give_up(made, "没有货了", actor=at.market.director)
        with pytest.raises(error), transaction():
            order_end.ask(made, "活动取消了", actor=at.buyer)
    with pytest.raises(WrongState), transaction():
        order_end.decide(asked, approved=True, version=1, actor=at.market.clerk)
    assert stands(at, sent)[:2] == ("CONFIRMED", "PARTLY_SHIPPED")


def test_giving_up_answers_what_the_unit_asked(at: UnitMarket) -> None:
    made = confirmed(at, 10)
    transaction(lambda: order_end.ask(made, "活动取消了", actor=at.buyer))
    transaction(lambda: order_end.give_up(made, "正好没有货了", actor=at.market.director))
    assert [each.state for each in order_end.of_order(made)] == ["APPROVED"]


def test_on_the_pages(app: Flask, at: UnitMarket) -> None:
    made, other = confirmed(at, 10), confirmed(at, 10, key="other")
    rows = {number: db.session.get_one(DirectedOrder, number).public_id for number in (made, other)}
    unit, seller = browser(app, at.buyer), browser(app, at.market.director)
    page, desk = f"/unit/orders/{rows[made]}", "/cooperative/unit-orders"
    assert "请合作社同意取消" in unit.get(page).text
    assert unit.post(f"{page}/end", data={"end_reason": ""}).status_code == 422
    assert unit.post(f"{page}/end", data={"end_reason": "活动取消了"}).status_code == 302
    assert "等合作社答复" in unit.get(page).text
    assert ("采购单位请求取消：活动取消了" in seller.get(desk).text, "供不了货" in seller.get(desk).text) == (True, True)
    asked = db.session.scalars(select(EndRequest.public_id)).one()
    assert browser(app, at.market.accountant).post(f"{desk}/end/{asked}", data={"decision": "approve", "version": "1"}).status_code == 403
    assert seller.post(f"{desk}/end/{asked}", data={"decision": "approve", "version": "1"}).status_code == 302
    assert "这张单结束了" in unit.get(page).text
    assert seller.post(f"{desk}/{rows[other]}/end", data={"end_reason": "没有货了"}).status_code == 302
    assert "没有货了" in unit.get(f"/unit/orders/{rows[other]}").text
    assert "没有货了" in seller.get(desk).text


def test_what_was_asked_is_answered_when_the_order_ends_otherwise(at: UnitMarket) -> None:
    """Its time to pay ran out; or all that had been paid went back."""
    late, paid = confirmed(at, 10, terms="PREPAY", key="late"), confirmed(at, 5, key="paid")
    for made in (late, paid):
        transaction(lambda made=made: order_end.ask(made, "活动取消了", actor=at.buyer))  # type: ignore[misc]
    match(at, receipt(at, 1_000), paid, 1_000)
    order_id = order_of(paid).id
    row = transaction(lambda: return_request.raise_request(order_id, 1_000, "活动取消了", actor=at.buyer).id)
    transaction(lambda: return_request.approve(row, actor=at.market.clerk))
    with clock.travel(clock.now() + timedelta(days=31 + pay_deadline.LATEST_DAYS)):
        transaction(lambda: pay_deadline.lapse(late))
    assert [stands(at, made)[:2] for made in (late, paid)] == [("CANCELLED", "CANCELLED")] * 2
    assert [[each.state for each in order_end.of_order(made)] for made in (late, paid)] == [["APPROVED"]] * 2
    assert order_end.open_at(at.market.cooperative) == {}


def test_money_that_was_asked_back_is_no_question_any_more_once_the_order_has_ended(at: UnitMarket) -> None:
    made = confirmed(at, 10)
    number = match(at, receipt(at, 1_000), made, 1_000)
    order_id = order_of(made).id
    row = transaction(lambda: return_request.raise_request(order_id, 1_000, "付错了", actor=at.buyer).id)
    undo = transaction(lambda: match_undo.ask(number, "核错了单", actor=at.market.accountant).id)
    transaction(lambda: match_undo.decide(undo, version=1, approved=True, actor=at.market.director))
    transaction(lambda: order_end.give_up(made, "没有货了", actor=at.market.director))
    assert (stands(at, made)[0], db.session.get_one(ReturnRequest, row).state) == ("DECLINED", "WITHDRAWN")
