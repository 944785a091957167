"""A payment that came too late goes back, also if a part of it went back on the channel's own pages meanwhile: then it is the rest."""

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.orders import refund_reissue
from marketplace.payments import payment as payments
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund, RefundTooMuch
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade

pytestmark = pytest.mark.both

PAYEE = ("王小明", "6217 0000 1111 2222", "靖安农商银行")


def refused(market: Market, elsewhere_fen: int) -> int:
    """The refund of a second payment of one order, which the channel refused for good after staff gave a part of it back; its id."""
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    (first,), (second,) = trade.opened([order_id]), trade.opened([order_id])
    for payment_id in (first, second):
        paid = trade.succeeded(payment_id)
        transaction(lambda said=paid: payments.apply(said))  # type: ignore[misc]
    fen = db.session.get_one(payments.Payment, second).amount_fen
    number = db.session.scalars(select(Refund.id).where(Refund.payment_id == second)).one()
    db.session.rollback()
    transaction(lambda: refunds.fail(number, "ACQ.TRADE_HAS_FINISHED"))
    told = trade.succeeded(second, at=clock.now(), refunded_fen=min(elsewhere_fen, fen), refund_no="CONSOLE-1", by_number=True)
    assert transaction(lambda: payments.apply(told)) == "refunded_elsewhere"
    return number


@pytest.mark.parametrize("way", ["alipay", "bank"])
def test_the_rest_of_a_late_payment_goes_back(app: Flask, way: str) -> None:
    market = builders.market()
    number = refused(market, 4_000)
    left = trade.held(market, "unapplied")
    if way == "alipay":
        again = transaction(lambda: refund_reissue.resend(number, actor=market.accountant).id)
    else:
        proposed = transaction(lambda: refund_reissue.propose(number, *PAYEE, actor=market.accountant).id)
        again = transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director).refund_id or 0)
    assert left == db.session.get_one(Refund, number).fen - 4_000 == db.session.get_one(Refund, again).fen
    assert [trade.held(market, kind) for kind in ("unapplied", "refunds_payable")] == [0, left]
    assert [each.detail for each in books.check() if not each.ok] == []


def test_what_went_back_whole_is_not_given_back_again(app: Flask) -> None:
    market = builders.market()
    number = refused(market, 10**6)
    with pytest.raises(RefundTooMuch), transaction():
        refund_reissue.resend(number, actor=market.accountant)
