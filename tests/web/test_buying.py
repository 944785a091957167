"""The buyer's pages: from a tin on the shelf to the cashier and back, with nothing asked of a script."""

import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from marketplace.catalogue.product import Pack
from marketplace.foundation import clock
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.orders import expiry
from marketplace.orders.order import Order, Purchase
from marketplace.organisations.actor import Actor
from marketplace.organisations.region import Region
from marketplace.payments.channel import Answer
from marketplace.payments.payment import Payment
from tests import builders
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.web.work_desk import browser

ADDRESS = {
    "recipient": "王小明",
    "phone": "13800138000",
    "province": "江西省",
    "city": "南昌市",
    "street": "赣江中大道 1 号",
}


@lru_cache(maxsize=1)
def _pair() -> tuple[bytes, bytes]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    folder = tmp_path / "data" / "emulator"
    folder.mkdir(parents=True)
    (folder / "app_private.pem").write_bytes(_pair()[0])
    (folder / "alipay_public.pem").write_bytes(_pair()[1])
    return read_settings(
        {},
        environment="test",
        data_dir=tmp_path / "data",
        database_url=database,
        secret_key="t" * 40,
        alipay_gateway="http://127.0.0.1:9/gateway.do",
    )


def _browser(app: Flask, actor: Actor | None = None) -> FlaskClient:
    client = app.test_client()
    if actor is not None:
        _sign_in(client, actor)
    return client


def _sign_in(client: FlaskClient, actor: Actor) -> None:
    with client.session_transaction() as session:
        session["person_id"], session["organisation_id"] = actor.person_id, actor.organisation_id


def _public(pack_id: int) -> str:
    return db.session.get_one(Pack, pack_id).public_id


def _put_in(client: FlaskClient, pack_id: int, quantity: int = 1) -> None:
    answer = client.post("/cart/add", data={"pack": _public(pack_id), "quantity": quantity, "next": "/cart"})
    assert (answer.status_code, answer.location) == (303, "/cart")


def _form(client: FlaskClient) -> dict[str, str]:
    page = client.get("/checkout")
    assert page.status_code == 200, page.text[:300]
    hidden = dict(re.findall(r'name="(idempotency_key|shown_fen)" value="([^"]*)"', page.text))
    return ADDRESS | hidden


def test_a_cart_survives_signing_in_and_goes_to_the_cashier(app: Flask) -> None:
    tea, honey = builders.market(), builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800)
    buyer = builders.customer()
    client = _browser(app)
    _put_in(client, tea.pack, 2)
    assert client.get("/checkout").location.startswith("/sign-in")
    _sign_in(client, buyer)
    _put_in(client, honey.pack)
    page = client.get("/cart").text
    assert "¥252.00" in page  # 176 + 68 + 8 of freight for the honey alone
    form = _form(client)
    placed = client.post("/checkout", data=form)
    assert placed.status_code == 303
    asked = parse_qs(urlsplit(placed.location).query)
    assert asked["method"] == ["alipay.trade.page.merge.pay"]
    again = client.post("/checkout", data=form)
    assert parse_qs(urlsplit(again.location).query)["biz_content"] == asked["biz_content"]
    assert len(list(db.session.scalars(select(Purchase)))) == 1
    assert "购物车是空的" in client.get("/cart").text
    assert trade.free(tea.pack) == (10, 2)


def test_the_return_from_the_cashier_asks_and_believes_nothing_else(app: Flask) -> None:
    market = builders.market()
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    client.post("/checkout", data=_form(client))
    purchase = db.session.scalars(select(Purchase)).one().public_id
    payment_id = db.session.scalars(select(Payment.id)).one()
    waiting = Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")
    WrittenChannel(app, query=[waiting, Answer("succeeded", trade=trade.succeeded(payment_id))])
    for state in ("UNPAID", "PAID"):
        back = client.get(f"/orders/{purchase}/returned?trade_status=TRADE_SUCCESS&total_amount=96.00")
        assert back.location == f"/orders/{purchase}"
        db.session.rollback()
        db.session.expire_all()
        assert db.session.scalars(select(Order.payment)).one() == state
    assert "已付款" in client.get(f"/orders/{purchase}").text


def test_what_cannot_be_delivered_or_sold_is_said_on_the_same_page(app: Flask) -> None:
    market = builders.market(on_hand=1)
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    form = _form(client)
    wrong = client.post("/checkout", data=form | {"phone": "12"})
    assert wrong.status_code == 422
    assert "这个电话号码不对" in wrong.text
    assert "赣江中大道 1 号" in wrong.text
    trade.placed(builders.customer("先来的"), (market.pack, 1))
    late = client.post("/checkout", data=form)
    assert late.status_code == 422
    assert "只剩 0 件" in late.text
    assert len(list(db.session.scalars(select(Order)))) == 1


def test_to_a_village_of_the_county_by_its_code(app: Flask) -> None:
    market = builders.market()
    village = db.session.get_one(Region, market.village)
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    form = _form(client) | {"province": "", "city": "", "region": village.code}
    assert client.post("/checkout", data=form).status_code == 303
    purchase = db.session.scalars(select(Purchase)).one()
    assert (purchase.region_id, purchase.street) == (market.village, "赣江中大道 1 号")
    page = client.get(f"/orders/{purchase.public_id}").text
    assert village.name_zh in page
    assert "南昌市" not in page


