"""The first sign-ins of a market are made on its machine, and the audit says so."""

from flask import Flask
from sqlalchemy import select

from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from tests.builders_people import operator


def _said(app: Flask, *arguments: str, code: int = 0) -> str:
    result = app.test_cli_runner().invoke(args=["person", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_who_was_added_signs_in_with_what_was_printed(app: Flask) -> None:
    place = db.session.get_one(Organisation, operator())
    assert place.public_id in _said(app, "list")
    login, password = _said(app, "add", "li.hua", "--name", "李华", "--organisation", place.public_id, "--role", "administrator").split()
    browser = app.test_client()
    assert browser.post("/sign-in", data={"login": login, "password": password}).location == "/operator"
    assert browser.get("/operator").status_code == 200
    _, fresh = _said(app, "password", "li.hua").split()
    assert app.test_client().post("/sign-in", data={"login": login, "password": password}).status_code == 422
    assert app.test_client().post("/sign-in", data={"login": login, "password": fresh}).location == "/operator"
    assert browser.get("/operator").location.startswith("/sign-in")  # who signed in with the old one is out
    codes = set(db.session.scalars(select(AuditEvent.action)))
    assert {"person.added_by_machine", "person.password_by_machine"} <= codes
    assert fresh not in str(list(db.session.scalars(select(AuditEvent.data))))


def test_what_is_wrong_is_said_and_nothing_is_kept(app: Flask) -> None:
    place = db.session.get_one(Organisation, operator())
    given = ("--name", "李华", "--organisation", place.public_id, "--role")
    assert "role.bad" in _said(app, "add", "li.hua", *given, "director", code=1)
    assert "login.bad" in _said(app, "add", "Li Hua", *given, "auditor", code=1)
    _said(app, "add", "li.hua", *given, "auditor")
    assert "login.taken" in _said(app, "add", "li.hua", *given, "auditor", code=1)
    assert "person.missing" in _said(app, "password", "nobody", code=1)
