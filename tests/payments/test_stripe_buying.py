"""A buyer pays by card where the cooperative takes cards: at checkout or on the order, and comes back to an order that is paid."""

import re

from flask import Flask
from flask.testing import FlaskClient

from marketplace.catalogue.product import Pack
from marketplace.foundation.database import db
from marketplace.orders.order import Order, Purchase
from marketplace.payments.payment import Payment
from tests import builders
from tests.orders import trade
from tests.payments.stripe_desk import Desk
from tests.payments.test_stripe import takes_cards
from tests.web.work_desk import browser

HOME = {"recipient": "王小明", "phone": "13800138000", "province": "江西省", "city": "南昌市", "street": "赣江中大道 1 号", "shown_fen": ""}


def paid() -> Payment:
    db.session.rollback()
    return db.session.query(Payment).order_by(Payment.id.desc()).first()  # type: ignore[return-value]


def back(client: FlaskClient, payment: Payment) -> str:
    """The page at which a buyer arrives who comes back from the card's page."""
    path = f"/orders/paid/{payment.public_id}"
    while (answer := client.get(path)).status_code in (302, 303):
        path = answer.location
    return answer.text


def test_a_card_is_chosen_at_checkout(app: Flask, desk: Desk) -> None:
    market = builders.market()
    client = browser(app, builders.customer())
    client.post("/cart/add", data={"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "1"})
    assert "用银行卡付" not in client.get("/checkout").text
    takes_cards(market)
    page = client.get("/checkout").text
    key = re.search(r'name="idempotency_key" value="([\w-]+)"', page)
    assert key and "用银行卡付" in page
    there = client.post("/checkout", data={**HOME, "idempotency_key": key[1], "pay": "card"})
    payment = paid()
    assert (there.status_code, there.location) == (303, f"{desk.url}/pay/{payment.precreated}")
    assert "还没有收到付款" in back(client, payment)
    payment = paid()
    desk.pay(str(payment.precreated))
    assert "还没有收到付款" not in back(client, payment)
    payment = paid()
    assert payment.state == "succeeded"
    stranger = browser(app, builders.customer("别人"))
    assert stranger.get(f"/orders/paid/{payment.public_id}").status_code == 404


def test_of_two_cooperatives_each_is_paid_by_a_card_of_its_own(app: Flask, desk: Desk) -> None:
    first, second, buyer = builders.market(), builders.market(name="另一家"), builders.customer()
    takes_cards(first)
    ids = trade.placed(buyer, (first.pack, 1), (second.pack, 1))
    db.session.rollback()
    orders = [db.session.get_one(Order, number) for number in ids]
    purchase = db.session.get_one(Purchase, orders[0].purchase_id).public_id
    by_seller = {order.organisation_id: order.public_id for order in orders}
    client = browser(app, buyer)
    assert client.get(f"/orders/{purchase}").text.count("或用银行卡付") == 1
    path = f"/orders/{purchase}/card/{by_seller[first.cooperative]}"
    assert browser(app, builders.customer("别人")).post(path).status_code == 404
    desk.faults = [("POST /v1/checkout/sessions", "busy")]
    assert client.post(path, data={"idempotency_key": "a"}).location == f"/orders/{purchase}"
    assert "付款页没有打开，钱没有扣" in client.get(f"/orders/{purchase}").text
    assert client.post(path, data={"idempotency_key": "a"}).location.startswith(f"{desk.url}/pay/")
    closed = client.post(f"/orders/{purchase}/card/{by_seller[second.cooperative]}", data={"idempotency_key": "b"})
    assert closed.location == f"/orders/{purchase}"
    assert "没有开通银行卡付款" in client.get(f"/orders/{purchase}").text
