"""The clerk's morning: what is to be shipped, from which batch, and what another cooperative never sees."""

import pytest
from flask import Flask

from marketplace.foundation.database import db, transaction
from marketplace.orders import return_request
from marketplace.orders.order import Order, lines_of
from marketplace.supply import mass_balance
from marketplace.supply.batch import Batch
from tests import builders
from tests.orders import trade
from tests.web.work_desk import browser, rows_of


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


def test_orders_are_filtered_sorted_and_exported_without_names(app: Flask) -> None:
    market = builders.market(on_hand=100)
    buyer = builders.customer("李晓红")
    ids = [trade.bought(buyer, (market.pack, count)) for count in (1, 3, 2)]
    clerk = browser(app, market.clerk)
    names = {row.id: row.public_id for row in db.session.query(Order).filter(Order.id.in_(ids))}
    page = clerk.get("/cooperative/orders?sort=amount").text
    assert page.index(names[ids[1]]) < page.index(names[ids[2]]) < page.index(names[ids[0]])
    assert names[ids[0]] not in clerk.get("/cooperative/orders?kind=DIRECTED").text
    assert names[ids[0]] not in clerk.get("/cooperative/orders?to=2001-01-01").text
    assert names[ids[0]] in clerk.get("/cooperative/orders?view=all&q=明前&from=2001-01-01").text
    assert names[ids[0]] not in clerk.get("/cooperative/orders?view=returns").text
    for wrong in ("view=x", "kind=x", "sort=x", "from=昨天"):
        assert clerk.get(f"/cooperative/orders?{wrong}").status_code == 400, wrong
    sheet = rows_of(clerk.get("/cooperative/orders/export.xlsx?view=all").data)
    assert len(sheet) == 4
    assert "李晓红" not in str(sheet)
    other = builders.market(name="另一家合作社")
    assert len(rows_of(browser(app, other.clerk).get("/cooperative/orders/export.xlsx?view=all").data)) == 1


def test_what_waits_today_opens_on_its_rows(app: Flask) -> None:
    market = builders.market(on_hand=9)
    buyer = builders.customer()
    order = db.session.get_one(Order, trade.bought(buyer, (market.pack, 1)))
    order_id, fen, public_id = order.id, order.paid_fen, order.public_id
    with transaction():
        return_request.raise_request(order_id, fen, "罐子瘪了", actor=buyer)
        db.session.get_one(Batch, market.batch).area_mu = 6
        mass_balance.look(market.cooperative)
    clerk = browser(app, market.clerk)
    page = clerk.get("/cooperative").text
    for words in ("1 张订单等着发货", "1 项退货申请等着答复", "1 处货对不上", "/cooperative/orders?view=returns", "/cooperative/stock?view=low"):
        assert words in page, words
    assert public_id in clerk.get("/cooperative/orders?view=returns").text
