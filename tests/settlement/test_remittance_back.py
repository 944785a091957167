"""A payment to a village that its bank sends back is the village's again, and can be made once more."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotFound
from marketplace.ledger import balance, event
from marketplace.ledger.posting import Source
from marketplace.payments import row_decision, row_undo
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.statement_row import StatementLink
from marketplace.reporting import books
from marketplace.settlement import difference, pair_undo, reconciliation, remittance, remittance_back
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.builders import Market
from tests.payments.statement import row, take
from tests.settlement.test_recovery import settled
from tests.settlement.test_remittance import (
    approve,
    books_hold,
    earning,
    paid,
    propose,
    recoverable,
    remitted,
)
from tests.web.work_desk import browser


def of_statement(market: Market, *rows: tuple[int, str, str, str], opening_fen: int = 30_000) -> None:
    today = f"{clock.business_date()}"
    take(market.accountant, [(today, *each) for each in rows], opening_fen=opening_fen)
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))


@pytest.mark.both
@pytest.mark.parametrize(("kind", "fen"), [("COLLECTIVE", 1_800), ("FUND", 1_200), ("REVENUE", 21_000)])
def test_what_the_payees_bank_sends_back_lies_where_it_lay_and_goes_again(app: Flask, kind: str, fen: int) -> None:
    market, holder = earning(), builders.operator()
    first, payee = remitted(market, kind, fen), {"COLLECTIVE": "石上村村民委员会", "FUND": "靖安县防贫基金", "REVENUE": "某某合作社一般户"}[kind]
    of_statement(market, (-fen, payee, f"划款 {first.number}", "S1"), (fen, payee, f"退汇 {first.number} 账号不符", "S2"))
    db.session.expire_all()
    assert (first.state, first.returned_on, db.session.query(BankReceipt).count()) == ("RETURNED", clock.business_date(), 0)
    assert (balance.held("bank", market.cooperative), remittance.available(market.cooperative).of(kind, market.village)) == (30_000, fen)
    assert (balance.held("relief_fund", holder), books_hold()) == (0, True)
    assert [(item.kind, item.effect_fen) for item in reconciliation.position(market.cooperative, "bank").items if item.row_id] == []
    page = browser(app, market.accountant).get(f"/remittances/{first.public_id}").text
    assert "银行退回" in page and "再提一笔" in page
    assert "银行退回" in browser(app, market.accountant).get("/remittances").text
    again = transaction(lambda: remittance.propose(kind, fen, village_id=market.village if kind == "COLLECTIVE" else None, actor=market.accountant, key="again"))
    transaction(lambda: remittance.approve(again.id, actor=market.director, version=1))
    transaction(lambda: remittance.record_paid(again.id, paid_on=clock.business_date(), bank_serial="WY900001", actor=market.accountant, version=2))
    of_statement(market, (-fen, payee, f"划款 {again.number}", "S3"))
    assert (balance.held("bank", market.cooperative), books_hold(), db.session.query(StatementLink).count()) == (30_000 - fen, True, 3)


def test_another_amount_or_no_number_is_a_buyers_until_somebody_says_otherwise(app: Flask) -> None:
    market = earning()
    first = remitted(market, "COLLECTIVE", 1_800)
    of_statement(market, (1_799, "村委会", f"退汇 {first.number}", "S1"), (1_800, "村委会", "退汇", "S2"))
    assert (first.state, db.session.query(BankReceipt).count()) == ("PAID", 2)


def test_it_is_not_undone_once_it_may_have_gone_again(app: Flask) -> None:
    market = earning()
    first = remitted(market, "COLLECTIVE", 1_800)
    of_statement(market, (1_800, "村委会", f"退汇 {first.number}", "S1"))
    link = db.session.query(StatementLink).filter_by(row_id=row("S1").id).one()
    with pytest.raises(Conflict, match=r"remittance\.returned"), transaction():
        row_undo.ask(row("S1").id, link.entry_id, "其实是货款", actor=market.accountant)
    assert db.session.query(Remittance).one().state == "RETURNED"


def said(market: Market, serial: str, remittance_id: int) -> int:
    return transaction(lambda: row_decision.propose(row(serial).id, "SENT_BACK", "银行客服说是退汇", remittance_id=remittance_id, actor=market.accountant).id)


@pytest.mark.both
def test_without_our_number_it_is_proposed_by_amount_and_name_and_two_people_say_so(app: Flask) -> None:
    market = earning()
    first = remitted(market, "COLLECTIVE", 1_800)
    of_statement(market, (-1_800, "石上村村民委员会", f"划款 {first.number}", "S1"), (1_800, "三坪村村民委员会", "", "S2"), (1_800, "路过的人", "货款", "S3"))
    db.session.rollback()
    likely, other = (db.session.query(BankReceipt).filter_by(serial=serial).one().public_id for serial in ("S2", "S3"))
    clerk, director = browser(app, market.accountant), browser(app, market.director)
    pages = [clerk.get(f"/cooperative/bank/receipts/{each}").text for each in (likely, other)]
    assert [(first.number in page, 'value="SENT_BACK" checked' in page or 'checked value="SENT_BACK"' in page) for page in pages] == [(True, True), (True, False)]
    path, form = f"/cooperative/bank/receipts/{likely}/say", {"kind": "SENT_BACK", "why": "村里的账户销户了"}
    assert clerk.post(path, data=form).status_code == 422
    assert clerk.post(path, data=form | {"remittance": first.public_id}).status_code == 303
    decision = db.session.query(RowDecision).one()
    assert first.number in director.get("/cooperative/bank/decisions").text
    assert (balance.held("bank", market.cooperative), remittance.available(market.cooperative).of("COLLECTIVE", market.village)) == (31_800, 0)
    assert clerk.post(f"/cooperative/bank/decisions/{decision.public_id}", data={"decision": "approve", "version": "1"}).status_code == 403
    assert director.post(f"/cooperative/bank/decisions/{decision.public_id}", data={"decision": "approve", "version": "1"}).status_code == 303
    db.session.expire_all()
    assert (first.state, first.returned_row_id, remittance.available(market.cooperative).of("COLLECTIVE", market.village)) == ("RETURNED", row("S2").id, 1_800)
    assert (db.session.query(BankReceipt).filter_by(serial="S2").one().state, balance.held("unapplied", market.cooperative), books_hold()) == ("unrelated", 1_800, True)
    assert first.number not in clerk.get(f"/cooperative/bank/receipts/{other}").text  # it came back once
    # Nobody takes it apart alone, and it is not undone once it may have gone again.
    link = db.session.query(StatementLink).filter_by(row_id=row("S2").id).one()
    assert pair_undo.paired(market.cooperative, row_id=row("S2").id, entry_id=None) == []
    with pytest.raises(Conflict, match=r"remittance\.returned"), transaction():
        row_undo.ask(row("S2").id, link.entry_id, "其实是货款", actor=market.accountant)


def test_only_what_was_paid_before_of_just_this_amount_comes_back_and_once(app: Flask) -> None:
    market, other = earning(), builders.market(name="另一家")
    first = remitted(market, "COLLECTIVE", 1_800)
    of_statement(market, (1_799, "石上村", "退汇", "S1"), (1_800, "石上村", "退汇", "S2"), (1_800, "石上村", "退汇", "S3"))
    number = first.id
    with pytest.raises(Conflict, match=r"remittance\.unlike"):
        said(market, "S1", number)
    one, two = said(market, "S2", number), said(market, "S3", number)
    transaction(lambda: row_decision.decide(one, version=1, approved=True, actor=market.director))
    with pytest.raises(Conflict, match=r"remittance\.unlike"):
        transaction(lambda: row_decision.decide(two, version=1, approved=True, actor=market.director))
    take(other.accountant, [(f"{clock.business_date()}", 1_800, "石上村", "退汇", "S9")])
    with pytest.raises(NotFound):
        transaction(lambda: row_decision.propose(row("S9").id, "SENT_BACK", "退汇的", remittance_id=number, actor=other.accountant))


def test_a_credit_of_the_day_before_or_of_a_hundred_days_later_is_none_of_it(app: Flask) -> None:
    market = earning()
    first = remitted(market, "COLLECTIVE", 1_800)
    paid_on, number = clock.business_date(), first.id
    with clock.travel(clock.now() + remittance_back.LATE):
        days = [f"{paid_on + each}" for each in (timedelta(days=-1), remittance_back.LATE - timedelta(days=1), remittance_back.LATE)]
        take(market.accountant, [(day, 1_800, "石上村", "退汇", f"S{at}") for at, day in enumerate(days)], opening_fen=30_000)
        for serial in ("S0", "S2"):
            with pytest.raises(Conflict, match=r"remittance\.unlike"):
                said(market, serial, number)
        assert said(market, "S1", number)


@pytest.mark.both
def test_what_later_shares_recovered_of_it_is_theirs_again(app: Flask) -> None:
    """A refund took of both shares before the bank paid, the next month made some of that good, and then the bank sent both payments back."""
    market = earning()
    builders.operator()
    village, fund = propose(market, "COLLECTIVE", 1_800, "v"), propose(market, "FUND", 1_000, "f")
    for each in (village, fund):
        approve(each, market)
    with transaction():
        event.refund_after_settlement(
            book=market.cooperative, source=Source("refund", 99), revenue_fen=0, freight_fen=0, collectives={market.village: 500}, fund_fen=400, pools={},
        )  # fmt: skip
    for each in (village, fund):
        paid(each, market)
    assert recoverable(market) == (500, 200)
    settled(market, 30_000)  # the village gets ¥18.00 and the fund ¥12.00
    assert [remitted(market, kind, fen).recovered_fen for kind, fen in (("COLLECTIVE", 1_440), ("FUND", 1_000))] == [360, 200]
    of_statement(market, (1_800, "石上村村民委员会", f"退汇 {village.number}", "S1"), (1_000, "防贫基金", f"退汇 {fund.number}", "S2"))
    assert recoverable(market) == (0, 0)
    owner = f"village:{market.village}"
    assert (balance.held("village_collective", market.cooperative, owner), balance.held("relief_fund", market.cooperative)) == (1_800 - 500 + 360, 1_000)
    assert [each.detail for each in books.check() if each.rule == "nobody_owes_what_cannot_be_owed" and not each.ok] == []
