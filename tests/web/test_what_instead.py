"""What cannot be done any more says on its page what to do instead, in amounts."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.orders import order_refund
from marketplace.orders.order import locked_order
from marketplace.organisations.actor import Actor
from marketplace.payments import match_undo
from marketplace.payments.bank_statement import BankMatch
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.payment import Payment
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.price_cut import PriceCut
from marketplace.settlement import settlement
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
from tests.web.work_desk import browser

WORDS = {"gone": "已经退过 80.00 元", "left": "请把没有退的 720.00 元也退给付款人", "all": "已经全部退给付款人，不用再撤销核销"}


def today() -> str:
    return f"{clock.business_date():%Y-%m-%d}"


def matched_and_short(at: UnitMarket) -> tuple[int, int]:
    """Ten were paid for and nine came: ¥80.00 of the match go back. The order's and the match's numbers."""
    made = confirmed(at, 10, terms="PREPAY")
    match_id = match(at, receipt(at, 80_000, day=today()), made, 80_000)
    ship(at, made, 9)
    accept(at, made, 9, 1)
    return made, match_id


def page_of(match_id: int) -> str:
    payment = db.session.get_one(Payment, db.session.get_one(BankMatch, match_id).payable_id)
    return f"/cooperative/bank/matches/{payment.public_id}/undo"


@pytest.mark.both
def test_a_match_of_which_a_part_went_back_is_not_undone_and_the_rest_goes_to_the_payer(app: Flask) -> None:
    at = unit_market()
    made, match_id = matched_and_short(at)
    client = browser(app, at.market.accountant)
    refused = client.post(page_of(match_id), data={"reason": "核到别的单位去了"})
    assert (refused.status_code, [word for word in WORDS if WORDS[word] in refused.text]) == (409, ["gone", "left"])
    transaction(lambda: order_refund.pay_back(locked_order(order_of(made).id), 72_000, "核错了", person_id=at.market.director.person_id))
    refused = client.post(page_of(match_id), data={"reason": "核到别的单位去了"})
    assert (refused.status_code, [word for word in WORDS if WORDS[word] in refused.text]) == (409, ["all"])
    assert db.session.query(MatchUndo).count() == 0


def test_the_director_reads_it_too_if_it_went_back_meanwhile(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    match_id = match(at, receipt(at, 80_000, day=today()), made, 80_000)
    undo = transaction(lambda: match_undo.ask(match_id, "核到别的单位去了", actor=at.market.accountant).public_id)
    transaction(lambda: order_refund.pay_back(locked_order(order_of(made).id), 8_000, "少了", person_id=at.market.director.person_id))
    director = browser(app, at.market.director)
    refused = director.post(f"/cooperative/bank/undos/{undo}", data={"decision": "approve", "version": "1"})
    assert (refused.status_code, [word for word in WORDS if WORDS[word] in refused.text]) == (409, ["gone", "left"])
    assert director.post(f"/cooperative/bank/undos/{undo}", data={"decision": "return", "version": "1", "reason": "已经退过一部分"}).status_code == 302


def cut(app: Flask, who: Actor, made: int) -> tuple[int, str]:
    path = f"/unit/orders/{db.session.get_one(DirectedOrder, made).public_id}/cut"
    answer = browser(app, who).post(path, data={"cut": "100", "cut_reason": "两罐受潮", "idempotency_key": "c1"})
    return answer.status_code, answer.text


def test_a_receivable_whose_shares_are_divided_is_not_cut_but_paid_and_refunded(app: Flask) -> None:
    with clock.travel(clock.now() - timedelta(days=20)):
        at = unit_market()
        made = confirmed(at, 10)
        ship(at, made, 10)
        accept(at, made, 10)
    match_id = match(at, receipt(at, 80_000, day=today()), made, 80_000)
    transaction(lambda: settlement.settle(order_of(made).id))
    undo = transaction(lambda: match_undo.ask(match_id, "核到别的单位去了", actor=at.market.accountant).id)
    transaction(lambda: match_undo.decide(undo, version=1, approved=True, actor=at.market.director))
    status, said = cut(app, at.buyer, made)
    assert (status, "请单位先照单付清，再请合作社在订单上退要减的钱" in said, "从各方的份额里扣" in said) == (409, True, True)
    assert db.session.query(PriceCut).count() == 0
