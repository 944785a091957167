"""A transfer back that was agreed is called off by two people before anybody makes it: the money is where it was, and somebody says what becomes of it."""

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.orders import refund_call_off, refund_reissue
from marketplace.organisations.approval import OwnWork
from marketplace.payments import bank_refund
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.refund_recall import RECALLED, RefundRecall
from marketplace.reporting import books, money_health, payment_story
from marketplace.web import payment_words
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.orders.test_refund_waiver import order_of, refused
from tests.web.work_desk import browser

PAYEE = ("王小明", "6217 0000 1111 2222", "靖安农商银行")
WHY = "买家来电话，要退到另一张卡上"
FEN = 3_000


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market(on_hand=20)


def agreed(market: Market) -> int:
    """A refund that the channel refused and that goes over the bank, as two people agreed; its id."""
    failed = refused(market, FEN)
    asked = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant).id)
    return transaction(lambda: refund_reissue.decide(asked, approved=True, actor=market.director).refund_id or 0)


def asked(market: Market, number: int) -> int:
    return transaction(lambda: refund_call_off.ask(number, WHY, actor=market.accountant).id)


def unsound() -> list[str]:
    db.session.rollback()
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


def waits(name: str) -> int:
    db.session.rollback()
    return next(each.count for each in money_health.standing() if each.name == name)


@pytest.mark.both
def test_it_is_called_off_by_two_people_and_made_again_to_another(market: Market) -> None:
    number = agreed(market)
    paid, order_id = trade.held(market, "buyer_funds") + FEN, order_of(number)
    row = asked(market, number)
    assert asked(market, number) == row
    # Until the director has answered nobody says that it was transferred, and nobody names another payee.
    with pytest.raises(Conflict, match=r"recall\.open"), transaction():
        bank_refund.record(number, "BOC2026112500017", clock.business_date(), actor=market.accountant)
    its = db.session.scalars(select(BankRefund.id).where(BankRefund.refund_id == number)).one()
    db.session.rollback()
    with pytest.raises(Conflict, match=r"recall\.open"), transaction():
        refund_reissue.correct(its, *PAYEE, actor=market.accountant)
    transaction(lambda: refund_call_off.decide(row, version=1, approved=True, actor=market.director))
    refund = db.session.get_one(Refund, number)
    assert (refund.state, refund.sub_code, db.session.get_one(BankRefund, its).state) == ("failed", RECALLED, "RETURNED")
    assert [trade.held(market, kind) for kind in ("buyer_funds", "refunds_payable", "bank")] == [paid, 0, 0]
    assert (trade.order(order_id).refunded_fen, waits("refused_refunds"), waits("refunds_to_transfer")) == (0, 1, 0)
    with pytest.raises(Conflict, match=r"transfer|refund"), transaction():
        bank_refund.record(number, "BOC2026112500017", clock.business_date(), actor=market.accountant)
    with pytest.raises(Conflict, match=r"recall\.decided"), transaction():
        refund_call_off.decide(row, version=2, approved=True, actor=market.director)
    again = transaction(lambda: refund_reissue.propose(number, "王大明", "6217000011113333", "靖安农商银行", actor=market.accountant).id)
    made = transaction(lambda: refund_reissue.decide(again, approved=True, actor=market.director).refund_id or 0)
    transaction(lambda: bank_refund.record(made, "BOC2026112500017", clock.business_date(), actor=market.accountant))
    assert [trade.held(market, kind) for kind in ("buyer_funds", "refunds_payable", "bank")] == [paid - FEN, 0, -FEN]
    assert (trade.order(order_id).refunded_fen, unsound()) == (FEN, [])
    db.session.rollback()
    told = [each.kind for each in payment_story.story(db.session.get_one(Payment, db.session.get_one(Refund, number).payment_id))]
    assert (told.count("refund_recalled"), set(told) <= set(payment_words.STEPS)) == (1, True)


