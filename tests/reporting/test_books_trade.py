"""Books and trade side by side: a small honest trade breaks nothing, and each rule is broken once and named."""

from typing import Any

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import transaction
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order, OrderLine
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.approval import Approval
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.procurement.directed_order import Acceptance, DirectedOrder
from marketplace.reporting import books, books_trade
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.supply.stock import Stock, StockMove
from tests.ledger import account_book
from tests.reporting import planted

BUYER, OTHER = 501, 502  # people


pytestmark = pytest.mark.both


@pytest.fixture
def book(app: Flask) -> int:
    """A cooperative that sold twice: order 1 over Alipay, paid and a part refunded; order 2 to a unit, by bank transfer."""
    book = account_book.opened().cooperative
    planted.row(Stock, pack_id=1, organisation_id=book, on_hand=8, reserved=1)
    planted.row(StockMove, organisation_id=book, pack_id=1, on_hand=10, reserved=0, reason="COUNTED")
    planted.row(StockMove, organisation_id=book, pack_id=1, on_hand=0, reserved=3, reason="RESERVED")
    planted.row(StockMove, organisation_id=book, pack_id=1, on_hand=-2, reserved=-2, reason="SHIPPED")
    order(book, 1, total=10_000, paid=10_000, refunded=1_000, payment="PAID")
    planted.row(
        OrderLine,
        order_id=1,
        organisation_id=book,
        pack_id=1,
        quantity=3,
        shipped=2,
        price_fen=4_000,
        discount_fen=2_000,
        goods_fen=10_000,
    )
    payment(book, 1, 10_000, refunded_fen=1_000)
    planted.row(
        Refund,
        id=1,
        organisation_id=book,
        payment_id=1,
        order_id=1,
        fen=600,
        state="succeeded",
        approved_at=clock.now(),
    )
    planted.row(
        Refund,
        id=2,
        organisation_id=book,
        payment_id=1,
        order_id=1,
        fen=400,
        state="unknown",
        approved_at=clock.now(),
    )
    planted.row(
        Refund,
        id=3,
        organisation_id=book,
        payment_id=1,
        order_id=1,
        fen=50,
        state="requested",
        approved_at=clock.now(),
    )
    payment(book, 2, 77, state="late_paid")
    order(
        book,
        2,
        kind="DIRECTED",
        total=50_000,
        paid=30_000,
        accepted_fen=48_000,
        placed_by_id=BUYER,
        received_at=clock.now(),
        payment="PARTLY_PAID",
    )
    planted.row(Acceptance, order_id=2, accepted_fen=48_000, short_fen=2_000)
    planted.row(DirectedOrder, order_id=2, approval="APPROVED", terms="POSTPAY", approved_by_id=OTHER)
    planted.row(BankReceipt, id=1, organisation_id=book, fen=35_000, matched_fen=30_000, state="partial")
    planted.row(
        BankMatch, organisation_id=book, receipt_id=1, payable_kind="directed_order", payable_id=2, fen=30_000
    )
    with transaction():
        event.alipay_paid(book=book, source=Source("payment", 1), fen=10_000)
        event.alipay_unapplied(book=book, source=Source("payment", 2), fen=77)
        event.refund_approved(book=book, source=Source("refund", 1), fen=600)
        event.refund_approved(book=book, source=Source("refund", 2), fen=400)
        event.refund_succeeded(book=book, source=Source("refund", 1), fen=600)
        event.fee(book=book, source=Source("bill_row", 1), fen=60)
        event.accepted_on_credit(book=book, source=Source("acceptance", 1), fen=48_000)
        event.bank_received(book=book, source=Source("bank_receipt", 1), fen=35_000)
        event.matched_receivable(book=book, source=Source("bank_match", 1), fen=30_000)
    return book


def order(book: int, number: int, *, total: int, paid: int, refunded: int = 0, **other: Any) -> None:
    said = {"kind": "PUBLIC", "fulfilment": "SHIPPED", "payment": "PAID"} | other
    planted.row(
        Order,
        id=number,
        organisation_id=book,
        goods_fen=total,
        total_fen=total,
        paid_fen=paid,
        refunded_fen=refunded,
        **said,
    )


def payment(book: int, number: int, fen: int, **other: Any) -> None:
    said = {"payable_kind": "order", "payable_id": 1, "channel": "alipay", "state": "succeeded"} | other
    planted.row(Payment, id=number, organisation_id=book, amount_fen=fen, **said)


def broken(rule: Any) -> str:
    """What the rule says, found among all rules by its name."""
    finding = next(each for each in books.check() if each.rule == rule.__name__)
    assert not finding.ok
    return finding.detail


def test_an_honest_trade_breaks_no_rule(book: int) -> None:
    assert [finding for finding in books.check() if not finding.ok] == []


def test_no_oversell_when_moves_and_stock_part(book: int) -> None:
    planted.change("UPDATE stock SET on_hand = 9")
    assert broken(books_trade.no_oversell) == "pack 1: stock is not the sum of its moves"


def test_no_oversell_when_more_is_promised_than_there_is(book: int) -> None:
    planted.change("UPDATE stock SET reserved = 9")
    assert broken(books_trade.no_oversell).startswith("pack 1: 9 promised, 8 on hand")


