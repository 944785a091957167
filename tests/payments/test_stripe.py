"""The Stripe channel against localstripe, which others wrote, over its real protocol: whatever comes first, second or twice, the books
are the same; what localstripe lacks (idempotency, no refund beyond the payment, limits) is held by us."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from stripe import WebhookSignature

from marketplace.api.stripe_notice import LARGEST
from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, OutsideFailure
from marketplace.jobs.payments import ask_due
from marketplace.ledger import balance
from marketplace.orders import cancellation, order_payment, return_request
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.payments import call, channel_key, stripe_event, sweep
from marketplace.payments.call import PaymentCall
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.payments.stripe_api import LEAST_FEN
from marketplace.reporting import books
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.keys_seen import add_stripe, confirm, switch
from tests.payments.stripe_desk import SECRET, Desk, served

ACCOUNT = "acct_1TeaCooperative"


def takes_cards(market: Market, **changed: str) -> None:
    """Open the channel: one person adds the key, another confirms it and switches to it."""
    given = {"account": ACCOUNT, "secret_key": "sk_test_0123456789", "webhook_secret": SECRET} | changed
    added = transaction(lambda: add_stripe(market.cooperative, **given, actor=market.accountant).id)
    transaction(lambda: confirm(added, actor=market.director))
    transaction(lambda: switch(added, actor=market.director))


def opened(order_id: int, key: str = "k") -> Payment:
    """An attempt by card with its page."""
    payment_id = transaction(lambda: order_payment.open_for_orders([order_id], key=key, channel="stripe")[0].id)
    call.announce([payment_id], "checkout")
    return found(payment_id)


def found(payment_id: int) -> Payment:
    db.session.rollback()
    return db.session.get_one(Payment, payment_id)


@pytest.fixture
def sold(app: Flask) -> tuple[Market, Actor, int]:
    market, buyer = builders.market(), builders.customer()
    takes_cards(market)
    (order_id,) = trade.placed(buyer, (market.pack, 1))
    return market, buyer, order_id


def event(payment: Payment, kind: str = "payment_intent.succeeded", **changed: Any) -> bytes:
    """An event as Stripe writes it."""
    thing = {
        "id": f"pi_{payment.id}", "amount": payment.amount_fen, "currency": "cny", "status": "succeeded", "created": 1764000000,
        "metadata": {"out_trade_no": payment.out_trade_no},
    }  # fmt: skip
    thing |= changed.pop("thing", {})
    return json.dumps({"id": "evt_1", "object": "event", "type": kind, "livemode": False, "data": {"object": thing}} | changed).encode()


def told(app: Flask, market: Market, body: bytes, *, secret: str = SECRET, at: int | None = None, header: str | None = None, asks: bool = True) -> int:
    """Post an event to the cooperative's address, and have a worker ask Stripe about it; the status."""
    at = int(time.time()) if at is None else at
    signature = WebhookSignature._compute_signature(f"{at}.{body.decode()}", secret)
    db.session.rollback()
    address = db.session.get_one(Organisation, market.cooperative).public_id
    headers = {"Stripe-Signature": f"t={at},v1={signature}" if header is None else header}
    status = app.test_client().post(f"/stripe/notice/{address}", data=body, headers=headers).status_code
    if asks:
        asked()
    return status


def asked() -> tuple[int, int]:
    """Have a worker ask Stripe what events gave reason to ask about; (answered, postponed)."""
    db.session.rollback()
    return outbox.drain(kinds={stripe_event.QUEUE})


def stand(market: Market) -> dict[str, int]:
    db.session.rollback()
    assert [each for each in books.check() if not each.ok] == []
    return {kind: fen for kind in ("stripe", "alipay", "buyer_funds", "unapplied", "refunds_payable") if (fen := balance.held(kind, market.cooperative))}


def drained() -> None:
    outbox.drain(kinds={"refund", "payment.close", "payment.query"})


