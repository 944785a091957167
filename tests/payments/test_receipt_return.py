"""What was paid too much, too late or by mistake goes back to its payer: two people, then a transfer that the statement proves."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.approval import OwnWork
from marketplace.payments import bank_match, bank_transfer, receipt_return, row_decision
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.statement_row import StatementLink
from marketplace.reporting import books
from marketplace.settlement import difference
from tests import builders
from tests.builders import Market
from tests.payments.statement import receipt, row, take
from tests.procurement.unit_market import confirmed, match, unit_market
from tests.web.work_desk import browser

NOW = datetime(2026, 3, 12, 3, tzinfo=UTC)
DAY = "2026-03-12"


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    """¥100.00 came of a unit that owes nothing."""
    with clock.travel(NOW):
        market = builders.market()
        take(market.accountant, [(DAY, 10_000, "靖安县第一中学", "货款", "B1")])
        yield market


def held(market: Market) -> tuple[int, int, int]:
    return tuple(balance.held(kind, market.cooperative) for kind in ("bank", "unapplied", "refunds_payable"))  # type: ignore[return-value]


def proposed(market: Market, fen: int = 4_000) -> ReceiptReturn:
    with transaction():
        return receipt_return.propose(receipt("B1").id, fen, "多付了", actor=market.accountant)


def agreed(market: Market, fen: int = 4_000) -> ReceiptReturn:
    made = proposed(market, fen)
    with transaction():
        return receipt_return.decide(made.id, version=1, approved=True, actor=market.director)


def sound() -> list[str]:
    return [f"{finding.rule}: {finding.detail}" for finding in books.check() if not finding.ok]


@pytest.mark.both
def test_an_overpaid_remainder_is_proposed_agreed_transferred_and_proven(market: Market) -> None:
    made = proposed(market)
    assert (made.payee_name, made.payee_account, held(market)) == ("靖安县第一中学", "36050001", (10_000, 10_000, 0))
    with transaction():
        receipt_return.decide(made.id, version=1, approved=True, actor=market.director)
    assert (held(market), receipt("B1").left_fen, receipt("B1").state, sound()) == ((10_000, 6_000, 4_000), 6_000, "partial", [])
    with transaction():
        paid = receipt_return.record_paid(made.id, reference="HD20260312", paid_on=date(2026, 3, 12), version=2, actor=market.accountant)
    assert (held(market), paid.state) == ((6_000, 6_000, 0), "PAID")
    # The statement's row carries our number in its remark, or the bank's number that was recorded.
    take(market.accountant, [("2026-03-12", -4_000, "靖安县第一中学", f"退款 {paid.number}", "B2")], opening_fen=10_000)
    with transaction():
        assert difference.reconcile(market.cooperative) == 0
    assert [each.fen for each in db.session.query(StatementLink).filter_by(row_id=row("B2").id)] == [-4_000]
    assert sound() == []


def test_nobody_agrees_to_their_own_and_only_those_two_roles(market: Market) -> None:
    made = proposed(market)
    for actor, wanted in ((market.accountant, NotAllowed), (market.clerk, NotAllowed), (builders.market(name="乙社").director, NotFound)):
        with pytest.raises(wanted), transaction():
            receipt_return.decide(made.id, version=1, approved=True, actor=actor)
    with pytest.raises(NotAllowed), transaction():
        receipt_return.propose(receipt("B1").id, 1, "多付了", actor=market.director)
    both = replace(market.accountant, roles=frozenset({"accountant", "director"}))
    with transaction():
        own = receipt_return.propose(receipt("B1").id, 1, "多付了", actor=both)
    with pytest.raises(OwnWork), transaction():
        receipt_return.decide(own.id, version=1, approved=True, actor=both)


def test_no_more_goes_back_than_is_left_whoever_is_first(market: Market) -> None:
    proposed(market, 7_000)
    with pytest.raises(Conflict) as short:
        proposed(market, 3_001)
    assert short.value.data["left_fen"] == 3_000
    other = proposed(market, 3_000)
    with transaction():
        refused = receipt_return.decide(other.id, version=1, approved=False, reason="算错了", actor=market.director)
    assert (refused.state, refused.answer, held(market)) == ("REFUSED", "算错了", (10_000, 10_000, 0))
    for fen in (0, -1):
        with pytest.raises(InvalidInput):
            proposed(market, fen)


def test_what_is_matched_meanwhile_does_not_go_back(app: Flask) -> None:
    with clock.travel(datetime(2026, 3, 1, 4, tzinfo=UTC)):
        at = unit_market()
        made = confirmed(at, 10)
        take(at.market.accountant, [("2026-03-01", 80_000, "中学", "货款", "B1")])
        with transaction():
            back = receipt_return.propose(receipt("B1").id, 80_000, "订单取消了", actor=at.market.accountant)
        match(at, receipt("B1").id, made, 80_000)
        with pytest.raises(Conflict) as left, transaction():
            receipt_return.decide(back.id, version=1, approved=True, actor=at.market.director)
        assert left.value.code == "return.left"
        assert balance.held("refunds_payable", at.market.cooperative) == 0


@pytest.mark.both
def test_what_was_agreed_to_a_wrong_account_is_taken_back_and_proposed_anew(app: Flask, market: Market) -> None:
    made = agreed(market)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    path = f"/cooperative/bank/returns/{made.public_id}"
    assert "账号错了，或不该退" in accountant.get("/cooperative/bank/returns").text
    assert accountant.post(f"{path}/recall", data={"version": "2", "reason": ""}).status_code == 422
    assert accountant.post(f"{path}/recall", data={"version": "2", "reason": "账号少了一位"}).status_code == 303
    assert accountant.post(f"{path}/recall", data={"version": "3", "reason": "账号少了一位"}).status_code == 409
    assert "先不要转账" in accountant.get("/cooperative/bank/returns").text
    with pytest.raises(Conflict, match=r"return\.recalled"), transaction():
        receipt_return.record_paid(made.id, reference="HD20260312", paid_on=date(2026, 3, 12), version=3, actor=market.accountant)
    assert accountant.post(f"{path}/recall/decide", data={"version": "3", "decision": "approve"}).status_code == 403
    assert browser(app, builders.market(name="乙社").director).post(f"{path}/recall/decide", data={"version": "3", "decision": "approve"}).status_code == 404
    assert "账号少了一位" in director.get("/cooperative/bank/returns").text
    assert held(market) == (10_000, 6_000, 4_000)
    assert director.post(f"{path}/recall/decide", data={"version": "3", "decision": "approve"}).status_code == 303
    db.session.expire_all()
    assert (held(market), receipt("B1").left_fen, receipt("B1").state, sound()) == ((10_000, 10_000, 0), 10_000, "imported", [])
    assert "不退了" in accountant.get("/cooperative/bank/returns").text
    agreed(market)
    assert (held(market), sound()) == ((10_000, 6_000, 4_000), [])


def test_not_taken_back_it_is_transferred(market: Market) -> None:
    made = agreed(market)
    transaction(lambda: receipt_return.recall(made.id, "不该退", version=2, actor=market.accountant))
    both = replace(market.accountant, roles=frozenset({"accountant", "director"}))
    with pytest.raises(OwnWork), transaction():
        receipt_return.decide_recall(made.id, version=3, approved=True, actor=both)
    transaction(lambda: receipt_return.decide_recall(made.id, version=3, approved=False, reason="该退", actor=market.director))
    paid = transaction(lambda: receipt_return.record_paid(made.id, reference="HD20260312", paid_on=date(2026, 3, 12), version=4, actor=market.accountant))
    assert (paid.state, held(market), sound()) == ("PAID", (6_000, 6_000, 0), [])
    with pytest.raises(Conflict, match=r"return\.state"), transaction():
        receipt_return.recall(made.id, "不该退", version=5, actor=market.accountant)


def test_what_the_bank_sends_back_after_the_transfer_is_returned_anew(market: Market) -> None:
    made = agreed(market)
    transaction(lambda: receipt_return.record_paid(made.id, reference="HD20260312", paid_on=date(2026, 3, 12), version=2, actor=market.accountant))
    take(market.accountant, [(DAY, -4_000, "靖安县第一中学", f"退款 {made.number}", "B2"), (DAY, 4_000, "靖安县第一中学", "退汇 账号户名不符", "B3")], opening_fen=10_000)
    assert (receipt("B3").left_fen, held(market)) == (4_000, (10_000, 10_000, 0))
    transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))  # as it is after every import: the debit is the transfer that was recorded
    with transaction():
        again = receipt_return.propose(receipt("B3").id, 4_000, "退汇，换账号", payee_account="36050002", actor=market.accountant)
        receipt_return.decide(again.id, version=1, approved=True, actor=market.director)
    assert (held(market), sound()) == ((10_000, 6_000, 4_000), [])


@pytest.mark.parametrize(("reference", "day"), [("x", date(2026, 3, 12)), ("HD1234", date(2026, 3, 11)), ("HD1234", date(2026, 3, 13))])
def test_a_transfer_has_a_number_and_a_day_after_the_agreement(market: Market, reference: str, day: date) -> None:
    made = agreed(market)
    with pytest.raises(InvalidInput), transaction():
        receipt_return.record_paid(made.id, reference=reference, paid_on=day, version=2, actor=market.accountant)
    assert held(market)[2] == 4_000


@pytest.mark.both
def test_one_number_of_the_bank_pays_one_thing(market: Market) -> None:
    first, second = agreed(market, 4_000), agreed(market, 3_000)
    day = date(2026, 3, 12)
    with transaction():
        receipt_return.record_paid(first.id, reference=" HD20260312 ", paid_on=day, version=2, actor=market.accountant)
    with pytest.raises(Conflict, match=r"transfer\.used"), transaction():
        receipt_return.record_paid(second.id, reference="HD20260312", paid_on=day, version=2, actor=market.accountant)
    with pytest.raises(Conflict, match=r"transfer\.used"), transaction():  # whatever the other thing is
        bank_transfer.record("HD20260312", day, source=("remittance", 1), agreed_at=NOW, actor=market.accountant)
    assert held(market) == (6_000, 3_000, 3_000)
    with transaction():
        bank_transfer.record("HD20260312", day, source=("remittance", 1), agreed_at=NOW, actor=builders.market(name="乙社").accountant)


# What a row is, where no number tells.


def decided(market: Market, serial: str, kind: str, *, receipt_serial: str = "", approved: bool = True) -> RowDecision:
    with transaction():
        of = receipt(receipt_serial).id if receipt_serial else None
        made = row_decision.propose(row(serial).id, kind, "银行回单上写明", receipt_id=of, actor=market.accountant)
    with transaction():
        return row_decision.decide(made.id, version=1, approved=approved, reason="不同意" if not approved else "", actor=market.director)


@pytest.mark.both
def test_an_unrelated_receipt_and_an_unrelated_debit_are_outside(market: Market) -> None:
    decided(market, "B1", "UNRELATED")
    assert (held(market), balance.held("outside", market.cooperative), receipt("B1").state) == ((10_000, 0, 0), 10_000, "unrelated")
    take(market.accountant, [("2026-03-12", -1_500, "银行", "账户管理费", "B2")], opening_fen=10_000)
    decided(market, "B2", "UNRELATED")
    assert (held(market), balance.held("outside", market.cooperative)) == ((8_500, 0, 0), 8_500)
    with transaction():
        assert difference.reconcile(market.cooperative) == 0
    assert sound() == []


@pytest.mark.both
def test_a_receipt_that_was_a_withdrawal_and_a_debit_that_takes_a_receipt_back(market: Market) -> None:
    take(market.accountant, [("2026-03-12", 700, "清算", "跨行转入", "B2"), ("2026-03-12", -10_000, "靖安县第一中学", "冲正", "B3")], opening_fen=10_000)
    decided(market, "B2", "WITHDRAWAL")
    decided(market, "B3", "TAKES_BACK", receipt_serial="B1")
    assert (held(market), balance.held("alipay", market.cooperative)) == ((700, 0, 0), -700)
    assert (receipt("B1").state, receipt("B1").left_fen, receipt("B2").state) == ("returned", 0, "unrelated")
    with transaction():
        difference.reconcile(market.cooperative)
    assert sound() == []


def test_a_refusal_posts_nothing_and_a_matched_receipt_is_not_touched(app: Flask, market: Market) -> None:
    decided(market, "B1", "UNRELATED", approved=False)
    assert (held(market), receipt("B1").state) == ((10_000, 10_000, 0), "imported")
    agreed(market)
    with pytest.raises(Conflict) as used, transaction():
        row_decision.propose(row("B1").id, "UNRELATED", "不是我们的", actor=market.accountant)
    assert used.value.code == "receipt.used"


def test_what_a_row_cannot_be_is_refused(market: Market) -> None:
    take(market.accountant, [("2026-03-12", -300, "银行", "费", "B2")], opening_fen=10_000)
    for serial, kind, of in (("B2", "WITHDRAWAL", ""), ("B1", "TAKES_BACK", "B1"), ("B2", "TAKES_BACK", ""), ("B1", "NOTHING", "")):
        with pytest.raises(InvalidInput), transaction():
            row_decision.propose(row(serial).id, kind, "理由在此", receipt_id=receipt(of).id if of else None, actor=market.accountant)
    with pytest.raises(InvalidInput), transaction():
        row_decision.propose(row("B2").id, "UNRELATED", "", actor=market.accountant)
    with pytest.raises(NotAllowed), transaction():
        row_decision.propose(row("B2").id, "UNRELATED", "理由在此", actor=market.director)
    with pytest.raises(NotFound), transaction():
        row_decision.propose(row("B2").id, "UNRELATED", "理由在此", actor=builders.market(name="乙社").accountant)
    with pytest.raises(Conflict) as more, transaction():
        row_decision.propose(row("B2").id, "TAKES_BACK", "理由在此", receipt_id=_small(market).id, actor=market.accountant)
    assert more.value.code == "receipt.amount"


def _small(market: Market) -> BankReceipt:
    found = receipt("B1")
    found.matched_fen = 9_900
    return found


def test_one_transfer_for_several_orders_and_several_for_one(app: Flask) -> None:
    with clock.travel(datetime(2026, 3, 1, 4, tzinfo=UTC)):
        at = unit_market()
        first, second = confirmed(at, 10, key="1"), confirmed(at, 10, key="2")
        take(at.market.accountant, [("2026-03-01", 100_000, "县国库集中支付中心", "两单货款", "B1"), ("2026-03-01", 60_000, "某中心", "尾款", "B2")])
        match(at, receipt("B1").id, first, 80_000, key="1")
        match(at, receipt("B1").id, second, 20_000, key="2")
        match(at, receipt("B2").id, second, 60_000, key="3")
        assert [receipt(each).state for each in ("B1", "B2")] == ["matched", "matched"]
        assert bank_match.unmatched(at.market.accountant) == []
        assert balance.held("unapplied", at.market.cooperative) == 0


def test_whoever_agrees_sees_to_which_account_it_goes_and_that_it_is_anothers(app: Flask, market: Market) -> None:
    payer = receipt("B1")
    with transaction():
        db.session.get_one(BankReceipt, payer.id).payer_account = "36050101 0001 2345"
    for fen, name, account, another in ((100, "", "", False), (200, "靖安县第一中学", "6222000011119999", True), (300, "张三", "3605010100012345", True)):
        with transaction():
            row = receipt_return.propose(payer.id, fen, "多付了", payee_name=name, payee_account=account, actor=market.accountant)
        assert receipt_return.to_another(row, receipt("B1")) == another
    shown, masked = (browser(app, who).get("/cooperative/bank/returns").text for who in (market.director, market.clerk))
    assert (shown.count("退到的不是原来付款的账户"), "6222000011119999" in shown, "尾号 2345" in shown) == (2, True, True)
    assert ("6222000011119999" in masked, "尾号 9999" in masked) == (False, True)