def test_stock_parts_when_goods_leave_without_leaving_the_stock(book: int) -> None:
    planted.change("UPDATE order_line SET shipped = 3")
    assert (
        broken(books_trade.stock_is_what_orders_say)
        == "pack 1: 3 shipped, 2 left the stock; pack 1: 0 to be shipped, 1 set aside"
    )


def test_stock_parts_when_an_order_stands_without_its_stock(book: int) -> None:
    planted.change("UPDATE order_line SET quantity = 4")
    assert broken(books_trade.stock_is_what_orders_say) == "pack 1: 2 to be shipped, 1 set aside"


def test_an_order_that_says_more_than_was_received(book: int) -> None:
    planted.change("UPDATE payment SET amount_fen = 9999 WHERE id = 1")
    assert broken(books_trade.orders_are_paid_as_received) == "order 1: says 10000 fen, 9999 received"
    assert "ledger 10000 fen, records 9999" in broken(books_trade.payments_are_posted)


def test_an_order_paid_twice(book: int) -> None:
    payment(book, 3, 10_000)
    planted.change('UPDATE "order" SET paid_fen = 20000 WHERE id = 1')
    assert broken(books_trade.orders_are_paid_as_received) == "order 1: 20000 fen paid of 10000"


def test_an_order_paid_unnoticed(book: int) -> None:
    order(book, 3, total=500, paid=0, payment="UNPAID")
    payment(book, 3, 500, payable_id=3)
    assert broken(books_trade.orders_are_paid_as_received) == "order 3: says 0 fen, 500 received"
    assert "paid over Alipay" in broken(books_trade.payments_are_posted)


def test_an_order_whose_state_lies(book: int) -> None:
    planted.change("UPDATE \"order\" SET payment = 'UNPAID' WHERE id = 1")
    assert broken(books_trade.orders_are_paid_as_received) == "order 1: 10000 fen paid, and UNPAID"


def test_a_payment_for_an_order_that_does_not_exist(book: int) -> None:
    payment(book, 3, 500, payable_id=33)
    assert "500 fen received, and there is no such order" in broken(books_trade.orders_are_paid_as_received)


def test_a_late_payment_that_is_in_no_book(book: int) -> None:
    payment(book, 3, 500, state="late_paid")
    assert "paid late or twice" in broken(books_trade.payments_are_posted)


def test_a_receipt_that_is_in_no_book(book: int) -> None:
    planted.row(BankReceipt, organisation_id=book, fen=5, state="imported")
    assert (
        broken(books_trade.receipts_are_posted) == f"receipts of book {book}: ledger 35000 fen, records 35005"
    )


def test_a_match_that_is_in_no_book(book: int) -> None:
    planted.row(
        BankMatch, organisation_id=book, receipt_id=1, payable_kind="directed_order", payable_id=2, fen=5
    )
    detail = broken(books_trade.receipts_are_posted)
    assert "matches" in detail
    assert "receipt 1: matched is not the sum of its matches" in detail


def test_buyers_money_that_went_elsewhere(book: int) -> None:
    with transaction():
        event.settled(
            book=book, source=Source("order", 1), scheme_version_id=1,
            revenue_fen=100, freight_fen=0, pools={}, collectives={}, fund_fen=0,
        )  # fmt: skip
    assert (
        broken(books_trade.buyer_funds_are_paid_unsettled)
        == f"buyer_funds of book {book}: ledger 38900 fen, records 39000"
    )


def test_a_refund_that_is_in_no_book(book: int) -> None:
    planted.row(
        Refund,
        id=4,
        organisation_id=book,
        payment_id=1,
        order_id=1,
        fen=9,
        state="approved",
        approved_at=clock.now(),
    )
    detail = broken(books_trade.refunds_are_posted)
    assert f"refunds_payable of book {book}: ledger 400 fen, records 409" in detail
    assert "order 1: says 1000 fen refunded, 1009 approved" in detail
    assert "payment 1: says 1000 fen refunded, 1009 approved" in detail


def test_alipay_money_that_nobody_paid(book: int) -> None:
    with transaction():
        event.refund_succeeded(book=book, source=Source("refund", 2), fen=400)
    assert (
        broken(books_trade.alipay_is_what_came_and_went)
        == f"alipay of book {book}: ledger 9017 fen, records 9417"
    )


def test_an_acceptance_that_the_order_does_not_know(book: int) -> None:
    planted.change("UPDATE acceptance SET accepted_fen = 50000")
    assert (
        broken(books_trade.acceptance_is_recorded) == "order 2: says 48000 fen accepted, its acceptance 50000"
    )


@pytest.mark.parametrize(
    "what", ["approval", "distribution", "payout batch", "return request", "directed order"]
)
def test_somebody_approved_their_own(book: int, what: str) -> None:
    if what == "approval":
        planted.row(Approval, id=7, maker_id=BUYER, checker_id=BUYER, decision="APPROVED")
    elif what == "distribution":
        planted.row(Distribution, id=7, state="APPROVED", drafted_by_id=BUYER, approved_by_id=BUYER)
    elif what == "payout batch":
        planted.row(PayoutBatch, id=7, made_by_id=BUYER, approved_by_id=BUYER, state="APPROVED")
    elif what == "return request":
        planted.row(ReturnRequest, id=7, state="APPROVED", raised_by_id=BUYER, answered_by_id=BUYER)
    else:
        planted.change(f"UPDATE directed_order SET id = 7, approved_by_id = {BUYER}")
    assert broken(books_trade.nobody_approved_their_own) == f"{what} 7: made and approved by one person"
