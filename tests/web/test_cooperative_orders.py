"""The clerk's morning: what is to be shipped, from which batch, and what another cooperative never sees."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.foundation.database import db
from marketplace.orders.order import Order, lines_of
from marketplace.organisations.actor import Actor
from tests import builders
from tests.orders import trade


def browser(app: Flask, actor: Actor) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["person_id"], session["organisation_id"] = actor.person_id, actor.organisation_id
    return client


@pytest.fixture
def paid(app: Flask) -> tuple[builders.Market, Order]:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 3))
    return market, db.session.get_one(Order, order_id)


def test_the_clerk_ships_in_two_parts_from_a_batch(app: Flask, paid: tuple[builders.Market, Order]) -> None:
    market, order = paid
    order_id, address = order.id, f"/cooperative/orders/{order.public_id}"
    line = lines_of(order_id)[0].id
    client = browser(app, market.clerk)
    assert order.public_id in client.get("/cooperative/orders").text
    assert "等着发货" in client.get("/cooperative").text

    form = {f"batch-{line}": market.batch, "carrier": "顺丰", "tracking_number": "SF1"}
    too_many = client.post(f"{address}/ship", data={**form, f"quantity-{line}": "4"})
    assert too_many.status_code == 422
    assert "发的比订的多" in too_many.text
    assert client.post(f"{address}/ship", data={**form, f"quantity-{line}": "１"}).status_code == 422

    assert client.post(f"{address}/ship", data={**form, f"quantity-{line}": "1"}).status_code == 302
    db.session.rollback()
    assert db.session.get_one(Order, order_id).fulfilment == "PARTLY_SHIPPED"
    assert client.post(f"{address}/ship", data={**form, f"quantity-{line}": "2"}).status_code == 302
    db.session.rollback()
    assert db.session.get_one(Order, order_id).fulfilment == "SHIPPED"
    assert client.post(f"{address}/ship", data={**form, f"quantity-{line}": "1"}).status_code == 422
    assert "SF1" in client.get(address).text


def test_another_cooperative_does_not_know_of_it(app: Flask, paid: tuple[builders.Market, Order]) -> None:
    _, order = paid
    other = builders.market(name="仁首油茶合作社", category="camellia_oil")
    client = browser(app, other.clerk)
    address = f"/cooperative/orders/{order.public_id}"
    assert client.get(address).status_code == 404
    assert client.post(f"{address}/ship", data={}).status_code == 404
    assert order.public_id not in client.get("/cooperative/orders").text


def test_the_accountant_reads_but_does_not_ship(app: Flask, paid: tuple[builders.Market, Order]) -> None:
    market, order = paid
    client = browser(app, market.accountant)
    assert client.get(f"/cooperative/orders/{order.public_id}").status_code == 200
    assert client.post(f"/cooperative/orders/{order.public_id}/ship", data={}).status_code == 403
