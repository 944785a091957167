"""Sign-ins are made, changed and suspended by an administrator who is not the person; a link works once; all of it stands in the audit."""

import re

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.households import visit
from marketplace.organisations import approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import NO_PASSWORD, Person, grant
from marketplace.organisations.sign_in_proposal import SignInProposal
from marketplace.procurement import directed_order, target
from tests import builders
from tests.procurement.unit_market import DESTINATION
from tests.web.test_unit_pages import browser
from tests.web.work_desk import rows_of


def test_an_invited_person_chooses_a_password_once(app: Flask) -> None:
    unit = builders.unit("一中")
    path = f"/operator/organisations/{db.session.get_one(Organisation, unit).public_id}"
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    form = {"login": "yizhong-buyer", "name": "王老师", "roles": ["buyer"]}
    assert browser(app, builders.person(builders.operator(), "treasurer")).post(f"{path}/people", data=form).status_code == 403
    assert "请至少选一个岗位" in admin.post(f"{path}/people", data={**form, "roles": []}).text
    assert admin.post(f"{path}/people", data={**form, "roles": ["director"]}).status_code == 422
    assert admin.post(f"{path}/people", data={**form, "login": "一中"}).status_code == 422
    made = admin.post(f"{path}/people", data=form)
    link = re.search(r"/invitation/[\w-]+", made.text)
    assert made.status_code == 200
    assert link
    assert admin.post(f"{path}/people", data=form).status_code == 409  # the same click twice
    assert "还没设密码" in admin.get(path).text

    stranger = app.test_client()
    assert stranger.post("/sign-in", data={"login": "yizhong-buyer", "password": "!"}).status_code == 422
    assert stranger.post(link[0], data={"password": "short", "again": "short"}).status_code == 422
    assert stranger.post(link[0], data={"password": "chang-le-88", "again": "other"}).status_code == 422
    assert stranger.post(link[0], data={"password": "chang-le-88", "again": "chang-le-88"}).location == "/unit"
    assert stranger.get("/unit").status_code == 200
    assert app.test_client().post(link[0], data={"password": "else-where-1", "again": "else-where-1"}).status_code == 409
    assert app.test_client().get(link[0]).status_code == 410
    assert app.test_client().post("/sign-in", data={"login": "yizhong-buyer", "password": "chang-le-88"}).status_code == 302


def test_a_newer_link_makes_the_older_one_worthless(app: Flask) -> None:
    unit = builders.unit()
    someone = builders.person(unit, "buyer")
    at = f"/operator/people/{db.session.get_one(Person, someone.person_id).public_id}/{db.session.get_one(Organisation, unit).public_id}"
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    first, second = (re.search(r"/invitation/[\w-]+", admin.post(f"{at}/link").text) for _ in range(2))
    assert first
    assert second
    assert app.test_client().get(first[0]).status_code == 410
    assert app.test_client().get(second[0]).status_code == 200
    assert browser(app, someone).post(f"{at}/link").status_code == 403


