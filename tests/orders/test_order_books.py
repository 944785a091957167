"""Whatever happens to orders before settlement, every rule of the books holds afterwards."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.orders import cancellation, expiry, order_refund
from marketplace.orders.order import locked_order
from marketplace.payments import payment as payments
from marketplace.payments.channel import Answer
from marketplace.reporting import books
from tests import builders
from tests.orders import trade
from tests.payments.gateway import WrittenChannel


@pytest.mark.both
def test_the_books_hold_after_a_day_of_trouble(app: Flask) -> None:
    market = builders.market(on_hand=50)
    buyer = builders.customer()
    kept, cancelled, part, refused = (trade.bought(buyer, (market.pack, count)) for count in (2, 1, 3, 4))
    trade.shipped(market, kept)
    (late,) = trade.placed(buyer, (market.pack, 5))
    (late_payment,) = trade.opened([late])
    outcome = trade.succeeded(late_payment)
    (twice,) = trade.placed(buyer, (market.pack, 2))
    for payment_id in [*trade.opened([twice]), *trade.opened([twice])]:
        again = trade.succeeded(payment_id)
        with transaction():
            payments.apply(again)
    with transaction():
        cancellation.cancel(cancelled, actor=buyer)
        order_refund.pay_back(locked_order(part), 10_001, "part", person_id=None)
    done = Answer("succeeded")
    never = Answer("refused", sub_code="ACQ.TRADE_HAS_FINISHED")
    WrittenChannel(
        app, refund=[done, done, done, never], close=[Answer("succeeded")], query=[Answer("unknown")]
    )
    assert outbox.drain(kinds={"refund"})[1] == 0
    with clock.travel(clock.now() + timedelta(minutes=31)):
        with transaction():
            expiry.expire_due()
        with transaction():
            payments.apply(outcome)
            order_refund.pay_back(locked_order(refused), 777, "refused", person_id=None)
    db.session.rollback()
    assert _breaches() == []
    with clock.travel(clock.now() + timedelta(minutes=32)):
        outbox.drain(kinds={"refund"})
    db.session.rollback()
    assert _breaches() == []


def _breaches() -> list[str]:
    return [f"{finding.rule}: {finding.detail}" for finding in books.check() if not finding.ok]
