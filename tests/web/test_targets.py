"""A target's way: filed, reviewed by the parent, locked with its year, then only adjusted. Each step by somebody else, once."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import Approval
from marketplace.organisations.person import grant
from marketplace.procurement import scorecard, target, target_year
from marketplace.procurement.target import Target
from marketplace.procurement.target_adjustment import TargetAdjustment
from tests import builders
from tests.web.test_unit_pages import browser
from tests.web.work_desk import rows_of

YEAR = clock.business_date().year
FORM = {"canteen": "OWN", "base": "100000", "percent": "30"}


def filed(parent_id: int | None = None, name: str = "一中") -> tuple[int, Actor]:
    """A unit with a filed target of ¥30,000; the target's id and who filed it."""
    buyer = builders.person(builders.unit(name, parent_id=parent_id), "buyer")
    with transaction():
        return target.file(year=YEAR, canteen="OWN", base_fen=10_000_000, actor=buyer).id, buyer


def office(app: Flask, role: str = "treasurer") -> FlaskClient:
    return browser(app, builders.person(builders.operator(), role))


def row(target_id: int) -> Target:
    db.session.expire_all()
    return db.session.get_one(Target, target_id)


def test_the_parent_reviews_what_it_did_not_file(app: Flask) -> None:
    bureau = builders.unit("教育局")
    target_id, buyer = filed(bureau)
    path = f"/unit/subordinates/targets/{row(target_id).public_id}"
    approver = builders.person(bureau, "approver")
    head = browser(app, approver)
    assert "1 家单位的申报等着审核" in head.get("/unit/subordinates").text
    assert "一中" in head.get("/unit/subordinates?view=review").text
    assert browser(app, builders.person(bureau, "accountant")).post(path, data={"decision": "approve", "version": "1"}).status_code == 403
    assert browser(app, builders.person(builders.unit("别局"), "approver")).post(path, data={"decision": "approve", "version": "1"}).status_code == 404
    assert head.post(path, data={"decision": "approve", "version": "9"}).status_code == 409
    silent = head.post(path, data={"decision": "return", "version": "1"})
    assert (silent.status_code, "退回时请写明理由" in silent.text) == (422, True)
    assert head.post(path, data={"decision": "return", "version": "1", "reason": "学生数不对"}).status_code == 302
    assert row(target_id).state == "DRAFT"
    assert "学生数不对" in browser(app, buyer).get("/unit/target").text
    assert "退回修改" in head.get("/unit/subordinates?view=behind").text

    again = {**FORM, "version": str(row(target_id).version)}
    assert browser(app, buyer).post("/unit/target", data=again).status_code == 302
    version = str(row(target_id).version)
    assert head.post(path, data={"decision": "approve", "version": version}).status_code == 302
    assert head.post(path, data={"decision": "approve", "version": version}).status_code == 409
    words = db.session.query(Approval).filter_by(subject_type="target").order_by(Approval.id).all()
    assert [(each.decision, each.maker_id, each.checker_id) for each in words] == [
        ("RETURNED", buyer.person_id, approver.person_id),
        ("APPROVED", buyer.person_id, approver.person_id),
    ]


def test_nobody_reviews_their_own_filing(app: Flask) -> None:
    bureau = builders.unit("教育局")
    target_id, buyer = filed(bureau)
    with transaction():
        grant(buyer.person_id, bureau, "approver")
    client = app.test_client()
    with client.session_transaction() as session:
        session["person_id"], session["organisation_id"] = buyer.person_id, bureau
    path = f"/unit/subordinates/targets/{row(target_id).public_id}"
    assert "要请另一位同事审核" in client.get(path).text
    assert client.post(path, data={"decision": "approve", "version": "1"}).status_code == 403
    assert row(target_id).state == "FILED"


