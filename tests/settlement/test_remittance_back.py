"""A payment to a village that its bank sends back is the village's again, and can be made once more."""

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.payments import row_undo
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.statement_row import StatementLink
from marketplace.settlement import difference, reconciliation, remittance
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.builders import Market
from tests.payments.statement import row, take
from tests.settlement.test_remittance import books_hold, earning, remitted
from tests.web.work_desk import browser


def of_statement(market: Market, *rows: tuple[int, str, str, str], opening_fen: int = 30_000) -> None:
    today = f"{clock.business_date()}"
    take(market.accountant, [(today, *each) for each in rows], opening_fen=opening_fen)
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))


@pytest.mark.both
@pytest.mark.parametrize(("kind", "fen"), [("COLLECTIVE", 1_800), ("FUND", 1_200), ("REVENUE", 21_000)])
def test_what_the_payees_bank_sends_back_lies_where_it_lay_and_goes_again(app: Flask, kind: str, fen: int) -> None:
    market, holder = earning(), builders.operator()
    first = remitted(market, kind, fen)
    of_statement(market, (-fen, "石上村村民委员会", f"划款 {first.number}", "S1"), (fen, "石上村村民委员会", f"退汇 {first.number} 账号不符", "S2"))
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
    of_statement(market, (-fen, "石上村村民委员会", f"划款 {again.number}", "S3"))
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
