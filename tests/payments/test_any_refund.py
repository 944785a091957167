"""A refund that the channel refuses, loses or carries out late, stopped and made again by people, told of by anybody in any order and however
often: in the end the books say what left, each refund stands as it went, and a buyer who was paid twice is somebody's task."""

from contextlib import suppress
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.orders import order_refund, refund_reissue
from marketplace.orders.order import locked_order
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_import, refund_call, refund_loss
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.channel import EXTENSION, NOT_REFUNDED, Answer
from marketplace.payments.payment import Payment
from marketplace.payments.refund import LEFT, Refund
from marketplace.reporting import books
from tests import builders
from tests.orders import trade

PAID = 17600
SAID = ("send", "send", "send again", "stop", "make again", "arrive", "tell", "bill", "ask")
_days = count()


class Gateway:
    """What becomes of the first refund is ``manner``: refused, or lost (it may still ``arrive``); of the next ones, that they are made at once.
    Never more goes back than was paid."""

    def __init__(self, app: Flask, manner: str) -> None:
        self.manner = manner
        self.made: dict[str, int] = {}  # out_request_no → fen, in the order in which they left
        self.lost: dict[str, int] = {}
        self.first = ""
        app.extensions[EXTENSION] = lambda organisation_id: self

    def refund(self, out_trade_no: str, out_request_no: str, fen: int, reason: str) -> Answer:
        self.first = self.first or out_request_no
        if out_request_no in self.made:
            return Answer("unknown")  # repeated
        if out_request_no == self.first and self.manner == "refuses":
            return Answer("refused", sub_code="ACQ.TRADE_NOT_ALLOW_REFUND")
        if out_request_no == self.first:
            self.lost[out_request_no] = fen
            return Answer("unknown")
        return Answer("succeeded") if self._make(out_request_no, fen) else Answer("refused", sub_code="ACQ.REFUND_AMT_NOT_EQUAL_TOTAL")

    def refund_query(self, out_trade_no: str, out_request_no: str, fen: int) -> Answer:
        return Answer("succeeded") if out_request_no in self.made else Answer("refused", sub_code=NOT_REFUNDED)

    def arrive(self) -> None:
        for number, fen in list(self.lost.items()):
            self._make(number, fen)
        self.lost.clear()

    def _make(self, number: str, fen: int) -> bool:
        fits = sum(self.made.values()) + fen <= PAID
        if fits:
            self.made[number] = fen
        return fits


class Story:
    """One paid order, one refund of ``fen`` of it, and whatever is said and done about it."""

    def __init__(self, app: Flask, manner: str, fen: int) -> None:
        self.gateway, self.market = Gateway(app, manner), builders.market()
        self.order_id = trade.bought(builders.customer(), (self.market.pack, 2))
        self.payment_id = db.session.scalars(select(Payment.id).where(Payment.payable_id == self.order_id)).one()
        self.trade_no = db.session.get_one(Payment, self.payment_id).trade_no or ""
        self.out_trade_no = db.session.get_one(Payment, self.payment_id).out_trade_no
        self.seller = db.session.scalars(select(Cooperative.alipay_seller_id).where(Cooperative.organisation_id == self.market.cooperative)).one()
        self.at, self.hours, self.billed = clock.now(), 0, set[str]()
        db.session.rollback()
        transaction(lambda: order_refund.pay_back(locked_order(self.order_id), fen, "少了", person_id=None))

    def hear(self, said: str) -> None:
        """One thing after the other, an hour between them."""
        self.hours += 1
        with clock.travel(self.at + timedelta(hours=self.hours)):
            if said.startswith("send"):
                outbox.drain(kinds={"refund", "refund.ask"})
            elif said == "stop":
                for number in self._refunds(("submitting", "unknown")):
                    refund_call.stop(number)
            elif said == "make again":
                for number in self._refunds(("failed",)):
                    with suppress(Conflict):  # made again already, or it has left
                        transaction(lambda each=number: refund_reissue.resend(each, actor=self.market.accountant))  # type: ignore[misc]
            elif said == "arrive":
                self.gateway.arrive()
            elif said == "ask":
                for number in self._refunds(("approved", "submitting", "unknown", "succeeded", "failed")):
                    refund_call.ask_again(number)
            elif said == "tell":
                self._tell()
            elif said == "bill":
                self._bill()
        db.session.rollback()

    def _refunds(self, states: tuple[str, ...]) -> list[int]:
        found = list(db.session.scalars(select(Refund.id).where(Refund.payment_id == self.payment_id, Refund.state.in_(states)).order_by(Refund.id)))
        db.session.rollback()
        return found

    def _tell(self) -> None:
        """A notice of each that left, with the sum until then; as late as it may be."""
        gone = 0
        for number, fen in self.gateway.made.items():
            gone += fen
            outcome = trade.succeeded(self.payment_id, trade_no=self.trade_no, at=self.at, refunded_fen=gone, refund_no=number)
            db.session.rollback()
            transaction(lambda each=outcome: payments.apply(each))  # type: ignore[misc]

    def _bill(self) -> None:
        fresh = [(number, fen) for number, fen in self.gateway.made.items() if number not in self.billed]
        self.billed |= {number for number, _ in fresh}
        rows = tuple(BillRow("refund", self.trade_no, self.out_trade_no, number, -fen, 0, self.at) for number, fen in fresh)
        day = date(2020, 1, 1) + timedelta(days=next(_days))
        transaction(lambda: bill_import.take(self.market.cooperative, Bill(day, self.seller, rows, "0" * 64)))

    def finish(self) -> None:
        """Nobody does anything more; what is on its way comes to its end."""
        for said in ("arrive", "send", "send", "tell", "bill", "send", "stop", "send"):
            self.hear(said)


