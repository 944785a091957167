"""A refund that was refused waits for a person only as long as there is anything to give back; so does whoever is told of it."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.orders import cancellation, order_refund, refund_reissue
from marketplace.orders.order import locked_order
from marketplace.payments import bill_import
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import BillRow
from marketplace.payments.channel import Answer
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.test_bill_import import _bill
from tests.payments.test_refund_ways import PAYEE, failed, market, refund_of, unsound
from tests.web.work_desk import browser

__all__ = ["failed", "market"]

REFUSED, NOT_REFUNDED = Answer("refused", sub_code="ACQ.TRADE_HAS_FINISHED"), Answer("refused", sub_code="not_refunded")


def waits() -> int:
    """How many refused refunds wait, each of which is an alarm."""
    db.session.rollback()
    count = next(each.count for each in money_health.standing() if each.name == "refused_refunds")
    assert len([each for each in money_alarm.frequent() if each.name == "refused_refunds"]) == count
    return count


def refunded_there(market: Market, payment_id: int, fen: int) -> None:
    """By hand, on Alipay's own pages: the next day's bill has it under a number of Alipay's."""
    db.session.rollback()
    payment = db.session.get_one(Payment, payment_id)
    row = BillRow("refund", payment.trade_no or "", payment.out_trade_no, "2026112522001177", -fen, 0, clock.now())
    transaction(lambda: bill_import.take(market.cooperative, _bill(market, row)))


@pytest.mark.both
def test_one_that_was_made_on_alipays_pages_instead_is_over(app: Flask, market: Market, failed: int) -> None:
    client = browser(app, market.accountant)
    public_id = db.session.get_one(Refund, failed).public_id
    assert (waits(), "提请转账" in client.get(f"/cooperative/refunds/{public_id}").text) == (1, True)
    refunded_there(market, db.session.get_one(Refund, failed).payment_id, 17600)
    assert (waits(), unsound()) == (0, [])
    page = client.get(f"/cooperative/refunds/{public_id}").text
    assert ("不用再办" in page, "提请转账" in page, "用新号码" in page) == (True, False, False)
    assert public_id not in client.get("/cooperative/refunds").text
    assert public_id in client.get("/cooperative/refunds?view=failed").text
    for again in (lambda: refund_reissue.resend(failed, actor=market.accountant), lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant)):
        with pytest.raises(Conflict, match=r"refund\.exceeds"):
            transaction(again)


def test_a_payee_that_waits_for_it_can_still_be_sent_back(app: Flask, market: Market, failed: int) -> None:
    proposed = transaction(lambda: refund_reissue.propose(failed, *PAYEE, actor=market.accountant).id)
    refunded_there(market, db.session.get_one(Refund, failed).payment_id, 17600)
    with pytest.raises(Conflict, match=r"refund\.exceeds"):
        transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director))
    assert transaction(lambda: refund_reissue.decide(proposed, approved=False, reason="已经在支付宝退了", actor=market.director).state) == "RETURNED"
    assert (waits(), unsound()) == (0, [])


def test_of_a_part_the_rest_still_waits(app: Flask, market: Market, failed: int) -> None:
    refunded_there(market, db.session.get_one(Refund, failed).payment_id, 10000)
    assert (waits(), transaction(lambda: refund_reissue.resend(failed, actor=market.accountant).fen)) == (1, 7600)


def test_a_part_that_was_refused_goes_with_the_whole_order(app: Flask, market: Market) -> None:
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    transaction(lambda: order_refund.pay_back(locked_order(order_id), 4000, "少了", person_id=None))
    WrittenChannel(app, refund=[REFUSED, Answer("succeeded")], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    assert waits() == 1
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    outbox.drain(kinds={"refund"})
    assert (waits(), trade.held(market, "alipay"), unsound()) == (0, 0, [])


def test_a_late_payment_that_was_given_back_by_hand_is_over(app: Flask, market: Market) -> None:
    buyer = builders.customer()
    (order_id,) = trade.placed(buyer, (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    transaction(lambda: payments.apply(trade.succeeded(payment_id)))
    WrittenChannel(app, refund=[REFUSED], refund_query=[NOT_REFUNDED])
    outbox.drain(kinds={"refund"})
    assert (waits(), refund_of("failed") > 0) == (1, True)
    with clock.travel(clock.now() + timedelta(hours=1)):
        refunded_there(market, payment_id, 17600)
        assert (waits(), trade.held(market, "unapplied"), unsound()) == (0, 0, [])
