"""Certificates that end soon are told every day, and stand on money's health; those that have ended are said to have."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.jobs import alarms
from marketplace.notices.message import Message
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import certificate_end
from tests import builders
from tests.builders import Market
from tests.web.work_desk import browser

pytestmark = pytest.mark.usefixtures("still_clock")
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def write(folder: Path, name: str, *ends: datetime) -> None:
    """A file of certificates that end at these moments."""
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder().subject_name(who).issuer_name(who).public_key(KEY.public_key()).serial_number(1)
    signed = [made.not_valid_before(end - timedelta(days=900)).not_valid_after(end).sign(KEY, hashes.SHA256()) for end in ends]
    (folder / name).write_text("".join(each.public_bytes(Encoding.PEM).decode() for each in signed))


@pytest.fixture
def market(app: Flask, tmp_path: Path) -> Market:
    """A folder as ``ALIPAY_CERTIFICATES`` names it: Alipay's ends in 20 days, the application's in 300; one root of two has long ended."""
    made = builders.market()
    app_id = db.session.scalars(select(Cooperative.alipay_app_id)).one()
    now = clock.now()
    write(tmp_path, "root.crt", now - timedelta(days=500), now + timedelta(days=5000))
    write(tmp_path, "alipay.crt", now + timedelta(days=20, hours=1), now + timedelta(days=3000))
    write(tmp_path, f"{app_id}.crt", now + timedelta(days=300))
    (tmp_path / "2021004.crt").write_text("no certificate")
    app.extensions["settings"] = replace(app.extensions["settings"], alipay_certificates=str(tmp_path))
    db.session.rollback()
    return made


def told(who: Actor) -> list[list[str]]:
    """What each message says is wrong, in the order of the messages."""
    db.session.rollback()
    rows = db.session.scalars(select(Message).where(Message.person_id == who.person_id).order_by(Message.id))
    return [[each["name"] for each in row.data["items"]] for row in rows]


def test_what_the_folder_gives_is_told_once_a_day_until_it_is_replaced(app: Flask, market: Market, tmp_path: Path) -> None:
    office, begin = builders.person(builders.operator(), "treasurer"), clock.now()
    assert [(each.name, each.days, each.is_over) for each in certificate_end.near()] == [("alipay.crt", 20, False)]
    for hours in (0, 5, 25, 26):
        with clock.travel(begin + timedelta(hours=hours)):
            alarms.alarms()
    assert told(office) == [["certificates"]] * 2
    with clock.travel(begin + timedelta(days=19)):
        page = browser(app, office).get("/operator/money").text
        assert "alipay.crt" in page and "到期，还有 1 天" in page and "已经过期" not in page
    with clock.travel(begin + timedelta(days=21)):
        page = browser(app, office).get("/operator/money").text
        assert "已经过期，现在用不了" in page
        alarms.alarms()
        assert told(office)[-1] == ["certificates", "certificates_over"]
        write(tmp_path, "alipay.crt", begin + timedelta(days=900))
        assert certificate_end.near() == []
    with clock.travel(begin + timedelta(days=21, hours=1)):
        alarms.alarms()
        assert told(office)[-1] == ["certificates", "certificates_over"]
        assert "alipay.crt" not in browser(app, office).get("/operator/money").text
    kinds = db.session.scalars(select(Message.kind).where(Message.person_id == office.person_id).order_by(Message.id)).all()
    assert kinds[-1] == "money.solved"


def test_an_applications_own_certificate_is_its_cooperatives_matter_too(app: Flask, market: Market) -> None:
    with clock.travel(clock.now() + timedelta(days=290)):
        assert {each.organisation_id for each in certificate_end.near()} == {None, market.cooperative}
        alarms.alarms()
    assert told(market.director) == [["certificates"]]


def test_a_folder_that_is_not_there_says_nothing(app: Flask, market: Market) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], alipay_certificates="/nowhere/at/all")
    assert certificate_end.near() == []
