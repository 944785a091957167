"""A message is in its person's inbox once, counted until it is read, and goes by e-mail only to an address that the person confirmed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.notices import mail_wish, message
from marketplace.notices.mail_wish import MailWish
from marketplace.organisations.actor import Actor, acting
from tests import builders
from tests.notices.mail_server import mail_server
from tests.notices.test_mail import configured
from tests.web.work_desk import browser

pytestmark = pytest.mark.usefixtures("still_clock")


@pytest.fixture(autouse=True)
def _words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(message.words, "test.news", lambda data, say: (f"{say('消息')} {data['n']}", f"第 {data['n']} 件\n\n详情"))


def told(to: Actor, number: int, **more: Any) -> None:
    data = {"n": number}
    transaction(lambda: message.write("test.news", f"news:{number}", data, person_id=to.person_id, organisation_id=to.organisation_id, **more))


def wished(who: Actor, version: int = 0, **changed: Any) -> MailWish:
    asked = {"address": "Zhang@office.example", "language": "zh", "alarms": True, "digest": True, "by_mail": True} | changed
    return transaction(lambda: mail_wish.save(**asked, version=version, actor=who))


def unread(who: Actor) -> int:
    db.session.rollback()
    return acting(who.person_id).unread  # type: ignore[union-attr]


@pytest.mark.both
def test_a_message_is_written_once_and_counted_until_it_is_read(app: Flask) -> None:
    own, other = builders.person(builders.operator(), "treasurer"), builders.customer()
    for number in (1, 1, 2, 3):
        told(own, number)
    assert (unread(own), unread(other)) == (3, 0)
    client, stranger = browser(app, own), browser(app, other)
    page = client.get("/messages").text
    assert all(f"消息 {number}" in page for number in (1, 2, 3))
    path = re.findall(r'href="(/messages/[0-9a-z]{16})"', page)[0]
    assert stranger.get(path).status_code == 404
    assert unread(own) == 3
    for _ in range(2):
        assert "第 3 件" in client.get(path).text
    assert unread(own) == 2
    assert "News" not in client.get("/messages?unread=1").text and "消息 3" not in client.get("/messages?unread=1").text
    assert client.get("/messages?before=x").status_code == 422 or client.get("/messages?before=x").status_code == 400
    assert client.post("/messages/read").status_code == 303
    assert (unread(own), "没有新消息" in client.get("/messages?unread=1").text) == (0, True)


def test_a_letter_goes_to_a_confirmed_address_only(app: Flask) -> None:
    own = builders.person(builders.operator(), "treasurer")
    client = browser(app, own)
    assert client.post("/account/mail", data={"address": "nobody", "language": "zh", "version": "0"}).status_code == 422
    form = {"address": "zhang@office.example", "language": "zh", "alarms": "1", "by_mail": "1"}
    assert client.post("/account/mail", data=form | {"version": "0"}).status_code == 303
    assert client.post("/account/mail", data=form | {"version": "0", "digest": "1"}).status_code == 409  # another tab was quicker
    db.session.rollback()
    assert "zhang" not in db.session.scalars(select(MailWish.address_sealed)).one()
    told(own, 1, by_mail=True)
    with mail_server() as (box, port), configured(app, port):
        outbox.drain(kinds={"mail"})
        (asked,) = box.taken
        link = re.search(r"https?://[^/]+(/account/mail/confirm/\S+)", asked.get_content())
        assert asked["Subject"] == "请确认您在靖安集的邮箱" and link
        stranger = builders.person(builders.operator(), "auditor")
        assert browser(app, stranger).post(link[1]).status_code == 409
        assert client.get(link[1]).status_code == 200  # a scanner that opens links confirms nothing
        told(own, 2, by_mail=True)
        assert client.post(link[1]).status_code == 303
        told(own, 3, by_mail=True)
        outbox.drain(kinds={"mail"})
        assert [each["Subject"] for each in box.taken[1:]] == ["消息 3"]
        assert "/account/mail" in box.taken[1].get_content()
        # Switched off, changed, or old news by the time the server is there: no letter.
        told(own, 4, by_mail=True)
        with clock.travel(clock.now() + timedelta(days=message.MAIL_AT_LATEST)):
            assert outbox.drain(kinds={"mail"}) == (1, 0)
        told(own, 5, by_mail=True)
        wished(own, version=1, address="new@office.example")
        outbox.drain(kinds={"mail"})
        assert [each["To"] for each in box.taken[2:]] == ["new@office.example"]  # asked to confirm, and nothing else
    assert unread(own) == 5


def test_a_link_is_for_one_address_and_seven_days(app: Flask) -> None:
    own = builders.person(builders.operator(), "treasurer")
    token = mail_wish.link_token(wished(own))
    wished(own, version=1, address="new@office.example")
    with pytest.raises(Conflict, match=r"mail\.link"):
        transaction(lambda: mail_wish.confirm(token, actor=own))
    for junk in ("", "x", token[:-2], "é" * 50):
        with pytest.raises(Conflict, match=r"mail\.link"):
            transaction(lambda junk=junk: mail_wish.confirm(junk, actor=own))  # type: ignore[misc]
    for wrong in ({"language": "fr"}, {"address": "a@b@c"}, {"address": "a@b.example\nBcc: c@d.example"}):
        with pytest.raises(InvalidInput):
            wished(own, version=2, **wrong)


def test_letters_are_looked_at_by_the_office_without_their_texts(app: Flask) -> None:
    own = builders.person(builders.operator(), "administrator")
    wished(own, language="en")
    page = browser(app, own).get("/operator/mail")
    assert page.status_code == 200 and "确认邮箱" in page.text and "Zhang" not in page.text
    assert browser(app, own).post("/operator/mail/again", data={"key": "none"}).status_code == 404
    assert browser(app, builders.person(builders.operator(), "reviewer")).get("/operator/mail").status_code == 403
