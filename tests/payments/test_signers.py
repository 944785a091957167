"""Whose key signs what: the seller's its own trades, the platform's what it merges, an old account's what was paid there. A key that the
channel refuses stops what it signs, and nothing else."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from marketplace.emulator.server import Running
from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import OutsideFailure
from marketplace.jobs import payments as jobs
from marketplace.orders import cancellation, order_payment
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import call, channel_key, key_material, seller_channel
from marketplace.payments.call import PaymentCall
from marketplace.payments.channel import Answer
from marketplace.payments.channel_key import ChannelKey
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from tests import builders
from tests.builders import Market
from tests.emulator.desk import PLATFORM
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.keys_seen import confirm
from tests.payments.test_stripe import takes_cards
from tests.web.work_desk import browser

WRONG_KEY = Answer("unknown", sub_code="40002/isv.invalid-signature", told={"misconfigured": True})


@pytest.fixture
def gateway(app: Flask) -> Iterator[Running]:
    """A gateway that knows every application by the demonstration's key, and the platform's own application."""
    before = app.extensions["settings"]
    running = Running(before.data_dir / "emulator", port=0).start()
    app.extensions["settings"] = replace(before, alipay_gateway=running.gateway_url, alipay_app_id=PLATFORM[0])
    running.emulator.register_demo_app(*PLATFORM, "靖安集")
    yield running
    app.extensions["settings"] = before
    running.stop()


def registered(gateway: Running, market: Market) -> Cooperative:
    own = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == market.cooperative)).one()
    gateway.emulator.register_demo_app(own.alipay_app_id, own.alipay_seller_id)
    return own


def own_key(gateway: Running, adds: Actor, switches: Actor, seller_id: str, *, known: bool = True) -> str:
    """A pair of their own, made here and, if ``known``, told to Alipay; its application."""
    public = gateway.emulator.public_key_pem
    added = transaction(lambda: key_material.add_alipay(adds.organisation_id, private="", public=public, actor=adds).id)
    transaction(lambda: confirm(added, actor=switches))
    transaction(lambda: channel_key.switch(added, actor=switches))
    db.session.rollback()
    row = db.session.get_one(ChannelKey, added)
    if known:
        gateway.emulator.register_app(row.account, key_material.shown_public(row), seller_id)
    return row.account


@pytest.mark.parametrize("rotated", [False, True])
def test_the_platform_signs_what_it_merges_whatever_keys_the_sellers_have(app: Flask, gateway: Running, rotated: bool) -> None:
    tea, honey = builders.market(), builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800)
    sellers = [registered(gateway, each) for each in (tea, honey)]
    own_key(gateway, tea.accountant, tea.director, sellers[0].alipay_seller_id)
    if rotated:
        county = builders.operator()
        own_key(gateway, builders.person(county, "treasurer"), builders.person(county, "administrator"), PLATFORM[1])
    orders = trade.placed(builders.customer(), (tea.pack, 1), (honey.pack, 1))
    attempts = trade.opened(orders)
    call.announce(attempts, "merge")
    db.session.rollback()
    payments = list(db.session.scalars(select(Payment).order_by(Payment.id)))
    for wap in (True, False):
        url = seller_channel.cashier_url(payments, return_url="", wap=wap)
        db.session.rollback()
        if wap:
            for form in gateway.emulator.pay_url(url):
                answer = app.test_client().post("/alipay/notice", data=form, content_type="application/x-www-form-urlencoded")
                assert answer.text == "success"
    assert (trade.held(tea, "buyer_funds"), trade.held(honey, "buyer_funds")) == (9600, 7600)
    assert [call.ask(each) for each in attempts] == ["succeeded", "succeeded"]  # each with its own seller's key
    db.session.rollback()
    assert db.session.scalars(select(PaymentCall.account).where(PaymentCall.kind == "merge")).all() == [PLATFORM[0]]


def test_a_platforms_key_that_is_refused_stops_merging_and_no_sellers_own_calls(app: Flask, gateway: Running) -> None:
    tea, honey = builders.market(), builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800)
    for each in (tea, honey):
        registered(gateway, each)
    county = builders.operator()
    treasurer, administrator = builders.person(county, "treasurer"), builders.person(county, "administrator")
    own_key(gateway, treasurer, administrator, PLATFORM[1], known=False)
    orders = trade.placed(builders.customer(), (tea.pack, 1), (honey.pack, 1))
    attempts = trade.opened(orders)
    for code in ("channel.unavailable", "channel.paused"):
        with pytest.raises(OutsideFailure) as failed:
            call.announce(attempts, "merge")
        assert failed.value.code == code
    others = trade.opened(list(reversed(trade.placed(builders.customer(), (tea.pack, 1), (honey.pack, 1)))))
    with pytest.raises(OutsideFailure) as failed:  # nobody's phone cart
        call.announce(list(reversed(others)), "merge")
    assert failed.value.code == "channel.paused"
    assert [call.ask(each) for each in attempts] == ["requires_action"] * 2
    # A new key of the platform's has not been refused yet.
    own_key(gateway, treasurer, administrator, PLATFORM[1])
    call.announce(attempts, "merge")


def by_card(order_id: int) -> int:
    """An attempt to pay by card."""
    return transaction(lambda: order_payment.open_for_orders([order_id], key="card", channel="stripe")[0].id)


def refused(payment_id: int) -> None:
    """The channel refuses the key of this attempt's account, now."""
    row = db.session.get_one(PaymentCall, call.make("query", payment_id))
    row.answered_at, row.outcome, row.answer = clock.now(), "unknown", {"misconfigured": True}


