"""Payouts over Alipay of a seller who may not transfer, or not any more: the batch waits, and buyers go on paying."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db
from marketplace.payments import call
from marketplace.payments.alipay_outcome import Misconfigured
from marketplace.payments.channel import EXTENSION, NOT_PERMITTED, Answer
from marketplace.payments.seller_channel import SellerChannel, answer_of
from marketplace.settlement.payout_batch import PayoutBatch
from tests.settlement.alipay_desk import rounds, started, states, transfers
from tests.settlement.test_payout_transfer import open_desk, sound

pytestmark = pytest.mark.both


def test_a_seller_who_may_not_transfer_stops_the_batch_and_nothing_else(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    tried: list[str] = []

    class Unopened(SellerChannel):
        def transfer(self, out_biz_no: str, fen: int, account: str, name: str, title: str) -> Answer:
            tried.append(out_biz_no)
            return answer_of(Misconfigured("40006", "isv.insufficient-isv-permissions"))

    row = started(market, distribution_id)
    opened = app.extensions[EXTENSION]
    app.extensions[EXTENSION] = lambda _organisation_id: Unopened(desk.client)
    rounds()
    stopped = db.session.get_one(PayoutBatch, row.id)
    assert (stopped.stopped_code, len(set(tried)), states(row), desk.went) == (NOT_PERMITTED, 1, ["sent", "sent", "sent"], [])
    assert {each.state for each in transfers(row)} == {"waiting"}
    assert not call.alarm(market.cooperative)  # buyers go on paying
    app.extensions[EXTENSION] = opened
    with clock.travel(clock.now() + timedelta(days=1)):
        rounds(3)
        assert (states(row), desk.went) == (["paid", "paid", "paid"], [1_000, 2_000, 3_000])
    sound()


def test_a_seller_who_went_back_to_plain_keys_is_not_shut_by_our_own_questions(app: Flask) -> None:
    market, distribution_id, desk = open_desk(app)
    row = started(market, distribution_id)
    rounds(2)
    assert states(row) == ["paid", "paid", "paid"]
    app.extensions[EXTENSION] = lambda _organisation_id: SellerChannel(replace(desk.client, certificates=None))
    asked = len(desk.asked)
    db.session.rollback()
    with clock.travel(clock.now() + timedelta(days=2)):
        assert outbox.drain(kinds={"transfer.look"}) == (3, 0)
        assert not call.alarm(market.cooperative)
    assert len(desk.asked) == asked
    assert states(row) == ["paid", "paid", "paid"]
