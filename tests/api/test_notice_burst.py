"""Notices that come together: one commit for all of them, one answer each, and none answered for what is not on the disk."""

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from marketplace.api.notice_burst import Burst
from marketplace.foundation import driver
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.ledger.entry import JournalEntry
from marketplace.payments import payment_at_once
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.payment_at_once import MOST, Told
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.test_payment_notice import FORM, _signed, keys, private

__all__ = ["keys", "private"]


@pytest.fixture
def market(app: Flask) -> Market:
    """One whose accounts and month are known: twice somebody has paid."""
    made = builders.market(on_hand=100)
    for _ in range(2):
        trade.bought(builders.customer(), (made.pack, 1))
    return made


def waiting(market: Market, count: int, tabs: int = 1) -> list[int]:
    """So many orders' payments, each order opened in so many tabs."""
    orders = [trade.placed(builders.customer(), (market.pack, 1)) for _ in range(count)]
    return [payment_id for order in orders for _ in range(tabs) for payment_id in trade.opened(order)]


def told(payment_id: int, **changed: object) -> Told:
    return Told(trade.succeeded(payment_id, **changed), f"n{payment_id}", "TRADE_SUCCESS")


def heard_together(burst: Burst, all_told: list[Told]) -> list[bool]:
    """What each hears who came while somebody else had the turn."""
    answers: dict[int, bool] = {}

    def hear(place: int) -> None:
        answers[place] = burst.hear(all_told[place])

    threads = [threading.Thread(target=hear, args=(place,)) for place in range(len(all_told))]
    with burst._turn:
        for came, thread in enumerate(threads, 1):
            thread.start()
            _until(lambda came=came: len(burst._waiting) == came)  # type: ignore[misc]
    for thread in threads:
        thread.join()
    db.session.rollback()
    return [answers[place] for place in range(len(all_told))]


def _until(so: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not so():
        assert time.monotonic() - began < 30
        threading.Event().wait(0.001)


def outcomes() -> dict[str, str]:
    db.session.rollback()
    return {row[0]: row[1] for row in db.session.execute(select(AlipayNotice.notify_id, AlipayNotice.outcome))}


def entries() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).where(JournalEntry.kind == "alipay_paid")) or 0


def unsound() -> list[str]:
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


@pytest.mark.both
def test_a_burst_is_committed_together_and_leaves_what_each_alone_would(app: Flask, market: Market) -> None:
    ids = waiting(market, MOST + 4)
    before = entries()
    assert heard_together(Burst(app), [told(each) for each in ids]) == [True] * len(ids)
    assert entries() - before == len(ids)
    assert {trade.payment_state(each) for each in ids} == {"succeeded"}
    assert outcomes() == {f"n{each}": "applied" for each in ids}
    payments = list(db.session.scalars(select(Payment).where(Payment.id.in_(ids))))
    assert {(each.payment, each.fulfilment, each.paid_fen) for each in map(trade.order, (one.payable_id for one in payments))} == {("PAID", "READY", 9600)}
    assert len({each.succeeded_at for each in payments}) == 2  # two groups, and not one for each
    acts = db.session.scalars(select(AuditEvent.data).where(AuditEvent.action == "payment.succeeded", AuditEvent.subject_id.in_(ids)))
    assert list(acts) == [{"fen": 9600}] * len(ids)
    assert trade.held(market, "buyer_funds") == trade.held(market, "alipay") == 9600 * (len(ids) + 2)
    assert unsound() == []


@pytest.mark.both
def test_what_is_not_usual_in_a_burst_is_left_to_the_longer_way_and_the_others_are_paid(app: Flask, market: Market) -> None:
    usual, wrong, canceled = waiting(market, 3)
    first, second = waiting(market, 1, tabs=2)
    with transaction():
        db.session.get_one(Payment, canceled).state = "canceled"
    asked = [told(usual), told(wrong, total_fen=1), told(canceled), told(first), told(second), Told(told(usual).outcome, "again")]
    stranger = Told(trade.succeeded(usual, out_trade_no="20260101"), "stranger")
    assert heard_together(Burst(app), [*asked, stranger]) == [True, False, False, True, False, True, False]
    assert outcomes() == {f"n{usual}": "applied", f"n{first}": "applied", "again": "repeated"}
    assert [trade.payment_state(each) for each in (wrong, canceled, second)] == ["requires_action", "canceled", "requires_action"]
    assert unsound() == []