@given(manner=st.sampled_from(("refuses", "loses")), fen=st.sampled_from((1, 3000, PAID)), data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_what_becomes_of_a_refund_ends_in_true_books(app: Flask, manner: str, fen: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(SAID))
    story = Story(app, manner, fen)
    for said in order:
        story.hear(said)
    story.finish()
    made, market = story.gateway.made, story.market
    rows = list(db.session.scalars(select(Refund).where(Refund.payment_id == story.payment_id).order_by(Refund.id)))
    counts = [each for each in rows if each.state == "succeeded"]
    beyond = [each for each in rows if each.sub_code == LEFT]
    assert {each.out_request_no for each in (*counts, *beyond)} == set(made), order
    assert ({each.state for each in rows} <= {"succeeded", "failed"}, len(counts)) == (True, min(1, len(made))), order
    # The order gave it back once, however often it left: what left twice comes out of no household's share.
    left = PAID - sum(each.fen for each in counts)
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "refunds_payable")] == [left, left, 0], order
    assert trade.order(story.order_id).refunded_fen == PAID - left
    twice = list(db.session.execute(select(BillDifference.kind, BillDifference.ours_fen).where(BillDifference.out_trade_no == story.out_trade_no)))
    if len(made) == 2:
        assert twice == [("TWICE", 0)], order
    else:
        # Both may have seemed to go: then somebody looked, and it was one.
        assert set(twice) <= {("TWICE", 0)}, order
    for number in [each.id for each in beyond]:
        db.session.rollback()
        loss = transaction(lambda number=number: refund_loss.propose(number, "打过三次电话，买家不还。", actor=market.accountant).id)  # type: ignore[misc]
        transaction(lambda loss=loss: refund_loss.decide(loss, actor=market.director, version=1, approved=True))  # type: ignore[misc]
    assert trade.held(market, "alipay") == PAID - sum(made.values()), order
    assert [each.detail for each in books.check() if not each.ok] == []
    offered = select(Refund.id).where(Refund.payment_id == story.payment_id, Refund.state == "failed")
    for number in list(db.session.scalars(offered)) if made else []:
        db.session.rollback()
        with pytest.raises(Conflict), transaction():
            refund_reissue.resend(number, actor=market.accountant)


def test_the_story_can_pay_a_buyer_twice(app: Flask) -> None:
    """What the property above rests on: there are orders in which both leave."""
    story: Any = Story(app, "loses", 3000)
    for said in ("send", "stop", "make again", "send", "arrive", "bill"):
        story.hear(said)
    assert len(story.gateway.made) == 2
    assert [each.kind for each in db.session.scalars(select(BillDifference))] == ["TWICE"]
