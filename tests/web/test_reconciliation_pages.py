"""The accountant looks a statement over and takes it, says what no number tells, withdraws, sends back; the director agrees; the auditor reads."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.withdrawal import Withdrawal
from marketplace.settlement import difference
from marketplace.settlement.difference import Difference
from tests import builders, builders_people
from tests.builders import Market
from tests.orders import trade
from tests.payments.statement import receipt, take, written
from tests.payments.test_bank_layouts import STRANGE
from tests.web.figures import Page, bare
from tests.web.work_desk import browser, rows_of

NOW = datetime(2026, 3, 14, 4, tzinfo=UTC)
ROWS = [("2026-03-10", 100_000, "靖安县第一中学", "货款", "B1"), ("2026-03-11", -800, "银行", "账户管理费", "B2"), ("2026-03-13", 1, "银行", "利息", "B3")]


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    with clock.travel(NOW):
        yield builders.market()


def sent(app: Flask, market: Market, content: bytes, name: str = "流水.csv") -> str:
    """Where a file leads that the accountant sends."""
    answer = browser(app, market.accountant).post("/cooperative/bank", data={"file": (io.BytesIO(content), name)})
    assert answer.status_code == 303
    return str(answer.location)


def test_a_file_is_looked_over_and_only_then_taken(app: Flask, market: Market) -> None:
    accountant = browser(app, market.accountant)
    address = sent(app, market, written(ROWS))
    page = accountant.get(address).text
    assert all(said in page for said in ("靖安县第一中学", "账户管理费", "新到账", "导入 3 行", "¥992.01")), page
    assert bare(Page(page)) == [], "every figure leads to its rows"
    assert db.session.query(BankReceipt).count() == 0
    assert browser(app, market.clerk).post(f"{address}/take").status_code == 403
    assert browser(app, builders.market(name="乙社").accountant).get(address).status_code == 404
    accountant.post(f"{address}/take")
    assert balance.held("bank", market.cooperative) == 100_001
    assert "没有新的行" in accountant.get(address).text
    assert "2026-03-13" in accountant.get("/cooperative/bank/statements").text


@pytest.mark.parametrize(
    ("content", "said"),
    [(written(ROWS).replace(b"992.00", b"993.00"), "接不上"), ("账号：6222000011112222\n".encode() + written(ROWS), "尾号 2222")],
)  # fmt: skip
def test_what_cannot_be_taken_says_why_and_nothing_moves(app: Flask, market: Market, content: bytes, said: str) -> None:
    address = sent(app, market, content)
    accountant = browser(app, market.accountant)
    assert (accountant.get(address).status_code, said in accountant.get(address).text) == (422, True)
    assert accountant.post(f"{address}/take").status_code == 422
    assert balance.held("bank", market.cooperative) == 0


def test_an_unknown_header_leads_to_the_columns_and_is_remembered(app: Flask, market: Market) -> None:
    accountant = browser(app, market.accountant)
    address = sent(app, market, STRANGE.encode())
    assert accountant.get(address).location == f"{address}/layout"
    assert "第 2 行的各列" in accountant.get(f"{address}/layout").text
    twice = {"header": "2", "column-0": "day", "column-1": "income", "column-2": "income"}
    assert accountant.post(f"{address}/layout", data=twice).status_code == 422
    assert accountant.post(f"{address}/layout", data={"header": "99999", "look": "1"}).status_code == 303
    chosen = {"header": "2", "column-0": "day", "column-1": "income", "column-2": "expense", "column-3": "balance", "column-4": "payer_name"}
    assert accountant.post(f"{address}/layout", data=chosen).location == address
    assert "导入 2 行" in accountant.get(address).text
    other = sent(app, market, STRANGE.replace("5.00,,5.00", "6.00,,6.00").replace("2.00,3.00", "2.00,4.00").encode())
    assert "导入 2 行" in accountant.get(other).text


def test_a_withdrawal_is_recorded_put_back_and_exported(app: Flask, market: Market) -> None:
    trade.bought(builders.customer(), (market.pack, 2))
    accountant, path = browser(app, market.accountant), "/cooperative/withdrawals"
    assert "¥176.00" in accountant.get(path).text
    assert bare(Page(accountant.get(path).text)) == []
    form = {"amount": "100.00", "serial": "2026031400001", "ordered_on": "2026-03-14", "idempotency_key": "w"}
    for wrong in ({"amount": "x"}, {"serial": "=1"}, {"ordered_on": "nie"}):
        assert accountant.post(path, data=form | wrong).status_code == 422
    assert accountant.post(path, data=form | {"amount": "176.01"}).status_code == 409
    assert browser(app, market.director).post(path, data=form).status_code == 403
    for _ in range(2):
        assert accountant.post(path, data=form).status_code == 303
    made = db.session.query(Withdrawal).one()
    assert rows_of(accountant.get(f"{path}?export=1").data)[1][2] == "2026031400001"
    assert accountant.post(f"{path}/{made.public_id}/failed", data={"version": "1", "reason": ""}).status_code == 422
    assert accountant.post(f"{path}/{made.public_id}/failed", data={"version": "1", "reason": "卡号不对"}).status_code == 303
    assert balance.held("alipay", market.cooperative) == 17_600


def test_a_receipt_goes_back_through_three_pages(app: Flask, market: Market) -> None:
    take(market.accountant, ROWS)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    path = f"/cooperative/bank/receipts/{receipt('B1').public_id}"
    assert path in accountant.get("/cooperative/bank").text
    assert "靖安县第一中学" in accountant.get(path).text
    assert accountant.post(f"{path}/return", data={"amount": "9999", "reason": "多付了"}).status_code == 409
    assert accountant.post(f"{path}/return", data={"amount": "10", "reason": ""}).status_code == 422
    assert accountant.post(f"{path}/return", data={"amount": "10.00", "reason": "多付了"}).status_code == 303
    made = db.session.query(ReceiptReturn).one()
    step = f"/cooperative/bank/returns/{made.public_id}"
    assert accountant.post(f"{step}/decide", data={"version": "1", "decision": "approve"}).status_code == 403
    assert director.post(f"{step}/decide", data={"version": "1", "decision": "return"}).status_code == 422
    assert "同意退回 ¥10.00" in director.get("/cooperative/bank/returns").text
    assert director.post(f"{step}/decide", data={"version": "1", "decision": "approve"}).status_code == 303
    assert "已转账退回 ¥10.00" in accountant.get("/cooperative/bank/returns").text
    assert accountant.post(f"{step}/paid", data={"version": "2", "reference": "HD1234", "paid_on": "morgen"}).status_code == 422
    assert accountant.post(f"{step}/paid", data={"version": "2", "reference": "HD1234", "paid_on": "2026-03-14"}).status_code == 303
    assert balance.held("refunds_payable", market.cooperative) == 0


def test_differences_are_worked_by_the_cooperative_and_read_by_the_auditor(app: Flask, market: Market) -> None:
    take(market.accountant, ROWS)
    with transaction():
        assert difference.reconcile(market.cooperative) == 1
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    auditor = browser(app, builders_people.person(builders_people.operator(), "auditor"))
    found = db.session.query(Difference).one()
    path = f"/reconciliation/differences/{found.public_id}"
    owner = db.session.get_one(Organisation, market.cooperative)
    for reader in (accountant, auditor):
        assert "1 项待说明" in reader.get("/reconciliation").text
        assert path in reader.get("/reconciliation/differences").text
        account = reader.get(f"/reconciliation/of/{owner.public_id}/bank").text
        assert all(said in account for said in ("对账单余额", "¥992.01", "账上余额", "¥1,000.01", "账户管理费", "待说明"))
    assert "这一行是什么" in accountant.get(path).text
    assert "这一行是什么" not in auditor.get(path).text
    form = {"version": "1", "step": "say", "kind": "UNRELATED", "why": "银行回单"}
    assert auditor.post(path, data=form).status_code == 403
    assert browser(app, builders.market(name="乙社").accountant).get(path).status_code == 404
    assert accountant.post(path, data=form | {"why": ""}).status_code == 422
    assert accountant.post(path, data=form).status_code == 303
    said = db.session.query(RowDecision).one()
    assert "同意，记账 −¥8.00" in director.get("/cooperative/bank/decisions").text
    assert director.post(f"/cooperative/bank/decisions/{said.public_id}", data={"version": "1", "decision": "approve"}).status_code == 303
    db.session.expire_all()
    assert (balance.held("bank", market.cooperative), db.session.query(Difference).one().state) == (99_201, "GONE")
    month = rows_of(auditor.get(f"/reconciliation/of/{owner.public_id}/bank?export=month").data)
    assert [line[1:5] for line in month[1:]] == [[992.01, 992.01, 0, 0]]
    for reader in (accountant, auditor):
        (whole,) = rows_of(reader.get("/reconciliation?export=1").data)[1:]
        assert whole[:2] + whole[3:] == [owner.name_zh, "银行", 992.01, 992.01, 0, 0]
    assert len(rows_of(browser(app, builders.market(name="丙社").accountant).get("/reconciliation?export=1").data)) == 1
    lines = rows_of(accountant.get(f"/reconciliation/of/{owner.public_id}/bank?export=1").data)
    assert [line[0] for line in lines[1:]] == ["对账单余额", "账上余额"]
    assert [line[3] for line in lines[1:]] == [992.01, 992.01]


def test_an_explanation_and_a_day_that_cannot_be(app: Flask, market: Market) -> None:
    take(market.accountant, ROWS)
    with transaction():
        difference.reconcile(market.cooperative)
    accountant, owner = browser(app, market.accountant), db.session.get_one(Organisation, market.cooperative)
    path = f"/reconciliation/differences/{db.session.query(Difference).one().public_id}"
    assert accountant.post(path, data={"version": "1", "step": "own"}).status_code == 303
    assert accountant.post(path, data={"version": "1", "step": "explain", "explanation": "银行的账户管理费"}).status_code == 403
    director = browser(app, market.director)
    assert director.post(path, data={"version": "1", "step": "explain", "explanation": "短"}).status_code == 422
    assert director.post(path, data={"version": "1", "step": "explain", "explanation": "银行的账户管理费"}).status_code == 303
    assert "银行的账户管理费" in accountant.get("/reconciliation/differences?state=EXPLAINED").text
    assert accountant.post(path, data={"version": "2", "step": "nothing"}).status_code == 400
    for day in ("x", "2027-01-01", "1900-01-01"):
        assert accountant.get(f"/reconciliation/of/{owner.public_id}/bank?day={day}").status_code == 400
    assert accountant.get(f"/reconciliation/of/{owner.public_id}/gold").status_code == 404
    assert "¥0.00" in accountant.get(f"/reconciliation/of/{owner.public_id}/bank?day=2026-03-09").text


def test_an_alarm_stands_on_the_page_of_money_health_after_a_day(app: Flask, market: Market) -> None:
    take(market.accountant, ROWS)
    with transaction():
        difference.reconcile(market.cooperative)
    reader = browser(app, builders_people.person(builders_people.operator(), "treasurer"))
    assert "超过一天 ·" not in reader.get("/operator/money").text
    with clock.travel(datetime(2026, 3, 16, 4, tzinfo=UTC)):
        assert "超过一天 ·" in reader.get("/operator/money").text
    assert "B2" in reader.get("/operator/money/reconciliation").text
