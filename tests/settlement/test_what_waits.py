"""What waits for its split, and what is said of it."""

from datetime import date, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.language import said
from marketplace.orders import received, refund_reissue, return_request
from marketplace.payments import bank_refund
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund
from marketplace.reporting import books, cooperative_money
from marketplace.settlement import settlement
from marketplace.settlement.settlement import NotDue
from tests import builders
from tests.orders import trade
from tests.procurement.unit_market import accept, confirmed, match, order_of, receipt, ship, unit_market
from tests.settlement.builders import order


@pytest.mark.both
def test_a_refund_on_its_way_holds_the_split_until_the_channel_has_answered(app: Flask) -> None:
    """Refused after the split, its money would find the order divided already and belong to nobody."""
    market, buyer = builders.market(), builders.customer()
    with clock.travel(clock.now() - timedelta(days=20)):
        order_id = trade.bought(buyer, (market.pack, 2))
        request_id = transaction(lambda: return_request.raise_request(order_id, 8_800, "罐子瘪了", actor=buyer)).id
        transaction(lambda: return_request.approve(request_id, actor=market.accountant))
        trade.shipped(market, order_id)
        transaction(lambda: received.confirm(order_id, actor=buyer))
    with pytest.raises(NotDue, match=r"settlement\.refund_going"):
        transaction(lambda: settlement.settle(order_id))
    assert settlement.settle_due() == []
    (waits,) = cooperative_money.waiting(market.cooperative)
    assert (waits.why, waits.fen) == ("refund_going", 8_800)
    refund_id = db.session.scalars(select(Refund.id)).one()
    transaction(lambda: refunds.fail(refund_id, "ACQ.SELLER_BALANCE_NOT_ENOUGH"))
    with pytest.raises(NotDue, match=r"settlement\.refund_refused"):
        transaction(lambda: settlement.settle(order_id))
    assert settlement.settle_due() == []
    (waits,) = cooperative_money.waiting(market.cooperative)
    assert (waits.why, waits.fen) == ("refund_refused", 17_600)
    again = transaction(lambda: refund_reissue.resend(refund_id, actor=market.accountant)).id
    with pytest.raises(NotDue, match=r"settlement\.refund_going"):
        transaction(lambda: settlement.settle(order_id))
    transaction(lambda: refunds.succeed(again))
    assert settlement.settle_due() == [order_id]
    assert transaction(lambda: settlement.settle(order_id)).base_fen == 8_800
    assert [each.detail for each in books.check() if not each.ok] == []


def test_whoever_waits_for_the_window_is_told_until_when(app: Flask) -> None:
    received_at = clock.beijing_midnight(date(2026, 3, 1))
    order_id = order(builders.market(), 8_800, received_at=received_at)
    with clock.travel(received_at + timedelta(days=1)), pytest.raises(NotDue) as refused:
        transaction(lambda: settlement.settle(order_id))
    assert said(refused.value) == "退货期到 2026-03-08，过后才能结算。"


@pytest.mark.both
def test_a_transfer_back_that_nobody_has_recorded_holds_the_split(app: Flask) -> None:
    """A pack is short of what a unit had paid: until its money is back with the unit, nobody divides the rest."""
    at = unit_market()
    made = confirmed(at, 10)
    match(at, receipt(at, 80_000), made, 80_000)
    ship(at, made, 9)
    accept(at, made, 9, short=1)
    order_id = order_of(made).id
    with clock.travel(clock.now() + timedelta(days=8)):
        with pytest.raises(NotDue, match=r"settlement\.refund_going"):
            transaction(lambda: settlement.settle(order_id))
        assert settlement.settle_due() == []
        (waits,) = cooperative_money.waiting(at.market.cooperative)
        assert (waits.why, waits.fen) == ("refund_going", 72_000)
        refund_id = db.session.scalars(select(Refund.id)).one()
        transaction(lambda: bank_refund.record(refund_id, "WY2601", clock.business_date(), actor=at.market.accountant))
        assert settlement.settle_due() == [order_id]
        assert transaction(lambda: settlement.settle(order_id)).base_fen == 72_000
    assert [each.detail for each in books.check() if not each.ok] == []
