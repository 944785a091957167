"""Stripe pays out to the bank by itself: the credit is recognised, said by the accountant, agreed by the director, and moves stripe to bank."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.orders import order_payment
from marketplace.payments import payment as payments
from marketplace.payments import row_decision
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import Payment
from marketplace.payments.row_decision import RowDecision
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments import statement
from tests.payments.test_stripe import ACCOUNT, takes_cards
from tests.web.work_desk import browser

NOW = datetime(2026, 3, 12, 3, tzinfo=UTC)
PAYOUT = ("2026-03-12", 17_000, "STRIPE PAYMENTS", "STRIPE TRANSFER po_1", "B1")


@pytest.fixture
def market(app: Flask) -> Iterator[Market]:
    """Two tins were paid by card: ¥176.00 lie at Stripe."""
    with clock.travel(NOW):
        market = builders.market()
        takes_cards(market)
        (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
        number = transaction(lambda: order_payment.open_for_orders([order_id], key="k", channel="stripe")[0].out_trade_no)
        paid = Outcome(number, "succeeded", total_fen=17_600, trade_no="pi_1", app_id=ACCOUNT, channel="stripe", at=NOW)
        assert transaction(lambda: payments.apply(paid)) == "applied"
        yield market


def held(market: Market) -> dict[str, int]:
    db.session.rollback()
    assert [finding.rule for finding in books.check() if not finding.ok] == []
    return {kind: fen for kind in ("stripe", "alipay", "bank", "unapplied", "outside") if (fen := balance.held(kind, market.cooperative))}


@pytest.mark.both
def test_a_payout_moves_from_stripe_to_the_bank_and_is_no_buyers_money(market: Market) -> None:
    statement.take(market.accountant, [PAYOUT])
    assert held(market) == {"stripe": 17_600, "bank": 17_000, "unapplied": 17_000}
    row_id = statement.row("B1").id
    assert row_decision.suggested(market.cooperative, statement.row("B1")) == "STRIPE"
    made = transaction(lambda: row_decision.propose(row_id, "STRIPE", "Stripe 后台的打款 po_1", actor=market.accountant))
    again = transaction(lambda: row_decision.propose(row_id, "STRIPE", "Stripe 后台的打款 po_1", actor=market.accountant))
    assert made.id == again.id
    with pytest.raises(Conflict, match=r"decision\.waits"):  # from Alipay is something else
        transaction(lambda: row_decision.propose(row_id, "WITHDRAWAL", "提现", actor=market.accountant))
    transaction(lambda: row_decision.decide(made.id, version=1, approved=True, actor=market.director))
    assert held(market) == {"stripe": 600, "bank": 17_000}
    assert db.session.scalars(select(BankReceipt.state)).one() == "unrelated"


def test_more_than_lies_at_stripe_is_no_payout_of_its(market: Market) -> None:
    statement.take(market.accountant, [(PAYOUT[0], 17_601, *PAYOUT[2:]), (PAYOUT[0], 9_000, *PAYOUT[2:4], "B2"), (PAYOUT[0], 9_000, *PAYOUT[2:4], "B3")])
    with pytest.raises(Conflict, match=r"payout\.short"):
        transaction(lambda: row_decision.propose(statement.row("B1").id, "STRIPE", "打款", actor=market.accountant))
    ids = [transaction(lambda s=serial: row_decision.propose(statement.row(s).id, "STRIPE", "打款", actor=market.accountant).id) for serial in ("B2", "B3")]  # type: ignore[misc]
    transaction(lambda: row_decision.decide(ids[0], version=1, approved=True, actor=market.director))
    with pytest.raises(Conflict, match=r"payout\.short"):  # both cannot have come from there
        transaction(lambda: row_decision.decide(ids[1], version=1, approved=True, actor=market.director))


@pytest.mark.parametrize(
    ("name", "remark", "seems"),
    [("STRIPE PAYMENTS", "", "STRIPE"), ("清算账户", "Stripe transfer", "STRIPE"), ("支付宝（中国）网络技术有限公司", "提现", "WITHDRAWAL"), ("王五", "货款", "UNRELATED")],
)  # fmt: skip
def test_a_credit_says_where_it_seems_to_come_from(market: Market, name: str, remark: str, seems: str) -> None:
    statement.take(market.accountant, [("2026-03-12", 100, name, remark, "B1")])
    assert row_decision.suggested(market.cooperative, statement.row("B1")) == seems


def test_whoever_takes_no_cards_gets_no_payouts_proposed(app: Flask) -> None:
    with clock.travel(NOW):
        market = builders.market()
        statement.take(market.accountant, [PAYOUT])
        assert row_decision.suggested(market.cooperative, statement.row("B1")) == "UNRELATED"
        with pytest.raises(Conflict, match=r"payout\.short"):
            transaction(lambda: row_decision.propose(statement.row("B1").id, "STRIPE", "打款", actor=market.accountant))


def test_the_page_has_it_chosen_and_the_director_reads_what_it_is(app: Flask, market: Market) -> None:
    statement.take(market.accountant, [PAYOUT])
    address = f"/cooperative/bank/receipts/{statement.receipt('B1').public_id}"
    db.session.rollback()
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    page = accountant.get(address).text
    assert 'value="STRIPE" checked' in page and "Stripe 打来的款" in page
    assert accountant.post(f"{address}/say", data={"kind": "STRIPE", "why": "打款 po_1"}).status_code == 303
    assert "Stripe 打来的款" in director.get("/cooperative/bank/decisions").text
    db.session.rollback()
    said = db.session.scalars(select(RowDecision)).one()
    assert director.post(f"/cooperative/bank/decisions/{said.public_id}", data={"version": "1", "decision": "approve"}).status_code == 303
    assert held(market) == {"stripe": 600, "bank": 17_000}
    assert db.session.scalars(select(Payment.state)).one() == "succeeded"
