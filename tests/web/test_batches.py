"""Batches, stock and papers on their pages, and what the county office sees of them."""

from datetime import timedelta

from flask import Flask

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.households.linkage_group import LinkageGroup
from marketplace.jobs import schedule
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.supply.batch import Batch
from marketplace.supply.conformity_certificate import ConformityCertificate
from marketplace.supply.mass_balance import MassAnomaly
from marketplace.supply.stock import Stock
from tests import builders
from tests.builders_people import operator, person
from tests.web.work_desk import browser, rows_of


def batch_of(market: builders.Market) -> Batch:
    db.session.rollback()
    return db.session.get_one(Batch, market.batch)


def harvest(market: builders.Market, **changed: str) -> dict[str, str]:
    group = db.session.get_one(LinkageGroup, market.group).public_id
    given = {"group": group, "village": "360925201001", "harvested_on": f"{clock.business_date()}", "kilograms": "12.5", "area_mu": "3"}
    return {**given, "idempotency_key": "once", **changed}


def test_a_clerk_records_a_harvest_and_packs_it(app: Flask) -> None:
    market = builders.market()
    clerk = browser(app, market.clerk)
    assert clerk.get("/cooperative/batches/new").status_code == 200
    for _ in range(2):
        answer = clerk.post("/cooperative/batches/new", data=harvest(market))
        assert answer.status_code == 302
    assert db.session.query(Batch).count() == 2
    address = answer.location
    page = clerk.get(address).text
    assert "12.5 kg" in page
    pack = db.session.get_one(Pack, market.pack).public_id
    sent = {"pack": pack, "packs": "40", "idempotency_key": "p"}
    for _ in range(2):
        assert clerk.post(f"{address}/pack", data=sent).status_code == 302
    assert db.session.get_one(Stock, market.pack).on_hand == 50
    db.session.rollback()
    assert clerk.post(f"{address}/pack", data={**sent, "packs": "999", "idempotency_key": "q"}).status_code == 409
    assert clerk.post(f"{address}/pack", data={**sent, "packs": "多"}).status_code == 422
    assert clerk.post(f"{address}/pack", data={**sent, "packs": "-1", "idempotency_key": "r"}).status_code == 422
    assert clerk.post(f"{address}/correct", data={"kilograms": "1", "reason": "称错了", "version": "1"}).status_code == 409
    assert clerk.post(f"{address}/correct", data={"kilograms": "13", "reason": "称错了", "version": "1"}).status_code == 302
    assert "13 kg" in clerk.get("/cooperative/batches").text
    assert rows_of(clerk.get("/cooperative/batches/export.xlsx").data)[1][5] == 13_000
    for wrong in ("view=x", "sort=x", "group=x"):
        assert clerk.get(f"/cooperative/batches?{wrong}").status_code == 400


