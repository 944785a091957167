"""Each device gets its own way to pay: pages on desks, wap pages on phones, a code to scan at a service station's counter."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from marketplace.emulator.emulator import Emulator
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import call
from marketplace.payments.call import PaymentCall
from marketplace.payments.payment import Payment
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.web.test_buying import _browser, _form, _put_in
from tests.web.test_buying_emulator import emulator, settings
from tests.web.test_desks import ordered_at

__all__ = ["emulator", "settings"]

PHONE = {"User-Agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/130 Mobile Safari/537.36"}
DESK = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/130 Safari/537.36"}


@pytest.fixture
def market(app: Flask, emulator: Emulator) -> Market:
    return registered(emulator, builders.market())


def registered(emulator: Emulator, market: Market) -> Market:
    for seller in db.session.scalars(select(Cooperative)):
        emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)
    return market


def method_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["method"][0]


def heard(client: FlaskClient, notices: list[dict[str, str]]) -> None:
    for notice in notices:
        answer = client.post("/alipay/notice", data=notice, content_type="application/x-www-form-urlencoded")
        assert answer.text == "success"
    db.session.rollback()


@pytest.mark.parametrize(("device", "method"), [(PHONE, "alipay.trade.wap.pay"), (DESK, "alipay.trade.page.pay")])
def test_one_seller_is_paid_on_the_page_of_the_device(
    app: Flask, emulator: Emulator, market: Market, device: dict[str, str], method: str
) -> None:
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    url = client.post("/checkout", data=_form(client), headers=device).location
    assert method_of(url) == method
    heard(client, emulator.pay_url(url))
    assert trade.held(market, "buyer_funds") == 9600


@pytest.mark.parametrize(
    ("device", "method"), [(PHONE, "alipay.trade.wap.merge.pay"), (DESK, "alipay.trade.page.merge.pay")]
)
def test_two_sellers_are_paid_in_one_act_on_every_device(
    app: Flask, emulator: Emulator, market: Market, device: dict[str, str], method: str
) -> None:
    honey = registered(emulator, builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800))
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    _put_in(client, honey.pack)
    url = client.post("/checkout", data=_form(client), headers=device).location
    assert method_of(url) == method
    heard(client, emulator.pay_url(url))
    assert (trade.held(market, "buyer_funds"), trade.held(honey, "buyer_funds")) == (9600, 7600)


def test_a_phones_page_that_could_not_be_announced_costs_nothing_and_can_be_tried_again(
    app: Flask, emulator: Emulator, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    honey = registered(emulator, builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800))
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    _put_in(client, honey.pack)
    genuine, answers = Emulator.post, [b"<html>502</html>"]
    monkeypatch.setattr(
        Emulator, "post", lambda self, *request: answers.pop() if answers else genuine(self, *request)
    )
    failed = client.post("/checkout", data=_form(client), headers=PHONE)
    page = client.get(failed.location).text
    assert "付款页没有打开，钱没有扣" in page
    again = client.post(f"{failed.location}/pay", data={"idempotency_key": "again"}, headers=PHONE)
    heard(client, emulator.pay_url(again.location))
    assert (trade.held(market, "buyer_funds"), trade.held(honey, "buyer_funds")) == (9600, 7600)
    outcomes = db.session.scalars(select(PaymentCall.outcome).where(PaymentCall.kind == "merge").order_by(PaymentCall.id))
    assert list(outcomes) == ["unknown", "succeeded"]


def at_counter(app: Flask, market: Market) -> tuple[FlaskClient, str]:
    """A station's browser with an order placed, and the order page's address."""
    client = _browser(app, builders.person(builders.station(), "station_clerk"))
    return client, f"/orders/{ordered_at(client, market).public_id}"


def shown(client: FlaskClient, address: str) -> str:
    """The address of the page with the code, after it was asked for."""
    page = client.get(address).text
    form = re.search(r'action="(/orders/\w+/scan/\w+)".*?name="idempotency_key" value="([^"]+)"', page, re.DOTALL)
    assert form is not None
    return client.post(form[1], data={"idempotency_key": form[2]}).location


def test_a_code_at_the_counter_is_pending_until_it_is_scanned(app: Flask, emulator: Emulator, market: Market) -> None:
    client, address = at_counter(app, market)
    code_page = shown(client, address)
    page = client.get(code_page)
    assert page.status_code == 200
    assert "data:image/svg+xml" in page.text
    payment = db.session.scalars(select(Payment).where(Payment.precreated.is_not(None))).one()
    payment_id, code = payment.id, payment.precreated or ""
    db.session.rollback()
    assert call.ask(payment_id) == "requires_action"  # TRADE_NOT_EXIST: nobody scanned it yet
    last = call.last_of("query", payment_id)
    assert last is not None and (last.outcome, (last.answer or {})["sub_code"]) == ("refused", "ACQ.TRADE_NOT_EXIST")
    heard(client, emulator.pay_url(code))
    assert trade.payment_state(payment_id) == "succeeded"
    assert trade.held(market, "buyer_funds") == 17600
    assert client.get(code_page).location == address


def test_the_same_code_comes_back_and_one_that_is_over_leads_to_the_order(
    app: Flask, emulator: Emulator, market: Market
) -> None:
    client, address = at_counter(app, market)
    code_page = shown(client, address)
    payment = db.session.scalars(select(Payment).where(Payment.precreated.is_not(None))).one()
    payment_id, code, until = payment.id, payment.precreated, payment.expires_at
    db.session.rollback()
    call.announce([payment_id], "qr_code")
    assert db.session.get_one(Payment, payment_id).precreated == code
    with clock.travel(until):
        assert client.get(code_page).location == address


def test_strangers_see_no_code_and_private_buyers_are_offered_none(app: Flask, emulator: Emulator, market: Market) -> None:
    client, address = at_counter(app, market)
    code_page = shown(client, address)
    other = _browser(app, builders.customer())
    assert other.get(code_page).status_code == 404
    _put_in(other, market.pack)
    other.post("/checkout", data=_form(other), headers=DESK)
    own = re.search(r'href="(/orders/[0-9a-z]{16})"', other.get("/orders").text)
    assert own is not None and "出示收款码" not in other.get(own[1]).text


def test_a_code_that_the_channel_did_not_make_is_said_so(
    app: Flask, emulator: Emulator, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, address = at_counter(app, market)
    monkeypatch.setattr(Emulator, "post", lambda self, *request: b"")
    assert shown(client, address) == address
    assert "付款页没有打开，钱没有扣" in client.get(address).text