def test_a_card_pays_an_order_and_the_webhook_says_so(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """Over HTTP from end to end: the page, the payment, and localstripe's own signed event."""
    market, _buyer, order_id = sold
    payment = opened(order_id)
    assert (payment.channel, payment.app_id, payment.state) == ("stripe", ACCOUNT, "requires_action")
    assert call.page_of(payment.id) == f"{desk.url}/pay/{payment.precreated}"
    address = db.session.get_one(Organisation, market.cooperative).public_id
    with served(app) as shop:
        desk.webhook_to(f"{shop}/stripe/notice/{address}")
        desk.pay(str(payment.precreated))
        until = time.monotonic() + 30
        while found(payment.id).state != "succeeded":
            assert time.monotonic() < until, "no event was heard"
            time.sleep(0.1)
            asked()
    assert db.session.get_one(Order, order_id).payment == "PAID"
    assert stand(market) == {"stripe": payment.amount_fen, "buyer_funds": payment.amount_fen}
    assert call.ask(payment.id) == "succeeded"  # asked after it was told: nothing more
    assert stand(market) == {"stripe": payment.amount_fen, "buyer_funds": payment.amount_fen}


@pytest.mark.parametrize("order", [("ask", "intent", "session"), ("session", "intent", "ask"), ("intent", "intent", "ask"), ("ask", "ask", "session")])
def test_any_order_of_news_leads_to_the_same_books(app: Flask, desk: Desk, sold: tuple[Market, Actor, int], order: tuple[str, ...]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    fen, number = payment.amount_fen, payment.id
    intent = desk.sessions[str(payment.precreated)]["payment_intent"]
    bodies = {
        "intent": event(payment, thing={"id": intent}),
        "session": event(
            payment, "checkout.session.completed",
            thing={"id": payment.precreated, "status": "complete", "payment_status": "paid", "amount_total": fen, "payment_intent": intent},
        ),
    }  # fmt: skip
    assert call.ask(number) == "requires_action"
    desk.pay(str(payment.precreated))
    for news in order:
        if news == "ask":
            call.ask(number)
        else:
            assert told(app, market, bodies[news]) == 200
    assert (found(number).state, found(number).trade_no) == ("succeeded", intent)
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}


def test_an_event_is_taken_only_if_it_is_signed_lately_and_of_a_payment_of_ours(app: Flask, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment_id = transaction(lambda: order_payment.open_for_orders([order_id], key="k", channel="stripe")[0].id)
    payment = found(payment_id)
    body, now = event(payment), int(time.time())
    for refused in (
        {"secret": "whsec_other"}, {"at": now - 301}, {"header": ""}, {"header": "t=1,v1=00"}, {"header": f"t={now},v0=abcdefabcdef"}, {"header": "x" * 5000},
    ):  # fmt: skip
        assert told(app, market, body, **refused) == 400, refused  # type: ignore[arg-type]
    for junk in (b"[]", b"{}", b'{"object":"event","data":{"object":[]}}', b"no json"):
        assert told(app, market, junk) == 400, junk
    assert told(app, market, event(payment, account="acct_of_others")) == 400
    assert app.test_client().post("/stripe/notice/nobody", data=body).status_code == 404
    seller = db.session.get_one(Organisation, market.cooperative).public_id
    assert app.test_client().post(f"/stripe/notice/{seller}", data=b"x" * (LARGEST + 1)).status_code == 413
    other = builders.market(name="另一家")
    assert told(app, other, body) == 400  # it has no channel
    takes_cards(other, account="acct_1OtherCooperative")
    # Rightly signed, and nothing to ask Stripe about: kept for a person, nothing posted.
    assert told(app, other, body) == 200
    for unfit in ({"metadata": {"out_trade_no": "20260101"}}, {"id": ""}, {"id": "../v1/balance"}):
        assert told(app, market, event(payment, thing=unfit)) == 200
    db.session.rollback()
    outcomes = db.session.scalars(select(AlipayNotice.outcome).order_by(AlipayNotice.id)).all()
    assert outcomes == ["refused:unknown", "refused:unknown", "refused:missing", "refused:missing"]
    assert {row.channel for row in db.session.scalars(select(AlipayNotice))} == {"stripe"}
    # Of somebody else's sale in the same account: none of our business.
    assert told(app, market, event(payment, thing={"metadata": {}})) == 200
    assert told(app, market, event(payment, "customer.created")) == 200
    assert (found(payment_id).state, stand(market)) == ("created", {})  # its page was never made


def test_a_paid_order_is_refunded_in_parts_and_never_beyond(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    desk.keeps_keys = False  # as localstripe is, and Stripe itself after a day
    payment = opened(order_id)
    fen, number = payment.amount_fen, payment.id
    desk.pay(str(payment.precreated))
    call.ask(number)
    asked = transaction(lambda: return_request.raise_request(order_id, 300, "少了", actor=buyer).id)
    transaction(lambda: return_request.approve(asked, actor=market.director))
    desk.faults = [("POST /v1/refunds", "after")]  # it happened, and nobody was told
    drained()
    refund = db.session.scalars(select(Refund)).one()
    assert (refund.state, refund.way) == ("unknown", "stripe")
    transaction(_due)
    drained()
    db.session.rollback()
    assert db.session.scalars(select(Refund.state)).all() == ["succeeded"]
    intent = str(found(number).trade_no)
    assert [each["amount"] for each in desk.ask("GET", f"/v1/refunds?payment_intent={intent}")["data"]] == [300]
    assert stand(market) == {"stripe": fen - 300, "buyer_funds": fen - 300}
    # More was given back on Stripe's own pages than is left to give: localstripe would pay it, we do not.
    channel = call.client_for(market.cooperative, "stripe", trade_no=intent)
    desk.ask("POST", "/v1/refunds", payment_intent=intent, amount=str(fen - 400))
    db.session.rollback()
    assert channel.refund(found(number).out_trade_no, "R-more", 200, "").sub_code == "exceeds_paid"
    assert channel.refund("another", "R-more", 1, "").sub_code == "other_payment"
    assert channel.refund_query(found(number).out_trade_no, "R-more", 200).sub_code == "not_refunded"
    db.session.rollback()
    # The query learns of it, and the books follow.
    call.ask(number)
    assert stand(market) == {"stripe": 100, "buyer_funds": 100}


def _due() -> None:
    for row in db.session.scalars(select(outbox.OutboxMessage).where(outbox.OutboxMessage.done_at.is_(None))):
        row.due_at = row.due_at.replace(year=2020)


def test_an_attempt_has_its_next_action_once_its_page_is_made(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    _market, _buyer, order_id = sold
    payment_id = transaction(lambda: order_payment.open_for_orders([order_id], key="k", channel="stripe")[0].id)
    assert (found(payment_id).state, call.ask(payment_id)) == ("created", "created")  # asked about, and not opened
    desk.faults = [("POST /v1/checkout/sessions", "before")]
    with pytest.raises(OutsideFailure, match=r"channel\.unavailable"):
        call.announce([payment_id], "checkout")
    assert found(payment_id).state == "created"
    call.announce([payment_id], "checkout")
    assert found(payment_id).state == "requires_action"
    assert call.ask(payment_id) == "requires_action"


def test_a_page_asked_for_twice_is_one_page(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    _market, _buyer, order_id = sold
    desk.faults = [("POST /v1/checkout/sessions", "after"), ("POST /v1/checkout/sessions", "busy")]
    for _ in range(2):
        with pytest.raises(OutsideFailure, match=r"channel\.unavailable"):
            opened(order_id)
    payment = opened(order_id)
    assert list(desk.sessions) == [payment.precreated]
    assert opened(order_id).precreated == payment.precreated
    outcomes = [row.outcome for row in db.session.scalars(select(PaymentCall).order_by(PaymentCall.id))]
    assert outcomes == ["unknown", "unknown", "succeeded"]


def test_a_cancelled_order_closes_its_page_and_late_money_goes_back(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    first = opened(order_id, "a")
    late = opened(order_id, "b")
    pages = [str(first.precreated), str(late.precreated)]
    desk.pay(pages[1])
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    drained()
    drained()
    assert [desk.sessions[page]["status"] for page in pages] == ["expired", "complete"]
    db.session.rollback()
    assert [row.state for row in db.session.scalars(select(Payment).order_by(Payment.id))] == ["canceled", "late_paid"]
    assert [(row.state, row.way) for row in db.session.scalars(select(Refund))] == [("succeeded", "stripe")]
    assert stand(market) == {}


def test_nobody_heard_and_the_sweeper_asks(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    number = payment.id
    desk.pay(str(payment.precreated))
    desk.faults = [("GET /v1/checkout/sessions", "before")]
    with clock.travel(clock.now() + timedelta(seconds=15)):
        assert sweep.due() == [number]
        db.session.rollback()
        ask_due()
        assert found(number).state == "processing"  # no answer: the buyer may have paid
    with clock.travel(clock.now() + timedelta(minutes=3)):
        ask_due()
    assert found(number).state == "succeeded"
    assert set(stand(market)) == {"stripe", "buyer_funds"}


def test_what_stripe_keeps_is_a_fee_of_the_books_once(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    fen, number = payment.amount_fen, payment.id
    desk.fee = 299
    desk.pay(str(payment.precreated))
    call.ask(number)
    assert outbox.drain(kinds={"payment.fee"}) == (0, 0)  # not yet known
    desk.faults = [("GET /v1/payment_intents", "busy")]
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert outbox.drain(kinds={"payment.fee"}) == (0, 1)
    with clock.travel(clock.now() + timedelta(minutes=12)):
        assert outbox.drain(kinds={"payment.fee"}) == (1, 0)
    transaction(lambda: outbox.put("payment.fee", str(number), {"payment_id": number}))
    assert outbox.drain(kinds={"payment.fee"}) == (1, 0)  # asked again: posted already
    assert stand(market) == {"stripe": fen - 299, "buyer_funds": fen}
    db.session.rollback()
    assert balance.held("fees", market.cooperative) == 299


def test_a_key_that_stripe_does_not_know_is_an_alarm_and_loses_nothing(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment = opened(order_id)
    desk.pay(str(payment.precreated))
    call.ask(payment.id)
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    desk.faults = [("GET /v1/payment_intents", "unauthorised")]
    drained()
    assert (call.alarm(market.cooperative, "stripe"), call.alarm(market.cooperative)) == (True, False)  # its Alipay goes on
    transaction(_due)
    drained()  # stopped, not refused
    db.session.rollback()
    assert db.session.scalars(select(Refund.state)).all() == ["unknown"]


def test_only_what_stripe_takes_and_only_where_it_is_open(app: Flask) -> None:
    market, buyer = builders.market(price_fen=100), builders.customer()
    (order_id,) = trade.placed(buyer, (market.pack, 1))
    takes_cards(market)
    order = db.session.get_one(Order, order_id)
    order.freight_fen, order.total_fen = 0, order.goods_fen
    assert order.total_fen < LEAST_FEN
    db.session.commit()
    with pytest.raises(Conflict, match=r"channel\.amount"):
        transaction(lambda: order_payment.open_for_orders([order_id], key="k", channel="stripe"))
    dear = builders.market(name="贵的")
    (other,) = trade.placed(builders.customer(), (dear.pack, 1))
    with pytest.raises(Conflict, match=r"channel\.closed"):
        transaction(lambda: order_payment.open_for_orders([other], key="k", channel="stripe"))
    assert (order_payment.may_pay_over("stripe", 399), order_payment.may_pay_over("stripe", 400)) == (False, True)
    assert (order_payment.may_pay_over("stripe", 99_999_999), order_payment.may_pay_over("stripe", 100_000_000)) == (True, False)


def test_a_key_is_checked_sealed_and_switched_by_a_second_person(app: Flask) -> None:
    market = builders.market()
    good = {"account": ACCOUNT, "secret_key": "sk_test_0123456789", "webhook_secret": SECRET}
    for field, wrong in (("account", "tea"), ("secret_key", "pk_test_0123456789"), ("secret_key", "sk_live_0123456789"), ("webhook_secret", "sk_test_1")):
        with pytest.raises(InvalidInput):
            transaction(lambda given=good | {field: wrong}: add_stripe(market.cooperative, **given, actor=market.director))  # type: ignore[misc]
    for who in (market.clerk, builders.customer()):
        with pytest.raises(NotAllowed):
            transaction(lambda who=who: add_stripe(market.cooperative, **good, actor=who))  # type: ignore[misc]
    added = transaction(lambda: add_stripe(market.cooperative, **good, actor=market.director).id)
    db.session.rollback()
    assert "sk_test" not in db.session.get_one(channel_key.ChannelKey, added).material_sealed
    with pytest.raises(NotAllowed, match=r"key\.own"):
        transaction(lambda: switch(added, actor=market.director))
    other = builders.person(market.cooperative, "director")
    with pytest.raises(Conflict, match=r"key\.unconfirmed"):
        transaction(lambda: switch(added, actor=other))
    for step in (confirm, switch):
        transaction(lambda step=step: step(added, actor=other))  # type: ignore[misc]
    db.session.rollback()
    assert channel_key.with_channel("stripe", [market.cooperative]) == {market.cooperative}


def test_events_signed_with_either_secret_are_believed_until_the_old_one_is_retired(app: Flask, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = found(transaction(lambda: order_payment.open_for_orders([order_id], key="k", channel="stripe")[0].id))
    body = event(payment, "payment_intent.processing")
    new = "whsec_the_new_one_1234"
    parts = {"account": ACCOUNT, "secret_key": "sk_test_new_0123456789", "webhook_secret": new}
    added = transaction(lambda: add_stripe(market.cooperative, **parts, actor=market.accountant).id)
    assert (told(app, market, body), told(app, market, body, secret=new)) == (200, 400)  # one person's word for it
    transaction(lambda: confirm(added, actor=market.director))
    assert (told(app, market, body), told(app, market, body, secret=new)) == (200, 200)
    transaction(lambda: switch(added, actor=market.director))
    assert (told(app, market, body), told(app, market, body, secret=new)) == (200, 200)
    db.session.rollback()
    (old,) = (row.id for row in channel_key.history(market.cooperative) if row.state == "OLD")
    with pytest.raises(Conflict, match=r"key\.state"):
        transaction(lambda: channel_key.retire(added, actor=market.director))
    transaction(lambda: channel_key.retire(old, actor=market.director))
    assert (told(app, market, body), told(app, market, body, secret=new)) == (400, 200)
    db.session.rollback()
    assert db.session.get_one(channel_key.ChannelKey, old).material_sealed == ""
