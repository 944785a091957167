"""The operator's day: queues with their oldest age, and a listing approved by another person and then found by buyers."""

from datetime import timedelta

from flask import Flask

from marketplace.catalogue import listing_review
from marketplace.catalogue.product import Product
from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.orders import return_request
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Cooperative
from marketplace.organisations.person import grant
from marketplace.search.product_index import KIND, query
from tests import builders
from tests.catalogue.listing import product_of, ready
from tests.orders import trade
from tests.web.test_goods import browser


def submitted() -> tuple[builders.Market, str]:
    """A market whose listing waits, and the listing's address."""
    market = ready()
    with transaction():
        listing_review.submit(market.product, version=1, actor=market.clerk)
    return market, f"/operator/listings/{product_of(market).public_id}"


def test_the_reviewer_approves_and_buyers_find_it(app: Flask) -> None:
    market, address = submitted()
    client = browser(app, builders.person(builders.operator(), "reviewer"))
    assert "等审核的商品" in client.get("/operator").text
    assert address in client.get("/operator/listings").text
    assert address in client.get("/operator/queues/listings").text
    page = client.get(address)
    assert "没有发现问题" in page.text
    assert "请留意" not in page.text
    slug = product_of(market).slug
    assert client.get(f"/goods/{slug}").status_code == 404
    version = str(product_of(market).version)
    assert client.post(f"{address}/decide", data={"decision": "approve", "version": version}).status_code == 302
    assert client.get(f"/goods/{slug}").status_code == 200
    assert outbox.drain(kinds={KIND}) == (1, 0)
    assert query("明前") == [market.product]
    assert client.post(f"{address}/decide", data={"decision": "approve", "version": version}).status_code == 409


def test_a_return_needs_its_reason(app: Flask) -> None:
    market, address = submitted()
    client = browser(app, builders.person(builders.operator(), "reviewer"))
    form = {"decision": "return", "version": str(product_of(market).version)}
    answer = client.post(f"{address}/decide", data=form)
    assert answer.status_code == 422
    assert "退回时请写明理由" in answer.text
    assert client.post(f"{address}/decide", data={**form, "version": "1"}).status_code == 409
    assert client.post(f"{address}/decide", data={**form, "decision": "maybe"}).status_code == 400
    assert product_of(market).state == "SUBMITTED"
    assert client.post(f"{address}/decide", data={**form, "reason": "照片和规格不符。"}).status_code == 302
    assert product_of(market).state == "RETURNED"
    assert address in client.get("/operator/listings?view=returned").text


def test_what_broke_while_it_waited_is_not_approved(app: Flask) -> None:
    market, address = submitted()
    with transaction():
        licence = db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one()
        licence.licence_expires_on = clock.business_date() - timedelta(days=1)
    client = browser(app, builders.person(builders.operator(), "reviewer"))
    answer = client.post(f"{address}/decide", data={"decision": "approve", "version": str(product_of(market).version)})
    assert answer.status_code == 422
    assert "食品生产许可已经到期" in answer.text
    assert product_of(market).state == "SUBMITTED"


def test_nobody_approves_their_own_nor_without_the_role(app: Flask) -> None:
    market, address = submitted()
    form = {"decision": "approve", "version": str(product_of(market).version)}
    with transaction():
        operator = builders.operator()
        grant(market.clerk.person_id, operator, "reviewer")
    both = app.test_client()
    with both.session_transaction() as session:
        session["person_id"], session["organisation_id"] = market.clerk.person_id, operator
    assert both.post(f"{address}/decide", data=form).status_code == 403
    auditor = browser(app, builders.person(operator, "auditor"))
    assert 'name="decision"' not in auditor.get(address).text
    assert auditor.post(f"{address}/decide", data=form).status_code == 403
    assert browser(app, market.clerk).get(address).status_code == 403
    assert product_of(market).state == "SUBMITTED"


def test_a_draft_is_not_the_operators_to_see(app: Flask) -> None:
    market = ready()
    client = browser(app, builders.person(builders.operator(), "reviewer"))
    address = f"/operator/listings/{product_of(market).public_id}"
    assert client.get(address).status_code == 404
    assert client.post(f"{address}/decide", data={"decision": "approve", "version": "1"}).status_code == 404
    assert db.session.get_one(Product, market.product).state == "DRAFT"


def test_each_queue_opens_on_its_rows(app: Flask) -> None:
    market = builders.market()
    client = browser(app, builders.person(builders.operator(), "treasurer"))
    assert "现在没有事在等您" in client.get("/operator").text
    for name in ("listings", "objections", "returns", "receipts", "refunds"):
        assert client.get(f"/operator/queues/{name}").status_code == 200
    assert client.get("/operator/queues/what").status_code == 404
    buyer = builders.customer()
    order = db.session.get_one(Order, trade.bought(buyer, (market.pack, 1)))
    order_id, fen = order.id, order.paid_fen
    with transaction():
        return_request.raise_request(order_id, fen, "罐子瘪了", actor=buyer)
    page = client.get("/operator").text
    assert "等得最久的：等答复的退货，1 件" in page
    assert "罐子瘪了" in client.get("/operator/queues/returns").text
