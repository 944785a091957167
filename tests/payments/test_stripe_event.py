"""An event of Stripe's is the reason to ask Stripe, and nothing more: whoever got hold of the webhook's secret can make nobody's order paid."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.outbox import OutboxMessage
from marketplace.organisations.actor import Actor
from marketplace.payments import call
from marketplace.payments.call import PaymentCall
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.stripe_event import ASKING
from marketplace.reporting import money_alarm, money_health, payment_story
from marketplace.web import payment_words
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.stripe_desk import Desk
from tests.payments.test_stripe import asked, event, found, opened, sold, stand, takes_cards, told

__all__ = ["sold"]


def intent_of(desk: Desk, payment: Payment) -> str:
    return str(desk.sessions[str(payment.precreated)]["payment_intent"])


def outcomes() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(AlipayNotice.outcome).order_by(AlipayNotice.id)))


def for_people() -> int:
    """How many notices wait for a person, which is an alarm too."""
    db.session.rollback()
    assert "notices" in {each.name for each in money_alarm.frequent()}
    return next(each.count for each in money_health.standing() if each.name == "notices")


@pytest.mark.parametrize("kind", ["payment_intent.succeeded", "checkout.session.completed", "charge.refunded"])
def test_a_forged_event_with_a_right_signature_pays_nothing_and_is_an_alarm(app: Flask, desk: Desk, sold: tuple[Market, Actor, int], kind: str) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    intent, page, fen = intent_of(desk, payment), str(payment.precreated), payment.amount_fen
    claims: dict[str, dict[str, Any]] = {
        "payment_intent.succeeded": {"id": intent},
        "checkout.session.completed": {"id": page, "status": "complete", "payment_status": "paid", "amount_total": fen, "payment_intent": intent},
        "charge.refunded": {"id": "ch_1", "payment_intent": intent, "amount_refunded": 100},
    }
    assert told(app, market, event(payment, kind, thing=claims[kind])) == 200
    invented = {each: f"{name[:3]}invented" for each, name in claims[kind].items() if each in ("id", "payment_intent")}
    assert told(app, market, event(payment, kind, id="evt_2", thing=claims[kind] | invented)) == 200
    assert outcomes() == ["refused:not_so", "refused:absent"]
    assert (found(payment.id).state, stand(market)) == ("requires_action", {})
    assert for_people() == 2
    assert trade.order(order_id).payment == "UNPAID"


def test_stripes_amount_and_currency_count_and_not_the_events(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    intent, fen, number = intent_of(desk, payment), payment.amount_fen, payment.id
    desk.pay(str(payment.precreated))
    for other in ({"amount": fen - 1}, {"currency": "usd"}):
        desk.turned[intent] = other
        assert told(app, market, event(payment, id=f"evt_{other}", thing={"id": intent})) == 200
    assert (found(number).state, stand(market)) == ("requires_action", {})
    desk.turned.clear()
    # Stripe says that it was paid whole: it is, and what the event said of it is looked at.
    for at, other in enumerate(({"amount": fen - 1}, {"currency": "usd"}, {})):
        assert told(app, market, event(payment, id=f"evt_{at}", thing={"id": intent} | other)) == 200
        assert (found(number).state, stand(market)) == ("succeeded", {"stripe": fen, "buyer_funds": fen})
    assert outcomes() == ["refused:amount_fen"] * 4 + ["repeated"]
    assert for_people() == 4


def test_another_cooperatives_payment_is_none_of_ours(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """Its number under our signature, and our number with its intent, which has been paid."""
    market, _buyer, order_id = sold
    own = opened(order_id)
    other = builders.market(name="另一家")
    takes_cards(other, account="acct_1Others000", webhook_secret="whsec_others_012345678")
    (theirs_id,) = trade.placed(builders.customer(), (other.pack, 1))
    theirs = opened(theirs_id, "other")
    desk.pay(str(theirs.precreated))
    intent = intent_of(desk, theirs)
    assert told(app, market, event(theirs, thing={"id": intent})) == 200
    assert told(app, market, event(own, thing={"id": intent, "amount": own.amount_fen})) == 200
    assert outcomes() == ["refused:unknown", "refused:elsewhere"]
    assert (found(own.id).state, found(theirs.id).state) == ("requires_action", "requires_action")
    assert (stand(market), stand(other)) == ({}, {})
    assert told(app, other, event(theirs, thing={"id": intent}), secret="whsec_others_012345678") == 200
    assert (found(theirs.id).state, stand(other)["stripe"]) == ("succeeded", theirs.amount_fen)


def test_while_stripe_is_down_an_event_waits_and_loses_nothing(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    fen, number, body = payment.amount_fen, payment.id, event(payment, thing={"id": intent_of(desk, payment)})
    desk.pay(str(payment.precreated))
    desk.down = True
    for _ in range(2):  # Stripe tells it again: it is one event that waits
        assert told(app, market, body) == 200
    assert (outcomes(), found(number).state, stand(market)) == ([ASKING], "requires_action", {})
    db.session.rollback()
    waits = db.session.scalars(select(OutboxMessage).where(OutboxMessage.kind == "stripe.event")).one()
    assert waits.due_at > clock.now()
    assert asked() == (0, 0)  # not before its time
    desk.down = False
    with clock.travel(clock.now() + timedelta(minutes=1)):
        assert asked() == (1, 0)
        assert asked() == (0, 0)
    assert (outcomes(), found(number).state) == (["applied"], "succeeded")
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}
    told_again = db.session.scalars(select(PaymentCall.outcome).where(PaymentCall.kind == "event").order_by(PaymentCall.id)).all()
    assert told_again == ["unknown", "unknown", "succeeded"]


def test_a_key_that_stripe_refuses_holds_the_events_until_it_is_mended(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    number, body = payment.id, event(payment, thing={"id": intent_of(desk, payment)})
    desk.pay(str(payment.precreated))
    desk.faults = [("GET /v1/payment_intents", "unauthorised")]
    assert told(app, market, body) == 200
    assert (outcomes(), call.alarm(market.cooperative, "stripe")) == ([ASKING], True)
    with clock.travel(clock.now() + timedelta(minutes=5)):
        assert asked() == (0, 1)  # stopped, not refused
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert asked() == (1, 0)
    assert (outcomes(), found(number).state) == (["applied"], "succeeded")


def test_a_page_that_ran_out_is_closed_by_stripes_word_and_not_by_the_events(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    page, number, body = str(payment.precreated), payment.id, event(payment, "checkout.session.expired", thing={"id": payment.precreated, "status": "expired"})
    assert told(app, market, body) == 200
    assert found(number).state == "requires_action"
    desk.ask("POST", f"/v1/payment_intents/{intent_of(desk, payment)}/cancel")
    desk.sessions[page]["status"] = "expired"
    assert told(app, market, body) == 200
    assert (outcomes(), found(number).state) == (["pending", "closed"], "canceled")


def test_the_story_of_a_payment_says_that_stripe_was_asked(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    assert told(app, market, event(payment, thing={"id": intent_of(desk, payment)})) == 200
    steps = payment_story.story(found(payment.id))
    assert [step.kind for step in steps if step.kind in ("notice", "call_event")] == ["notice", "call_event"]
    assert {step.kind for step in steps} <= set(payment_words.STEPS)
    assert next(step.data["outcome"] for step in steps if step.kind == "notice").partition(":")[2] in payment_words.UNFIT
