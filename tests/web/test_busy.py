"""A database that has no time for a buyer: 503 and when to come again, a page that says what to do, and everything as it was."""

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from marketplace.catalogue.product import Pack
from marketplace.foundation import database
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.orders.order import Order, Purchase
from marketplace.payments.payment import Payment
from tests import builders
from tests.web.work_desk import browser

HOME = {"recipient": "王小明", "phone": "13800138000", "province": "江西省", "city": "南昌市", "street": "赣江中大道 1 号 <东>", "shown_fen": ""}


@contextmanager
def busy(milliseconds: int = 1) -> Iterator[None]:
    """Somebody else holds what everybody wants, and no connection waits longer than so (SQLite) for it."""
    sqlite = db.engine.dialect.name == "sqlite"

    def hurry(connection: object, record: object, fairy: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute(f"PRAGMA busy_timeout={milliseconds}" if sqlite else "SET lock_timeout = '20ms'")
        cursor.close()

    def calm(connection: object, record: object) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]
        cursor.execute("PRAGMA busy_timeout=15000" if sqlite else "RESET lock_timeout")
        cursor.close()

    db.session.remove()
    with db.engine.connect() as other:
        if sqlite:
            other = other.execution_options(immediate=True)
        other.exec_driver_sql("SELECT 1" if sqlite else 'LOCK TABLE purchase, payment, "order" IN SHARE ROW EXCLUSIVE MODE')
        event.listen(db.engine, "checkout", hurry)
        event.listen(db.engine, "checkin", calm)
        try:
            yield
        finally:
            event.remove(db.engine, "checkout", hurry)
            event.remove(db.engine, "checkin", calm)
            other.rollback()
    db.session.remove()
    db.engine.dispose()


def counted() -> tuple[int, int]:
    db.session.rollback()
    return db.session.query(Purchase).count(), db.session.query(Payment).count()


def key_in(page: str) -> str:
    found = re.search(r'name="idempotency_key" value="([\w-]+)"', page)
    assert found
    return found[1]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    market = builders.market()
    made = browser(app, builders.customer())
    made.post("/cart/add", data={"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "2"})
    return made


@pytest.mark.both
def test_who_checks_out_meanwhile_keeps_cart_and_form_and_buys_once(client: FlaskClient) -> None:
    form = HOME | {"idempotency_key": key_in(client.get("/checkout").text)}
    with busy():
        answer = client.post("/checkout", data=form)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert all(each in answer.text for each in ("没有扣款", "购物车、订单和刚才填的都还在", "不会下两单", 'action="/checkout"'))
    assert f'name="street" value="{HOME["street"].replace("<", "&lt;").replace(">", "&gt;")}"' in answer.text
    assert counted() == (0, 0)
    assert "×" in client.get("/cart").text or "2" in client.get("/cart").text
    # The page sends the same once more.
    again = {name: value for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', answer.text) if name != "csrf_token"}
    assert {**again, "street": HOME["street"]} == form
    for _ in range(2):
        assert client.post("/checkout", data=form).status_code == 303
    assert counted()[0] == 1


@pytest.mark.both
def test_who_pays_meanwhile_is_told_to_press_once_more(client: FlaskClient) -> None:
    client.post("/checkout", data=HOME | {"idempotency_key": key_in(client.get("/checkout").text)})
    purchase, payments = db.session.query(Purchase).one().public_id, counted()[1]
    with busy():
        answer = client.post(f"/orders/{purchase}/pay", data={"idempotency_key": "once-more"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert f'action="/orders/{purchase}/pay"' in answer.text and 'name="idempotency_key" value="once-more"' in answer.text
    assert counted() == (1, payments)
    assert db.session.query(Order).one().payment == "UNPAID"
    for _ in range(2):
        assert client.post(f"/orders/{purchase}/pay", data={"idempotency_key": "once-more"}).status_code == 303
    assert counted() == (1, payments + 1)


class Stopped(Exception):
    sqlstate = "57014"


@pytest.mark.parametrize("trouble", [PoolTimeout("no connection"), OperationalError("SELECT", None, Stopped()), OperationalError("SELECT", None, Exception("disk I/O error"))])
def test_a_page_that_waited_too_long_says_when_to_come_again(app: Flask, trouble: Exception) -> None:
    def wait() -> str:
        raise trouble

    app.add_url_rule("/wait", view_func=wait)
    app.testing = False
    answer = app.test_client().get("/wait")
    told = ("disk" not in str(trouble), answer.headers.get("Retry-After"))
    assert (answer.status_code, *told) == ((503, True, "3") if told[0] else (500, False, None))


def test_all_that_a_page_waits_for_who_writes_is_bounded(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection has patience of its own each time: four attempts of a transaction, and there may be several of these, would be a minute and more."""
    monkeypatch.setattr(database, "PAGE_WAIT", 0.3)
    form = HOME | {"idempotency_key": key_in(client.get("/checkout").text)}
    with busy(600):
        begin = time.monotonic()
        answer = client.post("/checkout", data=form)
        waited = time.monotonic() - begin
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    assert 0.25 < waited < 2.4, "four times 0.6 s, where nothing bounds it"
    assert counted() == (0, 0)
    assert client.post("/checkout", data=form).status_code == 303


def test_a_page_of_many_steps_waits_no_longer_and_a_job_does(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "PAGE_WAIT", 0.2)
    other = sqlite3.connect(str(db.engine.url.database), isolation_level=None, check_same_thread=False)

    def patience() -> int:
        return int(db.session.connection().exec_driver_sql("PRAGMA busy_timeout").scalar_one())

    usual = patience()
    try:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        with app.test_request_context("/"):
            for _ in range(3):
                with pytest.raises(Conflict, match=r"database\.busy"):
                    transaction(lambda: None)
        assert 0.15 < time.monotonic() - begin < 5, "nine attempts and more, each as patient as a connection"
        threading.Timer(0.4, lambda: other.execute("ROLLBACK")).start()
        assert transaction(lambda: "done") == "done"  # nobody sits before a job
        assert patience() == usual
    finally:
        other.close()
