"""What is written down of a week's trade (logs, error pages, audit, calls, tasks, letters) holds no key, card, ID number or biz_content."""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select, text

from marketplace import create_app
from marketplace.emulator.server import Running
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.jobs import alarms
from marketplace.jobs import payments as jobs
from marketplace.orders import order_refund, refund_reissue
from marketplace.orders.order import Order, Purchase, locked_order
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.payments import call, key_material
from marketplace.payments import refund as refunds
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.channel import Attempt, client_for
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.payment import Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.simulation import command
from tests import builders
from tests.notices.mail_server import mail_server
from tests.notices.test_alarm import confirmed
from tests.notices.test_mail import configured
from tests.payments.keys_seen import add_stripe, confirm, switch
from tests.seeded import seeded_folder

__all__ = ["seeded_folder"]

STRIPE = ("sk_test_" + "51Kept0Secret" * 4, "whsec_" + "AlsoKept0Secret" * 4)
# Tables in which what happened is written down; every text of theirs is looked through.
WRITTEN = (
    "audit_event", "payment_call", "alipay_notice", "outbox_message", "idempotency_key", "message", "difference", "bill_difference", "row_decision",
    "bank_refund", "receipt_return", "missing_bill", "channel_key",
)  # fmt: skip
PAYEE = ("赵钱孙李周吴", "6228480402564890018", "农业银行靖安支行")
# A card or account number as such, whoever's: as long as cards are, of the issuers that there are, with its check digit.
CARD = re.compile(r"(?<![\dA-Za-z.])(?:62\d{14,17}|4\d{15}|5[1-5]\d{14}|3[47]\d{13})(?![\dA-Za-z])")


@pytest.fixture(scope="module")
def week(seeded_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, str]]:
    """The county after a week, and all that was logged at DEBUG while it traded and while things then went wrong over HTTP."""
    folder = tmp_path_factory.mktemp("week") / "market"
    shutil.copytree(seeded_folder, folder)
    running = Running(folder / "emulator", port=0).start()
    written = StringIO()
    handler = logging.StreamHandler(written)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    app = create_app(
        read_settings({}, environment="test", data_dir=folder, secret_key="t" * 40, alipay_gateway=running.gateway_url)
    )
    app.config["WTF_CSRF_ENABLED"] = False
    with app.app_context():
        keys = _keys_of_a_cooperative()
        db.session.remove()
    try:
        result = app.test_cli_runner().invoke(command.group, ["--days", "7", "--until", "2026-11-20", "--json"])
        assert result.exit_code == 0, result.output
        written.write(result.output)
        with app.app_context():
            pages = _trouble(app, keys) + _letters(app)
            yield app, written.getvalue() + pages
            db.session.remove()
            db.engine.dispose()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        running.stop()


def _keys_of_a_cooperative() -> list[int]:
    """Keys of its own for both channels, beside those in use; their ids."""
    own = db.session.scalars(select(Cooperative.organisation_id).order_by(Cooperative.organisation_id)).first()
    assert own is not None
    actor = builders.person(own, "accountant")
    public = key_material.public_half(key_material.new_private_key())
    alipay = transaction(lambda: key_material.add_alipay(own, private="", public=public, actor=actor).id)
    stripe = transaction(
        lambda: add_stripe(own, account="acct_1Jingan", secret_key=STRIPE[0], webhook_secret=STRIPE[1], actor=actor).id
    )
    return [alipay, stripe]


