"""What is written down of a week's trade (logs, error pages, audit, calls, tasks) holds no key, card, ID number or biz_content."""

import json
import logging
import re
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select, text

from marketplace import create_app
from marketplace.emulator.server import Running
from marketplace.foundation import outbox
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.jobs import payments as jobs
from marketplace.orders import order_refund
from marketplace.orders.order import Order, Purchase, locked_order
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.payments import call, channel_key, key_material
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.payment import Payment
from marketplace.simulation import command
from tests import builders
from tests.seeded import seeded_folder

__all__ = ["seeded_folder"]

STRIPE = ("sk_test_" + "51Kept0Secret" * 4, "whsec_" + "AlsoKept0Secret" * 4)
# Tables in which what happened is written down; every text of theirs is looked through.
WRITTEN = ("audit_event", "payment_call", "alipay_notice", "outbox_message", "idempotency_key")


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
            pages = _trouble(app, keys)
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
        lambda: key_material.add_stripe(own, account="acct_1Jingan", secret_key=STRIPE[0], webhook_secret=STRIPE[1], actor=actor).id
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
        transaction(lambda number=key_id: channel_key.confirm(number, actor=director))  # type: ignore[misc]
        transaction(lambda number=key_id: channel_key.switch(number, actor=director))  # type: ignore[misc]
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
    pages.append(client.post("/alipay/notice", data=urlencode(told), content_type=kind).text)
    with db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO channel_key"))
    return "\n".join(pages)


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
    found = {what for what, secret in secrets_of(app).items() if secret in kept or secret in logged}
    assert found == set()
    for place in (kept, logged):
        assert "biz_content" not in place
        assert not re.search(r"BEGIN (RSA )?PRIVATE KEY|[?&]sign=", place)
        # An ID number as such, whoever's: a region, a birthday of the last hundred years, a check digit.
        assert not re.search(r"(?<!\d)[1-6]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dX](?!\d)", place)


def test_the_search_would_find_what_it_looks_for(week: tuple[Flask, str]) -> None:
    app, _ = week
    known = secrets_of(app)
    assert {"SECRET_KEY", "app_private.pem", "alipay_private.pem"} <= set(known)
    assert (known["stripe secret_key"], known["stripe webhook_secret"], len(known["alipay private_key"])) == (STRIPE[0][-40:], STRIPE[1][-40:], 60)
    assert sum(what.startswith("ID of") for what in known) > 50 and sum(what.startswith("card of") for what in known) > 50