def test_bad_harvests_and_foreign_hands(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    clerk, stranger = browser(app, market.clerk), browser(app, other.clerk)
    for wrong in ({"kilograms": "-1"}, {"kilograms": "重"}, {"harvested_on": "昨天"}, {"village": ""}, {"altitude_m": "高"}):
        assert clerk.post("/cooperative/batches/new", data=harvest(market, **wrong)).status_code == 422, wrong
    assert stranger.post("/cooperative/batches/new", data=harvest(market)).status_code == 404
    assert browser(app, market.accountant).post("/cooperative/batches/new", data=harvest(market)).status_code == 403
    address = f"/cooperative/batches/{batch_of(market).public_id}"
    assert stranger.get(address).status_code == 404
    for step in ("pack", "correct", "certificates"):
        assert stranger.post(f"{address}/{step}", data={"version": "1"}).status_code == 404
        assert browser(app, market.accountant).post(f"{address}/{step}", data={"version": "1"}).status_code == 403


def test_a_certificate_is_issued_printed_and_stands_on_the_page_of_the_code(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    clerk = browser(app, market.clerk)
    address = f"/cooperative/batches/{batch_of(market).public_id}"
    sent = {"certified": "20", "basis": "OWN_TEST", "idempotency_key": "once"}
    refused = clerk.post(f"{address}/certificates", data=sent)
    assert refused.status_code == 422
    assert "联系电话" in refused.text
    with transaction():
        db.session.get_one(Organisation, market.cooperative).phone = "0795-4660000"
    for wrong in ({"certified": "101"}, {"certified": "很多"}, {"basis": "LUCK"}):
        assert clerk.post(f"{address}/certificates", data={**sent, "idempotency_key": "w", **wrong}).status_code == 422, wrong
    for _ in range(2):
        answer = clerk.post(f"{address}/certificates", data=sent)
        assert answer.status_code == 302
    row = db.session.query(ConformityCertificate).one()
    printed = clerk.get(answer.location).text
    for words in ("我承诺对生产销售的食用农产品", "☑ 自我检测", "江西省靖安县中源乡三坪村", "0795-4660000", row.number, "<svg"):
        assert words in printed
    assert browser(app, other.clerk).get(answer.location).status_code == 404
    token, slug = batch_of(market).public_id, db.session.get_one(Product, market.product).slug
    anybody = app.test_client()
    page = anybody.get(f"/b/{token}").text
    for words in (row.number, "三坪村", f"/goods/{slug}", "不到 5 户"):
        assert words in page
    assert "3 户" not in page
    assert f"/b/{token}" in anybody.get(f"/goods/{slug}").text
    assert anybody.get("/b/zzzz").status_code == 404


def test_stock_is_counted_with_a_reason(app: Flask) -> None:
    market, other = builders.market(on_hand=9), builders.market(name="另一家合作社")
    clerk = browser(app, market.clerk)
    address = f"/cooperative/stock/{db.session.get_one(Pack, market.pack).public_id}"
    assert address in clerk.get("/cooperative/stock?view=low").text
    sent = {"counted": "7", "seen": "9", "reason": "COUNTED", "note": "盘点少两罐", "idempotency_key": "once"}
    for _ in range(2):
        assert clerk.post(address, data=sent).status_code == 302
    assert db.session.get_one(Stock, market.pack).on_hand == 7
    assert "盘点少两罐" in clerk.get(address).text
    assert clerk.post(address, data={**sent, "idempotency_key": "b"}).status_code == 409
    for wrong in ({"counted": "x"}, {"note": ""}, {"reason": ""}, {"counted": "7"}):
        assert clerk.post(address, data={**sent, "seen": "7", "counted": "5", "idempotency_key": "c", **wrong}).status_code == 422, wrong
    assert browser(app, other.clerk).post(address, data=sent).status_code == 404
    assert browser(app, market.director).get("/cooperative/stock?sort=name").status_code == 200
    assert browser(app, market.accountant).post(address, data=sent).status_code == 403
    assert len(rows_of(clerk.get("/cooperative/stock/export.xlsx").data)) == 2


def test_what_does_not_add_up_is_explained_and_closed(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    with transaction():
        db.session.get_one(Batch, market.batch).area_mu = 6
    assert schedule.once(app, "mass-balance") == "1 found"
    assert schedule.once(app, "mass-balance") == ""
    row = db.session.query(MassAnomaly).one()
    mine, theirs = f"/cooperative/batches/anomalies/{row.public_id}", f"/operator/mass-balance/{row.public_id}"
    clerk, office = browser(app, market.clerk), browser(app, person(operator(), "reviewer"))
    assert "采收量比面积能产的多 10 kg" in clerk.get("/cooperative/batches").text
    assert browser(app, other.clerk).post(mine, data={"words": "不是我", "version": "1"}).status_code == 404
    assert clerk.post(mine, data={"words": "借了邻家的地", "version": "1"}).status_code == 302
    assert "/operator/mass-balance" in office.get("/operator").text
    assert "借了邻家的地" in office.get("/operator/mass-balance").text
    assert office.post(theirs, data={"words": "", "version": "2"}).status_code == 422
    assert office.post(theirs, data={"words": "去看过", "version": "1"}).status_code == 409
    assert browser(app, person(operator(), "auditor")).post(theirs, data={"words": "去看过", "version": "2"}).status_code == 403
    assert office.post(theirs, data={"words": "去看过", "version": "2"}).status_code == 302
    assert office.post(theirs, data={"words": "去看过", "version": "3"}).status_code == 409
    assert "去看过" in office.get("/operator/mass-balance?view=done").text


def test_licences_about_to_end_are_listed_and_ended_ones_stop_the_sale(app: Flask) -> None:
    market = builders.market()
    office = browser(app, person(operator(), "auditor"))
    assert "没有到期的许可" in office.get("/operator/licences").text
    today = clock.business_date()
    for days, words in ((90, "还有 90 天"), (7, "还有 7 天"), (-1, "已经到期")):
        with transaction():
            db.session.query(Cooperative).filter_by(organisation_id=market.cooperative).one().licence_expires_on = today + timedelta(days=days)
        assert words in office.get("/operator/licences").text
    assert "快到期的许可" in office.get("/operator").text
    assert schedule.once(app, "licences") == "1 suspended"
    assert "食品生产许可已经到期" in browser(app, market.clerk).get(f"/cooperative/goods/{db.session.get_one(Product, market.product).public_id}").text
