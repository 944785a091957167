"""Matching receipts: what is proposed and why, and that never more is matched than came or is owed."""

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bank_match, bank_refund
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.refund import Refund
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.reporting import books_trade
from tests import builders
from tests.procurement.unit_market import (
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    submit,
    unit_market,
)


@pytest.fixture(autouse=True)
def _books_agree(app: Flask):  # type: ignore[no-untyped-def]
    yield
    assert [breach for rule in books_trade.RULES for breach in rule()] == []


def reference(made: int) -> str:
    return db.session.get_one(DirectedOrder, made).reference


def test_proposals_are_ranked_by_reference_then_amount_then_payer(app: Flask) -> None:
    at = unit_market()
    named, same, other = confirmed(at, 10, key="a"), confirmed(at, 11, key="b"), confirmed(at, 12, key="c")
    submit(at, 11, key="d")  # not confirmed yet: nobody pays it
    unit_name = db.session.get_one(Organisation, at.unit).name_zh
    came = receipt(at, 88_000, remark=f"付 {reference(named)[:4]} {reference(named)[4:].lower()}", payer=unit_name)
    proposed = bank_match.propose(came, actor=at.market.accountant)
    assert [(p.payable.id, p.reasons, p.fen) for p in proposed] == [
        (order_of(named).id, ("REFERENCE", "PAYER"), 80_000),
        (order_of(same).id, ("AMOUNT", "PAYER"), 88_000),
        (order_of(other).id, ("PAYER", "PART"), 88_000),
    ]


def test_a_stranger_s_money_is_proposed_for_nothing(app: Flask) -> None:
    at = unit_market()
    confirmed(at)
    assert bank_match.propose(receipt(at, 123, payer="某公司"), actor=at.market.accountant) == []


@pytest.mark.both
def test_one_transfer_pays_two_orders_and_one_order_is_paid_in_two(app: Flask) -> None:
    at = unit_market()
    first, second = confirmed(at, 10, key="a"), confirmed(at, 10, key="b")
    came = receipt(at, 100_000)
    match(at, came, first, 80_000, key="1")
    match(at, came, second, 20_000, key="2")
    assert (order_of(first).payment, order_of(second).payment) == ("PAID", "PARTLY_PAID")
    assert db.session.get_one(BankReceipt, came).state == "matched"
    match(at, receipt(at, 60_000, serial="S2"), second, 60_000, key="3")
    assert order_of(second).payment == "PAID"
    assert balance.held("unapplied", at.market.cooperative) == 0
    assert balance.held("buyer_funds", at.market.cooperative) == 160_000


def test_what_is_left_of_a_receipt_stays_unapplied(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    came = receipt(at, 90_000)
    with pytest.raises(Conflict) as caught:
        match(at, came, made, 90_000, key="1")
    assert caught.value.code == "match.owed"
    match(at, came, made, 80_000, key="2")
    assert db.session.get_one(BankReceipt, came).state == "partial"
    assert balance.held("unapplied", at.market.cooperative) == 10_000
    assert [row.id for row in bank_match.unmatched(at.market.accountant)] == [came]


def test_no_receipt_is_matched_beyond_what_came(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    with pytest.raises(Conflict) as caught:
        match(at, receipt(at, 100), made, 101)
    assert caught.value.code == "match.receipt"


def test_pressing_twice_matches_once(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    came = receipt(at, 80_000)
    assert match(at, came, made, 40_000, key="same") == match(at, came, made, 40_000, key="same")
    assert order_of(made).paid_fen == 40_000
    with pytest.raises(Conflict):
        match(at, came, made, 39_999, key="same")


def test_the_accountant_of_another_cooperative_sees_and_matches_nothing(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    came = receipt(at, 80_000)
    stranger = builders.market(name="乙社").accountant
    with pytest.raises(NotFound):
        bank_match.propose(came, actor=stranger)
    with pytest.raises(NotFound), transaction():
        bank_match.match(came, "order", order_of(made).id, 1, actor=stranger, key="x")
    with pytest.raises(NotAllowed), transaction():
        bank_match.match(came, "order", order_of(made).id, 1, actor=at.market.clerk, key="x")


def test_prepaid_shipping_begins_with_the_whole_payment_and_a_shortage_goes_back_over_the_bank(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, terms="PREPAY")
    came = receipt(at, 80_000)
    match(at, came, made, 30_000, key="1")
    assert order_of(made).fulfilment == "WAITING"
    match(at, came, made, 50_000, key="2")
    assert order_of(made).fulfilment == "READY"
    ship(at, made, 8)
    accept(at, made, 8, 2)
    order = order_of(made)
    assert (order.accepted_fen, order.refunded_fen, order.payment) == (64_000, 16_000, "PAID")
    book = at.market.cooperative
    assert (balance.held("buyer_funds", book), balance.held("refunds_payable", book)) == (64_000, 16_000)
    (refund,) = db.session.query(Refund).all()
    with transaction():
        bank_refund.record(refund.id, "WY2601", clock.business_date(), actor=at.market.accountant)
    assert (balance.held("refunds_payable", book), balance.held("bank", book)) == (0, 64_000)


def test_early_payment_makes_the_receivable_smaller(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at)
    came = receipt(at, 80_000)
    match(at, came, made, 30_000, key="1")
    ship(at, made, 9)
    accept(at, made, 9, 1)
    book = at.market.cooperative
    assert (balance.held("receivable", book), balance.held("buyer_funds", book)) == (42_000, 30_000)
    with pytest.raises(Conflict):
        match(at, came, made, 42_001, key="2")
    match(at, came, made, 42_000, key="3")
    assert balance.held("receivable", book) == balance.held("accepted_unpaid", book) == 0
    assert (balance.held("buyer_funds", book), order_of(made).payment) == (72_000, "PAID")
