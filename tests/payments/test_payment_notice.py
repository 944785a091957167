"""Notices at the door: signed with Alipay's key, of our payment, stored and applied before ``success`` is said."""

from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from marketplace.foundation.config import Settings
from marketplace.foundation.database import db
from marketplace.payments.alipay_signing import form_content, signature
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from tests import builders
from tests.builders import Market
from tests.orders import trade

FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def keys() -> tuple[str, str]:
    """Private and public PEM of this Alipay."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return secret.decode(), public.decode()


@pytest.fixture
def private(settings: Settings, keys: tuple[str, str]) -> str:
    folder: Path = settings.data_dir / "emulator"
    folder.mkdir(parents=True)
    (folder / "alipay_public.pem").write_text(keys[1])
    return keys[0]


def _waiting() -> tuple[Market, int, Payment]:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (payment_id,) = trade.opened([order_id])
    payment = db.session.get_one(Payment, payment_id)
    db.session.expunge(payment)
    return market, order_id, payment


def _signed(payment: Payment, private: str, **changed: str) -> dict[str, str]:
    form = {
        "app_id": payment.app_id,
        "charset": "utf-8",
        "gmt_payment": "2026-11-24 09:30:00",
        "notify_id": "n1",
        "notify_type": "trade_status_sync",
        "out_trade_no": payment.out_trade_no,
        "seller_id": payment.seller_id,
        "subject": payment.subject,
        "total_amount": "176.00",
        "trade_no": "2026112422001",
        "trade_status": "TRADE_SUCCESS",
    } | changed
    return form | {"sign": signature(private, form_content(form)), "sign_type": "RSA2"}


def _heard(app: Flask, form: dict[str, str], query: str = "") -> TestResponse:
    app.config["WTF_CSRF_ENABLED"] = True  # Alipay has no token of ours
    with app.app_context():
        answer = app.test_client().post(f"/alipay/notice{query}", data=urlencode(form), content_type=FORM)
    db.session.rollback()
    return answer


def test_a_right_notice_pays_and_hears_success_each_time(app: Flask, private: str) -> None:
    market, order_id, payment = _waiting()
    form = _signed(payment, private)
    for _ in range(3):
        answer = _heard(app, form)
        assert (answer.status_code, answer.get_data(as_text=True)) == (200, "success")
    assert trade.order(order_id).payment == "PAID"
    assert trade.held(market, "buyer_funds") == 17600
    assert list(db.session.scalars(select(AlipayNotice.outcome))) == ["applied", "repeated", "repeated"]


@pytest.mark.parametrize(
    ("changed", "outcome"),
    [
        ({"total_amount": "1.76"}, "refused:amount_fen"),
        ({"seller_id": "2088999"}, "refused:seller_id"),
    ],
)
def test_a_signed_notice_that_does_not_fit_is_kept_and_not_applied(
    app: Flask, private: str, changed: dict[str, str], outcome: str
) -> None:
    market, order_id, payment = _waiting()
    assert _heard(app, _signed(payment, private, **changed)).get_data(as_text=True) == "failure"
    assert trade.order(order_id).payment == "UNPAID"
    assert trade.held(market, "alipay") == 0
    assert db.session.scalars(select(AlipayNotice.outcome)).one() == outcome


def test_what_alipay_did_not_sign_is_refused(app: Flask, private: str) -> None:
    _, order_id, payment = _waiting()
    right = _signed(payment, private)
    forged = (
        right | {"total_amount": "0.01"},
        right | {"sign": "junk"},
        {name: value for name, value in right.items() if name != "sign_type"},
        _signed(payment, private, app_id="2021EMU999999999"),
        _signed(payment, private, out_trade_no="20260101000000"),
    )
    for form in forged:
        answer = _heard(app, form)
        assert (answer.status_code, answer.get_data(as_text=True)) == (400, "failure")
    assert trade.order(order_id).payment == "UNPAID"
    assert list(db.session.scalars(select(AlipayNotice))) == []


def test_a_query_string_adds_nothing(app: Flask, private: str) -> None:
    _, order_id, payment = _waiting()
    answer = _heard(app, _signed(payment, private), query="?out_trade_no=other&total_amount=0.01")
    assert answer.get_data(as_text=True) == "success"
    assert trade.order(order_id).payment == "PAID"


def test_other_methods_types_and_sizes_are_refused(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/alipay/notice").status_code == 405
    assert client.post("/alipay/notice", json={"out_trade_no": "1"}).status_code == 400
    assert client.post("/alipay/notice", data="a=" + "b" * 100_000, content_type=FORM).status_code in (
        400,
        413,
    )
