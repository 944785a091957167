"""What can go wrong between the channel and the books, and has no home elsewhere. ``test_fault_table.py`` lists all of it."""

import threading
from datetime import date, timedelta
from urllib.parse import quote_from_bytes, urlencode

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from marketplace.catalogue.product import Pack
from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, MarketError
from marketplace.jobs import payments as jobs
from marketplace.orders import cancellation, order_refund
from marketplace.orders.order import locked_order
from marketplace.payments import bill_import, call, seller_channel, sweep
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import Misconfigured
from marketplace.payments.channel import Answer
from marketplace.payments.payable import Payable
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import books
from tests import builders
from tests.orders import trade
from tests.payments.gateway import WrittenChannel
from tests.payments.test_payment_notice import FORM, _heard, _signed, _waiting, keys, private

__all__ = ["keys", "private"]


def unsound() -> list[str]:
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok]


def test_news_in_the_wrong_order_changes_nothing(app: Flask, private: str) -> None:
    """SUCCESS after FINISHED, and a late WAIT_BUYER_PAY."""
    market, order_id, payment = _waiting()
    for status in ("TRADE_FINISHED", "TRADE_SUCCESS", "WAIT_BUYER_PAY"):
        assert _heard(app, _signed(payment, private, trade_status=status, notify_id=status)).text == "success"
    assert (trade.order(order_id).payment, trade.held(market, "buyer_funds")) == ("PAID", 17600)


def test_a_notice_that_comes_before_our_own_commit_is_told_again(app: Flask, private: str) -> None:
    market, _, payment = _waiting()
    form = _signed(payment, private)
    with db.engine.begin() as connection:  # as if the attempt were not committed yet
        connection.execute(update(Payment).values(out_trade_no="not-yet"))
    assert _heard(app, form).status_code == 400
    with db.engine.begin() as connection:
        connection.execute(update(Payment).values(out_trade_no=payment.out_trade_no))
    assert _heard(app, form).text == "success"
    assert trade.held(market, "buyer_funds") == 17600


def test_a_notice_while_the_database_is_down_is_told_again(app: Flask, private: str) -> None:
    market, _, payment = _waiting()
    form = _signed(payment, private)
    app.testing = False
    for broken, mended in (("payment", "gone"), ("alipay_notice", "gone")):  # before it is applied, and after
        with db.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {broken} RENAME TO {mended}"))
        answer = _heard(app, form)
        assert answer.status_code >= 500
        assert answer.text != "success"
        with db.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {mended} RENAME TO {broken}"))
        assert trade.held(market, "alipay") == 0
    assert _heard(app, form).text == "success"
    assert trade.held(market, "buyer_funds") == 17600


def test_a_notice_in_another_encoding_or_a_body_of_ten_megabytes_is_refused(app: Flask, private: str) -> None:
    _, order_id, payment = _waiting()
    form = _signed(payment, private, subject="白茶")
    gbk = "&".join(f"{name}={quote_from_bytes(value.encode('gbk'))}" for name, value in form.items())
    client = app.test_client()
    for body in (gbk, urlencode(form) + "&more=" + "x" * 10_000_000):
        answer = client.post("/alipay/notice", data=body, content_type=FORM)
        assert answer.status_code in (400, 413)
        assert answer.text != "success"
    assert trade.order(order_id).payment == "UNPAID"


def test_a_price_changed_between_two_attempts_changes_no_placed_order(app: Flask) -> None:
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 2))
    (first,) = trade.opened([order_id])
    with transaction():
        db.session.get_one(Pack, market.pack).price_fen = 99_900
    (second,) = trade.opened([order_id])
    amounts = [db.session.get_one(Payment, each).amount_fen for each in (first, second)]
    assert amounts == [17600, 17600]


def test_one_key_never_pays_two_amounts(app: Flask) -> None:
    market = builders.market()
    payable = {"kind": "order", "id": 1, "organisation_id": market.cooperative, "subject": "茶", "expires_at": clock.now() + timedelta(minutes=9)}
    with transaction():
        payments.open_for([Payable(amount_fen=100, **payable)], key="k")  # type: ignore[arg-type]
    with pytest.raises(Conflict), transaction():
        payments.open_for([Payable(amount_fen=101, **payable)], key="k")  # type: ignore[arg-type]


@pytest.mark.both
def test_refunds_at_once_stop_at_what_was_paid(app: Flask) -> None:
    market = builders.market()
    order_id = trade.bought(builders.customer(), (market.pack, 2))
    ready, done = threading.Barrier(8), []

    def pay_back() -> None:
        with app.app_context():
            ready.wait()
            try:
                transaction(lambda: order_refund.pay_back(locked_order(order_id), 5000, "x", person_id=None), attempts=10)
                done.append(5000)
            except MarketError as error:
                done.append(error.code)
            db.session.remove()

    threads = [threading.Thread(target=pay_back) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done, key=str) == [5000] * 3 + ["refund.exceeds"] * 5
    assert trade.order(order_id).refunded_fen == 15000
    assert unsound() == []