def test_a_refused_card_key_does_not_stop_the_same_sellers_alipay(app: Flask) -> None:
    market = builders.market()
    takes_cards(market)
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    card = by_card(order_id)
    transaction(lambda: refused(card))
    (other,) = trade.opened([order_id])
    channel = WrittenChannel(app, query=[Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")])
    assert (call.alarm(market.cooperative, "stripe"), call.alarm(market.cooperative)) == (True, False)
    assert call.ask(other) == "requires_action"
    assert [each[0] for each in channel.asked] == ["query"]
    with pytest.raises(OutsideFailure, match=r"channel\.stopped"):
        call.ask(card)


def test_nobody_is_asked_and_no_page_opened_for_a_buyer_while_the_key_is_refused(app: Flask) -> None:
    """Neither on the way to the cashier nor on the way back, nor at a counter: each press would be one more refused call."""
    market, buyer = builders.market(), builders.customer()
    (order_id,) = trade.placed(buyer, (market.pack, 1))
    (payment_id,) = trade.opened([order_id])
    channel = WrittenChannel(app, query=[WRONG_KEY], qr_code=[WRONG_KEY])
    call.ask(payment_id)
    client = browser(app, buyer)
    address = client.get("/orders").text.split('href="/orders/')[1].split('"')[0]
    assert client.get(f"/orders/{address}/returned").status_code == 303
    back = client.post(f"/orders/{address}/pay", data={"idempotency_key": "again"})
    assert (back.status_code, back.location) == (303, f"/orders/{address}")
    assert "暂时用不了，钱没有扣" in client.get(back.location).text
    public_id = trade.order(order_id).public_id
    db.session.rollback()
    assert client.post(f"/orders/{address}/scan/{public_id}", data={"idempotency_key": "scan"}).location == f"/orders/{address}"
    assert [each[0] for each in channel.asked] == ["query"]
    with clock.travel(clock.now() + call.STOPPED + timedelta(seconds=1)):
        client.get(f"/orders/{address}/returned")
    assert [each[0] for each in channel.asked] == ["query", "query"]


def test_a_refund_leaves_from_the_application_that_was_paid(app: Flask, gateway: Running) -> None:
    """The seller moved to another application while a refund waited."""
    market, buyer = builders.market(), builders.customer()
    own = registered(gateway, market)
    old_app, seller_id = own.alipay_app_id, own.alipay_seller_id
    own_key(gateway, market.accountant, market.director, seller_id)
    (order_id,) = trade.placed(buyer, (market.pack, 1))
    (payment_id,) = trade.opened([order_id])
    db.session.rollback()
    payments = [db.session.get_one(Payment, payment_id)]
    url = seller_channel.cashier_url(payments, return_url="")
    db.session.rollback()
    gateway.emulator.pay_url(url)
    assert call.ask(payment_id) == "succeeded"
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    with transaction():
        db.session.execute(update(Cooperative).values(alipay_app_id="2021EMU000777777", alipay_seller_id="2088000000777777"))
    gateway.emulator.register_demo_app("2021EMU000777777", "2088000000777777")
    own_key(gateway, market.accountant, market.director, "2088000000777777")
    assert outbox.drain(kinds={"refund"}) == (1, 0)
    db.session.rollback()
    assert db.session.scalars(select(Refund.state)).one() == "succeeded"
    assert db.session.scalars(select(PaymentCall.account).where(PaymentCall.kind == "refund")).all() == [old_app]
    assert trade.held(market, "alipay") == 0


def test_a_card_refund_leaves_from_the_account_that_was_paid(app: Flask) -> None:
    market = builders.market()
    takes_cards(market)
    first = channel_key.signing(market.cooperative, "stripe", "acct_1TeaCooperative")
    assert first is not None
    takes_cards(market, account="acct_1TeaMovedAway", secret_key="sk_test_another0123", webhook_secret="whsec_another_0123456789")
    db.session.rollback()
    signing = {each: channel_key.signing(market.cooperative, "stripe", each) for each in ("", "acct_1TeaCooperative", "acct_1TeaMovedAway", "acct_1Nobodys")}
    assert {name: row and row.account for name, row in signing.items()} == {
        "": "acct_1TeaMovedAway", "acct_1TeaCooperative": "acct_1TeaCooperative", "acct_1TeaMovedAway": "acct_1TeaMovedAway", "acct_1Nobodys": None,
    }  # fmt: skip


def test_bills_wait_only_for_alipays_own_key(app: Flask) -> None:
    market = builders.market()
    takes_cards(market)
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    card = by_card(order_id)
    trade.opened([order_id])
    asked: list[object] = []

    class Billing(WrittenChannel):
        def bill(self, day: object) -> None:
            asked.append(day)

    Billing(app)
    with clock.travel(clock.now() + timedelta(days=2)):
        transaction(lambda: refused(card))
        jobs.fetch_bills()
    assert asked
