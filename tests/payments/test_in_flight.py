"""The same press twice at once: the second waits for the first and gets its answer; nothing is opened twice. Who waits too long is told so."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3
from flask import Flask
from sqlalchemy import event, func, select, update
from werkzeug.serving import make_server

from marketplace.foundation.database import db, transaction
from marketplace.orders import order_payment
from marketplace.orders.order import Purchase
from marketplace.organisations.actor import Actor
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from tests import builders
from tests.orders import trade
from tests.payments.chaos import Quiet
from tests.web.test_buying import settings
from tests.web.test_payment_pages import REFUSED, cancelled
from tests.web.work_desk import browser

__all__ = ["settings"]


@pytest.mark.both
def test_eight_presses_of_one_button_open_one_attempt(app: Flask) -> None:
    market = builders.market()
    orders = trade.placed(builders.customer(), (market.pack, 1))
    ready, answers = threading.Barrier(8), []

    def press() -> None:
        with app.app_context():
            ready.wait()
            answers.append(transaction(lambda: [each.id for each in order_payment.open_for_orders(orders, key="pressed")], attempts=10))
            db.session.remove()

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert len(answers) == 8 and all(each == answers[0] for each in answers)
    assert db.session.scalar(select(func.count()).select_from(Payment)) == 1


@contextmanager
def pressing(app: Flask, actor: Actor, address: str) -> Iterator[Any]:
    """The shop on a port of its own, and what presses one button so many times at once, each over a connection of its own: their answers."""
    signed_in = browser(app, actor).get_cookie("session")
    assert signed_in is not None
    db.session.rollback()
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    serving.start()

    def press(times: int) -> list[urllib3.BaseHTTPResponse]:
        ready = threading.Barrier(times)

        def one(_number: int) -> urllib3.BaseHTTPResponse:
            with urllib3.PoolManager(retries=False, timeout=60) as http:
                ready.wait()
                return http.request(
                    "POST", f"http://127.0.0.1:{server.server_port}{address}", redirect=False, fields={"idempotency_key": "pressed", "way": "alipay"},
                    encode_multipart=False, headers={"Cookie": f"session={signed_in.value}"},
                )  # fmt: skip

        with ThreadPoolExecutor(times) as threads:
            return list(threads.map(one, range(times)))

    try:
        yield press
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def count_of(model: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


@pytest.mark.both
def test_two_presses_over_http_at_once_open_one_attempt(app: Flask) -> None:
    buyer, market = builders.customer(), builders.market()
    trade.placed(buyer, (market.pack, 1))
    with pressing(app, buyer, f"/orders/{db.session.scalars(select(Purchase.public_id)).one()}/pay") as press:
        answers = press(2)
    assert [each.status for each in answers] == [303, 303]
    number = db.session.scalars(select(Payment.out_trade_no)).one()
    assert all(number in each.headers["Location"] for each in answers)
    assert count_of(Payment) == 1


@pytest.mark.both
def test_who_waits_too_long_for_another_in_flight_is_told_when_to_come_again(app: Flask) -> None:
    """A refund is handed in again by two people at once, while somebody else still works on it: both are told 409 and when, and nothing is
    done. Then they press again: one of them makes it, once."""
    market = builders.market()
    failed = cancelled(app, market, REFUSED)
    short = "PRAGMA busy_timeout=20" if db.engine.dialect.name == "sqlite" else "SET lock_timeout = '20ms'"

    @event.listens_for(db.engine, "checkout")
    def impatient(connection: Any, _record: Any, _proxy: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(short)
        cursor.close()

    with pressing(app, market.accountant, f"/cooperative/refunds/{failed.public_id}/again") as press:
        with db.engine.connect().execution_options(immediate=True) as at_work:
            at_work.execute(update(Refund).values(reason="held"))
            answers = press(2)
            at_work.rollback()
        assert [(each.status, each.headers.get("Retry-After")) for each in answers] == [(409, "3"), (409, "3")]
        assert all("请稍等几秒再试一次" in each.data.decode() for each in answers)
        assert count_of(Refund) == 1
        assert sorted(each.status for each in press(2)) == [303, 409]
    assert count_of(Refund) == 2
