"""Registering, signing in, going on to where one wanted, acting for an organisation."""

import time

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.cli.seed_load import DEMO_PASSWORD
from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, grant, hash_password
from tests import builders
from tests.seeded import market, seeded_folder

__all__ = ["market", "seeded_folder"]

GIVEN = {"phone": "13800138000", "name": "王小明", "password": "jingan2026"}


def test_registered_with_a_phone_one_comes_back_with_it(app: Flask) -> None:
    browser = app.test_client()
    assert browser.post("/register", data={**GIVEN, "next": "/act-as"}).location == "/act-as"
    assert browser.get("/act-as").status_code == 200
    browser.post("/sign-out")
    assert browser.get("/act-as").status_code == 302
    assert browser.post("/sign-in", data={"login": "13800138000", "password": "jingan2026"}).location == "/"
    assert browser.get("/act-as").status_code == 200
    person = db.session.scalars(select(Person)).one()
    assert "13800138000" not in person.phone_sealed


@pytest.mark.parametrize(
    ("field", "value", "says"), [("phone", "123", "手机号不对"), ("password", "short", "8 个字"), ("name", " ", "姓名")]
)
def test_a_bad_field_is_named_and_what_was_typed_is_kept(app: Flask, field: str, value: str, says: str) -> None:
    answer = app.test_client().post("/register", data={**GIVEN, field: value})
    assert answer.status_code == 422
    assert says in answer.text
    assert 'value="13800138000"' in answer.text or field == "phone"


def test_a_phone_registers_once(app: Flask) -> None:
    app.test_client().post("/register", data=GIVEN)
    assert "已经注册过" in app.test_client().post("/register", data=GIVEN).text


def test_a_wrong_password_and_an_unknown_name_sound_alike(app: Flask) -> None:
    app.test_client().post("/register", data=GIVEN)
    wrong = app.test_client().post("/sign-in", data={"login": "13800138000", "password": "nonsense"})
    unknown = app.test_client().post("/sign-in", data={"login": "13900139000", "password": "nonsense"})
    assert wrong.status_code == unknown.status_code == 422
    assert "登录名或密码不对" in wrong.text
    assert len(wrong.text) == len(unknown.text)


@pytest.mark.parametrize("goal", ["//evil.example", "https://evil.example", "/\\evil.example", "evil"])
def test_one_is_never_sent_elsewhere(app: Flask, goal: str) -> None:
    assert app.test_client().post("/register", data={**GIVEN, "next": goal}).location == "/"


def test_a_form_without_its_token_is_refused_kindly(app: Flask) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    answer = app.test_client().post("/register", data=GIVEN)
    assert answer.status_code == 400
    assert "失效" in answer.text


def test_the_headers_leave_no_room_for_foreign_scripts(app: Flask) -> None:
    policy = app.test_client().get("/sign-in").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy


@pytest.mark.parametrize(
    ("login", "goal", "place"),
    [
        ("school-buyer", "/", "/unit"), ("tea-clerk", "/", "/cooperative"), ("auditor", "/", "/operator"),
        ("customer", "/", "/"), ("tea-clerk", "/goods", "/goods"),
    ],
)  # fmt: skip
def test_who_signs_in_goes_on_to_the_own_desk(market: Flask, login: str, goal: str, place: str) -> None:
    browser = market.test_client()
    assert browser.post("/sign-in", data={"login": login, "password": DEMO_PASSWORD, "next": goal}).location == place
    assert browser.get(place).status_code == 200


def test_a_person_of_two_organisations_goes_from_one_to_the_other_and_nowhere_else(app: Flask) -> None:
    director = builders.person(builders.cooperative("云顶合作社"), "director")
    school = builders.person(builders.unit("县第一小学"), "buyer")
    elsewhere = builders.person(builders.unit("县水利局"), "buyer")
    with transaction():
        grant(director.person_id, school.organisation_id, "buyer")
    there, not_there = (db.session.get_one(Organisation, each.organisation_id).public_id for each in (school, elsewhere))
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["person_id"], session["organisation_id"] = director.person_id, director.organisation_id
    assert "县水利局" not in browser.get("/act-as").text
    assert browser.get("/cooperative").status_code == 200
    assert browser.post(f"/act-as/{there}", data={"next": "/unit"}).location == "/unit"
    page = browser.get("/unit")
    assert page.status_code == 200
    assert "县第一小学" in page.text
    assert browser.get("/cooperative").status_code == 403
    refused = browser.post(f"/act-as/{not_there}", data={"next": "/unit"})
    assert refused.status_code == 403
    assert "您在这个单位没有岗位" in refused.text
    with browser.session_transaction() as session:
        assert (session["person_id"], session["organisation_id"]) == (director.person_id, school.organisation_id)
    assert "县第一小学" in browser.get("/unit").text


def test_signing_out_ends_a_cookie_that_was_copied(app: Flask) -> None:
    market = builders.market()
    with transaction():
        row = db.session.get_one(Person, market.director.person_id)
        row.password_hash, login = hash_password("tea-leaf-1"), row.login
    browser, copied = app.test_client(), app.test_client()
    for client in (browser, copied):
        assert client.post("/sign-in", data={"login": login, "password": "tea-leaf-1"}).status_code == 302
        page = client.get("/cooperative")
        assert (page.status_code, page.headers["Cache-Control"]) == (200, "private, no-store")
    browser.post("/sign-out")
    assert copied.get("/cooperative").location.startswith("/sign-in")
    assert "no-store" not in app.test_client().get("/sign-in").headers.get("Cache-Control", "")


def test_one_address_locks_nobody_out(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a stranger guesses from one address, the person still gets in from their own."""
    market = builders.market()
    with transaction():
        row = db.session.get_one(Person, market.director.person_id)
        row.password_hash, login = hash_password("tea-leaf-1"), row.login
    stranger, answers, began = app.test_client(), [], (time.time() // 3600 + 1) * 3600
    for minute in range(0, 60, 5):
        monkeypatch.setattr("time.time", lambda minute=minute: began + minute * 60 + 1)
        guess = {"login": login, "password": "guess"}
        answers += [stranger.post("/sign-in", data=guess, environ_base={"REMOTE_ADDR": "10.1.1.1"}).status_code for _ in range(12)]
    assert (answers.count(422), set(answers)) == (20, {422, 429})
    assert app.test_client().post("/sign-in", data={"login": login, "password": "tea-leaf-1"}).status_code == 302