@pytest.mark.both
def test_one_that_the_database_refuses_takes_nobody_with_it(app: Flask, market: Market) -> None:
    """The inbox cannot take one of them: nothing of the group is committed, each is told so, and goes alone."""
    ids = waiting(market, 3)
    before = entries()
    long = Told(trade.succeeded(ids[1]), "n" * 200 if db.engine.dialect.name == "postgresql" else "refused")
    if db.engine.dialect.name == "sqlite":
        with db.engine.begin() as connection:
            connection.execute(text("CREATE TRIGGER full BEFORE INSERT ON alipay_notice WHEN NEW.notify_id = 'refused' BEGIN SELECT RAISE(ABORT, 'full'); END"))
    assert heard_together(Burst(app), [told(ids[0]), long, told(ids[2])]) == [False] * 3
    assert (entries(), outcomes()) == (before, {})
    assert Burst(app).hear(told(ids[0]))
    assert outcomes() == {f"n{ids[0]}": "applied"}


@pytest.mark.both
def test_fifty_of_the_same_at_once_are_one_posting(app: Flask, market: Market) -> None:
    (payment_id,) = waiting(market, 1)
    before = entries()
    assert heard_together(Burst(app), [Told(told(payment_id).outcome, f"n{place}") for place in range(50)]) == [True] * 50
    assert entries() == before + 1
    assert sorted(outcomes().values()) == ["applied"] + ["repeated"] * 49


@pytest.mark.both
def test_a_burst_does_not_wait_for_who_holds_an_order(app: Flask, market: Market) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    held, free = waiting(market, 2)
    order_id = db.session.get_one(Payment, held).payable_id
    both = [told(held), told(free)]
    with db.engine.begin() as other:
        other.execute(text('SELECT 1 FROM "order" WHERE id = :id FOR UPDATE'), {"id": order_id})
        assert heard_together(Burst(app), both) == [False, True]
    assert outcomes() == {f"n{free}": "applied"}
    assert trade.payment_state(held) == "requires_action"


@pytest.mark.both
def test_what_changed_since_it_was_read_is_not_written(app: Flask, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the writing the order is cancelled: nothing of the payment may be written. (SQLite lets nobody in between.)"""
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    (payment_id,) = waiting(market, 1)
    one, read = told(payment_id), payment_at_once._read
    order_id = db.session.get_one(Payment, payment_id).payable_id
    db.session.rollback()

    def read_and_then(*given: Any) -> Any:
        found = read(*given)
        with db.engine.begin() as other:
            other.execute(text("UPDATE \"order\" SET fulfilment = 'CANCELLED' WHERE id = :id"), {"id": order_id})
        return found

    monkeypatch.setattr(payment_at_once, "_read", read_and_then)
    with driver.alone(db.engine) as connection:
        assert payment_at_once.apply_all([one], connection) == [""]
    assert (trade.payment_state(payment_id), outcomes()) == ("requires_action", {})


def test_the_usual_notice_is_answered_before_flask_and_every_other_by_the_route(app: Flask, market: Market, private: str) -> None:
    seen: list[str] = []
    app.before_request_funcs.setdefault(None, []).append(lambda: seen.append("flask"))
    (payment_id,) = waiting(market, 1)
    payment = db.session.get_one(Payment, payment_id)
    db.session.expunge(payment)
    usual = _signed(payment, private, total_amount="96.00")
    client = app.test_client()

    def said(form: dict[str, str], **changed: str) -> tuple[int, str, str | None]:
        answer = client.post("/alipay/notice", data=urlencode(form), content_type=changed.get("kind", FORM))
        return answer.status_code, answer.text, answer.content_type

    plain = "text/plain; charset=utf-8"
    assert said(usual) == said(usual) == (200, "success", plain)
    assert said(usual, kind=f"{FORM}; charset=utf-8") == (200, "success", plain)
    assert seen == []
    assert said(_signed(payment, private, total_amount="96.00", trade_status="WAIT_BUYER_PAY")) == (200, "success", plain)
    assert said(usual | {"sign": "junk"}) == (400, "failure", plain)
    assert said(_signed(payment, private, total_amount="96.01")) == (409, "failure", plain)
    assert seen == ["flask"] * 3
    assert trade.held(market, "buyer_funds") == 9600 * 3


def test_a_month_or_accounts_that_are_not_known_yet_are_for_the_longer_way(app: Flask) -> None:
    """A cooperative's first payment opens its accounts: alone, a burst opens nothing."""
    made = builders.market()
    (payment_id,) = waiting(made, 1)
    assert not Burst(app).hear(told(payment_id))
    assert (outcomes(), trade.payment_state(payment_id)) == ({}, "requires_action")