@pytest.mark.both
def test_it_stands_if_the_director_says_no_and_nobody_decides_alone_or_of_anothers(market: Market) -> None:
    number = agreed(market)
    other = builders.market(name="另一家")
    for who, trouble in ((market.clerk, NotAllowed), (other.accountant, NotFound), (builders.customer(), NotAllowed)):
        with pytest.raises(trouble), transaction():
            refund_call_off.ask(number, WHY, actor=who)
    for words in ("", "  不  ", "长" * 301):
        with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
            refund_call_off.ask(number, words, actor=market.accountant)
    row = transaction(lambda: refund_call_off.ask(number, WHY, actor=market.director).id)
    with pytest.raises(OwnWork), transaction():
        refund_call_off.decide(row, version=1, approved=True, actor=market.director)
    second = builders.person(market.cooperative, "director")
    with pytest.raises(InvalidInput, match=r"reason\.missing"), transaction():
        refund_call_off.decide(row, version=1, approved=False, actor=second)
    for who, error in ((market.accountant, NotAllowed), (other.director, NotFound)):
        with pytest.raises(error), transaction():
            refund_call_off.decide(row, version=1, approved=True, actor=who)
    transaction(lambda: refund_call_off.decide(row, version=1, approved=False, reason="已经和买家说好了", actor=second))
    transaction(lambda: bank_refund.record(number, "BOC2026112500017", clock.business_date(), actor=market.accountant))
    assert (db.session.get_one(Refund, number).state, trade.held(market, "bank"), unsound()) == ("succeeded", -FEN, [])
    with pytest.raises(Conflict, match=r"recall\.state"), transaction():
        refund_call_off.ask(number, WHY, actor=market.accountant)


def test_one_question_at_a_time(market: Market) -> None:
    """Another payee is proposed: first that is answered."""
    number = agreed(market)
    its = db.session.scalars(select(BankRefund.id).where(BankRefund.refund_id == number)).one()
    db.session.rollback()
    other = transaction(lambda: refund_reissue.correct(its, "王大明", "6217000011113333", "靖安农商银行", actor=market.accountant).id)
    with pytest.raises(Conflict, match=r"refund\.proposed"):
        asked(market, number)
    transaction(lambda: refund_reissue.decide(other, approved=False, reason="还是原来的", actor=market.director))
    row = asked(market, number)
    transaction(lambda: refund_call_off.decide(row, version=1, approved=True, actor=market.director))
    assert db.session.get_one(Refund, number).sub_code == RECALLED


def test_from_page_to_page(app: Flask, market: Market) -> None:
    number = agreed(market)
    public_id = db.session.get_one(Refund, number).public_id
    db.session.rollback()
    clerk, director = browser(app, market.accountant), browser(app, market.director)
    path = f"/cooperative/refunds/{public_id}"
    assert "不转了" in clerk.get(path).text
    assert clerk.post(f"{path}/recall", data={"recall_reason": "不"}).status_code == 422
    assert clerk.post(f"{path}/recall", data={"recall_reason": WHY}).status_code == 303
    waiting = clerk.get(path).text
    assert ("答复以前请不要转账" in waiting, "银行流水号" in waiting, "同意不转" in waiting) == (True, False, False)
    recall = db.session.scalars(select(RefundRecall.public_id)).one()
    db.session.rollback()
    form = {"recall": recall, "version": "1"}
    assert clerk.post(f"{path}/recall/decision", data=form | {"decision": "approve"}).status_code == 403
    no = director.post(f"{path}/recall/decision", data=form | {"decision": "return"})
    assert (no.status_code, 'href="#recall_decision_reason"' in no.text, 'id="recall_decision_reason"' in no.text) == (422, True, True)
    assert director.post(f"{path}/recall/decision", data=form | {"decision": "approve"}).status_code == 303
    page = clerk.get(path).text
    assert ("没有转，作废" in page, "重新转账" in page, "不用退了" in page, WHY in page, "两个人同意不转了" in page) == (True, True, True, True, True)
    payee = {"way": "bank", "payee_name": "王大明", "payee_account": "6217000011113333", "payee_bank": "靖安农商银行"}
    assert clerk.post(f"{path}/again", data=payee).status_code == 303
    proposal = db.session.scalars(select(BankRefund.public_id).where(BankRefund.state == "PROPOSED")).one()
    db.session.rollback()
    assert "王大明" in director.get(path).text
    assert director.post(f"{path}/payee", data={"proposal": proposal, "decision": "approve"}).status_code == 303
    assert "没有转，作废" in clerk.get("/cooperative/refunds?view=failed").text