@pytest.mark.parametrize("place", [{}, {"province": "", "city": ""}])
def test_a_village_that_there_is_not_is_asked_for_again(app: Flask, place: dict[str, str]) -> None:
    market = builders.market()
    client = _browser(app, builders.customer())
    _put_in(client, market.pack)
    answer = client.post("/checkout", data=_form(client) | place | {"region": "360925999999"})
    assert answer.status_code == 422
    assert "请选择乡镇和村" in answer.text
    for typed in ("王小明", "13800138000", "赣江中大道 1 号", *(() if place else ("江西省", "南昌市"))):
        assert f'value="{typed}"' in answer.text
    assert db.session.scalar(select(func.count(Purchase.id))) == 0
    assert trade.free(market.pack) == (10, 0)


def test_what_waits_for_payment_says_until_when_and_what_expired_asks_for_nothing(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    client = _browser(app, buyer)
    trade.placed(buyer, (market.pack, 2))
    address = f"/orders/{db.session.scalars(select(Purchase)).one().public_id}"
    waiting = client.get(address).text
    assert "还没有收到付款" in waiting
    assert "去支付宝付 ¥176.00" in waiting
    assert f'action="{address}/pay"' in waiting
    with clock.travel(clock.now() + timedelta(minutes=31)):
        late = client.get(address).text  # before the job has come by
        assert f"{address}/pay" not in late
        assert "过了付款时间" in late
        with transaction():
            assert expiry.expire_due() == 1
        over = client.get(address).text
        assert f"{address}/pay" not in over
        assert "超过付款时间，货已放回货架" in over
        refused = client.post(f"{address}/pay", data={"idempotency_key": "late"})
        assert (refused.status_code, refused.location) == (303, address)  # back to the order, and not to the cashier
    assert trade.free(market.pack) == (10, 0)


def test_a_buyer_cancels_confirms_and_asks_for_money_back(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    client = _browser(app, buyer)
    first, second = trade.bought(buyer, (market.pack, 1)), trade.bought(buyer, (market.pack, 2))
    trade.shipped(market, second)

    def address(order_id: int) -> tuple[str, str]:
        order = trade.order(order_id)
        return db.session.get_one(Purchase, order.purchase_id).public_id, order.public_id

    assert client.get("/orders").text.count("/orders/") >= 2
    purchase, order = address(first)
    assert client.post(f"/orders/{purchase}/cancel/{order}").status_code == 303
    assert trade.order(first).payment == "REFUNDED"
    purchase, order = address(second)
    assert client.post(f"/orders/{purchase}/received/{order}").status_code == 303
    assert trade.order(second).fulfilment == "RECEIVED"
    page = client.get(f"/orders/{purchase}")
    assert "有问题，要退货退款" in page.text
    for wrong, said in (({"yuan": "abc", "reason": "罐子压坏了"}, "请写退款金额"), ({"yuan": "9999", "reason": "罐子压坏了"}, "最多"), ({"yuan": "88", "reason": " "}, "请写明退货的原因")):
        again = client.post(f"/orders/{purchase}/return/{order}", data=wrong)
        assert again.status_code == 422
        assert said in again.text
        assert f'value="{wrong["yuan"]}"' in again.text, "what was typed is kept"
    asked = client.post(f"/orders/{purchase}/return/{order}", data={"yuan": "88.00", "reason": "罐子压坏了"})
    assert asked.status_code == 303
    assert "等合作社答复" in client.get(f"/orders/{purchase}").text


def test_nobody_sees_or_moves_a_strangers_order(app: Flask) -> None:
    market = builders.market()
    order = trade.order(trade.bought(builders.customer(), (market.pack, 1)))
    purchase = db.session.get_one(Purchase, order.purchase_id).public_id
    order_name = order.public_id
    stranger = _browser(app, builders.customer("路人"))
    assert stranger.get(f"/orders/{purchase}").status_code == 404
    assert stranger.post(f"/orders/{purchase}/cancel/{order_name}").status_code == 404
    assert stranger.post(f"/orders/{purchase}/pay").status_code == 404
    assert stranger.get(f"/orders/{purchase}/returned").status_code == 404


def test_quantities_in_the_cart_change_and_go(app: Flask) -> None:
    market = builders.market()
    client = _browser(app)
    _put_in(client, market.pack)
    pack = _public(market.pack)
    client.post("/cart/change", data={"pack": pack, "quantity": "12"})
    page = client.get("/cart").text
    assert "只剩 10 件，请改数量" in page
    assert "去结算" not in page
    client.post("/cart/change", data={"pack": pack, "quantity": "3"})
    assert "¥264.00" in client.get("/cart").text
    client.post("/cart/change", data={"pack": pack, "quantity": "3", "remove": "1"})
    assert "购物车是空的" in client.get("/cart").text
    assert client.post("/cart/add", data={"pack": pack, "quantity": "１"}).status_code == 400


@pytest.mark.parametrize("way", ["post pay", "post card/x", "post scan/x", "get returned"])
def test_ways_to_a_cashier_and_back_are_tried_so_often(app: Flask, way: str) -> None:
    """Each is a call of a channel. One person's tries are counted, from whatever address, and are nobody else's."""
    method, _space, name = way.partition(" ")
    one, other = (browser(app, builders.customer()) for _ in range(2))

    def tried(who: FlaskClient, number: int) -> int:
        return who.open(f"/orders/nowhere/{name}", method=method.upper(), environ_base={"REMOTE_ADDR": f"10.0.0.{number}"}).status_code

    assert [tried(one, number) for number in range(31)] == [404] * 30 + [429]
    assert tried(other, 30) == 404