def test_roles_are_taken_with_the_next_click_and_a_stale_page_changes_nothing(app: Flask) -> None:
    unit = builders.unit()
    someone = builders.person(unit, "buyer")
    at = f"/operator/people/{db.session.get_one(Person, someone.person_id).public_id}/{db.session.get_one(Organisation, unit).public_id}"
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    theirs = browser(app, someone)
    assert theirs.get("/unit/orders/new").status_code == 200
    asked = admin.post(f"{at}/roles", data={"read": "buyer", "roles": ["accountant", "approver"]})
    assert (asked.status_code, asked.location) == (303, "/operator/sign-ins")
    proposal = f"/operator/sign-ins/{db.session.query(SignInProposal).one().public_id}"
    assert "要另一位管理员来同意" in admin.get("/operator/sign-ins").text
    second = browser(app, builders.person(builders.operator(), "administrator"))
    assert "1 件登录的事" in second.get("/operator/organisations").text
    assert admin.post(proposal, data={"version": "1", "decision": "approve"}).status_code == 403
    assert second.post(proposal, data={"version": "1", "decision": "return"}).status_code == 422
    made = second.post(proposal, data={"version": "1", "decision": "approve"})
    link = re.search(r"/invitation/[\w-]+", made.text)
    assert link
    db.session.rollback()
    assert db.session.get_one(Person, someone.person_id).password_hash == NO_PASSWORD, "whoever knew the old one is out"
    assert "还要一个口令" in made.text
    assert second.post(f"{proposal}/code").status_code == 403
    assert ("看口令" in admin.get("/operator/sign-ins").text, "看口令" in second.get("/operator/sign-ins").text) == (True, False)
    shown = admin.post(f"{proposal}/code")
    code = re.search(r">([2-9A-Z]{4}-[2-9A-Z]{4})<", shown.text)
    assert code and shown.headers["Cache-Control"] == "no-store"
    form = {"password": "chang-le-88", "again": "chang-le-88"}
    assert "口令" in theirs.get(link[0]).text
    wrong = theirs.post(link[0], data=form | {"code": "AAAA-AAAA"})
    assert (wrong.status_code, "口令不对" in wrong.text) == (422, True)
    assert theirs.post(link[0], data=form | {"code": code[1]}).location == "/unit"
    assert admin.post(f"{at}/roles", data={"read": "buyer", "roles": []}).status_code == 409
    assert "会计" in admin.get(at).text
    assert admin.post(f"{at}/suspend", data={"to": "suspended", "reason": ""}).status_code == 422
    assert admin.post(f"{at}/suspend", data={"to": "suspended", "reason": "调走了"}).status_code == 302
    assert admin.post(f"{at}/suspend", data={"to": "suspended", "reason": "调走了"}).status_code == 409
    assert theirs.get("/unit").status_code == 302
    assert admin.post(f"{at}/suspend", data={"to": "active", "reason": "回来了"}).status_code == 302
    assert theirs.get("/unit").status_code == 200


def test_villages_are_added_by_two_and_the_page_says_which(app: Flask) -> None:
    home, own = builders.county(), builders.operator()
    officer = builders.person(own, "village_officer")
    at = f"/operator/people/{db.session.get_one(Person, officer.person_id).public_id}/{db.session.get_one(Organisation, own).public_id}"
    admin, second = (browser(app, builders.person(own, "administrator")) for _ in range(2))
    assert "加村要另一位管理员同意" in admin.get(at).text
    assert admin.post(f"{at}/villages", data={"villages": ["360925201001"]}).location == "/operator/sign-ins"
    page = second.get("/operator/sign-ins").text
    assert ("负责更多的村" in page, "三坪村" in page) == (True, True)
    proposal = f"/operator/sign-ins/{db.session.query(SignInProposal).one().public_id}"
    assert admin.post(proposal, data={"version": "1", "decision": "approve"}).status_code == 403
    assert second.post(proposal, data={"version": "1", "decision": "approve"}).status_code == 303
    db.session.rollback()
    assert visit.villages_of(officer.person_id) == [home]
    assert admin.post(f"{at}/villages", data={}).status_code == 302
    db.session.rollback()
    assert visit.villages_of(officer.person_id) == []


def test_nobody_elses_sign_in_is_administered_under_an_organisations_address(app: Flask) -> None:
    unit = db.session.get_one(Organisation, builders.unit()).public_id
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    for stranger in (builders.customer(), builders.person(builders.station(), "station_clerk")):
        at = f"/operator/people/{db.session.get_one(Person, stranger.person_id).public_id}/{unit}"
        assert admin.post(f"{at}/link").status_code == 404
        assert admin.post(f"{at}/suspend", data={"to": "suspended", "reason": "x"}).status_code == 404
        assert admin.post(f"{at}/roles", data={"read": "", "roles": ["buyer"]}).status_code == 404
        assert admin.get(at).status_code == 404
        db.session.rollback()
        assert db.session.get_one(Person, stranger.person_id).deactivated_at is None


def test_a_last_role_taken_by_mistake_is_given_back(app: Flask) -> None:
    unit = builders.unit()
    someone = builders.person(unit, "buyer")
    own = f"/operator/organisations/{db.session.get_one(Organisation, unit).public_id}"
    at = f"/operator/people/{db.session.get_one(Person, someone.person_id).public_id}/{db.session.get_one(Organisation, unit).public_id}"
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    assert admin.post(f"{at}/roles", data={"read": "buyer", "roles": []}).location == at
    assert admin.post(f"{at}/roles", data={"read": "", "roles": ["buyer"]}).status_code == 302
    with transaction():
        grant(someone.person_id, builders.operator(), "reviewer")
    assert admin.post(f"{at}/roles", data={"read": "buyer", "roles": []}).location == own


