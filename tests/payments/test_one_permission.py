"""What an application may not do stops that one thing, and not the seller's till: what refuses the key itself stops everything."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import OutsideFailure
from marketplace.orders import cancellation
from marketplace.payments import call
from marketplace.payments.alipay_outcome import Misconfigured
from marketplace.payments.channel import Answer
from marketplace.payments.seller_channel import answer_of
from marketplace.reporting import money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel

ABSENT, GONE = Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST"), Answer("succeeded")
MAY_NOT = answer_of(Misconfigured("40006", "isv.insufficient-isv-permissions"))
WRONG_KEY = answer_of(Misconfigured("40002", "isv.invalid-signature"))


@pytest.fixture
def market(app: Flask) -> Market:
    return builders.market()


def attempt(market: Market) -> int:
    return trade.opened(trade.placed(builders.customer(), (market.pack, 1)))[0]


def alarms() -> int:
    db.session.rollback()
    return next(each.count for each in money_health.standing() if each.name == "alarm")


def test_a_buyer_who_wants_a_code_that_the_seller_may_not_have_closes_nobodys_till(app: Flask, market: Market) -> None:
    buyer = builders.customer()
    bought = trade.bought(buyer, (market.pack, 1))
    transaction(lambda: cancellation.cancel(bought, actor=buyer))
    channel = WrittenChannel(app, qr_code=[MAY_NOT], query=[ABSENT], close=[ABSENT], refund=[GONE], refund_query=[Answer("refused", sub_code="not_refunded")])
    with pytest.raises(OutsideFailure, match=r"channel\.unavailable"):
        call.announce([attempt(market)], "qr_code")
    db.session.rollback()
    with pytest.raises(OutsideFailure, match=r"channel\.paused"):  # that would be refused again
        call.announce([attempt(market)], "qr_code")
    other = attempt(market)
    call.announce([other])  # the page needs only our signature
    assert call.ask(other) == "requires_action"
    assert outbox.drain(kinds={"refund"}) == (1, 0)
    assert [each[0] for each in channel.asked] == ["qr_code", "query", "refund"]
    assert alarms() == 1  # that questions are answered mends no permission
    WrittenChannel(app, qr_code=[Answer("succeeded", code="https://qr.alipay.com/1")])
    with clock.travel(clock.now() + call.STOPPED + timedelta(minutes=1)):
        call.announce([attempt(market)], "qr_code")
        assert alarms() == 0


def test_a_key_that_is_refused_stops_whatever_it_signs(app: Flask, market: Market) -> None:
    channel = WrittenChannel(app, query=[WRONG_KEY], qr_code=[GONE])
    first = attempt(market)
    call.ask(first)
    with pytest.raises(OutsideFailure, match=r"channel\.paused"):
        call.announce([attempt(market)], "qr_code")
    with pytest.raises(OutsideFailure, match=r"channel\.paused"):
        call.announce([attempt(market)])
    assert [each[0] for each in channel.asked] == ["query"]


@pytest.mark.parametrize(
    ("code", "sub_code", "all_of_it"),
    [
        ("40001", "isv.missing-signature", True), ("40002", "isv.invalid-signature", True), ("40002", "isv.invalid-app-id", True),
        ("40002", "isv.missing-app-cert-sn", True), ("40002", "isv.invalid-parameter", False), ("40001", "isv.missing-method", False),
        ("40003", "isv.insufficient-conditions", False), ("40006", "isv.insufficient-isv-permissions", False),
    ],
)  # fmt: skip
def test_what_the_codes_refuse(code: str, sub_code: str, all_of_it: bool) -> None:
    assert answer_of(Misconfigured(code, sub_code)).told == {"misconfigured": True} | ({} if all_of_it else {"of_kind": True})
