"""A text that anybody can edit does not make money leave: what the file says is borne out by the balances before and after it, or by a second person."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.approval import OwnWork
from marketplace.payments import bank_proof, bank_statement, receipt_return, row_decision
from marketplace.payments.bank_statement import BankStatement
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.reporting import money_health
from marketplace.settlement import difference
from marketplace.settlement.difference import Difference
from tests import builders
from tests.builders import Market
from tests.payments.statement import receipt, row, take
from tests.web.work_desk import browser

NOW = datetime(2026, 3, 12, 3, tzinfo=UTC)
DAY = "2026-03-11"
RETURNS = "/cooperative/bank/returns"


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    """¥100.00 lie in the bank, and a statement says so."""
    with clock.travel(NOW):
        market = builders.market()
        take(market.accountant, [(DAY, 10_000, "甲单位", "货款", "A1")])
        yield market


def proposed(market: Market, serial: str) -> ReceiptReturn:
    return transaction(lambda: receipt_return.propose(receipt(serial).id, receipt(serial).fen, "付错了", actor=market.accountant))


def agreed(market: Market, made: ReceiptReturn) -> ReceiptReturn:
    return transaction(lambda: receipt_return.decide(made.id, version=made.version, approved=True, actor=market.director))


@pytest.mark.both
def test_a_credit_that_was_written_into_the_file_does_not_go_back(app: Flask, market: Market) -> None:
    take(market.accountant, [(DAY, 50_000, "靖安县第一中学", "货款", "X1", "62170011"), (DAY, -100, "银行", "费", "A2")], opening_fen=10_000)
    made = proposed(market, "X1")
    assert bank_proof.of_receipt(receipt("X1")).state == "NOT_YET"
    page = browser(app, market.director).get(RETURNS).text
    assert "还没有更晚的流水来证实" in page and "导入" in page
    # The bank's own next file knows nothing of it.
    take(market.accountant, [("2026-03-12", 1, "银行", "结息", "A3")], opening_fen=9_900)
    assert bank_proof.of_receipt(receipt("X1")).state == "GAP"
    answer = browser(app, market.director).post(f"{RETURNS}/{made.public_id}/decide", data={"version": "1", "decision": "approve"})
    assert (answer.status_code, "接不上" in answer.text, balance.held("refunds_payable", market.cooperative)) == (409, True, 0)
    db.session.rollback()
    transaction(lambda: difference.reconcile(market.cooperative))
    missing = db.session.query(Difference).filter_by(kind="MISSING_ROWS").one()
    with pytest.raises(OwnWork), transaction():
        difference.explain(missing.id, "银行的系统误差", version=1, actor=market.accountant)
    transaction(lambda: difference.explain(missing.id, "网银里没有这一笔，报警了", version=1, actor=market.director))
    with pytest.raises(Conflict, match=r"statement\.gap"):
        agreed(market, made)


def test_one_that_the_next_statement_bears_out_goes_back(app: Flask, market: Market) -> None:
    take(market.accountant, [(DAY, 50_000, "靖安县第一中学", "货款", "X1")], opening_fen=10_000)
    made = proposed(market, "X1")
    take(market.accountant, [("2026-03-12", 1, "银行", "结息", "A3")], opening_fen=60_000)
    assert bank_proof.of_receipt(receipt("X1")).state == "CLOSED"
    assert "余额和前后的流水都接得上" in browser(app, market.director).get(RETURNS).text
    assert agreed(market, made).state == "APPROVED"


def test_a_gap_before_it_is_mended_by_the_statement_that_was_missing(market: Market) -> None:
    take(market.accountant, [("2026-03-12", 500, "乙单位", "货款", "C1")], opening_fen=12_000)
    made = proposed(market, "C1")
    with pytest.raises(Conflict, match=r"statement\.gap"):
        agreed(market, made)
    take(market.accountant, [(DAY, 2_000, "丙单位", "货款", "B1")], opening_fen=10_000)
    assert agreed(market, made).state == "APPROVED"


@pytest.mark.both
def test_a_file_without_balances_is_confirmed_by_a_second_person(app: Flask, market: Market) -> None:
    text = "交易日期,收入金额,支出金额,对方户名,对方账号,摘要,流水号\n2026-03-12,500.00,,靖安县第一中学,62170011,货款,N1\n"
    transaction(lambda: bank_statement.import_csv(text.encode(), actor=market.accountant))
    made = proposed(market, "N1")
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert "我在网银里核对过这份流水" in director.get(RETURNS).text
    assert director.post(f"{RETURNS}/{made.public_id}/decide", data={"version": "1", "decision": "approve"}).status_code == 409
    path = f"{RETURNS}/{made.public_id}/statement"
    assert (accountant.post(path).status_code, browser(app, builders.market(name="乙社").director).post(path).status_code) == (403, 404)
    number, both = receipt("N1").statement_id, replace(market.accountant, roles=frozenset({"accountant", "director"}))
    for who, error in ((both, OwnWork), (market.clerk, NotAllowed), (builders.market(name="丙社").director, NotFound)):
        with pytest.raises(error), transaction():
            bank_proof.confirm(number, actor=who)
    assert director.post(path).status_code == 303
    db.session.expire_all()
    assert bank_proof.of_receipt(receipt("N1")).state == "CONFIRMED"
    assert agreed(market, db.session.get_one(ReceiptReturn, made.id)).state == "APPROVED"


@pytest.mark.both
@pytest.mark.parametrize("way", ["said", "confirmed"])
def test_a_credit_that_a_debit_beside_it_makes_up_for_is_borne_out_by_no_balance(app: Flask, market: Market, way: str) -> None:
    """Written in together, they lead from the statement before to the one after."""
    rows = [(DAY, 50_000, "靖安县第一中学", "货款", "X1", "62170011"), (DAY, -50_000, "某公司", "材料", "X2", "62170022"), (DAY, -100, "银行", "费", "A2")]
    take(market.accountant, rows, opening_fen=10_000)  # type: ignore[arg-type]
    made = proposed(market, "X1")
    take(market.accountant, [("2026-03-12", 1, "银行", "结息", "A3")], opening_fen=9_900)
    assert bank_proof.of_receipt(receipt("X1")).state == "DEBITS"
    director = browser(app, market.director)
    assert "没说明的支出够抵这笔到账" in director.get(RETURNS).text
    assert director.post(f"{RETURNS}/{made.public_id}/decide", data={"version": "1", "decision": "approve"}).status_code == 409
    db.session.rollback()
    if way == "said":
        told = transaction(lambda: row_decision.propose(row("X2").id, "UNRELATED", "买材料", actor=market.accountant).id)
        transaction(lambda: row_decision.decide(told, version=1, approved=True, actor=market.director))
    else:
        assert director.post(f"{RETURNS}/{made.public_id}/statement").status_code == 303
    db.session.expire_all()
    assert bank_proof.of_receipt(receipt("X1")).state == "CLOSED"
    assert agreed(market, db.session.get_one(ReceiptReturn, made.id)).state == "APPROVED"


@pytest.mark.both
@pytest.mark.parametrize("side", ["before", "after"])
def test_balances_beside_which_none_stand_bear_out_nothing(market: Market, side: str) -> None:
    """The attack: read the files around a credit of one's own making without their balances, and nothing contradicts it."""
    untold = "交易日期,收入金额,支出金额,对方户名,摘要,流水号\n2026-03-12,1.00,,银行,结息,N1\n"
    forged = [("2026-03-12", 50_000, "靖安县第一中学", "货款", "X1", "62170011")]
    if side == "before":
        transaction(lambda: bank_statement.import_csv(untold.encode(), actor=market.accountant))
        take(market.accountant, forged, opening_fen=777_000)
    else:
        take(market.accountant, forged, opening_fen=10_000)
        assert bank_proof.of_receipt(receipt("X1")).state == "NOT_YET"
        transaction(lambda: bank_statement.import_csv(untold.encode(), actor=market.accountant))
    made = proposed(market, "X1")
    assert bank_proof.of_receipt(receipt("X1")).state == "NO_BALANCES"
    with pytest.raises(Conflict, match=r"statement\.unproven"):
        agreed(market, made)
    number = receipt("X1").statement_id
    transaction(lambda: bank_proof.confirm(number, actor=market.director))
    assert bank_proof.of_receipt(receipt("X1")).state == "CONFIRMED"
    assert agreed(market, db.session.get_one(ReceiptReturn, made.id)).state == "APPROVED"


