"""Every attempt to pay comes to an end, the one whose page nobody ever opened too: closed at its time, or once another attempt has paid."""

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.jobs import payments as jobs
from marketplace.orders import cancellation, order_payment
from marketplace.payments import call
from marketplace.payments import payment as payments
from marketplace.payments.call import PaymentCall
from marketplace.payments.channel import Answer
from marketplace.payments.payment import OPEN, Payment
from marketplace.reporting import money_health
from tests import builders
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.test_stripe import takes_cards

NEVER_OPENED = Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")


def waiting() -> dict[str, int]:
    """Attempts that are open, and those that are past their time and listed as of unknown outcome."""
    db.session.rollback()
    found = {each.name: each.count for each in money_health.standing()}
    return {"open": len(db.session.scalars(select(Payment.id).where(Payment.state.in_(OPEN))).all()), "listed": found["unknown_payments"]}


def swept(until: timedelta) -> None:
    """The jobs, once a minute, until so long from now."""
    begin = clock.now()
    for minute in range(0, int(until.total_seconds()), 60):
        with clock.travel(begin + timedelta(seconds=minute)):
            jobs.ask_due()
            outbox.drain(kinds={"payment.close"})


def test_an_attempt_that_was_never_opened_ends_soon_after_another_paid(app: Flask) -> None:
    """The buyer presses pay, closes the page, presses again and pays there."""
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (unused,) = trade.opened([order_id])
    channel = WrittenChannel(app, query=[NEVER_OPENED], close=[NEVER_OPENED])
    trade.paid([order_id])
    swept(timedelta(minutes=2))
    assert trade.payment_state(unused) == "canceled"
    assert waiting() == {"open": 0, "listed": 0}
    assert [each[0] for each in channel.asked] == ["query", "close", "query"]  # closed, then asked once more
    swept(timedelta(days=1))
    assert len(channel.asked) == 3
    assert (trade.order(order_id).payment, trade.held(market, "buyer_funds")) == ("PAID", 17600)


@pytest.mark.parametrize("answer", [NEVER_OPENED, Answer("unknown")])
def test_an_attempt_of_an_order_that_took_another_way_ends_at_its_time(app: Flask, answer: Answer) -> None:
    """Whatever became of the order: here no job calls it off."""
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    WrittenChannel(app, query=[answer], close=[answer])
    swept(timedelta(minutes=29))
    assert trade.payment_state(payment_id) in OPEN
    swept(timedelta(minutes=33))
    assert trade.payment_state(payment_id) == "canceled"
    assert waiting() == {"open": 0, "listed": 0}


def test_what_is_paid_on_an_attempt_that_was_given_up_goes_back(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (first,) = trade.opened([order_id])
    WrittenChannel(
        app, query=[NEVER_OPENED, Answer("succeeded", trade=trade.succeeded(first))], close=[Answer("refused", sub_code="ACQ.TRADE_STATUS_ERROR")],
        refund=[Answer("succeeded")],
    )  # fmt: skip
    trade.paid([order_id])
    swept(timedelta(minutes=2))
    assert trade.payment_state(first) == "late_paid"
    with clock.travel(clock.now() + timedelta(minutes=2)):
        assert outbox.drain(kinds={"refund"}) == (1, 0)
    db.session.rollback()
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "unapplied", "refunds_payable")] == [17600, 17600, 0, 0]


def test_a_cards_page_that_was_never_made_ends_too(app: Flask) -> None:
    market = builders.market()
    takes_cards(market)
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    payment_id = transaction(lambda: order_payment.open_for_orders([order_id], key="card", channel="stripe")[0].id)
    trade.paid([order_id])
    swept(timedelta(minutes=2))
    assert trade.payment_state(payment_id) == "canceled"
    assert waiting() == {"open": 0, "listed": 0}


@pytest.mark.both
def test_no_attempt_is_opened_behind_a_cancellation(app: Flask) -> None:
    """Whoever opens an attempt waits for who is cancelling the order, and is then refused."""
    market, buyer = builders.market(), builders.customer()
    (order_id,) = trade.placed(buyer, (market.pack, 2))
    held, go_on, said = threading.Event(), threading.Event(), []

    def cancels() -> None:
        with app.app_context(), transaction():
            cancellation.cancel(order_id, actor=buyer)
            held.set()
            go_on.wait(20)

    def opens() -> None:
        with app.app_context():
            try:
                said.append(transaction(lambda: order_payment.open_for_orders([order_id], key="late")))
            except Conflict as error:
                said.append(error.code)
            db.session.remove()

    one, two = threading.Thread(target=cancels), threading.Thread(target=opens)
    one.start()
    assert held.wait(20)
    two.start()
    two.join(0.5)  # long enough to get in, if anything let it
    go_on.set()
    one.join()
    two.join()
    assert said == ["order.unpayable"]
    assert db.session.scalars(select(Payment.state)).all() == []


def test_the_channels_word_that_it_is_closed_orders_no_further_closing(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    channel = WrittenChannel(app, close=[NEVER_OPENED], query=[NEVER_OPENED])
    closed = trade.succeeded(payment_id, state="closed", trade_no=None)
    assert transaction(lambda: payments.apply(closed)) == "closed"
    swept(timedelta(minutes=40))
    assert channel.asked == []


def test_what_nobody_can_be_asked_about_is_listed_and_its_questions_are_answered_rows(app: Flask) -> None:
    """The keys are gone, or a certificate is over: nothing is sent, nothing is refused, and yet somebody must look."""
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    begin = clock.now()
    swept(timedelta(minutes=50))
    with clock.travel(begin + timedelta(minutes=50)):
        assert waiting() == {"open": 1, "listed": 1}
        calls = db.session.scalars(select(PaymentCall)).all()
        assert {(each.outcome, (each.answer or {}).get("unsent"), each.answered_at is None) for each in calls} == {("unknown", True, False)}
        assert not call.alarm(market.cooperative)
    with clock.travel(begin + timedelta(days=3)):
        assert jobs.ask_due() == 1
        assert jobs.ask_due() == 0
        db.session.rollback()
        ask_at = db.session.get_one(Payment, payment_id).ask_at
        assert ask_at is not None
        assert ask_at - clock.now() > timedelta(minutes=59)
    WrittenChannel(app, query=[NEVER_OPENED], close=[NEVER_OPENED])
    with clock.travel(begin + timedelta(days=3, hours=2)):
        jobs.ask_due()
        outbox.drain(kinds={"payment.close"})
        assert waiting() == {"open": 0, "listed": 0}
