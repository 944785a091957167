"""Every route × every role × another's id: nobody opens what is not declared for them."""

import re

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import ROLES, Person, grant
from marketplace.web.permission import PERMISSIONS, every_route_declares

pytestmark = pytest.mark.both


def signed_in_as(app: Flask, kind: str, role: str):  # type: ignore[no-untyped-def]
    """A browser of a new person with this one role."""
    with transaction():
        organisation = Organisation(kind=kind, name_zh=f"{kind} {role}", created_at=clock.now(), version=1)
        person = Person(login=f"{kind}-{role}".lower(), name_zh="某", password_hash="x", created_at=clock.now(), is_demo=False)
        db.session.add_all([organisation, person])
        db.session.flush()
        grant(person.id, organisation.id, role)
        ids = person.id, organisation.id
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["person_id"], session["organisation_id"] = ids
    return browser


def test_each_route_declares_one_permission(app: Flask) -> None:
    every_route_declares(app)
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            name = app.view_functions[rule.endpoint].permission  # type: ignore[attr-defined]
            assert name == "public" or name in PERMISSIONS, rule.rule


def test_who_may_not_is_refused_and_who_may_never_sees_anothers(app: Flask) -> None:
    """A foreign or unknown id is 404 for those who hold the permission and 403 for those who do not: never 200, never 500."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    asked = 0
    for kind, roles in ROLES.items():
        for role in roles:
            browser = signed_in_as(app, kind, role)
            for rule in rules:
                name = app.view_functions[rule.endpoint].permission  # type: ignore[attr-defined]
                if name == "public":
                    continue
                method = "POST" if "POST" in rule.methods else "GET"
                path = re.sub(r"<(int:)?[^>]+>", lambda asked_for: "0" if asked_for[1] else "zzzzzzzzzzzzzzzz", rule.rule)
                answer = browser.open(path, method=method, data={} if method == "POST" else None)
                asked += 1
                if (kind, role) not in PERMISSIONS[name]:
                    assert answer.status_code == 403, (rule.rule, kind, role, answer.status_code)
                elif "<" in rule.rule:
                    assert answer.status_code in {400, 403, 404, 409, 422}, (rule.rule, kind, role, answer.status_code)
                else:
                    assert answer.status_code < 500, (rule.rule, kind, role, answer.status_code)
    assert asked > 0


# All that an auditor may change: themself. Of money, nothing; a route that joins this list needs a reason to.
AN_AUDITOR_MAY = {
    "account.act_as",  # in which organisation one works
    "messages.read_all", "messages.save", "messages.confirm",  # one's own messages and where they go
    "own_page.rename", "own_page.change_phone", "own_page.change_password",
}  # fmt: skip


def test_an_auditor_changes_nothing_but_what_is_their_own(app: Flask) -> None:
    writing = [rule for rule in app.url_map.iter_rules() if rule.endpoint != "static" and (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}]
    asked = {rule.endpoint: app.view_functions[rule.endpoint].permission for rule in writing}  # type: ignore[attr-defined]
    assert {endpoint for endpoint, name in asked.items() if name != "public" and ("OPERATOR", "auditor") in PERMISSIONS[name]} == AN_AUDITOR_MAY
    assert "payout_step.take" in asked, "the walk sees routes of money"


def test_a_stranger_is_asked_to_sign_in(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static" or "GET" not in rule.methods or "<" in rule.rule:
            continue
        if app.view_functions[rule.endpoint].permission != "public":  # type: ignore[attr-defined]
            answer = app.test_client().get(rule.rule)
            assert answer.status_code == 302, rule.rule
            assert answer.location.startswith("/sign-in")
