"""kill -9 between a call's row and its request, and between the request and what is recorded of it: nothing lost, nothing doubled."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace import create_app
from marketplace.emulator.server import Running
from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.outbox import CLAIM
from marketplace.orders import cancellation
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import payment as payments
from marketplace.payments.call import PaymentCall
from marketplace.payments.outcome import Outcome
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.chaos import settings_of


class Shop:
    """A shop over a gateway on the loopback, whose worker is a process that can be killed."""

    def __init__(self, folder: Path, database: str, running: Running) -> None:
        self.folder, self.database, self.running = folder, database, running
        self.market: Market = builders.market()
        seller = db.session.scalars(select(Cooperative)).one()
        running.emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)
        db.session.rollback()

    def worker_dies(self, where: str) -> None:
        command = [sys.executable, "-m", "tests.payments.killed", str(self.folder), self.database, self.running.gateway_url, where]
        ended = subprocess.run(command, capture_output=True, check=False, timeout=60, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
        assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
        db.session.rollback()

    def paid_at_the_gateway(self, payment_id: int) -> None:
        payment = db.session.get_one(Payment, payment_id)
        self.running.emulator.pay_order(
            app_id=payment.app_id, out_trade_no=payment.out_trade_no, total_fen=payment.amount_fen, subject="茶"
        )
        db.session.rollback()

    def bought_and_cancelled(self) -> None:
        buyer = builders.customer()
        (order_id,) = trade.placed(buyer, (self.market.pack, 2))
        (payment_id,) = trade.opened([order_id])
        self.paid_at_the_gateway(payment_id)
        payment = db.session.get_one(Payment, payment_id)
        row = self.running.emulator.state.row("SELECT * FROM trade WHERE out_trade_no = ?", payment.out_trade_no)
        assert row is not None
        told = Outcome(payment.out_trade_no, "succeeded", total_fen=17600, trade_no=row["trade_no"])
        transaction(lambda: payments.apply(told))
        transaction(lambda: cancellation.cancel(order_id, actor=buyer))

    def refunds_there(self) -> list[int]:
        return [row["fen"] for row in self.running.emulator.state.rows("SELECT fen FROM refund")]


@pytest.fixture
def shop(tmp_path: Path, database: str) -> Iterator[Shop]:
    folder = tmp_path / "data"
    running = Running(folder / "emulator", port=0).start()
    app: Flask = create_app(settings_of(folder, database, running.gateway_url, "http://127.0.0.1:9"))
    with app.app_context():
        yield Shop(folder, database, running)
        db.session.remove()
        db.engine.dispose()
    running.stop()


@pytest.mark.both
@pytest.mark.parametrize(("where", "gone"), [("before", []), ("after", [17600])])
def test_a_refund_of_a_killed_worker_leaves_exactly_once(shop: Shop, where: str, gone: list[int]) -> None:
    shop.bought_and_cancelled()
    shop.worker_dies(where)
    assert shop.refunds_there() == gone
    call = db.session.scalars(select(PaymentCall)).one()
    assert (call.kind, call.answered_at) == ("refund", None)
    assert db.session.scalars(select(Refund.state)).one() == "submitting"
    db.session.rollback()
    assert outbox.drain() == (0, 0)  # claimed by the dead, until its time is over
    with clock.travel(clock.now() + CLAIM + timedelta(seconds=1)):
        done, failed = outbox.drain()
    assert (done > 0, failed) == (True, 0)
    assert shop.refunds_there() == [17600]
    assert db.session.scalars(select(Refund.state)).one() == "succeeded"
    assert [trade.held(shop.market, kind) for kind in ("alipay", "refunds_payable", "buyer_funds")] == [0, 0, 0]
    assert [each.detail for each in books.check() if not each.ok] == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_question_of_a_killed_worker_is_asked_again(shop: Shop, where: str) -> None:
    (order_id,) = trade.placed(builders.customer(), (shop.market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    shop.paid_at_the_gateway(payment_id)
    transaction(lambda: outbox.put("payment.query", str(payment_id), {"payment_id": payment_id}))
    shop.worker_dies(where)
    assert trade.payment_state(payment_id) == "requires_action"
    db.session.rollback()
    with clock.travel(clock.now() + CLAIM + timedelta(seconds=1)):
        outbox.drain()
    assert trade.payment_state(payment_id) == "succeeded"
    assert trade.held(shop.market, "buyer_funds") == 17600
