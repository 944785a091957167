"""Guessing is slowed, a dead database still gets a page, and a route without a permission does not start."""

import pytest
from flask import Flask
from sqlalchemy import text

from marketplace.foundation.database import db
from marketplace.web.permission import every_route_declares

GIVEN = {"phone": "13800138000", "name": "王小明", "password": "jingan2026"}


def test_a_name_is_guessed_ten_times_and_no_more(app: Flask) -> None:
    app.test_client().post("/register", data=GIVEN)
    wrong = [app.test_client().post("/sign-in", data={"login": "13800138000", "password": f"guess-{n}"}).status_code for n in range(12)]
    assert wrong == [422] * 10 + [429] * 2
    other = app.test_client().post("/sign-in", data={"login": "13900139000", "password": "guess-guess"})
    assert other.status_code == 422


def test_a_right_password_never_counts(app: Flask) -> None:
    app.test_client().post("/register", data=GIVEN)
    for _ in range(15):
        answer = app.test_client().post("/sign-in", data={"login": "13800138000", "password": "jingan2026"})
        assert answer.status_code == 302


def test_when_the_database_fails_there_is_still_a_page(app: Flask) -> None:
    browser = app.test_client()
    browser.post("/register", data=GIVEN)
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE role RENAME TO gone"))
    app.testing = False
    answer = browser.get("/act-as")
    assert answer.status_code == 500
    assert "是我们这边出了错" in answer.text


def test_a_route_without_a_permission_is_named(app: Flask) -> None:
    bare = Flask("bare")
    bare.add_url_rule("/open-door", view_func=lambda: "")
    with pytest.raises(RuntimeError, match="/open-door"):
        every_route_declares(bare)


@pytest.mark.parametrize(("first", "second", "one"), [
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::99", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False), ("::ffff:10.1.1.1", "10.1.1.1", True), ("10.1.1.1", "10.1.1.2", False),
])  # fmt: skip
def test_a_line_has_one_address_however_many_it_writes(app: Flask, first: str, second: str, one: bool) -> None:
    """The attack: half of an IPv6 address is one's own to choose, for each try another."""
    guess = {"login": "13900139000", "password": "guess-guess"}
    said = [app.test_client().post("/sign-in", data=guess, environ_base={"REMOTE_ADDR": each}).status_code for each in [first] * 10 + [second]]
    assert said == [422] * 10 + [429 if one else 422]
