"""Keys change without a pause: both are believed in between, a second person switches, and the old one is destroyed at the end."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from marketplace.emulator.server import Running
from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.config import EMULATOR_KEY_MARK
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.jobs import alarms
from marketplace.notices.message import Message
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.organisations.person import Person
from marketplace.payments import channel_key, key_material, seller_channel
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.payment import Payment
from tests import builders
from tests.builders import Market
from tests.foundation.test_config_and_files import keys as pair
from tests.orders import trade
from tests.payments.keys_seen import confirm, seen, seen_key
from tests.payments.stripe_counter import Counter
from tests.payments.test_payment_notice import FORM, _signed, _waiting
from tests.web.work_desk import browser


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


@pytest.fixture
def emulator(app: Flask, tmp_path: Path, market: Market) -> Iterator[Running]:
    """A gateway that knows the cooperative's application, with the demonstration's keys in DATA_DIR."""
    before = app.extensions["settings"]
    running = Running(before.data_dir / "emulator", port=0).start()
    app.extensions["settings"] = replace(before, alipay_gateway=running.gateway_url)
    own = db.session.scalars(select(Cooperative)).one()
    running.emulator.register_demo_app(own.alipay_app_id, own.alipay_seller_id)
    yield running
    app.extensions["settings"] = before
    running.stop()


def made() -> tuple[str, str]:
    """A private key and its public half."""
    private = key_material.new_private_key()
    return private, key_material.public_half(private)


def added(market: Market, private: str = "", public: str = "", certificates: tuple[str, str, str] | None = None) -> int:
    return transaction(
        lambda: key_material.add_alipay(market.cooperative, private=private, public=public, certificates=certificates, actor=market.accountant).id
    )


def confirmed(market: Market, key_id: int) -> None:
    transaction(lambda: confirm(key_id, actor=market.director))


def switched(market: Market, key_id: int) -> None:
    confirmed(market, key_id)
    transaction(lambda: channel_key.switch(key_id, actor=market.director))


def alive(market: Market) -> object:
    """What the gateway says to a question that is signed with the key in use."""
    db.session.rollback()
    return seller_channel.client_for(market.cooperative).client.query("T1")


def test_a_notice_signed_with_either_key_is_believed_until_the_old_one_is_retired(app: Flask, settings: object) -> None:
    (first, first_public), (second, second_public), (third, third_public) = made(), made(), made()
    folder = Path(app.extensions["settings"].data_dir) / "emulator"
    folder.mkdir(parents=True)
    (folder / "alipay_public.pem").write_text(first_public)
    market, _order, payment = _waiting()

    def heard(secret: str) -> int:
        form = _signed(payment, secret, trade_status="WAIT_BUYER_PAY")
        return app.test_client().post("/alipay/notice", data=form, content_type=FORM).status_code

    assert [heard(each) for each in (first, second)] == [200, 400]
    row = added(market, public=second_public)
    assert [heard(each) for each in (first, second)] == [200, 400]  # one person added it: nobody's word counts for it yet
    confirmed(market, row)
    assert [heard(each) for each in (first, second, third)] == [200, 200, 400]
    transaction(lambda: channel_key.switch(row, actor=market.director))
    newer = added(market, public=third_public)
    confirmed(market, newer)
    assert [heard(each) for each in (first, second, third)] == [200, 200, 200]
    transaction(lambda: channel_key.switch(newer, actor=market.director))
    assert [heard(each) for each in (second, third)] == [200, 200]
    transaction(lambda: channel_key.retire(row, actor=market.accountant))
    assert [heard(each) for each in (second, third)] == [400, 200]
    # Another cooperative's new key is believed of its own application only.
    other = builders.market(name="另一家")
    confirmed(other, added(other, public=second_public))
    assert heard(second) == 400
    # Nor of this one's trades, if both sell under one application: only the seller tells them apart.
    with transaction():
        db.session.execute(update(Cooperative).values(alipay_app_id=db.session.get_one(Payment, payment.id).app_id))
    shared = builders.market(name="第三家")
    with transaction():
        db.session.execute(update(Cooperative).values(alipay_app_id=db.session.get_one(Payment, payment.id).app_id))
    confirmed(shared, added(shared, public=second_public))
    assert [heard(each) for each in (second, third)] == [400, 200]


@pytest.mark.parametrize("who", ["accountant", "director"])
def test_one_person_cannot_bring_a_key_and_say_with_it_that_something_was_paid(app: Flask, settings: object, who: str) -> None:
    _, genuine = made()
    forger, forged = made()
    folder = Path(app.extensions["settings"].data_dir) / "emulator"
    folder.mkdir(parents=True)
    (folder / "alipay_public.pem").write_text(genuine)
    market, order_id, payment = _waiting()
    actor = getattr(market, who)
    key_id = transaction(lambda: key_material.add_alipay(market.cooperative, private="", public=forged, actor=actor).id)
    for step in (confirm, channel_key.switch):
        with pytest.raises(NotAllowed, match=r"key\.own"):
            transaction(lambda step=step: step(key_id, actor=actor))  # type: ignore[misc]
    form = _signed(payment, forger, trade_status="TRADE_SUCCESS")
    assert app.test_client().post("/alipay/notice", data=form, content_type=FORM).status_code == 400
    assert trade.order(order_id).payment == "UNPAID"
    assert trade.held(market, "alipay") == 0


def test_sellers_that_share_an_application_sign_with_their_own_keys(market: Market, emulator: Running) -> None:
    other = builders.market(name="另一家")
    own = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == market.cooperative)).one()
    app_id, seller_id = own.alipay_app_id, own.alipay_seller_id
    with transaction():
        db.session.execute(update(Cooperative).values(alipay_app_id=app_id))
    row = added(other, public=emulator.emulator.public_key_pem)
    switched(other, row)
    db.session.rollback()
    emulator.emulator.register_app(app_id, key_material.shown_public(db.session.get_one(ChannelKey, row)), seller_id)
    said = [type(alive(each)).__name__ for each in (other, market)]
    assert said == ["Absent", "Misconfigured"]  # the gateway knows the other's key now, and market's is not the other's


def test_our_own_key_changes_and_no_question_goes_unanswered(market: Market, emulator: Running) -> None:
    said = [alive(market)]
    row = added(market, public=emulator.emulator.public_key_pem)  # a new pair, made here
    said.append(alive(market))
    db.session.rollback()
    public = key_material.shown_public(db.session.get_one(ChannelKey, row))
    own = db.session.scalars(select(Cooperative)).one()
    emulator.emulator.register_app(own.alipay_app_id, public, own.alipay_seller_id)
    switched(market, row)
    said.append(alive(market))
    assert {type(each).__name__ for each in said} == {"Absent"}  # verified answers: no such trade


def test_certificates_come_under_the_same_roof_and_their_end_is_an_alarm(app: Flask, market: Market, emulator: Running) -> None:
    own = db.session.scalars(select(Cooperative)).one()
    app_id = own.alipay_app_id
    emulator.emulator.register_certificate(app_id)
    folder = emulator.emulator.certificates
    texts = tuple((folder / name).read_text() for name in ("root.crt", "alipay.crt", f"{app_id}.crt"))
    assert type(alive(market)).__name__ == "Absent"  # a demonstration takes what lies in the emulator's own folder
    (folder / f"{app_id}.crt").unlink()
    assert type(alive(market)).__name__ in ("Misconfigured", "Unknown")  # elsewhere it wants certificates from now on
    private = (emulator.emulator.folder / "app_private.pem").read_text()
    with pytest.raises(InvalidInput, match=r"key\.certificate"):
        added(market, made()[0], certificates=(texts[0], texts[1], texts[2]))  # of another private key
    with pytest.raises(InvalidInput, match=r"key\.certificate"):
        added(market, private, certificates=(texts[1], texts[2], texts[0]))
    row = added(market, private, certificates=(texts[0], texts[1], texts[2]))
    switched(market, row)
    assert type(alive(market)).__name__ == "Absent"
    ends = db.session.get_one(ChannelKey, row).expires_at
    assert ends is not None
    office = builders.person(builders.operator(), "treasurer")
    with clock.travel(ends - timedelta(days=31)):
        assert not [each for each in told() if each["name"] == "certificates"]
    with clock.travel(ends - timedelta(days=29)):
        alarms.alarms()
        assert [each["name"] for each in told()] == ["certificates"] * 3  # the county, the director and the accountant
        page = browser(app, market.director).get("/keys").text
        assert "到期" in page and f"{clock.business_date(ends):%Y-%m-%d}" in page
        county = browser(app, office)
        assert re.search("到期，还有 2[89] 天", county.get("/operator/money").text)
        assert f"{clock.business_date(ends):%Y-%m-%d} 到期，请在那之前换好" in county.get("/operator/money/certificates").text
    with clock.travel(ends + timedelta(days=1)):
        assert "已经过期，现在用不了" in county.get("/operator/money/certificates").text
        assert "已经过期，现在收不了款" in browser(app, market.director).get("/keys").text
        db.session.rollback()
        late = added(market, private, public=emulator.emulator.public_key_pem)
        switched(market, late)  # what has run out stands in nobody's way
        assert seller_channel.client_for(market.cooperative).client.certificates is None
        db.session.rollback()


def told() -> list[dict[str, object]]:
    db.session.rollback()
    return [each for row in db.session.scalars(select(Message)) for each in row.data["items"]]


def test_alipays_new_key_is_believed_in_answers_too(market: Market, emulator: Running) -> None:
    row = added(market, public=made()[1])
    switched(market, row)
    own = db.session.scalars(select(Cooperative)).one()
    emulator.emulator.register_app(own.alipay_app_id, key_material.shown_public(db.session.get_one(ChannelKey, row)), own.alipay_seller_id)
    # The gateway still signs with the key of the configuration, and the key in use names another: believed all the same.
    assert type(alive(market)).__name__ == "Absent"
    client = replace(seller_channel.client_for(market.cooperative).client, also=())
    assert type(client.query("T1")).__name__ == "Unknown"


@pytest.mark.both
def test_two_people_and_one_key_in_use(market: Market) -> None:
    first = added(market, public=pair()[1])
    for step in (confirm, channel_key.switch):
        with pytest.raises(NotAllowed, match=r"key\.own"):
            transaction(lambda step=step: step(first, actor=market.accountant))  # type: ignore[misc]
    with pytest.raises(Conflict, match=r"key\.waiting"):
        added(market, public=pair()[1])
    other = builders.market(name="另一家")
    for stranger in (other.director, builders.person(builders.operator(), "administrator")):
        for act in (confirm, channel_key.switch, channel_key.retire):
            with pytest.raises(NotFound):
                transaction(lambda act=act, stranger=stranger: act(first, actor=stranger))  # type: ignore[misc]
    switched(market, first)
    with pytest.raises(Conflict, match=r"key\.state"):
        switched(market, first)
    second = added(market, public=pair()[1])
    with pytest.raises(Conflict, match=r"key\.unconfirmed"):
        transaction(lambda: channel_key.switch(second, actor=market.director))
    stale = db.session.get_one(ChannelKey, second).version
    switched(market, second)
    with pytest.raises(Conflict, match=r"version\.stale"):
        transaction(lambda: channel_key.retire(second, version=stale, actor=market.director))
    db.session.rollback()
    assert [row.state for row in channel_key.history(market.cooperative)] == ["CURRENT", "OLD"]
    with pytest.raises(IntegrityError):  # the database itself lets one be in use
        db.session.get_one(ChannelKey, first).state = "CURRENT"
        db.session.flush()
    db.session.rollback()
    with pytest.raises(IntegrityError):  # and nobody confirm their own
        row = db.session.get_one(ChannelKey, second)
        row.confirmed_by_id = row.added_by_id
        db.session.flush()
    db.session.rollback()
    names = [row.action for row in db.session.scalars(select(AuditEvent).where(AuditEvent.subject_type == "channel_key").order_by(AuditEvent.id))]
    assert names == ["channel_key.added", "channel_key.confirmed", "channel_key.switched"] * 2


def test_a_key_that_cannot_work_is_refused(app: Flask, market: Market) -> None:
    private, public = pair()
    for wrong in ("", "junk", private):
        with pytest.raises(InvalidInput, match=r"key\.public"):
            added(market, public=wrong)
    with pytest.raises(InvalidInput, match=r"key\.private"):
        added(market, "junk", public)
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, environment="production")
    try:
        with pytest.raises(InvalidInput, match=r"emulator"):
            added(market, private, pair(EMULATOR_KEY_MARK)[1])
    finally:
        app.extensions["settings"] = before


def test_the_page_adds_switches_and_retires_and_shows_no_secret(app: Flask, market: Market, stripe_says: Counter) -> None:
    stripe_says.says = {"sk_test_secretsecret": "acct_1Tea0000"}
    private, public = pair()
    one, two = browser(app, market.accountant), browser(app, market.director)
    assert "还没有自己的密钥" in one.get("/keys").text
    bad = one.post("/keys/alipay", data={"private_key": private, "alipay_public_key": "junk"})
    assert bad.status_code == 422 and private[60:100] not in bad.text
    half = one.post("/keys/alipay", data={"private_key": private, "root": (BytesIO(b"x"), "root.crt")}, content_type="multipart/form-data")
    assert (half.status_code, "三份证书要一起交" in half.text) == (422, True)
    huge = {name: (BytesIO(b"x" * 30_000), f"{name}.crt") for name in ("root", "theirs", "own")}
    assert one.post("/keys/alipay", data={"private_key": private, **huge}, content_type="multipart/form-data").status_code == 422
    assert one.post("/keys/alipay", data={"private_key": private, "alipay_public_key": public}).status_code == 303
    stripe = {"account": "acct_1Tea0000", "secret_key": "sk_test_secretsecret", "webhook_secret": "whsec_secretsecret"}
    refused = one.post("/keys/stripe", data=stripe | {"account": "tea"})
    assert refused.status_code == 422 and "secretsecret" not in refused.text
    assert one.post("/keys/stripe", data=stripe).status_code == 303
    page = one.get("/keys").text
    assert "等另一个人核对" in page and "secretsecret" not in page and private[60:100] not in page
    for row in channel_key.history(market.cooperative):
        path = f"/keys/{row.public_id}"
        form = {"version": str(row.version)}
        assert [one.post(f"{path}/{step}", data=form).status_code for step in ("confirm", "switch", "burn")] == [403, 403, 400]
        asked = two.get(f"{path}/confirm").text
        theirs = asked.split("我们的公钥")[0]  # here both halves are of one pair
        assert ("核对新密钥" in asked, seen(row) in theirs) == (True, False), "what is to be typed is read elsewhere"
        assert two.post(f"{path}/switch", data=form).status_code == 409
        for wrong in ({}, {"seen": "00000000"}, {"seen": row.fingerprint[-8:]}):
            blind = two.post(f"{path}/confirm", data=form | wrong)
            assert (blind.status_code, "真的不一样" in blind.text) == (422, True)
        assert two.post(f"{path}/confirm", data=form | {"seen": seen(row), "seen_key": seen_key(row)}).status_code == 303
        assert "等另一个人启用" in one.get("/keys").text
        db.session.rollback()
        form = {"version": str(db.session.get_one(ChannelKey, row.id).version)}
        assert "启用新密钥" in two.get(f"{path}/switch").text
        assert two.post(f"{path}/switch", data=form).status_code == 303
        assert two.post(f"{path}/retire", data={"version": str(row.version + 1)}).status_code == 409
        assert browser(app, builders.market(name=f"别家{row.id}").director).get(f"{path}/retire").status_code == 404
    assert two.get("/keys").text.count("正在用") == 2
    assert browser(app, market.clerk).get("/keys").status_code == 403
    assert browser(app, builders.person(builders.operator(), "treasurer")).get("/keys").status_code == 200


def test_the_command_does_the_same(app: Flask, market: Market, tmp_path: Path, stripe_says: Counter) -> None:
    stripe_says.says = {"sk_test_secretsecret": "acct_1Tea0000"}
    private, public = pair()
    (tmp_path / "public.pem").write_text(public)
    (tmp_path / "private.pem").write_text(private)
    (tmp_path / "secrets").write_text("sk_test_secretsecret\nwhsec_secretsecret\n")

    def login(who: Actor) -> str:
        db.session.rollback()
        return db.session.get_one(Person, who.person_id).login

    def run(*words: str, fails: bool = False) -> str:
        done = app.test_cli_runner().invoke(args=["key", *words])
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    one, two = login(market.accountant), login(market.director)
    name = run("add-alipay", "--actor", one, "--private-key", f"{tmp_path}/private.pem", "--alipay-public-key", f"{tmp_path}/public.pem").split()[0]
    assert "key.own" in run("switch", name, "--actor", one, fails=True)
    assert "key.unconfirmed" in run("switch", name, "--actor", two, fails=True)
    assert "key.seen" in run("confirm", name, "--actor", two, "--seen", "00000000", fails=True)
    der = base64.b64decode("".join(public.splitlines()[1:-1]))
    run("confirm", name, "--actor", two, "--seen", hashlib.sha256(der).hexdigest()[-8:].upper())
    assert "CONFIRMED" in run("list", "--actor", one)
    run("switch", name, "--actor", two)
    assert "key.state" in run("retire", name, "--actor", two, fails=True)
    other = run("add-stripe", "--actor", two, "--account", "acct_1Tea0000", "--secrets", f"{tmp_path}/secrets").strip()
    run("retire", other, "--actor", two)
    listed = run("list", "--actor", one)
    assert "CURRENT" in listed and "RETIRED" in listed and "secretsecret" not in listed
    run("list", "--actor", login(market.clerk), fails=True)
    assert "root.crt cannot be read" in run("add-alipay", "--actor", one, "--certificates", str(tmp_path), fails=True)