def _trouble(app: Flask, keys: list[int]) -> str:
    """Calls over the network, also with keys that the channel does not know, forged notices, and a database that fails in the middle:
    the pages that come of it."""
    order_id = db.session.scalars(
        select(Order.id).where(Order.kind == "PUBLIC", Order.payment == "PAID", Order.settled_at.is_(None), Order.refunded_fen == 0)
    ).first()
    assert order_id is not None
    payment = db.session.scalars(select(Payment).where(Payment.payable_id == order_id)).first()
    assert payment is not None
    payment_id, number = payment.id, payment.out_trade_no
    transaction(lambda: order_refund.pay_back(locked_order(order_id), 100, "破损", person_id=None))
    call.ask(payment_id)
    outbox.drain(kinds={"refund"})
    jobs.ask_due()
    owner = db.session.get_one(ChannelKey, keys[0]).organisation_id
    director = builders.person(owner, "director")
    for key_id in keys:
        transaction(lambda number=key_id: confirm(number, actor=director))  # type: ignore[misc]
        transaction(lambda number=key_id: switch(number, actor=director))  # type: ignore[misc]
    _by_bank_and_by_card(app, owner)
    with_new_key = db.session.scalars(select(Payment.id).where(Payment.organisation_id == owner, Payment.channel == "alipay")).first()
    assert with_new_key is not None and call.ask(with_new_key)
    seller = db.session.get_one(Organisation, owner).public_id
    assert app.test_client().post(f"/stripe/notice/{seller}", data=b"{}", headers={"Stripe-Signature": "t=1,v1=forged"}).status_code >= 400
    client = app.test_client()
    form = {"out_trade_no": number, "sign": "forged", "sign_type": "RSA2", "total_amount": "1.00", "biz_content": "{}"}
    kind = "application/x-www-form-urlencoded"
    pages = [client.post("/alipay/notice", data=urlencode(form | {"out_trade_no": each}), content_type=kind).text for each in (number, "nobody")]
    paths = ("/orders/nothing", "/cooperative/refunds", "/operator/money", "/nowhere")
    pages += [client.get(path, follow_redirects=True).text for path in paths]
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE channel_key RENAME TO gone"))  # where an unknown signature is looked up
    app.testing = False
    of_that_seller = db.session.get_one(Payment, with_new_key)
    told = form | {"app_id": of_that_seller.app_id, "out_trade_no": of_that_seller.out_trade_no}
    db.session.rollback()  # an open reader would still see the table
    pages.append(client.post("/alipay/notice", data=urlencode(told), content_type=kind).text)
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO channel_key"))
    return "\n".join(pages)


def _letters(app: Flask) -> str:
    """What a mail server takes for the office and for a cooperative whose money is in trouble: whole letters, as they were sent."""
    office = db.session.scalars(select(Organisation.id).where(Organisation.kind == "OPERATOR")).one()
    seller = db.session.scalars(select(BankRefund.organisation_id)).first()
    assert seller is not None
    for reader in (builders.person(office, "treasurer"), builders.person(seller, "director")):
        confirmed(reader, digest=True)
    with mail_server() as (box, port), configured(app, port):
        alarms.alarms()
        alarms.inspection()
        morning = clock.beijing_midnight(clock.business_date()) + timedelta(days=1, hours=9)
        with clock.travel(morning):
            alarms.digest()
            while outbox.drain(kinds={"mail"})[0]:
                pass
    return "\n".join(f"{letter.as_string()}\n{letter['Subject']}\n{letter.get_content()}" for letter in box.taken)


def _by_bank_and_by_card(app: Flask, owner: int) -> None:
    """A refund that the channel refused, to be paid to an account that somebody typed; and Stripe asked for everything, at an address where
    nobody answers: its library writes what it sends into the log."""
    paid = select(Payment.payable_id, Payment.organisation_id).where(Payment.state == "succeeded", Payment.refunded_fen == 0, Payment.channel == "alipay")
    order_id, seller = db.session.execute(paid.join(Order, Order.id == Payment.payable_id).where(Order.settled_at.is_(None))).first() or (0, 0)
    (refund_id,) = transaction(lambda: order_refund.pay_back(locked_order(order_id), 100, "破损", person_id=None))
    transaction(lambda: refunds.fail(refund_id, "ACQ.BUYER_ERROR"))
    accountant = builders.person(seller, "accountant")
    transaction(lambda: refund_reissue.propose(refund_id, *PAYEE, actor=accountant))
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, stripe_api="http://127.0.0.1:9")
    db.session.rollback()
    card: Any = client_for(owner, "stripe", page="cs_test_1", trade_no="pi_1")
    now = clock.now()
    attempt = Attempt("acct_1Jingan", "acct_1Jingan", "T1", 9600, "茶")
    asked = (card.query("T1"), card.close("T1"), card.checkout(attempt, "http://x/", now, now), card.refund("T1", "R1", 100, "x"), card.refund_query("T1", "R1", 100), card.fee("T1"))
    assert {each.outcome for each in asked} == {"unknown"}
    app.extensions["settings"] = before