STATEMENTS = "/cooperative/bank/statements"
UNTOLD = "交易日期,收入金额,支出金额,对方户名,摘要,流水号\n2026-03-12,1.00,,银行,结息,N1\n"


def unproven(of: int | None = None) -> int:
    return next(each.count for each in money_health.standing(of) if each.name == "unproven_statements")


@pytest.mark.both
def test_a_file_from_which_a_row_may_be_missing_unseen_is_asked_after_until_another_has_looked(app: Flask, market: Market) -> None:
    """The attack: leave one's own debit out of a file, and have it read without its balances. No sum tells that it is missing."""
    assert (unproven(), "有余额" in browser(app, market.director).get(STATEMENTS).text) == (0, True)
    other = builders.market(name="乙社")
    with transaction():
        number = bank_statement.import_csv(UNTOLD.encode(), actor=market.accountant).statement_id
    public_id = db.session.get_one(BankStatement, number).public_id
    assert (unproven(), unproven(market.cooperative), unproven(other.cooperative)) == (1, 1, 0)
    county = browser(app, builders.person(builders.operator(), "treasurer")).get("/operator/money/unproven_statements")
    assert (county.status_code, "2026-03-12" in county.text) == (200, True)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    path = f"{STATEMENTS}/{public_id}/confirm"
    assert [path in each.get(STATEMENTS).text for each in (accountant, director)] == [False, True]
    assert [each.post(path).status_code for each in (accountant, browser(app, market.clerk), browser(app, other.director))] == [403, 403, 404]
    assert unproven() == 1
    rows = director.get(f"{STATEMENTS}/{public_id}")  # whoever says so has read them
    assert (rows.status_code, "结息" in rows.text, "去核销" in rows.text, f"{STATEMENTS}/{public_id}" in director.get(STATEMENTS).text) == (200, True, False, True)
    assert director.post(f"{STATEMENTS}/{public_id}/take").status_code == 403
    assert director.post(path).status_code == 303
    assert (unproven(), db.session.get_one(BankStatement, number).confirmed_by_id) == (0, market.director.person_id)
    page = director.get(STATEMENTS).text
    assert ("在网银里核对过" in page, path in page) == (True, False)


