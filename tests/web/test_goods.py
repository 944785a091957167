"""The clerk's goods: views, an edit with its errors in place, refusals by name, and what another cooperative never sees."""

from flask import Flask
from flask.testing import FlaskClient

from marketplace.catalogue import listing_review
from marketplace.catalogue.product import Pack
from marketplace.foundation.database import db, transaction
from marketplace.organisations.actor import Actor
from tests import builders
from tests.catalogue.listing import product_of, ready


def browser(app: Flask, actor: Actor) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["person_id"], session["organisation_id"] = actor.person_id, actor.organisation_id
    return client


def form(market: builders.Market, **changed: str) -> dict[str, str]:
    """The form as the page shows it, with some inputs changed; ``price`` is the pack's."""
    product, pack = product_of(market), db.session.get_one(Pack, market.pack)
    price = changed.pop("price", "88.00")
    return {
        "version": str(product.version),
        "name_zh": product.name_zh,
        "summary_zh": product.summary_zh,
        "standard_code": product.standard_code,
        "shelf_life_months": "18",
        f"price-{pack.public_id}": price,
        **changed,
    }


def test_the_clerk_mends_and_submits(app: Flask) -> None:
    market = ready()
    address = f"/cooperative/goods/{product_of(market).public_id}"
    client = browser(app, market.clerk)
    assert "这里现在没有商品" in client.get("/cooperative/goods").text
    assert address in client.get("/cooperative/goods?view=draft").text
    assert client.get("/cooperative/goods?view=what").status_code == 400
    assert "明前白茶" in client.get(address).text

    assert client.post(address, data=form(market, story_zh="云脚的茶。", price="¥99.5")).status_code == 302
    product = product_of(market)
    assert (product.state, product.story_zh, product.from_price_fen) == ("DRAFT", "云脚的茶。", 9950)

    refused = client.post(address, data=form(market, standard_code="", price="99.50", then="submit"))
    assert refused.status_code == 422
    assert "已保存，还不能提交" in refused.text
    assert "请写明产品执行的标准" in refused.text
    assert product_of(market).state == "DRAFT"

    assert client.post(address, data=form(market, standard_code="GB/T 14456.1", price="99.50", then="submit")).status_code == 302
    assert product_of(market).state == "SUBMITTED"
    assert address in client.get("/cooperative/goods?view=waiting").text
    assert 'name="name_zh"' not in client.get(address).text
    assert client.post(address, data=form(market)).status_code == 409
    assert client.post(f"{address}/take-back", data={"version": str(product_of(market).version)}).status_code == 302
    assert product_of(market).state == "DRAFT"


def test_what_was_typed_stays_beside_its_error(app: Flask) -> None:
    market = ready()
    client = browser(app, market.clerk)
    address = f"/cooperative/goods/{product_of(market).public_id}"
    answer = client.post(address, data=form(market, summary_zh="新的介绍", price="十块", shelf_life_months="一年"))
    assert answer.status_code == 422
    for sentence in ("请写一个金额", "保质期请写月数", "新的介绍", "十块", "一年"):
        assert sentence in answer.text
    assert client.post(address, data=form(market, name_zh=" ")).status_code == 422
    assert client.post(address, data=form(market, price="0")).status_code == 422
    assert client.post(address, data=form(market, version="x")).status_code == 400
    assert product_of(market).summary_zh == "清明前采。"


def test_a_stale_form_is_shown_beside_what_is_kept(app: Flask) -> None:
    market = ready()
    client = browser(app, market.clerk)
    address = f"/cooperative/goods/{product_of(market).public_id}"
    mine = form(market, summary_zh="我的话")
    assert client.post(address, data=form(market, summary_zh="同事的话")).status_code == 302
    answer = client.post(address, data=mine)
    assert answer.status_code == 409
    assert "我的话" in answer.text
    assert "现在保存着的是：同事的话" in answer.text
    assert product_of(market).summary_zh == "同事的话"


def test_the_reason_of_a_return_is_on_the_list_and_the_page(app: Flask) -> None:
    market = ready()
    checker = builders.person(builders.operator(), "reviewer")
    with transaction():
        version = listing_review.submit(market.product, version=1, actor=market.clerk).version
        listing_review.decide(market.product, version=version, approved=False, reason="产地写得不清楚。", actor=checker)
    client = browser(app, market.clerk)
    assert "产地写得不清楚。" in client.get("/cooperative/goods").text
    assert "产地写得不清楚。" in client.get(f"/cooperative/goods/{product_of(market).public_id}").text


def test_another_cooperative_and_another_role(app: Flask) -> None:
    market = ready()
    other = builders.market(name="仁首油茶合作社", category="camellia_oil")
    address = f"/cooperative/goods/{product_of(market).public_id}"
    stranger = browser(app, other.clerk)
    assert stranger.get(address).status_code == 404
    assert stranger.post(address, data=form(market)).status_code == 404
    assert stranger.post(f"{address}/withdraw", data={"version": "1"}).status_code == 404
    assert stranger.get(f"/cooperative/goods?before={product_of(market).public_id}").status_code == 404
    accountant = browser(app, market.accountant)
    assert 'name="name_zh"' not in accountant.get(address).text
    assert accountant.post(address, data=form(market)).status_code == 403
    assert product_of(market).state == "DRAFT"
