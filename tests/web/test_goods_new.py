"""A product from the first word to the first buyer: created, pictured, stocked, approved, found; and its changes while it is on sale."""

from io import BytesIO

from flask import Flask
from flask.testing import FlaskClient

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db, transaction
from marketplace.households.linkage_group import LinkageGroup
from marketplace.jobs import schedule
from marketplace.supply import stock
from tests import builders
from tests.builders_people import operator, person
from tests.catalogue.test_picture import bomb, photograph
from tests.web.test_goods import form
from tests.web.work_desk import browser, rows_of

VILLAGE = "360925201001"


def first_words(market: builders.Market, **changed: str) -> dict[str, str]:
    group = db.session.get_one(LinkageGroup, market.group).public_id
    pack = {"name_zh-new": "50 g 罐", "net_grams-new": "50", "price-new": "136"}
    return {"name_zh": "云脚谷雨茶", "group": group, "village": VILLAGE, **pack, "idempotency_key": "once", **changed}


def newest() -> Product:
    db.session.rollback()
    return db.session.query(Product).order_by(Product.id.desc()).first()  # type: ignore[return-value]


def reviewer(app: Flask) -> FlaskClient:
    return browser(app, person(operator(), "reviewer"))


def test_from_the_first_word_to_the_first_buyer(app: Flask) -> None:
    market = builders.market()
    clerk, office = browser(app, market.clerk), reviewer(app)
    assert clerk.get("/cooperative/goods/new").status_code == 200
    for _ in range(2):  # a double click is one product
        answer = clerk.post("/cooperative/goods/new", data=first_words(market))
        assert answer.status_code == 302
    assert db.session.query(Product).count() == 2
    product = newest()
    product_id, address = product.id, f"/cooperative/goods/{product.public_id}"
    assert answer.location == address
    assert (product.state, product.category, product.from_price_fen) == ("DRAFT", "white_tea", 13_600)
    refused = clerk.post(address, data={"version": "1", "name_zh": "云脚谷雨茶", "then": "submit"})
    assert refused.status_code == 422
    for sentence in ("请写一句话介绍", "请写明产品执行的标准", "所有规格都没有库存"):
        assert sentence in refused.text
    pack_id = db.session.query(Pack).filter_by(product_id=product_id).one().id
    transaction(lambda: stock.open_stock(pack_id, market.cooperative, 20))
    sent = {"version": str(newest().version), "picture": (BytesIO(photograph()), "茶.jpg")}
    assert clerk.post(f"{address}/picture", data=sent).status_code == 302
    assert newest().picture.startswith("up/")
    content = {"summary_zh": "谷雨前三天采的。", "standard_code": "GB/T 14456.1", "shelf_life_months": "18"}
    assert clerk.post(address, data={"version": str(newest().version), "name_zh": "云脚谷雨茶", **content, "then": "submit"}).status_code == 302
    product = newest()
    slug, version = product.slug, str(product.version)
    review = f"/operator/listings/{product.public_id}"
    assert product.state == "SUBMITTED"
    assert f"/pictures/{product.picture[3:]}-320.webp" in office.get(review).text
    assert office.post(f"{review}/decide", data={"decision": "approve", "version": version}).status_code == 302
    schedule.once(app, "outbox")
    anybody = app.test_client()
    assert f"/goods/{slug}" in anybody.get("/search?q=谷雨").text
    assert "云脚谷雨茶" in anybody.get(f"/goods/{slug}").text
    seen = anybody.get(f"/pictures/{newest().picture[3:]}-800.avif")
    assert (seen.status_code, seen.content_type) == (200, "image/avif")
    assert "immutable" in seen.headers["Cache-Control"]
    again = anybody.get(f"/pictures/{newest().picture[3:]}-800.avif", headers={"If-None-Match": seen.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert anybody.get("/pictures/zzzz-800.avif").status_code == 404


def test_bad_first_words_come_back(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    clerk = browser(app, market.clerk)
    foreign = db.session.get_one(LinkageGroup, other.group).public_id
    for wrong in ({"name_zh": " "}, {"price-new": "贵"}, {"price-new": "0"}, {"net_grams-new": "0"}, {"net_grams-new": ""}, {"village": "999"}, {"name_zh": "长" * 200}):
        answer = clerk.post("/cooperative/goods/new", data=first_words(market, **wrong))
        assert answer.status_code == 422, wrong
    assert clerk.post("/cooperative/goods/new", data=first_words(market, group=foreign)).status_code == 404
    assert clerk.post("/cooperative/goods/new", data=first_words(market, idempotency_key="")).status_code == 422
    assert browser(app, market.accountant).post("/cooperative/goods/new", data=first_words(market)).status_code == 403
    assert db.session.query(Product).count() == 2


def test_a_bad_picture_changes_nothing(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    address = f"/cooperative/goods/{db.session.get_one(Product, market.product).public_id}/picture"
    clerk = browser(app, market.clerk)
    for content in (bomb(), b"<script>", photograph((100, 100))):
        assert clerk.post(address, data={"version": "1", "picture": (BytesIO(content), "x.png")}).status_code == 422
    assert clerk.post(address, data={"version": "1"}).status_code == 422
    assert clerk.post(address, data={"version": "9", "picture": (BytesIO(photograph()), "x.jpg")}).status_code == 409
    assert browser(app, other.clerk).post(address, data={"version": "1", "picture": (BytesIO(photograph()), "x.jpg")}).status_code == 404
    assert db.session.get_one(Product, market.product).version == 1


def ready_on_sale() -> builders.Market:
    market = builders.market()
    with transaction():
        product = db.session.get_one(Product, market.product)
        product.summary_zh, product.standard_code = "清明前采。", "GB/T 14456.1"
    return market


def test_a_change_of_price_is_reviewed_while_the_old_one_sells(app: Flask) -> None:
    market = ready_on_sale()
    clerk, office = browser(app, market.clerk), reviewer(app)
    product = db.session.get_one(Product, market.product)
    address, slug, review = f"/cooperative/goods/{product.public_id}", product.slug, f"/operator/listings/{product.public_id}"
    assert clerk.post(address, data=form(market, price="96.00", then="submit")).status_code == 302
    assert "修改等审核" in clerk.get("/cooperative/goods?view=waiting").text
    assert "¥88.00" in app.test_client().get(f"/goods/{slug}").text
    assert "等审核的商品修改" in office.get("/operator").text
    assert review in office.get("/operator/listings?view=changes").text
    assert "¥96.00" in office.get(review).text
    version = str(db.session.get_one(Product, market.product).version)
    assert office.post(f"{review}/decide", data={"decision": "return", "reason": "涨得太多。", "version": version}).status_code == 302
    assert "涨得太多。" in clerk.get("/cooperative/goods").text
    db.session.rollback()
    assert clerk.post(address, data=form(market, price="92.00", then="submit")).status_code == 302
    db.session.rollback()
    version = str(db.session.get_one(Product, market.product).version)
    assert office.post(f"{review}/decide", data={"decision": "approve", "version": version}).status_code == 302
    assert "¥92.00" in app.test_client().get(f"/goods/{slug}").text


def test_tiers_packs_and_their_errors_in_the_form(app: Flask) -> None:
    market = ready_on_sale()
    clerk = browser(app, market.clerk)
    product, pack = db.session.get_one(Product, market.product), db.session.get_one(Pack, market.pack)
    address, key = f"/cooperative/goods/{product.public_id}", pack.public_id
    bad = clerk.post(address, data=form(market, **{f"tierfrom-{key}-1": "20", f"tier-{key}-1": "90"}))
    assert bad.status_code == 422
    assert "不能高过公开价" in bad.text
    added = {"name_zh-new": "250 g 礼盒", "net_grams-new": "250", "price-new": "400", f"tierfrom-{key}-1": "20", f"tier-{key}-1": "80"}
    assert clerk.post(address, data=form(market, **added)).status_code == 302
    page = clerk.get(address).text
    for words in ("250 g 礼盒", "20 件起 ¥80.00", "放弃这些修改"):
        assert words in page
    assert clerk.post(f"{address}/take-back", data={"version": "2"}).status_code == 302
    assert "250 g 礼盒" not in clerk.get(address).text
    assert clerk.post(address, data=form(market, **{f"off-{key}": "1"})).status_code == 422


def test_pausing_suspending_and_foreign_hands(app: Flask) -> None:
    market, other = ready_on_sale(), builders.market(name="另一家合作社")
    clerk, office = browser(app, market.clerk), reviewer(app)
    product = db.session.get_one(Product, market.product)
    address, review = f"/cooperative/goods/{product.public_id}", f"/operator/listings/{product.public_id}"
    slug = product.slug
    for step in ("pause", "withdraw", "take-back", "resume"):
        assert browser(app, other.clerk).post(f"{address}/{step}", data={"version": "1"}).status_code == 404
        assert browser(app, market.accountant).post(f"{address}/{step}", data={"version": "1"}).status_code == 403
    assert clerk.post(f"{address}/explode", data={"version": "1"}).status_code == 404
    assert clerk.post(f"{address}/pause", data={"version": "1"}).status_code == 302
    assert clerk.post(f"{address}/pause", data={"version": "1"}).status_code == 409
    assert app.test_client().get(f"/goods/{slug}").status_code == 404
    assert "恢复销售" in clerk.get(address).text
    assert clerk.post(f"{address}/resume", data={"version": "2"}).status_code == 302
    assert office.post(f"{review}/sale", data={"decision": "suspend", "version": "3", "suspend_reason": " "}).status_code == 422
    assert office.post(f"{review}/sale", data={"decision": "suspend", "version": "3", "suspend_reason": "标签要改。"}).status_code == 302
    assert "标签要改。" in clerk.get(address).text
    assert clerk.post(f"{address}/resume", data={"version": "4"}).status_code == 403
    assert browser(app, person(operator(), "auditor")).post(f"{review}/sale", data={"decision": "resume", "version": "4"}).status_code == 403
    assert office.post(f"{review}/sale", data={"decision": "resume", "version": "4"}).status_code == 302
    assert app.test_client().get(f"/goods/{slug}").status_code == 200


def test_the_list_is_filtered_sorted_paged_and_exported(app: Flask) -> None:
    market = builders.market()
    for n in range(26):
        builders.product(market.cooperative, market.group, name=f"茶 {n:02d}", price_fen=1000 + n)
    other = builders.market(name="另一家合作社")
    clerk = browser(app, market.clerk)
    first = clerk.get("/cooperative/goods?sort=price&q=茶").text
    assert "茶 00" in first
    assert first.index("茶 00") < first.index("茶 07")
    link = next(part.split('"')[0].replace("&amp;", "&") for part in first.split('href="') if "before=" in part)
    second = clerk.get(link).text
    assert "茶 25" in second
    assert "茶 03" not in second
    assert clerk.get("/cooperative/goods?category=honey").status_code == 200
    for wrong in ("sort=what", "category=rice", "view=x"):
        assert clerk.get(f"/cooperative/goods?{wrong}").status_code == 400
    sheet = rows_of(clerk.get("/cooperative/goods/export.xlsx?view=sale").data)
    assert len(sheet) == 28
    assert sheet[0][0] == "商品"
    own = db.session.get_one(Product, other.product).public_id
    assert clerk.get(f"/cooperative/goods?before={own}").status_code == 404
