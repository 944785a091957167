"""A match that was wrong is undone by two people, with its trail; what was settled is not; what goes back over the bank is noted once."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.organisations.person import grant
from marketplace.payments import match_undo
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.procurement import scorecard
from marketplace.reporting import books
from marketplace.settlement import settlement
from tests import builders
from tests.builders_people import operator, person
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
from tests.statements import counted, repeated
from tests.web.work_desk import browser, rows_of

YEAR = clock.business_date().year


def today() -> str:
    return f"{clock.business_date():%Y-%m-%d}"


def outside(match_id: int) -> str:
    """What a match is called outside: the payment that it made."""
    return db.session.get_one(Payment, db.session.get_one(BankMatch, match_id).payable_id).public_id


def sound() -> bool:
    return all(each.ok for each in books.check())


def asked(app: Flask, at: UnitMarket, match_id: int) -> str:
    """The accountant asked to undo a match; where the director decides."""
    client = browser(app, at.market.accountant)
    path = f"/cooperative/bank/matches/{outside(match_id)}/undo"
    assert client.post(path, data={"reason": ""}).status_code == 422
    assert client.post(path, data={"reason": "核到别的单位去了"}).status_code == 302
    assert client.post(path, data={"reason": "再来一次"}).status_code == 409
    return f"/cooperative/bank/undos/{db.session.query(MatchUndo).order_by(MatchUndo.id.desc()).first().public_id}"  # type: ignore[union-attr]


@pytest.mark.both
@pytest.mark.parametrize("when", ["before acceptance", "after acceptance", "paid first, then accepted"])
def test_two_people_undo_a_match_and_everything_is_as_before(app: Flask, when: str) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    if when == "after acceptance":
        ship(at, made, 10)
        accept(at, made, 10)
    received = receipt(at, 90_000, day=today())
    match_id = match(at, received, made, 80_000)
    if when == "paid first, then accepted":
        ship(at, made, 10)
        accept(at, made, 10)
    book = order_of(made).organisation_id
    assert scorecard.figures(at.unit, YEAR).paid_fen == 80_000
    decide = asked(app, at, match_id)
    form = {"decision": "approve", "version": "1"}
    assert browser(app, at.market.accountant).post(decide, data=form).status_code == 403
    assert browser(app, builders.market(name="乙社").director).post(decide, data=form).status_code == 404
    director = browser(app, at.market.director)
    assert "核到别的单位去了" in director.get("/cooperative/bank/matches").text
    assert director.post(decide, data={**form, "version": "7"}).status_code == 409
    assert director.post(decide, data=form).status_code == 302
    assert director.post(decide, data=form).status_code == 409
    db.session.expire_all()
    order, row = order_of(made), db.session.get_one(BankReceipt, received)
    assert (order.paid_fen, order.payment, row.matched_fen, row.state) == (0, "UNPAID", 0, "imported")
    assert (balance.held("unapplied", book), balance.held("buyer_funds", book)) == (90_000, 0)
    owed = 0 if when == "before acceptance" else 80_000
    assert (balance.held("receivable", book), balance.held("accepted_unpaid", book)) == (owed, owed)
    assert scorecard.figures(at.unit, YEAR).paid_fen == 0
    assert sound()
    # The same money pays the right order afterwards.
    match(at, received, made, 80_000, key="again")
    assert order_of(made).payment == "PAID"
    assert balance.held("receivable", book) == 0
    assert sound()


def test_refused_it_stands(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    match_id = match(at, receipt(at, 80_000, day=today()), made, 80_000)
    decide = asked(app, at, match_id)
    director = browser(app, at.market.director)
    assert director.post(decide, data={"decision": "return", "version": "1"}).status_code == 422
    assert director.post(decide, data={"decision": "return", "version": "1", "reason": "没有错"}).status_code == 302
    assert order_of(made).payment == "PAID"
    assert "没有错" in browser(app, at.market.accountant).get("/cooperative/bank/matches").text
    sheet = rows_of(director.get("/cooperative/bank/matches?export=1").data)
    assert sheet[1][5] == 800.0


def test_one_person_is_never_both(app: Flask) -> None:
    at = unit_market()
    match_id = match(at, receipt(at, 80_000, day=today()), confirmed(at, 10), 80_000)
    with transaction():
        undo_id = match_undo.ask(match_id, "错了", actor=at.market.accountant).id
        grant(at.market.accountant.person_id, at.market.cooperative, "director")
    public_id = db.session.get_one(MatchUndo, undo_id).public_id
    answer = browser(app, at.market.accountant).post(f"/cooperative/bank/undos/{public_id}", data={"decision": "approve", "version": "1"})
    assert answer.status_code == 403
    assert db.session.get_one(MatchUndo, undo_id).state == "OPEN"


def test_what_was_divided_stays_divided_when_its_match_is_undone(app: Flask) -> None:
    with clock.travel(clock.now() - timedelta(days=20)):
        at = unit_market()
        made = confirmed(at, 10)
        ship(at, made, 10)
        accept(at, made, 10)
    match_id = match(at, receipt(at, 80_000, day=today()), made, 80_000)
    transaction(lambda: settlement.settle(order_of(made).id))
    pool = balance.by_owner("household_pool", at.market.cooperative)
    assert sum(pool.values()) > 0
    assert browser(app, at.market.director).post(asked(app, at, match_id), data={"decision": "approve", "version": "1"}).status_code == 302
    assert (order_of(made).owed_fen, balance.held("receivable", at.market.cooperative)) == (80_000, 80_000)
    assert balance.by_owner("household_pool", at.market.cooperative) == pool
    assert sound()


def test_a_year_that_is_over_keeps_what_it_said(app: Flask) -> None:
    from datetime import UTC, datetime

    with clock.travel(datetime(2025, 12, 30, 2, 0, tzinfo=UTC)):
        at = unit_market()
        made = confirmed(at, 10)
        ship(at, made, 10)
        accept(at, made, 10)
        match_id = match(at, receipt(at, 80_000, day="2025-12-30"), made, 80_000)
    with clock.travel(datetime(2026, 2, 1, 2, 0, tzinfo=UTC)):
        with transaction():
            undo = match_undo.ask(match_id, "核错了", actor=at.market.accountant).id
        with transaction():
            match_undo.decide(undo, version=1, approved=True, actor=at.market.director)
    assert [scorecard.figures(at.unit, year).counted_fen for year in (2025, 2026)] == [80_000, -80_000]


@pytest.mark.both
def test_bank_money_goes_back_once_and_by_the_accountant(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    match(at, receipt(at, 80_000, day=today()), made, 80_000)
    ship(at, made, 9)
    accept(at, made, 9, 1)
    refund = db.session.query(Refund).one()
    path, book = f"/cooperative/refunds/{refund.public_id}/transfer", refund.organisation_id
    accountant = browser(app, at.market.accountant)
    page = accountant.get("/cooperative/bank/refunds").text
    assert path.removesuffix("/transfer") in page
    sent = {"reference": "WY000001", "paid_on": today()}
    assert ("¥80.00" in page, "验收短缺" in page) == (True, True)
    assert browser(app, at.market.director).post(path, data=sent).status_code == 403
    assert browser(app, builders.market(name="乙社").accountant).post(path, data=sent).status_code == 404
    for number in ("", "T1"):
        assert accountant.post(path, data={**sent, "reference": number}).status_code == 422
    for _ in range(2):
        assert accountant.post(path, data=sent).status_code == 303
    assert (balance.held("refunds_payable", book), balance.held("bank", book)) == (0, 72_000)
    assert db.session.query(AuditEvent).filter_by(action="refund.transferred").one().data["fen"] == 8_000
    assert "¥80.00" in accountant.get("/cooperative/bank/refunds?view=done").text
    assert sound()


def test_a_proposal_says_what_a_person_should_look_at(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    from marketplace.procurement.directed_order import DirectedOrder

    reference = db.session.get_one(DirectedOrder, made).reference
    receipt(at, 90_000, day=today(), remark=reference, payer="靖安县财政国库支付中心", serial="A")
    receipt(at, 30_000, day=today(), remark=reference, payer="靖安县第一中学", serial="B")
    page = browser(app, at.market.accountant).get("/cooperative/bank").text
    assert "比应付多 ¥100.00" in page
    assert "财政代付" in page
    assert "还差 ¥500.00" in page


def test_the_story_of_a_bank_payment_tells_receipt_match_undoing_and_every_entry(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    match_id = match(at, receipt(at, 90_000, day=today(), payer="靖安县财政国库支付中心"), made, 80_000)
    decide, where = asked(app, at, match_id), outside(match_id)
    assert browser(app, at.market.director).post(decide, data={"decision": "approve", "version": "1"}).status_code == 302
    auditor = person(operator(), "auditor")
    for path, reader in ((f"/cooperative/payments/{where}", at.market.accountant), (f"/operator/payments/{where}", auditor)):
        client = browser(app, reader)
        with counted() as said:
            page = client.get(path).text
        assert len(said) <= 14 and not repeated(said), said
        story = page[page.index("经过") :]
        told = ("银行到账", "靖安县财政国库支付中心", "S1", "核销到这张单", at.market.accountant.person_name, "请求撤销核销", "核到别的单位去了", "同意撤销，核销作废", at.market.director.person_name)
        places = [story.index(each) for each in told]
        assert places == sorted(places), "from the first to the last"
        assert story.count("<summary>记账") == 3 and "accepted_unpaid" not in story and "支付宝交易号" not in page and "开了一次付款" not in page
