"""From payment to receipt: expiry, cancelling, sending from batches, returns, and money that goes back."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.orders import cancellation, expiry, order_refund, received, return_request, shipment
from marketplace.orders.order import WrongState, lines_of, locked_order
from marketplace.organisations.actor import acting
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import grant
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund, RefundTooMuch
from marketplace.reporting import books
from marketplace.supply.batch import Batch
from tests import builders
from tests.orders import trade

pytestmark = pytest.mark.both


def test_unpaid_orders_expire_and_paid_ones_do_not(app: Flask) -> None:
    market = builders.market()
    (unpaid,) = trade.placed(builders.customer(), (market.pack, 3))
    paid = trade.bought(builders.customer(), (market.pack, 2))
    with clock.travel(clock.now() + timedelta(minutes=29)), transaction():
        assert expiry.expire_due() == 0
    with clock.travel(clock.now() + timedelta(minutes=31)), transaction():
        assert expiry.expire_due() == 1
        assert expiry.expire_due() == 0
    assert (trade.order(unpaid).fulfilment, trade.order(unpaid).cancel_reason) == ("CANCELLED", "expired")
    assert trade.order(paid).fulfilment == "READY"
    assert trade.free(market.pack) == (10, 2)


def test_an_expired_order_cannot_be_paid_any_more(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    with clock.travel(clock.now() + timedelta(minutes=31)), pytest.raises(Conflict) as late:
        trade.opened([order_id])
    assert late.value.code == "purchase.expired"


def test_cancelling_before_shipment_gives_everything_back(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 1))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    order = trade.order(order_id)
    assert (order.fulfilment, order.payment, order.refunded_fen) == ("CANCELLED", "REFUNDED", 9600)
    assert trade.free(market.pack) == (10, 0)
    assert (trade.held(market, "buyer_funds"), trade.held(market, "refunds_payable")) == (0, 9600)
    with transaction():
        (refund,) = db.session.scalars(db.select(Refund))
        assert refunds.succeed(refund.id)
        assert not refunds.succeed(refund.id)
    assert (trade.held(market, "alipay"), trade.held(market, "refunds_payable")) == (0, 0)


def test_a_stranger_cannot_cancel(app: Flask) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 1))
    with pytest.raises(NotFound), transaction():
        cancellation.cancel(order_id, actor=builders.customer("路人"))
    assert trade.order(order_id).fulfilment == "READY"


def test_a_shipment_takes_from_stock_and_batch(app: Flask) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 3))
    (line,) = lines_of(order_id)
    with transaction():
        shipment.ship(order_id, [(line.id, market.batch, 1)], "顺丰速运", "SF1", actor=market.clerk)
    assert trade.order(order_id).fulfilment == "PARTLY_SHIPPED"
    with transaction():
        shipment.ship(order_id, [(line.id, market.batch, 2)], "顺丰速运", "SF2", actor=market.clerk)
    assert trade.order(order_id).fulfilment == "SHIPPED"
    assert db.session.get_one(Batch, market.batch).grams_sold == 150
    assert trade.free(market.pack) == (7, 0)
    with pytest.raises(WrongState), transaction():
        cancellation.cancel(order_id, actor=market.clerk)


def test_sold_never_passes_packed_nor_ordered_nor_another_group(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="别家")
    order_id = trade.bought(builders.customer(), (market.pack, 3))
    (line,) = lines_of(order_id)
    line_id = line.id
    small = builders.batch(market.cooperative, market.group, grams=100)
    for parts, error in (
        ([(line_id, small, 3)], shipment.BatchShort),
        ([(line_id, market.batch, 2), (line_id, market.batch, 2)], InvalidInput),
        ([(line_id, other.batch, 3)], InvalidInput),
        ([], InvalidInput),
    ):
        with pytest.raises(error), transaction():
            shipment.ship(order_id, parts, "顺丰速运", actor=market.clerk)
    with pytest.raises(NotFound), transaction():
        shipment.ship(order_id, [(line_id, market.batch, 3)], "顺丰速运", actor=other.clerk)
    assert trade.free(market.pack) == (10, 3)
    assert trade.order(order_id).fulfilment == "READY"


def test_receipt_by_word_or_after_ten_days_opens_the_return_window(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    said, silent = (trade.bought(buyer, (market.pack, 2)) for _ in range(2))
    for order_id in (said, silent):
        trade.shipped(market, order_id)
    with transaction():
        received.confirm(said, actor=buyer)
    order = trade.order(said)
    assert order.fulfilment == "RECEIVED"
    assert order.received_at is not None
    assert order.return_until == order.received_at + timedelta(days=7)
    with clock.travel(clock.now() + timedelta(days=9, hours=23)), transaction():
        assert received.confirm_due() == 0
    with clock.travel(clock.now() + timedelta(days=10, minutes=1)), transaction():
        assert received.confirm_due() == 1
    assert trade.order(silent).fulfilment == "RECEIVED"


def test_partial_refunds_never_pass_what_was_paid(app: Flask) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 1))
    with transaction():
        order_refund.pay_back(locked_order(order_id), 5000, "part", person_id=None)
    with pytest.raises(RefundTooMuch) as much, transaction():
        order_refund.pay_back(locked_order(order_id), 4601, "more", person_id=None)
    assert much.value.data["left_fen"] == 4600
    with transaction():
        order_refund.pay_back(locked_order(order_id), 4600, "rest", person_id=None)
    (line,) = lines_of(order_id)
    # Goods go back first, the 800 of freight last.
    assert (line.refunded_fen, trade.order(order_id).refunded_fen, trade.order(order_id).payment) == (
        8800,
        9600,
        "REFUNDED",
    )
    assert trade.held(market, "refunds_payable") == 9600
    (payment,) = db.session.scalars(db.select(Payment))
    assert payment.refunded_fen == payment.amount_fen == 9600


@pytest.mark.parametrize("fen", [0, -1])
def test_odd_refunds_are_refused(app: Flask, fen: int) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 1))
    with pytest.raises(InvalidInput), transaction():
        order_refund.pay_back(locked_order(order_id), fen, "odd", person_id=None)


def test_a_refund_that_fails_for_good_is_undone(app: Flask) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 1))
    with transaction():
        (refund_id,) = order_refund.pay_back(locked_order(order_id), 9000, "part", person_id=None)
    with transaction():
        assert refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED")
    (line,) = lines_of(order_id)
    assert (line.refunded_fen, trade.order(order_id).refunded_fen, trade.order(order_id).payment) == (
        0,
        0,
        "PAID",
    )
    assert (trade.held(market, "buyer_funds"), trade.held(market, "refunds_payable")) == (9600, 0)
    assert db.session.scalars(db.select(Payment.refunded_fen)).one() == 0


def test_a_return_is_answered_once(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    trade.shipped(market, order_id)
    with transaction():
        received.confirm(order_id, actor=buyer)
    with transaction():
        request_id = return_request.raise_request(order_id, 8800, "罐子压坏了一个", actor=buyer).id
    with pytest.raises(Conflict), transaction():
        return_request.raise_request(order_id, 8800, "再申请一次", actor=buyer)
    with transaction():
        return_request.approve(request_id, actor=market.accountant)
    assert trade.order(order_id).refunded_fen == 8800
    assert trade.held(market, "refunds_payable") == 8800
    with pytest.raises(Conflict), transaction():
        return_request.refuse(request_id, "已经退过", actor=market.accountant)
    with clock.travel(clock.now() + timedelta(days=8)), pytest.raises(Conflict) as late, transaction():
        return_request.raise_request(order_id, 100, "太晚了", actor=buyer)
    assert late.value.code == "return.late"


def test_a_return_before_shipment_calls_the_order_off(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        request_id = return_request.raise_request(order_id, 17600, "不想要了", actor=buyer).id
    with transaction():
        return_request.approve(request_id, actor=market.clerk)
    assert (trade.order(order_id).fulfilment, trade.order(order_id).payment) == ("CANCELLED", "REFUNDED")
    assert trade.free(market.pack) == (10, 0)


def test_who_sells_here_and_bought_here_does_not_answer_their_own_return(app: Flask) -> None:
    market, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (market.pack, 1))
    transaction(lambda: grant(buyer.person_id, market.cooperative, "clerk"))
    seller = acting(buyer.person_id, market.cooperative)
    assert seller is not None
    asked = transaction(lambda: return_request.raise_request(order_id, trade.order(order_id).paid_fen, "不想要了", actor=buyer).id)
    with pytest.raises(OwnWork), transaction():
        return_request.approve(asked, actor=seller)
    assert trade.order(order_id).refunded_fen == 0
    transaction(lambda: return_request.approve(asked, actor=market.clerk))
    assert trade.order(order_id).fulfilment == "CANCELLED"
    assert [each.detail for each in books.check() if not each.ok] == []
