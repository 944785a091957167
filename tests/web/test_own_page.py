"""What a buyer keeps and changes: addresses chosen at checkout, name, phone, password; each their own only."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.catalogue.product import Pack
from marketplace.foundation.database import db, in_transaction, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.orders.order import Purchase
from marketplace.organisations import own_sign_in, person
from marketplace.organisations.address import Address
from marketplace.organisations.person import Person, hash_password
from marketplace.web import own_page
from tests import builders
from tests.orders import trade
from tests.web.work_desk import browser

HOME = {"recipient": "王小明", "phone": "13800138000", "region": "", "province": "江西省", "city": "南昌市", "street": "赣江中大道 1 号"}


def kept(client: FlaskClient, **changed: str) -> Address:
    assert client.post("/account/addresses", data={**HOME, **changed}).status_code == 302
    return db.session.query(Address).filter(Address.retired_at.is_(None)).order_by(Address.id.desc()).first()  # type: ignore[return-value]


@pytest.mark.both
def test_an_address_is_kept_edited_and_deleted_by_its_owner(app: Flask) -> None:
    buyer = builders.customer()
    client, stranger = browser(app, buyer), browser(app, builders.customer("别人"))
    for field, value in (("recipient", ""), ("phone", "12"), ("city", ""), ("street", "x")):
        assert client.post("/account/addresses", data={**HOME, field: value}).status_code == 422
    first = kept(client)
    public_id, sealed = first.public_id, first.street_sealed
    assert "赣江" not in sealed
    kept(client)  # the same click twice keeps one
    assert db.session.query(Address).count() == 1
    assert "赣江中大道" in client.get("/account/addresses").text
    path = f"/account/addresses/{public_id}"
    for method, address in (("GET", path), ("POST", path), ("POST", f"{path}/delete")):
        assert stranger.open(address, method=method, data=HOME).status_code == 404
    assert browser(app, builders.person(builders.operator(), "administrator")).get(path).status_code == 403
    assert "13800138000" in client.get(path).text
    assert client.post(path, data={**HOME, "street": "赣江中大道 2 号"}).status_code == 302
    assert client.post(path, data={**HOME, "street": "赣江中大道 3 号"}).status_code == 409  # somebody edits a page that is over
    page = client.get("/account/addresses").text
    assert ("2 号" in page, "1 号" in page) == (True, False)
    last = db.session.query(Address).filter(Address.retired_at.is_(None)).one().public_id
    assert client.post(f"/account/addresses/{last}/delete").status_code == 302
    assert client.post(f"/account/addresses/{last}/delete").status_code == 409
    assert "还没有存地址" in client.get("/account/addresses").text


def test_a_kept_address_is_chosen_at_checkout(app: Flask) -> None:
    market = builders.market()
    client = browser(app, builders.customer())
    mine = kept(client, region="360925201001", province="", city="").public_id
    theirs = kept(browser(app, builders.customer("别人")), street="别人家 9 号").public_id
    client.post("/cart/add", data={"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "1"})
    page = client.get("/checkout").text
    assert ("中源乡三坪村" in page, "别人家" in page) == (True, False)
    key = re.search(r'name="idempotency_key" value="([\w-]+)"', page)
    assert key
    form = {"idempotency_key": key[1], "shown_fen": "", "note": "放门卫"}
    assert client.post("/checkout", data={**form, "address": theirs}).status_code == 404
    both = client.post("/checkout", data={**form, **HOME, "address": mine})
    assert (both.status_code, "请再选一次" in both.text) == (422, True)
    assert client.post("/checkout", data={**form, "address": mine}).status_code == 303
    bought = db.session.query(Purchase).one()
    assert (bought.recipient, bought.place, bought.note) == ("王小明", "靖安县中源乡三坪村", "放门卫")


def test_an_address_typed_at_checkout_can_be_kept(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    client = browser(app, buyer)
    client.post("/cart/add", data={"pack": db.session.get_one(Pack, market.pack).public_id, "quantity": "1"})
    assert client.post("/checkout", data={**HOME, "keep": "1", "idempotency_key": "k", "shown_fen": ""}).status_code == 303
    row = db.session.query(Address).one()
    assert (row.organisation_id, row.street) == (buyer.organisation_id, "赣江中大道 1 号")


def test_a_password_is_changed_by_whoever_knows_it(app: Flask) -> None:
    buyer = builders.customer()
    with transaction():
        db.session.get_one(Person, buyer.person_id).password_hash = hash_password("old-tea-leaf")
    client = browser(app, buyer)
    for current, wanted, again in (("wrong-one", "new-tea-leaf", "new-tea-leaf"), ("old-tea-leaf", "short", "short"), ("old-tea-leaf", "new-tea-leaf", "other"), ("old-tea-leaf",) * 3):
        answer = client.post("/account/password", data={"current": current, "password": wanted, "again": again})
        assert answer.status_code == 422
    assert client.post("/account/password", data={"current": "old-tea-leaf", "password": "new-tea-leaf", "again": "new-tea-leaf"}).status_code == 302
    login = db.session.get_one(Person, buyer.person_id).login
    assert app.test_client().post("/sign-in", data={"login": login, "password": "old-tea-leaf"}).status_code == 422
    assert app.test_client().post("/sign-in", data={"login": login, "password": "new-tea-leaf"}).status_code == 302


def test_a_phone_number_belongs_to_one_person(app: Flask) -> None:
    first, second = builders.customer(), builders.customer("李大娘")
    with transaction():
        for each in (first, second):
            db.session.get_one(Person, each.person_id).password_hash = hash_password("tea-leaf-1")
    form = {"phone": "138 0013 8000", "current": "tea-leaf-1"}
    assert browser(app, first).post("/account/phone", data={**form, "current": "no"}).status_code == 422
    assert browser(app, first).post("/account/phone", data={**form, "phone": "1"}).status_code == 422
    assert browser(app, first).post("/account/phone", data=form).status_code == 302
    taken = browser(app, second).post("/account/phone", data=form)
    assert (taken.status_code, "已经有人用了" in taken.text) == (422, True)
    page = browser(app, first).get("/account")
    assert ("8000" in page.text, "13800138000" in page.text, page.headers["Cache-Control"]) == (True, False, "private, no-store")
    assert app.test_client().post("/sign-in", data={"login": "13800138000", "password": "tea-leaf-1"}).status_code == 302


def test_a_name_is_changed_everywhere(app: Flask) -> None:
    buyer = builders.customer()
    client = browser(app, buyer)
    assert client.post("/account/name", data={"name": " "}).status_code == 422
    assert client.post("/account/name", data={"name": "王大明"}).status_code == 302
    assert "王大明" in client.get("/account").text


def test_orders_are_listed_by_where_they_are(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    trade.placed(buyer, (market.pack, 1))
    trade.bought(buyer, (market.pack, 1))
    client = browser(app, buyer)
    for view, count in (("", 2), ("pay", 1), ("ship", 1), ("way", 0)):
        text = client.get(f"/orders?view={view}").text
        assert len(set(re.findall(r"/orders/([0-9a-z]{16})", text))) == count, view
    assert "这里没有订单" in client.get("/orders?view=way").text
    assert client.get("/orders?view=nowhere").status_code == 400


def test_a_password_is_looked_at_before_the_market_is_kept_from_writing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite has one writer at a time, and argon2 takes a tenth of a second on purpose."""
    buyer = builders.customer()
    with transaction():
        db.session.get_one(Person, buyer.person_id).password_hash = str(hash_password("jingan2026"))
    inside, genuine = list[bool](), (person.password_fits, person.hash_password)
    monkeypatch.setattr(own_sign_in, "password_fits", lambda *known: inside.append(in_transaction()) or genuine[0](*known))
    monkeypatch.setattr(own_page, "hash_password", lambda chosen: inside.append(in_transaction()) or genuine[1](chosen))
    client = browser(app, buyer)
    assert client.post("/account/phone", data={"phone": "13800138001", "current": "jingan2026"}).status_code == 302
    again = client.post("/account/phone", data={"phone": "138 0013 8001", "current": "jingan2026"})
    assert (again.status_code, "这就是现在的手机号" in again.text) == (422, True)
    form = {"current": "jingan2026", "password": "another-2026", "again": "another-2026"}
    assert client.post("/account/password", data=form).status_code == 302
    assert inside == [False] * 4
    with pytest.raises(InvalidInput), transaction():
        own_sign_in.change_phone("13800138002", "what stood before", actor=buyer)
    said = [client.post("/account/phone", data={"phone": f"1380013{8100 + n}", "current": "another-2026"}).status_code for n in range(9)]
    assert 429 in said, "who knows the password is counted too"