def test_the_year_is_locked_once_and_takes_what_is_ready(app: Flask) -> None:
    bureau = builders.unit("教育局")
    reviewed, _ = filed(bureau)
    waiting, _ = filed(bureau, "二中")
    top, _ = filed(None, "医院")
    with transaction():
        target.review(reviewed, actor=builders.person(bureau, "approver"))
    treasurer = office(app)
    page = treasurer.get(f"/operator/targets/lock/{YEAR}").text
    assert "2 家单位的任务会锁定" in page
    assert office(app, "reviewer").post(f"/operator/targets/lock/{YEAR}").status_code == 403
    assert treasurer.post(f"/operator/targets/lock/{YEAR}").status_code == 302
    assert treasurer.post(f"/operator/targets/lock/{YEAR}").status_code == 409
    assert [row(each).state for each in (reviewed, waiting, top)] == ["LOCKED", "FILED", "LOCKED"]

    late = f"/operator/targets/{row(waiting).public_id}/lock"
    assert "锁定补报" in treasurer.get("/operator/targets?stage=FILED").text
    assert treasurer.post(late, data={"version": "1"}).status_code == 302
    assert treasurer.post(late, data={"version": "1"}).status_code == 409
    assert "补报" in treasurer.get("/operator/targets").text
    sheet = rows_of(treasurer.get("/operator/targets?export=1").data)
    assert next(line for line in sheet if line[0] == "一中")[:3] == ["一中", "教育局", "已锁定"]
    assert next(line for line in sheet if line[0] == "一中")[-1] == 30_000.0


def test_after_the_lock_a_change_is_an_adjustment(app: Flask) -> None:
    target_id, buyer = filed()
    with transaction():
        target_year.lock_year(YEAR, actor=builders.person(builders.operator(), "treasurer"))
    client = browser(app, buyer)
    assert client.post("/unit/target", data={**FORM, "version": "2"}).status_code == 409
    key = re.search(r'name="idempotency_key" value="(\w+)"', client.get("/unit/target").text)
    assert key
    form = {**FORM, "base": "80000", "reason": "毕业班离校", "idempotency_key": key[1]}
    assert client.post("/unit/target/adjustments", data={**form, "reason": ""}).status_code == 422
    for _ in range(2):
        assert client.post("/unit/target/adjustments", data=form).status_code == 302
    assert client.post("/unit/target/adjustments", data={**form, "idempotency_key": "other", "base": "70000"}).status_code == 409
    made = db.session.query(TargetAdjustment).one()
    path = f"/operator/targets/adjustments/{made.public_id}"
    assert scorecard.figures(buyer.organisation_id, YEAR).reserved_fen == 3_000_000
    treasurer = office(app)
    assert "−¥6,000.00" in treasurer.get("/operator/targets").text
    assert office(app, "auditor").post(path, data={"decision": "approve", "version": "1"}).status_code == 403
    assert treasurer.post(path, data={"decision": "return", "version": "1"}).status_code == 422
    assert treasurer.post(path, data={"decision": "approve", "version": "1"}).status_code == 302
    assert treasurer.post(path, data={"decision": "approve", "version": "1"}).status_code == 409
    assert scorecard.figures(buyer.organisation_id, YEAR).reserved_fen == 2_400_000
    assert (row(target_id).reserved_fen, row(target_id).adjusted_fen) == (3_000_000, -600_000)
    assert "¥24,000.00" in client.get("/unit/target").text


@pytest.mark.parametrize(("canteen", "named"), [("SHARED", "shared_with"), ("OUTSOURCED", "contractor")])
def test_who_feeds_a_unit_is_on_record(app: Flask, canteen: str, named: str) -> None:
    from marketplace.organisations.organisation import Organisation

    other = db.session.get_one(Organisation, builders.unit("机关食堂")).public_id
    buyer = builders.person(builders.unit("小局"), "buyer")
    client = browser(app, buyer)
    given = {"shared_with": other, "contractor": "某餐饮公司"}
    assert client.post("/unit/target", data={**FORM, "canteen": canteen, **given}).status_code == 302
    page = client.get("/unit/target").text
    assert ("机关食堂" if named == "shared_with" else "某餐饮公司") in page
    reserved = scorecard.figures(buyer.organisation_id, YEAR).reserved_fen
    assert reserved == (None if canteen == "SHARED" else 3_000_000)


def test_the_same_click_twice_files_once(app: Flask) -> None:
    buyer = builders.person(builders.unit("一中"), "buyer")
    client = browser(app, buyer)
    for _ in range(2):
        assert client.post("/unit/target", data={**FORM, "version": ""}).status_code == 302
    assert client.post("/unit/target", data={**FORM, "base": "5", "version": ""}).status_code == 409
    assert db.session.query(Target).one().version == 1
