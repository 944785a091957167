"""From the shop's page through the cashier of the emulator and back, over the official SDK: two cooperatives, one payment act."""

from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.emulator.emulator import Emulator
from marketplace.foundation import outbox
from marketplace.foundation.config import Settings, read_settings
from marketplace.foundation.database import db, transaction
from marketplace.orders import cancellation
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import call, seller_channel
from marketplace.payments.channel import EXTENSION
from marketplace.payments.payment import Payment
from marketplace.payments.seller_channel import SellerChannel
from tests import builders
from tests.orders import trade
from tests.web.test_buying import _browser, _form, _put_in

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    return read_settings(
        {},
        environment="test",
        data_dir=tmp_path / "data",
        database_url=database,
        secret_key="t" * 40,
        alipay_gateway="http://emulator.invalid/gateway.do",
    )


@pytest.fixture
def emulator(app: Flask, settings: Settings) -> Emulator:
    """A gateway without a network, that every cooperative's client reaches."""
    gateway = Emulator(settings.data_dir / "emulator")

    def client_for(organisation_id: int) -> SellerChannel:
        return SellerChannel(replace(seller_channel.client_for(organisation_id).client, transport=gateway))

    app.extensions[EXTENSION] = client_for
    return gateway


def test_two_cooperatives_are_paid_in_one_act_and_one_order_goes_back_whole(
    app: Flask, emulator: Emulator
) -> None:
    tea, honey = builders.market(), builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800)
    for seller in db.session.scalars(select(Cooperative)):
        emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)
    buyer = builders.customer()
    client = _browser(app, buyer)
    _put_in(client, tea.pack, 2)
    _put_in(client, honey.pack)
    cashier = client.post("/checkout", data=_form(client)).location

    notices = emulator.pay_url(cashier)
    assert len(notices) == 2
    for notice in notices * 2:
        answer = client.post("/alipay/notice", data=notice, content_type=FORM)
        assert (answer.status_code, answer.text) == (200, "success")
    db.session.rollback()
    db.session.expire_all()
    first, second = db.session.scalars(select(Order).order_by(Order.id))
    assert [(each.payment, each.fulfilment, each.paid_fen) for each in (first, second)] == [
        ("PAID", "READY", 17600),
        ("PAID", "READY", 7600),
    ]
    assert (trade.held(tea, "buyer_funds"), trade.held(honey, "buyer_funds")) == (17600, 7600)

    order_id = second.id
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert [trade.held(honey, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [0, 0, 0]
    # Asked again, Alipay says "closed" of a trade that was wholly refunded: what succeeded stays so.
    payment_id = db.session.scalars(select(Payment.id).where(Payment.payable_id == order_id)).one()
    assert call.ask(payment_id) == "succeeded"


def test_no_notice_at_all_is_found_out_by_asking(app: Flask, emulator: Emulator) -> None:
    tea = builders.market()
    for seller in db.session.scalars(select(Cooperative)):
        emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)
    client = _browser(app, builders.customer())
    _put_in(client, tea.pack)
    emulator.pay_url(client.post("/checkout", data=_form(client)).location)
    payment_id = db.session.scalars(select(Payment.id)).one()
    assert call.ask(payment_id) == "succeeded"
    assert trade.held(tea, "buyer_funds") == 9600