def test_nobody_changes_their_own_and_one_administrator_stays(app: Flask) -> None:
    operator = builders.operator()
    first, second = (builders.person(operator, "administrator") for _ in range(2))
    own = db.session.get_one(Organisation, operator).public_id
    names = [db.session.get_one(Person, each.person_id).public_id for each in (first, second)]
    client = browser(app, first)
    assert client.post(f"/operator/people/{names[0]}/{own}/roles", data={"read": "administrator", "roles": []}).status_code == 403
    assert client.post(f"/operator/people/{names[1]}/{own}/roles", data={"read": "administrator", "roles": []}).status_code == 302
    assert client.post(f"/operator/organisations/{own}/suspend", data={"to": "suspended", "reason": "x", "version": "1"}).status_code == 403


def test_a_suspended_organisation_is_out_and_keeps_its_rows(app: Flask) -> None:
    market = builders.market()
    admin = browser(app, builders.person(builders.operator(), "administrator"))
    row = db.session.get_one(Organisation, market.cooperative)
    path, version = f"/operator/organisations/{row.public_id}/suspend", str(row.version)
    form = {"to": "suspended", "reason": "许可证被吊销", "version": version}
    assert admin.post(path, data={**form, "version": "99"}).status_code == 409
    assert admin.post(path, data=form).status_code == 302
    assert browser(app, market.clerk).get("/cooperative").status_code == 302
    unit = builders.unit()
    buyer = builders.person(unit, "buyer")
    with pytest.raises(Conflict) as refused, transaction():
        directed_order.submit(
            {market.pack: 1}, cooperative_id=market.cooperative, destination=DESTINATION, terms="POSTPAY", actor=buyer, key="k"
        )  # fmt: skip
    assert refused.value.code == "cooperative.suspended"
    assert browser(app, buyer).get(f"/unit/orders/new/{row.public_id}").status_code == 409
    assert "已停用" in admin.get(path.removesuffix("/suspend")).text
    assert "停用" in admin.get("/operator/organisations?kind=COOPERATIVE").text


def test_the_auditor_reads_what_was_done_and_others_do_not(app: Flask) -> None:
    buyer = builders.person(builders.unit("一中"), "buyer", login="yz-buyer")
    with transaction():
        target.file(year=clock.business_date().year, canteen="OWN", base_fen=1_000_000, actor=buyer)
    auditor = browser(app, builders.person(builders.operator(), "auditor"))
    page = auditor.get("/operator/audit?who=yz-buyer&action=target.").text
    assert "target.filed" in page
    assert "reserved_fen=300000" in page
    assert "没有这样的记录" in auditor.get("/operator/audit?who=nobody").text
    assert "没有这样的记录" in auditor.get("/operator/audit?since=2099-01-01").text
    assert auditor.get("/operator/audit?since=yesterday").status_code == 400
    assert any("target.filed" in line for line in rows_of(auditor.get("/operator/audit?export=1").data))
    assert browser(app, builders.person(builders.operator(), "treasurer")).get("/operator/audit").status_code == 403
    assert browser(app, builders.person(builders.unit(), "accountant")).get("/operator/audit").status_code == 403


def test_approvals_are_listed_with_both_people(app: Flask) -> None:
    market = builders.market()
    with transaction():
        row = db.session.get_one(Organisation, market.cooperative)
        approval.decide(row, maker_id=market.clerk.person_id, actor=market.director, version=1, approved=False, reason="数不对")
        grant(market.clerk.person_id, builders.operator(), "reviewer")
    client = browser(app, builders.person(builders.operator(), "treasurer"))
    page = client.get("/operator/approvals?decision=RETURNED").text
    assert ("数不对" in page, market.director.person_name in page) == (True, True)
    assert "没有这样的记录" in client.get("/operator/approvals?decision=APPROVED").text
    assert client.get("/operator/approvals?decision=MAYBE").status_code == 400
