"""Calls outside: the row before the network, one number for all tries of a refund, and a sweeper that asks when nobody tells."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.jobs import payments as asking
from marketplace.orders import cancellation, expiry
from marketplace.payments import call, sweep
from marketplace.payments.alipay_outcome import Refused
from marketplace.payments.call import PaymentCall
from marketplace.payments.channel import Answer
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.seller_channel import answer_of
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.orders import trade
from tests.payments.gateway import WrittenChannel

DONE, UNKNOWN, NOT_THERE = Answer("succeeded"), Answer("unknown"), Answer("refused", sub_code="not_refunded")


def _refund_state() -> str:
    db.session.expire_all()
    return db.session.scalars(select(Refund.state)).one()


def test_it_refuses_to_run_inside_a_transaction(app: Flask) -> None:
    with pytest.raises(RuntimeError), transaction():
        call.carry_out(1)


def test_a_lost_notice_is_asked_for(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    never_opened = Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")
    channel = WrittenChannel(
        app, query=[never_opened, Answer("succeeded", trade=trade.succeeded(payment_id))]
    )
    assert asking.ask_due() == 0
    with clock.travel(clock.now() + timedelta(seconds=11)):
        assert asking.ask_due() == 1
        assert asking.ask_due() == 0
    with clock.travel(clock.now() + timedelta(minutes=2)):
        assert asking.ask_due() == 1
        assert asking.ask_due() == 0
    assert (trade.order(order_id).payment, trade.held(market, "buyer_funds")) == ("PAID", 17600)
    assert [each[0] for each in channel.asked] == ["query", "query"]
    assert list(db.session.scalars(select(PaymentCall.outcome))) == ["refused", "succeeded"]


def test_a_payment_is_processing_while_the_answer_is_unknown(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    waits = Answer("succeeded", trade=trade.succeeded(payment_id, state="pending", trade_no=None))
    WrittenChannel(app, query=[UNKNOWN, UNKNOWN, waits, UNKNOWN, Answer("succeeded", trade=trade.succeeded(payment_id))])
    seen = [trade.payment_state(payment_id)] + [call.ask(payment_id) for _ in range(5)]
    assert seen == ["requires_action", "processing", "processing", "requires_action", "processing", "succeeded"]
    assert trade.held(market, "buyer_funds") == 17600


def test_an_answer_that_does_not_fit_is_not_applied(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    WrittenChannel(app, query=[Answer("succeeded", trade=trade.succeeded(payment_id, total_fen=1), told={"fen": 1})])
    for seconds in (11, 45):
        with clock.travel(clock.now() + timedelta(seconds=seconds)):
            assert asking.ask_due() == 1
            assert sweep.due() == []
    payment = db.session.get_one(Payment, payment_id)
    assert (trade.order(order_id).payment, payment.state, payment.asked, payment.trade_no) == ("UNPAID", "processing", 2, None)
    assert trade.held(market, "alipay") == 0
    # The answers are kept, and people see and hear of it once: as of a notice that does not fit.
    assert [each.answer for each in db.session.scalars(select(PaymentCall))] == [{"sub_code": "", "fen": 1, "misfit": "amount_fen"}] * 2
    listed = [(number, fen) for _row, number, fen, _since in money_health.rows("notices")]
    assert listed == [(payment.out_trade_no, 1)]
    assert [each.number for each in money_alarm.frequent() if each.name == "notices"] == [payment.out_trade_no]


def test_an_answer_that_does_not_fit_is_looked_into_also_when_its_time_is_over(app: Flask) -> None:
    """The order expires, its page is closed, and the channel goes on saying that another amount was paid: somebody has to see it."""
    market = builders.market()
    (payment_id,) = trade.opened(trade.placed(builders.customer(), (market.pack, 2)))
    paid = Answer("succeeded", trade=trade.succeeded(payment_id, total_fen=1))
    WrittenChannel(app, query=[paid], close=[Answer("refused", sub_code="ACQ.TRADE_STATUS_ERROR")])
    with clock.travel(clock.now() + timedelta(hours=1)):
        asking.ask_due()
        assert outbox.drain(kinds={"payment.close"}) == (1, 0)
        assert outbox.drain(kinds={"payment.close"}) == (0, 0)
    assert trade.payment_state(payment_id) == "canceled"
    assert next(each.count for each in money_health.standing() if each.name == "notices") == 1


def test_a_refund_leaves_once(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    channel = WrittenChannel(app, refund=[DONE])
    assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert outbox.drain(kinds={"refund"}) == (0, 0)
    assert _refund_state() == "succeeded"
    assert (trade.held(market, "alipay"), trade.held(market, "refunds_payable")) == (0, 0)
    assert [each[0] for each in channel.asked] == ["refund"]


def test_a_refund_of_unknown_outcome_is_asked_about_and_sent_again_unchanged(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    channel = WrittenChannel(app, refund=[UNKNOWN, DONE], refund_query=[NOT_THERE])
    assert outbox.drain(kinds={"refund"}) == (0, 1)
    assert _refund_state() == "unknown"
    assert trade.held(market, "refunds_payable") == 17600
    with clock.travel(clock.now() + timedelta(minutes=1)):
        assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert _refund_state() == "succeeded"
    assert [each[0] for each in channel.asked] == ["refund", "refund_query", "refund"]
    assert len({each[1:] for each in channel.asked}) == 1
    assert trade.held(market, "alipay") == 0


def test_a_refund_committed_and_then_timed_out_is_not_sent_twice(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    channel = WrittenChannel(app, refund=[UNKNOWN], refund_query=[DONE])
    outbox.drain(kinds={"refund"})
    with clock.travel(clock.now() + timedelta(minutes=1)):
        assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert [each[0] for each in channel.asked] == ["refund", "refund_query"]
    assert trade.held(market, "alipay") == 0


def test_a_refund_that_the_balance_does_not_cover_leaves_later_under_its_number(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    short = answer_of(Refused("ACQ.SELLER_BALANCE_NOT_ENOUGH", passing=True))
    channel = WrittenChannel(app, refund=[short, short, DONE], refund_query=[NOT_THERE])
    for hours in (0, 1):
        with clock.travel(clock.now() + timedelta(hours=hours)):
            assert outbox.drain(kinds={"refund"}) == (0, 1)
        assert (_refund_state(), trade.held(market, "refunds_payable")) == ("unknown", 17600)
    with clock.travel(clock.now() + timedelta(days=1)):
        assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert (_refund_state(), trade.held(market, "alipay"), trade.held(market, "refunds_payable")) == ("succeeded", 0, 0)
    assert len({each[1:] for each in channel.asked}) == 1


def test_a_refund_refused_for_good_fails_and_the_money_is_where_it_was(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(app, refund=[Answer("refused", sub_code="ACQ.TRADE_HAS_FINISHED")])
    assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert _refund_state() == "failed"
    assert (trade.held(market, "buyer_funds"), trade.held(market, "refunds_payable")) == (17600, 0)


def test_a_close_that_was_too_late_finds_the_payment_and_gives_it_back(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    WrittenChannel(
        app,
        close=[Answer("refused", sub_code="ACQ.TRADE_STATUS_ERROR")],
        query=[Answer("succeeded", trade=trade.succeeded(payment_id))],
        refund=[DONE],
    )
    with clock.travel(clock.now() + timedelta(minutes=31)):
        with transaction():
            expiry.expire_due()
        assert outbox.drain(kinds={"payment.close"}) == (1, 0)
        assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert trade.payment_state(payment_id) == "late_paid"
    assert [trade.held(market, kind) for kind in ("alipay", "unapplied", "refunds_payable")] == [0, 0, 0]


FINISHED = Answer("refused", sub_code="ACQ.TRADE_HAS_FINISHED")


@pytest.mark.parametrize(
    ("last", "ends"), [(NOT_THERE, ("failed", 17600, 0)), (DONE, ("succeeded", 0, 0)), (UNKNOWN, ("unknown", 0, 17600))]
)
def test_a_refusal_after_a_try_of_unknown_end_decides_only_with_a_clear_word(app: Flask, last: Answer, ends: tuple[str, int, int]) -> None:
    """The first try may have moved the money, and the question about it came to nothing: a refused repeat proves nothing by itself."""
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    channel = WrittenChannel(app, refund=[UNKNOWN, FINISHED], refund_query=[UNKNOWN, last])
    assert outbox.drain(kinds={"refund"}) == (0, 1)
    with clock.travel(clock.now() + timedelta(minutes=1)):
        outbox.drain(kinds={"refund"})
    assert (_refund_state(), trade.held(market, "buyer_funds"), trade.held(market, "refunds_payable")) == ends
    assert [each[0] for each in channel.asked] == ["refund", "refund_query", "refund", "refund_query"]
    if ends[0] == "failed":
        db.session.rollback()
        assert db.session.scalars(select(Refund.sub_code)).one() == "ACQ.TRADE_HAS_FINISHED"


def test_a_refusal_after_a_worker_was_killed_in_the_middle_is_no_end_either(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    db.session.rollback()
    refund_id = db.session.scalars(select(Refund.id)).one()
    transaction(lambda: call.make("refund", refund_id))  # and never answered
    WrittenChannel(app, refund=[FINISHED], refund_query=[UNKNOWN])
    assert outbox.drain(kinds={"refund"}) == (0, 1)
    assert _refund_state() == "unknown"


def test_a_refund_that_the_channel_itself_calls_failed_is_failed_whatever_was_before(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(app, refund=[UNKNOWN], refund_query=[Answer("refused", sub_code="expired_or_canceled_card", told={"status": "failed"})])
    outbox.drain(kinds={"refund"})
    with clock.travel(clock.now() + timedelta(minutes=1)):
        assert outbox.drain(kinds={"refund"})[1] == 0
    assert _refund_state() == "failed"
