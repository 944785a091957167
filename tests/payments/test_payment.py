"""The one door for outcomes: what is paid counts once, what is paid late or twice goes back, what does not fit is refused."""

import threading
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from marketplace.foundation import clock, driver
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import NotFound
from marketplace.foundation.outbox import OutboxMessage
from marketplace.ledger import entry as posted
from marketplace.ledger.entry import JournalEntry
from marketplace.orders import expiry
from marketplace.orders.order import Order
from marketplace.payments import payment as payments
from marketplace.payments import payment_at_once
from marketplace.payments.outcome import Outcome, OutcomeMismatch
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from tests import builders
from tests.orders import trade


def _applied(outcome: Outcome) -> str:
    with transaction():
        return payments.apply(outcome)


def _entries(kind: str) -> int:
    db.session.rollback()  # what other threads wrote is not in the snapshot that is open here
    return (
        db.session.scalar(select(func.count()).select_from(JournalEntry).where(JournalEntry.kind == kind))
        or 0
    )


def test_a_paid_order_is_ready_and_its_money_is_the_buyers(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    assert _applied(trade.succeeded(payment_id)) == "applied"
    order = trade.order(order_id)
    assert (order.payment, order.fulfilment, order.paid_fen) == ("PAID", "READY", 17600)
    assert (trade.held(market, "alipay"), trade.held(market, "buyer_funds")) == (17600, 17600)


@pytest.mark.both
def test_the_quick_way_and_the_careful_one_leave_the_same(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """``payment_at_once`` takes the usual payment: without it ``apply`` must come to the same rows, and see them at once."""
    market = builders.market()
    left = []
    for quick in (True, False):
        if not quick:
            monkeypatch.setattr(payment_at_once, "apply", lambda outcome, kept: "")
        (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
        (payment_id,) = trade.opened([order_id])
        outcome = trade.succeeded(payment_id, at=clock.now() - timedelta(minutes=3))
        with transaction():
            order, payment = db.session.get_one(Order, order_id), db.session.get_one(Payment, payment_id)
            assert (payments.apply(outcome), payments.apply(outcome)) == ("applied", "repeated")
            assert (order.payment, payment.state) == ("PAID", "succeeded")
        (entry,) = posted.of_source("payment", payment_id)
        act = db.session.scalars(select(AuditEvent).where(AuditEvent.subject_id == payment_id, AuditEvent.subject_type == "payment")).one()
        left.append([
            *((name, getattr(order, name)) for name in ("fulfilment", "payment", "paid_fen", "version")),
            *((name, getattr(payment, name)) for name in ("state", "ask_at", "refunded_fen")),
            *((name, getattr(entry, name)) for name in ("kind", "book", "n_lines", "gross")),
            *((name, getattr(act, name)) for name in ("action", "organisation_id", "person_id", "data")),
            *(posted.book_lines(entry.id)), entry.event_at - outcome.at, payment.trade_no == outcome.trade_no,
        ])  # fmt: skip
        assert clock.now() - timedelta(minutes=1) < order.paid_at <= payment.succeeded_at + timedelta(seconds=5)
    assert left[0] == left[1]


def test_the_usual_payment_needs_few_statements(app: Flask) -> None:
    """Two that lock, the entry with its two lines, and what is written beside it; on PostgreSQL all that is written is one statement."""
    market = builders.market()
    buyer = builders.customer()
    said: list[str] = []
    for _ in range(2):  # the first opens the accounts
        (payment_id,) = trade.opened(trade.placed(buyer, (market.pack, 1)))
        outcome = trade.succeeded(payment_id)

        def pay(outcome: Outcome = outcome) -> str:
            own = driver.opened().connection.driver_connection
            said.clear()
            own.set_trace_callback(said.append)
            try:
                return payments.apply(outcome)
            finally:
                own.set_trace_callback(None)

        assert transaction(pay) == "applied"
    assert len(set(said)) <= 10, said  # a trigger says the statement again that set it off


@pytest.mark.both
def test_the_same_notice_fifty_times_is_one_posting(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    outcome = trade.succeeded(payment_id)
    said: list[str] = []
    ready = threading.Barrier(50)

    def hear() -> None:
        with app.app_context():
            ready.wait()
            said.append(transaction(lambda: payments.apply(outcome), attempts=10))
            db.session.remove()

    threads = [threading.Thread(target=hear) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["applied"] + ["repeated"] * 49
    assert _entries("alipay_paid") == 1
    assert trade.order(order_id).paid_fen == 17600
    assert trade.held(market, "buyer_funds") == 17600


@pytest.mark.parametrize(
    "wrong",
    [
        {"total_fen": 17599},
        {"seller_id": "2088"},
        {"app_id": "2021"},
        {"total_fen": None},
        {"trade_no": None},
    ],
)
def test_what_does_not_fit_is_refused(app: Flask, wrong: dict[str, object]) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    with pytest.raises(OutcomeMismatch):
        _applied(trade.succeeded(payment_id, **wrong))
    assert trade.payment_state(payment_id) == "requires_action"
    assert trade.held(market, "alipay") == 0


def test_a_number_that_is_not_ours_is_not_found(app: Flask) -> None:
    with pytest.raises(NotFound):
        _applied(Outcome(out_trade_no="20260101", state="succeeded", total_fen=1, trade_no="1"))


def test_paid_after_expiry_goes_back_by_itself(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    outcome = trade.succeeded(payment_id)
    with clock.travel(clock.now() + timedelta(minutes=31)), transaction():
        assert expiry.expire_due() == 1
    assert trade.free(market.pack) == (10, 0)
    assert _applied(outcome) == "unapplied"
    assert _applied(outcome) == "repeated"
    assert (trade.payment_state(payment_id), trade.order(order_id).paid_fen) == ("late_paid", 0)
    (refund,) = db.session.scalars(select(Refund))
    assert (refund.fen, refund.state, refund.order_id) == (17600, "approved", None)
    assert (
        trade.held(market, "alipay"),
        trade.held(market, "unapplied"),
        trade.held(market, "refunds_payable"),
    ) == (
        17600,
        0,
        17600,
    )
    kinds = set(db.session.scalars(select(OutboxMessage.kind)))
    assert {"refund", "payment.close"} <= kinds


def test_two_tabs_paid_means_one_is_refunded(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (first,), (second,) = trade.opened([order_id]), trade.opened([order_id])
    assert first != second
    assert [_applied(trade.succeeded(first)), _applied(trade.succeeded(second))] == ["applied", "unapplied"]
    assert trade.order(order_id).paid_fen == 17600
    assert (trade.held(market, "buyer_funds"), trade.held(market, "refunds_payable")) == (17600, 17600)


def test_the_same_key_opens_the_same_attempt(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    assert trade.opened([order_id], key="k") == trade.opened([order_id], key="k")


def test_closed_unpaid_is_cancelled_and_closed_after_success_changes_nothing(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (first,), (second,) = trade.opened([order_id]), trade.opened([order_id])
    closed = trade.succeeded(first, state="closed", trade_no=None)
    assert _applied(closed) == "closed"
    assert trade.payment_state(first) == "canceled"
    _applied(trade.succeeded(second))
    assert _applied(trade.succeeded(second, state="closed")) == "repeated"
    assert _applied(trade.succeeded(second, state="pending")) == "pending"
    assert trade.payment_state(second) == "succeeded"
