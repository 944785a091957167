"""A unit's pages, clicked through: order, approve, accept, and the year's figures that follow."""

import re

from flask import Flask
from flask.testing import FlaskClient

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import directed_order, scorecard
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.supply.stock import Stock
from tests import builders
from tests.procurement.unit_market import UnitMarket, order_of, ship, unit_market

WHERE = {"recipient": "刘老师", "phone": "13807950001", "province": "江西省", "city": "宜春市", "street": "教育路 1 号", "terms": "POSTPAY"}


def browser(app: Flask, actor: Actor) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["person_id"], session["organisation_id"] = actor.person_id, actor.organisation_id
    return client


def order_over_the_form(app: Flask, at: UnitMarket, quantity: str = "10"):  # type: ignore[no-untyped-def]
    client = browser(app, at.buyer)
    path = f"/unit/orders/new/{db.session.get_one(Organisation, at.market.cooperative).public_id}"
    page = client.get(path).get_data(as_text=True)
    assert "¥80.00" in page
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    return client.post(path, data={**WHERE, f"quantity-{at.market.pack}": quantity, "idempotency_key": key[1]})


def test_a_unit_s_order_from_form_to_figure(app: Flask) -> None:
    at = unit_market()
    answer = order_over_the_form(app, at)
    assert answer.status_code == 302
    made = db.session.query(DirectedOrder).one()
    made_id, path = made.id, f"/unit/orders/{made.public_id}"
    assert answer.location == path

    buyer, approver = browser(app, at.buyer), browser(app, at.approver)
    assert buyer.post(f"{path}/approve").status_code == 403
    assert "1 张采购单等着审批" in approver.get("/unit").get_data(as_text=True)
    assert "¥800.00" in approver.get(path).get_data(as_text=True)
    assert approver.post(f"{path}/approve", data={"decision": "approve"}).status_code == 302
    with transaction():
        directed_order.confirm(made_id, actor=at.market.director)
    ship(at, made_id, 10)
    line = re.search(r'name="accepted-(\d+)"', buyer.get(path).get_data(as_text=True))
    assert line
    refused = buyer.post(f"{path}/accept", data={f"accepted-{line[1]}": "9"})
    assert (refused.status_code, "有短缺的，请写明情况" in refused.get_data(as_text=True)) == (422, True)
    assert buyer.post(f"{path}/accept", data={f"accepted-{line[1]}": "9", f"reason-{line[1]}": "破一罐"}).status_code == 302
    assert order_of(made_id).accepted_fen == 72_000
    # What the page tells a person who pays: the account and the reference.
    page = buyer.get(path).get_data(as_text=True)
    assert db.session.get_one(DirectedOrder, made_id).reference in page
    assert "¥720.00" in page
    assert "¥720.00" in buyer.get("/unit").get_data(as_text=True)


def test_a_bad_form_says_why_and_keeps_what_was_typed(app: Flask) -> None:
    at = unit_market()
    answer = order_over_the_form(app, at, quantity="1000")
    page = answer.get_data(as_text=True)
    assert (answer.status_code, "只剩 100 件" in page, 'value="1000"' in page) == (422, True, True)
    assert db.session.get_one(Stock, at.market.pack).reserved == 0


def test_another_unit_s_order_is_not_there(app: Flask) -> None:
    at = unit_market()
    order_over_the_form(app, at)
    made = db.session.query(DirectedOrder).one()
    stranger = builders.unit("别的单位")
    client = browser(app, builders.person(stranger, "buyer", "approver"))
    for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/withdraw"), ("POST", "/accept")):
        assert client.open(f"/unit/orders/{made.public_id}{path}", method=method).status_code == 404


def test_a_parent_sees_its_units_and_only_them(app: Flask) -> None:
    bureau = builders.unit("教育局")
    builders.unit("一中", parent_id=bureau)
    builders.unit("别处", parent_id=builders.unit("卫健委"))
    page = browser(app, builders.person(bureau, "approver")).get("/unit/subordinates").get_data(as_text=True)
    assert ("一中" in page, "别处" in page, "未申报" in page) == (True, False, True)
    assert len(scorecard.subordinates(bureau, clock.business_date().year)) == 1


def test_a_unit_files_its_target_and_a_stale_page_does_not_overwrite_it(app: Flask) -> None:
    unit = builders.unit()
    client = browser(app, builders.person(unit, "accountant"))
    year = clock.business_date().year
    assert client.post("/unit/target", data={"canteen": "OWN", "base": "100,000.00", "percent": "30"}).status_code == 302
    assert scorecard.figures(unit, year).reserved_fen == 3_000_000
    low = client.post("/unit/target", data={"canteen": "OWN", "base": "1", "percent": "29.99", "version": "1"})
    assert (low.status_code, "不能低于 30%" in low.get_data(as_text=True)) == (422, True)
    assert client.post("/unit/target", data={"canteen": "OWN", "base": "x", "percent": "30", "version": "1"}).status_code == 422
    assert client.post("/unit/target", data={"canteen": "NONE", "base": "", "percent": "30", "version": "1"}).status_code == 302
    assert client.post("/unit/target", data={"canteen": "OWN", "base": "5", "percent": "30", "version": "1"}).status_code == 409
    assert scorecard.figures(unit, year).reserved_fen is None
    assert "没有食堂" in client.get("/unit/target").get_data(as_text=True)
