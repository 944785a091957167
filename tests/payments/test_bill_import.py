"""The day's bill is the channel's last word: what nobody told is learnt from it, its fees are posted, what does not fit is a task."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.emulator.emulator import Emulator
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import Settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.jobs import payments as jobs
from marketplace.orders import cancellation
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_difference, bill_import
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.bill_import import ImportedBill
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.web.test_buying_emulator import emulator, settings

__all__ = ["emulator", "settings"]

DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 4, tzinfo=UTC)  # Beijing noon
NEXT = datetime(2026, 3, 11, 2, 1, tzinfo=UTC)  # a minute after the bill came out


@pytest.fixture
def market(app: Flask, emulator: Emulator) -> Iterator[Market]:
    with clock.travel(NOON):
        market = builders.market(on_hand=100)
        seller = db.session.scalars(select(Cooperative)).one()
        emulator.register_demo_app(seller.alipay_app_id, seller.alipay_seller_id)
        yield market


def opened(market: Market) -> tuple[int, int]:
    """An order for two tins and its attempt."""
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    return order_id, trade.opened([order_id])[0]


def paid_at_the_gateway(emulator: Emulator, payment_id: int, *, fen: int = 17600) -> None:
    """Paid there, and no notice ever came."""
    payment = db.session.get_one(Payment, payment_id)
    emulator.pay_order(app_id=payment.app_id, out_trade_no=payment.out_trade_no, total_fen=fen, subject="茶")


def differences() -> list[tuple[str, int, int]]:
    return [(each.kind, each.ours_fen, each.theirs_fen) for each in db.session.scalars(select(BillDifference).order_by(BillDifference.id))]


def unsound() -> list[str]:
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


def test_a_payment_that_nobody_told_of_is_learnt_with_its_fee(emulator: Emulator, market: Market) -> None:
    order_id, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    assert jobs.fetch_bills() == 0  # not out before ten the next morning
    with clock.travel(NEXT):
        assert jobs.fetch_bills() == 1
        assert jobs.fetch_bills() == 0
    assert trade.order(order_id).payment == "PAID"
    fee = 106  # 0.6 % of ¥176.00
    assert [trade.held(market, kind) for kind in ("alipay", "buyer_funds", "fees")] == [17600 - fee, 17600, fee]
    assert differences() == []
    assert unsound() == []


def test_a_refund_of_unknown_outcome_is_settled_by_the_bill_and_the_fee_goes_back_as_it_says(
    app: Flask, emulator: Emulator, market: Market
) -> None:
    order_id, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    with clock.travel(NEXT):
        jobs.fetch_bills()
        buyer = trade.order(order_id).placed_by_id
        order = trade.order(order_id)
        actor = replace(builders.customer(), person_id=buyer, organisation_id=order.buyer_id)
        db.session.rollback()
        with transaction():
            cancellation.cancel(order_id, actor=actor)
        refund = db.session.scalars(select(Refund)).one()
        number, payment = refund.out_request_no, db.session.get_one(Payment, payment_id)
        # It left, and the answer was lost: here it stands as approved.
        emulator_client = app.extensions["payment_channel"](market.cooperative).client
        emulator_client.refund(payment.out_trade_no, number, 17600, "x")
    with clock.travel(NEXT + timedelta(days=1)):
        assert jobs.fetch_bills() == 1
    assert db.session.scalars(select(Refund.state)).one() == "succeeded"
    assert [trade.held(market, kind) for kind in ("alipay", "fees", "refunds_payable")] == [0, 0, 0]
    assert unsound() == []
    WrittenChannel(app)  # the outbox has nothing left to ask
    with clock.travel(NEXT + timedelta(days=1)):
        assert outbox.drain(kinds={"refund"}) == (1, 0)


def test_a_refund_made_at_the_channel_is_learnt_once(app: Flask, emulator: Emulator, market: Market) -> None:
    order_id, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    payment = db.session.get_one(Payment, payment_id)
    app.extensions["payment_channel"](market.cooperative).client.refund(payment.out_trade_no, "CONSOLE1", 600, "x")
    with clock.travel(NEXT):
        assert jobs.fetch_bills() == 1
    assert (trade.order(order_id).paid_fen, trade.order(order_id).refunded_fen) == (17600, 600)
    refund = db.session.scalars(select(Refund)).one()
    assert (refund.elsewhere, refund.out_request_no, refund.state) == (True, "CONSOLE1", "succeeded")
    assert unsound() == []


def test_what_does_not_fit_is_a_task_and_posts_nothing_but_its_fee(emulator: Emulator, market: Market) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id, fen=17599)
    payment = db.session.get_one(Payment, payment_id)
    emulator.pay_order(app_id=payment.app_id, out_trade_no="ELSEWHERE1", total_fen=500, subject="门店")
    with clock.travel(NEXT):
        assert jobs.fetch_bills() == 1
    assert sorted(differences()) == [("AMOUNT", 17600, 17599), ("ONLY_THEIRS", 0, 500)]
    assert trade.payment_state(payment_id) == "requires_action"
    assert trade.held(market, "buyer_funds") == 0


def test_what_only_our_books_know_is_found_a_day_later(emulator: Emulator, market: Market) -> None:
    trade.paid([opened(market)[0]])  # in the books; the gateway knows nothing of it
    for days, found in ((0, []), (1, [("ONLY_OURS", 17600, 0)]), (2, [("ONLY_OURS", 17600, 0)])):
        with clock.travel(NEXT + timedelta(days=days)):
            jobs.fetch_bills()
        assert differences() == found


def _bill(market: Market, *rows: BillRow, day: date = DAY, seller_id: str = "") -> Bill:
    seller = db.session.scalars(select(Cooperative.alipay_seller_id)).one()
    return Bill(day, seller_id or seller, rows, "0" * 64)


def test_a_bill_is_taken_once_and_never_another_sellers(market: Market) -> None:
    row = BillRow("trade", "2026", "NOBODY", "", 100, -1, NOON)
    first = transaction(lambda: bill_import.take(market.cooperative, _bill(market, row)).id)
    assert transaction(lambda: bill_import.take(market.cooperative, _bill(market, row)).id) == first
    assert trade.held(market, "fees") == 1
    with pytest.raises(Conflict), transaction():
        bill_import.take(market.cooperative, _bill(market))
    with pytest.raises(InvalidInput), transaction():
        bill_import.take(market.cooperative, _bill(market, seller_id="2088000000000009"))
    assert len(list(db.session.scalars(select(ImportedBill)))) == 1


@pytest.mark.parametrize("kind", ["trade", "refund"])
def test_what_one_seller_was_paid_says_nothing_of_anothers_orders(market: Market, kind: str) -> None:
    """The number stands in the cashier's address: a trade of that number may be made in another seller's account."""
    _, payment_id = opened(market)
    stranger = builders.cooperative("别的合作社")
    seller = db.session.scalars(select(Cooperative.alipay_seller_id).where(Cooperative.organisation_id == stranger)).one()
    number = db.session.get_one(Payment, payment_id).out_trade_no
    fen = 17600 if kind == "trade" else -17600
    row = BillRow(kind, "2026031022001", number, "R1" if kind == "refund" else "", fen, 0, NOON)
    transaction(lambda: bill_import.take(stranger, Bill(DAY, seller, (row,), "0" * 64)))
    assert trade.payment_state(payment_id) == "requires_action"
    assert differences() == [("ONLY_THEIRS", 0, fen)]
    assert unsound() == []


def test_a_difference_is_explained_by_its_own_cooperative_once(market: Market) -> None:
    transaction(lambda: bill_import.take(market.cooperative, _bill(market, BillRow("trade", "2026", "NOBODY", "", 100, -1, NOON))))
    number = db.session.scalars(select(BillDifference.id)).one()
    stranger = builders.market(name="土蜂蜜合作社", category="honey")
    for actor, trouble in ((stranger.accountant, NotFound), (market.clerk, NotAllowed)):
        with pytest.raises(trouble), transaction():
            bill_difference.explain(number, "门店收款，不归平台。", actor=actor)
    with pytest.raises(InvalidInput), transaction():
        bill_difference.explain(number, " ", actor=market.accountant)
    transaction(lambda: bill_difference.explain(number, "门店收款，不归平台。", actor=market.accountant))
    with pytest.raises(Conflict), transaction():
        bill_difference.explain(number, "门店收款，不归平台。", actor=market.accountant)


def test_one_sellers_bad_bill_holds_up_nobody(app: Flask, emulator: Emulator, market: Market, settings: Settings) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    honey = builders.market(name="土蜂蜜合作社", category="honey", price_fen=6800)
    (order_id,) = trade.placed(builders.customer(), (honey.pack, 1))
    trade.opened([order_id])  # this seller's application is not known to the gateway
    with clock.travel(NEXT):
        assert jobs.fetch_bills() == 1
    assert trade.held(market, "buyer_funds") == 17600


def test_a_day_whose_own_bill_is_missing_is_not_called_ours_alone(emulator: Emulator, market: Market) -> None:
    """Only when a day's bill and the next day's are there, in whatever order they came, is something missing from them."""
    trade.paid([opened(market)[0]])
    later = [_bill(market, day=DAY + timedelta(days=days)) for days in (1, 2)]
    for bill in reversed(later):
        transaction(lambda came=bill: bill_import.take(market.cooperative, came))
        assert differences() == []
    transaction(lambda: bill_import.take(market.cooperative, _bill(market)))
    assert differences() == [("ONLY_OURS", 17600, 0)]
