"""What is kept of calls, notices, keys and tasks, and for how long; what is unfinished or money stays."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation import clock, driver, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, OutsideFailure
from marketplace.foundation.idempotency import IdempotencyKey
from marketplace.foundation.outbox import OutboxMessage
from marketplace.jobs import payments as jobs
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders import cancellation
from marketplace.payments import refused_notice
from marketplace.payments.call import PaymentCall
from marketplace.payments.channel import Answer
from marketplace.payments.notice_inbox import AlipayNotice, notice_row
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import money_health
from tests import builders, builders_people
from tests.orders import trade
from tests.payments.gateway import WrittenChannel


def counts() -> dict[str, int]:
    db.session.rollback()
    models = (OutboxMessage, IdempotencyKey, PaymentCall, Payment, Refund)
    return {model.__tablename__: db.session.scalar(select(func.count()).select_from(model)) or 0 for model in models}


@pytest.mark.both
def test_the_finished_goes_in_its_time_and_the_unfinished_stays(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    for _ in range(2):
        order_id = trade.bought(buyer, (market.pack, 1))
        with transaction():
            cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(app, refund=[Answer("succeeded"), Answer("unknown")])
    outbox.drain(kinds={"refund"})
    first = counts()
    with clock.travel(clock.now() + timedelta(days=89)):
        jobs.forget()
    assert counts() == first
    with clock.travel(clock.now() + timedelta(days=91)):
        jobs.forget()
    after = counts()
    assert after["outbox_message"] == first["outbox_message"] - 1
    with clock.travel(clock.now() + timedelta(days=5 * 366)):
        assert jobs.forget() != ""
        assert jobs.forget() == ""
    last = counts()
    assert (last["idempotency_key"], last["payment_call"]) == (0, 0)
    assert (last["payment"], last["refund"]) == (first["payment"], first["refund"])
    assert db.session.scalars(select(OutboxMessage.done_at)).all() == [None] * last["outbox_message"] != []


@pytest.mark.parametrize(("trouble", "status", "seconds"), [(Conflict("database.busy", "x"), 409, "3"), (OutsideFailure("channel.unknown", "x"), 503, "60"), (Conflict("order.state", "x"), 409, None)])
def test_who_lost_a_race_is_told_when_to_come_again(app: Flask, trouble: Exception, status: int, seconds: str | None) -> None:
    def lose() -> str:
        raise trouble

    app.add_url_rule("/lose", view_func=lose)
    answer = app.test_client().get("/lose")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, seconds)


@pytest.mark.both
def test_a_notice_is_kept_three_years(app: Flask) -> None:
    now = clock.now()
    for number, age in (("old", 3 * 366 + 1), ("fresh", 3 * 366 - 1)):
        with clock.travel(now - timedelta(days=age)), transaction():
            driver.together(notice_row(number, "T1", "TRADE_SUCCESS", 100, "applied"))
    with clock.travel(now):
        assert jobs.forget() == "1 rows"
    assert list(db.session.scalars(select(AlipayNotice.notify_id))) == ["fresh"]


@pytest.mark.both
@pytest.mark.parametrize("outcome", ["refused:total_amount", "disputed"])
def test_a_notice_that_nobody_dealt_with_is_kept_and_its_trouble_with_it(app: Flask, outcome: str) -> None:
    now = clock.now()
    with clock.travel(now - timedelta(days=9 * 366)), transaction():
        driver.together(notice_row("open", "T1", "TRADE_SUCCESS", 100, outcome))
        driver.together(notice_row("looked into", "T2", "TRADE_SUCCESS", 100, outcome))
    treasurer, handled = builders_people.person(builders_people.operator(), "treasurer"), db.session.query(AlipayNotice).filter_by(notify_id="looked into").one()
    with clock.travel(now - timedelta(days=3 * 366 - 1)):
        transaction(lambda: refused_notice.handle(handled.public_id, "和支付宝核对过，是重复通知", actor=treasurer))
    assert jobs.forget() == ""
    with clock.travel(now + timedelta(days=2)):
        assert jobs.forget() == "1 rows"
    assert list(db.session.scalars(select(AlipayNotice.notify_id))) == ["open"]
    waits = {each.name: each.count for each in money_health.standing()}
    assert waits["notices"] + waits["disputes"] == 1


@pytest.mark.both
def test_a_dispute_that_an_entry_rests_on_is_kept(app: Flask) -> None:
    """What Stripe kept for it is posted under its row: without that the entry would lead nowhere."""
    market, now = builders.market(), clock.now()
    for number in ("dp_1", "dp_2"):
        transaction(lambda number=number: driver.together(notice_row(number, number, "DISPUTE/won", 100, "disputed")))  # type: ignore[misc]
    first, _second = db.session.query(AlipayNotice).order_by(AlipayNotice.id).all()
    kept = first.id
    treasurer = builders_people.person(builders_people.operator(), "treasurer")
    for public_id in [each.public_id for each in db.session.query(AlipayNotice)]:
        db.session.rollback()
        transaction(lambda public_id=public_id: refused_notice.handle(public_id, "交了凭证，赢了", actor=treasurer))  # type: ignore[misc]
    transaction(lambda: event.fee(book=market.cooperative, source=Source("alipay_notice", kept), fen=1500, channel="stripe"))
    with clock.travel(now + timedelta(days=9 * 366)):
        jobs.forget()
        db.session.rollback()
        assert db.session.scalars(select(AlipayNotice.notify_id)).all() == ["dp_1"]


def test_an_event_about_which_stripe_has_not_answered_is_kept_however_old(app: Flask) -> None:
    transaction(lambda: driver.together(notice_row("evt_1", "20261126", "payment_intent.succeeded", 100, "asking")))
    with clock.travel(clock.now() + timedelta(days=5 * 366)):
        jobs.forget()
        db.session.rollback()
        assert db.session.scalars(select(AlipayNotice.outcome)).all() == ["asking"]
