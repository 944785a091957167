"""From Alipay to the bank: recorded by the accountant, no more than lies there, proven by the bank's statement or put back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.actor import Actor
from marketplace.payments import refund as refunds
from marketplace.payments import withdrawal
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.statement_row import StatementLink
from marketplace.payments.withdrawal import Withdrawal
from marketplace.reporting import books, money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.statement import receipt, row, take
from tests.payments.test_receipt_return import decided

NOW = datetime(2026, 3, 12, 3, tzinfo=UTC)
ALIPAY = "支付宝（中国）网络技术有限公司"


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    """Two tins were paid over Alipay: ¥176.00 lie there."""
    with clock.travel(NOW):
        market = builders.market()
        trade.bought(builders.customer(), (market.pack, 2))
        yield market


def record(actor: Actor, fen: int = 10_000, serial: str = "2026031200001", *, key: str = "k", day: date | None = None) -> Withdrawal:
    with transaction():
        return withdrawal.record(fen, serial, ordered_on=day, actor=actor, key=key)


def held(market: Market) -> tuple[int, int, int]:
    return tuple(balance.held(kind, market.cooperative) for kind in ("alipay", "bank", "unapplied"))  # type: ignore[return-value]


@pytest.mark.both
def test_what_is_withdrawn_moves_once_and_its_arrival_is_no_buyers_money(market: Market) -> None:
    first, again = record(market.accountant), record(market.accountant)
    assert (first.id, held(market)) == (again.id, (7_600, 10_000, 0))
    took = take(market.accountant, [("2026-03-12", 10_000, ALIPAY, "提现", "B1")])
    assert (took.new, took.arrivals, db.session.query(BankReceipt).count()) == (0, 1, 0)
    assert (held(market), db.session.query(Withdrawal).one().state) == ((7_600, 10_000, 0), "ARRIVED")
    assert [finding.rule for finding in books.check() if not finding.ok] == []


@pytest.mark.parametrize(
    ("name", "remark", "fen", "day", "arrives"),
    [(ALIPAY, "", 10_000, "2026-03-12", True), ("清算账户", "2026031200001", 10_000, "2026-03-12", True), ("王五", "货款", 10_000, "2026-03-12", False),
     (ALIPAY, "提现", 9_999, "2026-03-12", False), (ALIPAY, "提现", 10_000, "2026-03-11", False)],
)  # fmt: skip
def test_an_arrival_says_that_it_comes_from_alipay_or_names_the_number(market: Market, name: str, remark: str, fen: int, day: str, arrives: bool) -> None:
    record(market.accountant)
    assert take(market.accountant, [(day, fen, name, remark, "B1")]).arrivals == arrives


def test_of_two_alike_each_arrives_once(market: Market) -> None:
    record(market.accountant, 5_000, "2026031200001", key="a")
    record(market.accountant, 5_000, "2026031200002", key="b")
    took = take(market.accountant, [("2026-03-12", 5_000, ALIPAY, "提现", f"B{n}") for n in range(3)])
    assert (took.arrivals, took.new) == (2, 1), "the third is nobody's yet"


def test_no_more_than_lies_there_less_refunds_under_way(market: Market) -> None:
    assert withdrawal.available(market.cooperative) == 17_600
    payment_id = db.session.query(Payment).one().id
    with transaction():
        asked = refunds.request(payment_id, 1_000, "退")
        refunds.approve(asked.id, approved_by_id=None)
    assert withdrawal.available(market.cooperative) == 16_600
    with pytest.raises(Conflict) as short:
        record(market.accountant, 16_601)
    assert short.value.data["left_fen"] == 16_600
    record(market.accountant, 16_600)
    with pytest.raises(Conflict):
        record(market.accountant, 1, "2026031200009", key="z")


@pytest.mark.parametrize(
    ("fen", "serial", "day", "code"),
    [(0, "2026031200001", None, "withdrawal.fen"), (-5, "2026031200001", None, "withdrawal.fen"), (5, "x", None, "withdrawal.serial"),
     (5, "=cmd|calc", None, "withdrawal.serial"), (5, "2026031200001", date(2026, 3, 13), "withdrawal.day"), (5, "2026031200001", date(2026, 1, 1), "withdrawal.day")],
)  # fmt: skip
def test_what_cannot_be_is_refused(market: Market, fen: int, serial: str, day: date | None, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        record(market.accountant, fen, serial, day=day)
    assert (refused.value.code, held(market)) == (code, (17_600, 0, 0))


def test_one_number_of_alipays_is_one_withdrawal(market: Market) -> None:
    record(market.accountant)
    with pytest.raises(Conflict) as used:
        record(market.accountant, 100, key="other")
    assert used.value.code == "withdrawal.used"


@pytest.mark.both
def test_one_that_the_bank_refused_is_put_back_and_one_that_arrived_is_not(market: Market) -> None:
    row = record(market.accountant)
    with transaction():
        withdrawal.failed(row.id, "银行卡号不对", version=1, actor=market.accountant)
    assert (held(market), db.session.get_one(Withdrawal, row.id).state) == ((17_600, 0, 0), "FAILED")
    assert take(market.accountant, [("2026-03-12", 10_000, ALIPAY, "提现", "B1")]).arrivals == 0
    other = record(market.accountant, 5_000, "2026031200002", key="b")
    take(market.accountant, [("2026-03-12", 5_000, ALIPAY, "提现", "B2")], opening_fen=10_000)
    with pytest.raises(Conflict), transaction():
        withdrawal.failed(other.id, "银行卡号不对", version=1, actor=market.accountant)
    assert [finding.rule for finding in books.check() if not finding.ok] == []


def test_only_the_accountant_of_this_cooperative(market: Market) -> None:
    row = record(market.accountant)
    for actor in (market.clerk, market.director, builders.customer()):
        with pytest.raises(NotAllowed):
            record(actor, 100, "2026031200007", key="c")
    with pytest.raises(NotFound), transaction():
        withdrawal.failed(row.id, "不是我的", version=1, actor=builders.market(name="乙社").accountant)
    with pytest.raises(MarketError), transaction():
        withdrawal.failed(row.id, "", version=1, actor=market.accountant)


def test_one_that_does_not_arrive_is_on_the_page_of_money_health(market: Market) -> None:
    record(market.accountant)

    def waiting() -> int:
        return next(each.count for each in money_health.standing() if each.name == "withdrawals")

    assert waiting() == 0
    with clock.travel(datetime(2026, 3, 16, 3, tzinfo=UTC)):
        assert waiting() == 1


@pytest.mark.both
def test_a_credit_that_is_older_than_its_order_is_another_withdrawal(market: Market) -> None:
    """Two people say of a credit of the day before that it came from Alipay: what was ordered today is still on its way, and arrives when it does."""
    ordered = record(market.accountant, 5_000, day=date(2026, 3, 12)).id
    take(market.accountant, [("2026-03-11", 5_000, "清算", "跨行转入", "B1")])
    decided(market, "B1", "WITHDRAWAL")
    assert [(each.ordered_on.day, each.state) for each in db.session.query(Withdrawal).order_by(Withdrawal.id)] == [(12, "SENT"), (11, "ARRIVED")]
    take(market.accountant, [("2026-03-12", 5_000, "清算", "跨行转入", "B2")], opening_fen=5_000)
    decided(market, "B2", "WITHDRAWAL")
    assert [each.state for each in db.session.query(Withdrawal)] == ["ARRIVED"] * 2
    its = db.session.get_one(Withdrawal, ordered)
    assert [link.entry_id for link in db.session.query(StatementLink).filter_by(row_id=row("B2").id)] == [its.entry_id]
    assert (receipt("B2").state, held(market)) == ("unrelated", (7_600, 10_000, 0))
    assert [finding.rule for finding in books.check() if not finding.ok] == []