@pytest.mark.both
@pytest.mark.parametrize("blank", [1, 3, 4])
def test_a_file_that_leaves_one_balance_out_bears_out_none_of_its_rows(market: Market, blank: int) -> None:
    """The attack: a row without a balance, and none of the file's is held to the one before it: a credit written in leads from nowhere to nowhere."""
    lines = ["交易日期,收入金额,支出金额,账户余额,对方户名,对方账号,摘要,流水号"]
    # The bank's own rows lead from ¥100.00 to ¥111.01 without the second one.
    for at, (fen, left, name) in enumerate((("1.00", "101.00", "银行"), ("500.00", "601.00", "第一中学"), ("10.00", "111.00", "银行"), ("0.01", "111.01", "银行")), 1):
        lines.append(f"2026-03-12,{fen},,{'' if at == blank else left},{name},36050001,,X{at}")
    transaction(lambda: bank_statement.import_csv("\n".join(lines).encode(), actor=market.accountant))
    take(market.accountant, [("2026-03-12", 1, "银行", "结息", "A9")], opening_fen=11_101)
    made = proposed(market, "X2")
    assert bank_proof.of_receipt(receipt("X2")).state == "NO_BALANCES"
    with pytest.raises(Conflict, match=r"statement\.unproven"):
        agreed(market, made)
    number = receipt("X2").statement_id
    transaction(lambda: bank_proof.confirm(number, actor=market.director))
    assert agreed(market, db.session.get_one(ReceiptReturn, made.id)).state == "APPROVED"