@pytest.mark.both
def test_two_workers_send_one_refund_once(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    channel = WrittenChannel(app, refund=[Answer("succeeded")])
    ready = threading.Barrier(4)

    def drain() -> None:
        with app.app_context():
            ready.wait()
            outbox.drain(kinds={"refund"})
            db.session.remove()

    threads = [threading.Thread(target=drain) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each[0] for each in channel.asked] == ["refund"]
    db.session.rollback()
    assert trade.held(market, "alipay") == 0


def test_a_refund_that_the_channel_has_under_another_amount_waits_for_a_person(app: Flask) -> None:
    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    with transaction():
        cancellation.cancel(order_id, actor=buyer)
    WrittenChannel(
        app, refund=[Answer("refused", sub_code="ACQ.DISCORDANT_REPEAT_REQUEST")], refund_query=[Answer("unknown", sub_code="other_amount")]
    )
    assert outbox.drain(kinds={"refund"}) == (0, 1)
    assert db.session.scalars(select(Refund.state)).one() == "unknown"  # never failed: money may have gone
    assert trade.held(market, "refunds_payable") == 17600


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "1e9", "NaN", "Infinity", "", "١٢", "1_000", "9" * 30, "176.01", "0x10"])
def test_an_odd_amount_is_refused_on_the_page_and_asks_for_nothing(app: Flask, amount: str) -> None:
    from tests.web.test_goods import browser

    market = builders.market()
    buyer = builders.customer()
    order_id = trade.bought(buyer, (market.pack, 2))
    trade.shipped(market, order_id)
    order = trade.order(order_id)
    purchase = db.session.scalar(text(f"SELECT public_id FROM purchase WHERE id = {order.purchase_id}"))
    address = f"/orders/{purchase}/return/{order.public_id}"
    client = browser(app, buyer)
    assert client.post(address, data={"yuan": amount, "reason": "少了一罐"}).status_code in (400, 409, 422)
    assert client.post(address, data={"yuan": "１７６．００", "reason": "少了一罐"}).status_code in (302, 303)  # a Chinese keyboard's digits


def test_a_channel_that_refuses_our_keys_is_not_asked_for_every_refund(app: Flask) -> None:
    """A configuration alarm stops the queue for a while: nothing is lost, and it goes on by itself once the key is right."""
    market = builders.market()
    buyer = builders.customer()
    for _ in range(3):
        order_id = trade.bought(buyer, (market.pack, 1))
        with transaction():
            cancellation.cancel(order_id, actor=buyer)
    wrong = Answer("unknown", sub_code="40002/isv.invalid-signature", told={"misconfigured": True})
    channel = WrittenChannel(app, refund=[wrong], refund_query=[wrong])
    assert outbox.drain(kinds={"refund"}) == (0, 3)
    assert len(channel.asked) == 1
    WrittenChannel(app, refund=[Answer("succeeded")], refund_query=[Answer("refused", sub_code="not_refunded")])
    with clock.travel(clock.now() + call.STOPPED + timedelta(minutes=1)):
        assert outbox.drain(kinds={"refund"}) == (3, 0)
    assert trade.held(market, "alipay") == 0


WRONG_KEY = Answer("unknown", sub_code="40002/isv.invalid-signature", told={"misconfigured": True})


def test_a_channel_that_refuses_our_keys_is_asked_about_one_of_three_open_payments(app: Flask) -> None:
    market = builders.market()
    orders = [trade.placed(builders.customer(), (market.pack, 1))[0] for _ in range(3)]
    attempts = [trade.opened([order_id])[0] for order_id in orders]
    channel = WrittenChannel(app, query=[WRONG_KEY])
    soon = clock.now() + timedelta(seconds=11)
    with clock.travel(soon):
        jobs.ask_due()
        assert sweep.due() == []  # the two others are postponed
    assert [each[0] for each in channel.asked] == ["query"]
    WrittenChannel(app, query=[Answer("succeeded", trade=trade.succeeded(each)) for each in attempts])
    with clock.travel(soon + call.STOPPED + timedelta(minutes=1)):
        jobs.ask_due()
    assert [trade.order(order_id).payment for order_id in orders] == ["PAID"] * 3


def test_a_channel_that_refuses_our_keys_is_asked_to_close_one_of_three(app: Flask) -> None:
    market = builders.market()
    for _ in range(3):
        buyer = builders.customer()
        (order_id,) = trade.placed(buyer, (market.pack, 1))
        trade.opened([order_id])
        transaction(lambda number=order_id, by=buyer: cancellation.cancel(number, actor=by))  # type: ignore[misc]
    channel = WrittenChannel(app, close=[WRONG_KEY], query=[WRONG_KEY])
    assert outbox.drain(kinds={"payment.close"}) == (0, 3)
    assert [each[0] for each in channel.asked] == ["close"]
    WrittenChannel(app, close=[Answer("succeeded")], query=[Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")])
    with clock.travel(clock.now() + call.STOPPED + timedelta(minutes=1)):
        assert outbox.drain(kinds={"payment.close"}) == (3, 0)


def test_a_channel_that_refuses_our_keys_is_asked_for_no_bill(app: Flask) -> None:
    """Neither after it refused a question, nor for a second day once it refused the first one's bill."""
    market = builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    (payment_id,) = trade.opened([order_id])
    asked: list[date] = []

    class Shut(WrittenChannel):
        def bill(self, day: date) -> None:
            asked.append(day)
            seller_channel.must_be_taken(Misconfigured("40006", "isv.insufficient-isv-permissions"))

    Shut(app, query=[WRONG_KEY])
    with clock.travel(clock.now() + timedelta(days=4)):
        assert len(bill_import.missing_days()) >= 2
        call.ask(payment_id)
        assert (jobs.fetch_bills(), asked) == (0, [])
    with clock.travel(clock.now() + timedelta(days=4) + call.STOPPED + timedelta(minutes=1)):
        assert jobs.fetch_bills() == 0
    assert len(asked) == 1