def cards_in(written: str) -> set[str]:
    """Numbers of cards in a text: of their form, and with the check digit that a card has."""
    return {each for each in CARD.findall(written) if _adds_up(each)}


def _adds_up(number: str) -> bool:
    digits = [int(each) for each in reversed(number)]
    return sum(digits[0::2] + [sum(divmod(2 * each, 10)) for each in digits[1::2]]) % 10 == 0


def secrets_of(app: Flask) -> dict[str, str]:
    """Every secret that this market knows, by what it is; keys as a piece from their middle."""
    settings: Settings = app.extensions["settings"]
    known = {"SECRET_KEY": settings.secret_key, "INDEX_KEY": settings.index_key, "DATA_KEY": settings.data_key.partition(":")[2]}
    for pem in (settings.data_dir / "emulator").glob("*_private.pem"):
        body = "".join(pem.read_text().splitlines()[1:-1])
        known[pem.name] = body[400:460]
    for key in db.session.scalars(select(ChannelKey)):
        for name, part in key.parts.items():
            body = "".join(part.strip().splitlines()[1:-1]) or part
            known[f"{key.channel} {name}"] = body[400:460] or body[-40:]
    known.pop("alipay alipay_public_key", None)  # no secret
    for each in db.session.scalars(select(Household).limit(200)):
        known[f"ID of {each.code}"], known[f"card of {each.code}"] = each.id_number, each.bank_account
    for seller in db.session.scalars(select(Cooperative)):
        known[f"account of {seller.organisation_id}"] = seller.bank_account
    for refund in db.session.scalars(select(BankRefund)):
        known |= {f"payee of refund {refund.id}": refund.payee_name, f"payee's account of refund {refund.id}": refund.payee_account}
    for back in db.session.scalars(select(ReceiptReturn)):
        known[f"payee's account of return {back.id}"] = back.payee_account
    for purchase in db.session.scalars(select(Purchase).limit(200)):
        known[f"street of {purchase.id}"] = purchase.street
    db.session.rollback()
    return {what: secret for what, secret in known.items() if len(secret) >= 6}


def written_down(app: Flask) -> str:
    """Every value of the tables of what happened, and every log file below DATA_DIR."""
    rows = (row for table in WRITTEN for row in db.session.execute(text(f"SELECT * FROM {table}")).mappings())
    lines = [json.dumps(dict(row), ensure_ascii=False, default=str) for row in rows]
    lines += [path.read_text(errors="replace") for path in app.extensions["settings"].data_dir.rglob("*.log")]
    return "\n".join(lines)


def test_nothing_secret_is_written_down(week: tuple[Flask, str]) -> None:
    app, logged = week
    kept = written_down(app)
    assert len(kept) > 30_000 and "payment.succeeded" in kept and "refund.approved" in kept  # it did look at a week
    assert "a notice was refused" in logged and "unexpected on POST /alipay/notice" in logged and "是我们这边出了错" in logged
    assert logged.count("Subject: ") >= 4 and "资金提醒" in logged and "资金日报" in logged  # letters of both readers
    found = {what for what, secret in secrets_of(app).items() if secret in kept or secret in logged}
    assert found == set()
    for place in (kept, logged):
        assert "biz_content" not in place
        assert not re.search(r"BEGIN (RSA )?PRIVATE KEY|[?&]sign=", place)
        assert cards_in(place) == set()
        # An ID number as such, whoever's: a region, a birthday of the last hundred years, a check digit.
        assert not re.search(r"(?<!\d)[1-6]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dX](?!\d)", place)


def test_the_search_would_find_what_it_looks_for(week: tuple[Flask, str]) -> None:
    app, _ = week
    known = secrets_of(app)
    assert {"SECRET_KEY", "app_private.pem", "alipay_private.pem"} <= set(known)
    assert (known["stripe secret_key"], known["stripe webhook_secret"], len(known["alipay private_key"])) == (STRIPE[0][-40:], STRIPE[1][-40:], 60)
    assert cards_in(f"card {PAYEE[1]}, 4242424242424242") == {PAYEE[1], "4242424242424242"} and cards_in("6228480402564890017 20261120093012345678") == set()
    assert known["payee's account of refund 1"] == PAYEE[1]
    assert sum(what.startswith("ID of") for what in known) > 50 and sum(what.startswith("card of") for what in known) > 50
