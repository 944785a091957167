"""Letters reach a real mail server whole, or wait, or are given up where a person sees it; never lost, never in the clear by accident."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.config import BadConfiguration, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.outbox import OutboxMessage
from marketplace.notices import mail, mail_desk
from marketplace.reporting import money_health
from tests import builders
from tests.foundation.test_config_and_files import production
from tests.notices.mail_server import certificate, mail_server, signing_in

pytestmark = pytest.mark.usefixtures("still_clock")

SUBJECT = "靖安集：两笔退款结果不明，涉及 ¥1,234.50，请会计今天上午查一查支付宝的账单和银行流水（璪都镇）"


@contextmanager
def configured(app: Flask, port: int, **more: Any) -> Iterator[None]:
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(
        before, **({"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_security": "none", "mail_from": "market@jingan.example"} | more)
    )
    try:
        yield
    finally:
        app.extensions["settings"] = before


def post(number: str = "n1", to: str = "li@office.example", subject: str = SUBJECT, text: str = "您好。\n.\n璪都镇 63 户\n") -> None:
    transaction(lambda: mail.post(number, to=to, subject=subject, text=text))


def drain() -> tuple[int, int]:
    return outbox.drain(kinds={"mail"})


def row(number: str = "n1") -> OutboxMessage:
    db.session.rollback()
    return db.session.scalars(select(OutboxMessage).where(OutboxMessage.key == number)).one()


@pytest.mark.both
def test_a_chinese_letter_arrives_as_it_was_written(app: Flask) -> None:
    post()
    with mail_server() as (box, port), configured(app, port):
        assert (drain(), drain()) == ((1, 0), (0, 0))
    (letter,) = box.taken
    assert (letter["Subject"], letter["To"]) == (SUBJECT, "li@office.example")
    assert str(letter["From"]) == "靖安集 <market@jingan.example>"
    assert letter.get_content().replace("\r\n", "\n") == "您好。\n.\n璪都镇 63 户\n"
    assert letter["Message-ID"] == mail.message_id("n1", "market@jingan.example")
    assert letter["Auto-Submitted"] == "auto-generated"
    assert row().done_at is not None


def test_without_a_server_letters_wait_untried(app: Flask) -> None:
    post()
    assert drain() == (0, 0)
    assert (row().attempts, row().done_at, row().given_up_at) == (0, None, None)
    assert [(each.to, each.about) for each in mail_desk.letters("waiting")] == [("l**@office.example", SUBJECT)]
    with mail_server() as (box, port), configured(app, port):
        assert drain() == (1, 0)
    assert len(box.taken) == 1


def test_a_server_that_dies_after_taking_it_gets_it_again_under_the_same_id(app: Flask) -> None:
    post()
    with mail_server() as (box, port), configured(app, port):
        box.dies = True
        assert drain() == (0, 1)
        assert row().done_at is None
        assert drain() == (0, 0)  # not before its time
        box.dies = False
        with clock.travel(clock.now() + timedelta(seconds=11)):
            assert drain() == (1, 0)
    assert [each["Message-ID"] for each in box.taken] == [mail.message_id("n1", "market@jingan.example")] * 2


def test_a_server_that_is_down_or_busy_is_asked_for_two_days_and_then_a_person_is(app: Flask) -> None:
    post()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: refused
        now, tries = clock.now(), 0
        with configured(app, nobody.getsockname()[1]):
            while row().given_up_at is None:
                with clock.travel(now):
                    done, failed = drain()
                    assert done == 0
                    tries += failed
                now += timedelta(minutes=10)
                assert now < clock.now() + timedelta(days=4)
    assert tries == mail.TRIES
    assert timedelta(days=1) < row().given_up_at - clock.now() < timedelta(days=3)
    assert {each.name: each.count for each in money_health.standing()}["letters"] == 1
    office = builders.person(builders.operator(), "administrator")
    with pytest.raises(NotAllowed):
        transaction(lambda: mail_desk.again("n1", actor=builders.person(builders.operator(), "treasurer")))
    transaction(lambda: mail_desk.again("n1", actor=office))
    with pytest.raises(Conflict):
        transaction(lambda: mail_desk.again("n1", actor=office))
    with mail_server() as (box, port), configured(app, port):
        assert drain() == (1, 0)
    assert len(box.taken) == 1


@pytest.mark.parametrize("where", ["refuse", "after_data"])
def test_what_the_server_refuses_for_good_is_given_up_at_once(app: Flask, where: str) -> None:
    post()
    with mail_server() as (box, port), configured(app, port):
        setattr(box, where, "550 no such mailbox li@office.example")
        assert drain() == (0, 1)
        assert (row().given_up_at is not None, box.taken) == (True, [])
        assert "550" in str(row().last_error) and "li@office.example" not in str(row().last_error)
        post("n2")
        setattr(box, where, "451 greylisted, come again")
        assert drain() == (0, 1)
        assert (row("n2").given_up_at, row("n2").done_at) == (None, None)


def test_a_password_travels_encrypted_or_not_at_all(app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted, context = certificate(tmp_path)
    signed_in = {"smtp_user": "market", "smtp_password": "tea-and-honey", "smtp_security": "starttls"}
    with mail_server(tls_context=context, **signing_in("market", "tea-and-honey")) as (box, port):
        post("untrusted")
        with configured(app, port, **signed_in):
            assert drain() == (0, 1)  # nobody vouches for the server
            assert "certificate" in str(row("untrusted").last_error).lower() or "SSL" in str(row("untrusted").last_error)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        post("wrong")
        with configured(app, port, **(signed_in | {"smtp_password": "guess"})):
            assert drain() == (0, 1)
        # It is us that it does not know, not this letter that it refuses: tried again once the password is mended.
        assert row("wrong").given_up_at is None and "guess" not in str(row("wrong").last_error)
        post("right")
        with configured(app, port, **signed_in):
            assert drain() == (1, 0)
    assert len(box.taken) == 1
    with mail_server() as (plain, port), configured(app, port, **signed_in):
        post("clear")
        assert drain() == (0, 1)  # it offers no encryption: nothing is sent
        assert plain.taken == []


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("li@office.example\r\nBcc: all@elsewhere.example", "x"), ("li@office.example, wang@office.example", "x"), ("Li <li@office.example>", "x"), ("", "x"),
        ("li@office", "x"), ("li@office.example", "x\r\nBcc: all@elsewhere.example"), ("li@office.example", "x\ny"), ("li@office.example", ""),
        ("li@office.example", "长" * 201), ("李@office.example", "x"), ("li@office.example", "x\x00y"), (f"{'l' * 65}@office.example", "x"),
    ],
)  # fmt: skip
def test_headers_cannot_be_injected(app: Flask, to: str, subject: str) -> None:
    with pytest.raises(InvalidInput, match=r"mail\.header"):
        post(to=to, subject=subject)
    transaction(lambda: outbox.put("mail", "old", {"to": to, "subject": subject, "text": "x"}))  # a row from elsewhere
    with mail_server() as (box, port), configured(app, port):
        assert drain() == (0, 1)
    assert (box.taken, row("old").given_up_at is not None) == ([], True)


def test_half_a_configuration_is_none(tmp_path: Path) -> None:
    whole = {
        "SMTP_HOST": "mail.example", "MAIL_FROM": "market@jingan.example", "SMTP_USER": "market", "SMTP_PASSWORD": "x", "SMTP_PORT": "2525",
    }  # fmt: skip
    assert read_settings(production(tmp_path, **whole)).smtp_port == 2525
    assert not read_settings(production(tmp_path)).smtp_host
    for named, wrong in (
        ("MAIL_FROM", {"MAIL_FROM": ""}), ("MAIL_FROM", {"MAIL_FROM": "market"}), ("SMTP_HOST", {"SMTP_HOST": ""}), ("SMTP_PASSWORD", {"SMTP_PASSWORD": ""}),
        ("SMTP_USER", {"SMTP_USER": ""}), ("SMTP_SECURITY", {"SMTP_SECURITY": "ssl"}), ("SMTP_SECURITY", {"SMTP_SECURITY": "none"}),
        ("SMTP_PORT", {"SMTP_PORT": "70000"}), ("LOG_AUDITORS", {"LOG_AUDITORS": "audit@x.example, nobody"}),
    ):  # fmt: skip
        with pytest.raises(BadConfiguration, match=named):
            read_settings(production(tmp_path, **(whole | wrong)))
