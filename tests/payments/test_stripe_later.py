"""What Stripe says by itself, days later: a refund that the buyer's bank sent back, a dispute, news of an account that was left."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.jobs import payments as jobs
from marketplace.ledger import balance
from marketplace.orders import cancellation, refund_reissue
from marketplace.organisations.actor import Actor
from marketplace.payments import call, channel_key, refund_call, stripe_look
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.stripe_desk import Desk
from tests.payments.test_stripe import ACCOUNT, drained, event, found, opened, sold, stand, takes_cards, told
from tests.web.work_desk import browser

__all__ = ["sold"]


def refund_event(refund: Refund, kind: str, ended: str, **changed: Any) -> bytes:
    """What Stripe says of a refund by itself: it names the refund by the number that we gave it, and no payment of ours. ``id`` is Stripe's."""
    thing = {
        "id": "re_nobody_knows", "object": "refund", "amount": refund.fen, "currency": "cny", "status": ended, "payment_intent": "pi_1",
        "metadata": {"out_request_no": refund.out_request_no},
    } | ({"failure_reason": "expired_or_canceled_card"} if ended == "failed" else {}) | changed  # fmt: skip
    return json.dumps({"id": f"evt_{kind}", "object": "event", "type": kind, "livemode": False, "data": {"object": thing}}).encode()


def refunded(desk: Desk, buyer: Actor, order_id: int, *, drain: bool = True) -> tuple[Payment, Refund]:
    """Paid by card, cancelled, and given back."""
    payment = opened(order_id)
    desk.pay(str(payment.precreated))
    call.ask(payment.id)
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    if drain:
        drained()
    db.session.rollback()
    return found(payment.id), db.session.scalars(select(Refund)).one()


@pytest.mark.parametrize("kind", ["refund.failed", "refund.updated", "charge.refund.updated"])
def test_a_refund_that_the_buyers_bank_sends_back_is_paid_another_way(
    app: Flask, desk: Desk, sold: tuple[Market, Actor, int], kind: str
) -> None:
    """Stripe said succeeded, and days later that the card is no more: the money is in the account again, and the buyer has none."""
    market, buyer, order_id = sold
    payment, refund = refunded(desk, buyer, order_id)
    assert (refund.state, stand(market)) == ("succeeded", {})
    named = desk.refund_of(str(payment.trade_no))
    desk.turned[named] = {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    for _ in range(2):
        assert told(app, market, refund_event(refund, kind, "failed", id=named)) == 200
    db.session.rollback()
    refund = db.session.get_one(Refund, refund.id)
    assert (refund.state, refund.sub_code) == ("failed", "expired_or_canceled_card")
    fen = payment.amount_fen
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}
    assert trade.order(order_id).refunded_fen == 0
    assert next(each.count for each in money_health.standing() if each.name == "refused_refunds") == 1
    # What Stripe said of the sum before it knew comes once more: nothing went back besides.
    stale = event(payment, "charge.refunded", thing={"payment_intent": payment.trade_no, "amount_refunded": fen})
    assert told(app, market, stale) == 200
    assert (len(db.session.scalars(select(Refund.id)).all()), stand(market)) == (1, {"stripe": fen, "buyer_funds": fen})
    # The buyer is paid over the bank, by two people, as after any refused refund.
    refund_id = refund.id
    proposed = transaction(lambda: refund_reissue.propose(refund_id, "王小明", "6228480402564890018", "农业银行", actor=market.accountant).id)
    transaction(lambda: refund_reissue.decide(proposed, approved=True, actor=market.director))
    assert stand(market) == {"stripe": fen, "refunds_payable": fen}


def test_what_stripe_says_of_a_refund_counts_only_if_it_fits(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment, refund = refunded(desk, buyer, order_id, drain=False)
    # Not sent yet, so that Stripe knows of none, whatever is claimed of it.
    for wrong in ({}, {"amount": refund.fen - 1}, {"currency": "usd"}, {"metadata": {"out_request_no": "R-nobody"}}):
        assert told(app, market, refund_event(refund, "refund.failed", "failed", **wrong)) == 200
    for nothing in ({"metadata": {}}, {"status": "pending"}, {"status": "requires_action"}):
        assert told(app, market, refund_event(refund, "refund.updated", "succeeded", **nothing)) == 200
    other = builders.market(name="另一家")
    takes_cards(other, account="acct_1Others000", webhook_secret="whsec_others_012345678")
    assert told(app, other, refund_event(refund, "refund.failed", "failed"), secret="whsec_others_012345678") == 200
    db.session.rollback()
    assert db.session.get_one(Refund, refund.id).state == "approved"
    assert next(each.count for each in money_health.standing() if each.name == "notices") == 5
    # Told before our own question was answered, or instead of it.
    made = desk.ask(
        "POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount=str(refund.fen), **{"metadata[out_request_no]": refund.out_request_no}
    )
    assert told(app, market, refund_event(refund, "refund.updated", "succeeded", id=made["id"])) == 200
    db.session.rollback()
    assert (db.session.get_one(Refund, refund.id).state, balance.held("refunds_payable", market.cooperative)) == ("succeeded", 0)
    # What it claims beyond Stripe's word changes nothing, and a person is told: that it failed, another amount.
    for wrong in ({"status": "failed"}, {"amount": refund.fen - 1}):
        assert told(app, market, refund_event(refund, "refund.updated", "succeeded", id=made["id"], **wrong)) == 200
    db.session.rollback()
    assert db.session.scalars(select(AlipayNotice.outcome).order_by(AlipayNotice.id.desc()).limit(2)).all() == ["refused:fen", "refused:not_so"]
    assert (db.session.get_one(Refund, refund.id).state, stand(market)) == ("succeeded", {})
    drained()
    assert not [each for each in desk.asked if each == "POST /v1/refunds"]


def test_a_dispute_is_shown_and_an_alarm(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    desk.pay(str(payment.precreated))
    call.ask(payment.id)
    payment = found(payment.id)
    desk.disputes = [dispute(payment, "needs_response")]
    for changed in ({}, {"payment_intent": "pi_of_another_shop"}):
        assert told(app, market, dispute_event(desk.disputes[0] | changed)) == 200
    db.session.rollback()
    assert [(each.count, each.fen) for each in money_health.standing() if each.name == "disputes"] == [(1, payment.amount_fen)]
    assert "disputes" in {each.name for each in money_alarm.frequent()}


def dispute_event(thing: dict[str, Any], kind: str = "charge.dispute.created") -> bytes:
    return json.dumps({"id": f"evt_{kind}", "object": "event", "type": kind, "livemode": False, "data": {"object": thing}}).encode()


def test_a_dispute_counts_as_stripe_has_it(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """One that Stripe does not know is shown as what it is; one that was lost is posted at once, and by Stripe's amount."""
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    fen = payment.amount_fen
    assert told(app, market, dispute_event(dispute(payment, "lost"), "charge.dispute.closed")) == 200
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}
    desk.disputes = [dispute(payment, "needs_response")]
    assert told(app, market, dispute_event(dispute(payment, "lost", amount=1), "charge.dispute.updated")) == 200
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}
    desk.disputes = [dispute(payment, "lost")]
    for _ in range(2):
        assert told(app, market, dispute_event(desk.disputes[0], "charge.dispute.closed")) == 200
    assert (stand(market), trade.order(order_id).refunded_fen) == ({"stripe": -1500}, fen)
    db.session.rollback()
    rows = db.session.execute(select(AlipayNotice.outcome, AlipayNotice.total_fen).order_by(AlipayNotice.id)).all()
    assert [tuple(row) for row in rows] == [("refused:absent", fen), ("refused:fen", 1), ("disputed", fen), ("lost", fen), ("repeated", fen)]


def test_an_event_of_an_account_that_was_left_is_still_understood(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    intent = desk.sessions[str(payment.precreated)]["payment_intent"]
    desk.pay(str(payment.precreated))
    takes_cards(market, account="acct_1TeaMovedAway", secret_key="sk_test_another0123", webhook_secret="whsec_another_0123456789")
    assert told(app, market, event(payment, account=ACCOUNT, thing={"id": intent})) == 200
    assert found(payment.id).state == "succeeded"
    assert told(app, market, event(payment, account=ACCOUNT), secret="whsec_another_0123456789") == 400


# What no event told is learnt from Stripe's own lists, once a day.


def paid_by_card(desk: Desk, order_id: int) -> Payment:
    payment = opened(order_id)
    desk.pay(str(payment.precreated))
    call.ask(payment.id)
    return found(payment.id)


def dispute(payment: Payment, status: str, **changed: Any) -> dict[str, Any]:
    """A dispute as Stripe lists it. No stand-in for Stripe knows disputes: its form is that of the library's and Stripe's documentation."""
    return {
        "id": f"dp_{payment.id}", "object": "dispute", "amount": payment.amount_fen, "currency": "cny", "status": status, "created": int(time.time()),
        "payment_intent": payment.trade_no, "metadata": {},
        "balance_transactions": [{"object": "balance_transaction", "amount": -payment.amount_fen, "currency": "cny", "fee": 1500}],
    } | changed  # fmt: skip


def test_a_refund_made_on_stripes_pages_whose_event_was_lost_is_learnt_once(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount="600")
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert trade.order(order_id).refunded_fen == 600
    left = payment.amount_fen - 600
    assert stand(market) == {"stripe": left, "buyer_funds": left}
    desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount="100")
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market) == {"stripe": left - 100, "buyer_funds": left - 100}


def test_the_end_of_our_own_refund_is_learnt_and_what_another_shop_did_is_not(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    desk.faults.append(("POST /v1/refunds", "after"))
    payment, refund = refunded(desk, buyer, order_id)
    assert refund.state == "unknown"
    elsewhere = desk.ask("POST", "/v1/payment_intents", amount="5000", currency="cny", payment_method=card(desk), confirm="true")
    desk.ask("POST", "/v1/refunds", payment_intent=elsewhere["id"], amount="300")
    desk.disputes = [dispute(payment, "lost", id="dp_else", payment_intent=elsewhere["id"])]
    assert jobs.cards() == "1 learnt from Stripe"
    db.session.rollback()
    assert (db.session.get_one(Refund, refund.id).state, stand(market)) == ("succeeded", {})
    assert len(db.session.scalars(select(Refund.id)).all()) == 1


def card(desk: Desk) -> str:
    of_card = {"type": "card", "card[number]": "4242424242424242", "card[exp_month]": "12", "card[exp_year]": "2040", "card[cvc]": "123"}
    return str(desk.ask("POST", "/v1/payment_methods", **of_card)["id"])


def test_a_dispute_whose_event_was_lost_is_shown_and_a_lost_one_is_posted_once(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.disputes = [dispute(payment, "needs_response")]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert next(each.count for each in money_health.standing() if each.name == "disputes") == 1
    fen = payment.amount_fen
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}
    desk.disputes = [dispute(payment, "won")]
    desk.disputes[0]["balance_transactions"].append({"object": "balance_transaction", "amount": fen, "currency": "cny", "fee": -1500})
    assert jobs.cards() == ""
    assert stand(market) == {"stripe": fen, "buyer_funds": fen}
    desk.disputes = [dispute(payment, "lost")]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market) == {"stripe": -1500}  # the buyer has the money back, and Stripe took its fee
    assert (trade.order(order_id).refunded_fen, balance.held("fees", market.cooperative)) == (fen, 1500)


def test_lists_that_are_not_to_be_had_are_soon_looked_at_again(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount="600")
    for trouble in ("before", "busy", "unauthorised"):
        desk.faults.append(("GET /v1/refunds", trouble))
        assert jobs.cards() == ""
    db.session.rollback()
    assert outbox.drain(kinds={stripe_look.AGAIN}) == (1, 0)  # one look more, whatever failed how often
    assert stand(market)["stripe"] == payment.amount_fen - 600
    assert jobs.cards() == ""


def test_lists_that_are_not_to_be_had_for_long_are_an_alarm_until_they_are(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    paid_by_card(desk, order_id)
    treasurer = builders.person(builders.operator(), "treasurer")
    desk.down, begin = True, clock.now()
    assert jobs.cards() == ""
    tries = (1, 2, 4, 7, 20)  # minutes: as long as Stripe may well be away for a moment nobody is told
    for minutes in tries:
        assert "looks" not in {each.name for each in money_alarm.frequent()}
        db.session.rollback()
        with clock.travel(begin + timedelta(minutes=minutes)):
            assert outbox.drain(kinds={stripe_look.AGAIN}) == (0, 1)
    with clock.travel(begin + timedelta(days=1)):
        assert jobs.cards() == ""  # the next day's look does not make it young again
        (wrong,) = (each for each in money_alarm.frequent() if each.name in ("looks", "outside"))
        assert (wrong.name, wrong.number, wrong.organisation_id) == ("looks", ACCOUNT, market.cooperative)
        assert clock.business_date(wrong.since) == clock.business_date(begin)
        client = browser(app, treasurer)
        assert "没有核对成的 Stripe 退款和追款" in client.get("/operator/money").text
        rows = client.get("/operator/money/looks").text
        assert all(each in rows for each in (ACCOUNT, "Stripe 没有给出来", "靖安"))
        desk.down = False
        db.session.rollback()
        assert outbox.drain(kinds={stripe_look.AGAIN}) == (1, 0)
        assert "looks" not in {each.name for each in money_alarm.frequent()}


def test_the_last_key_of_an_account_that_was_left_stays_while_its_money_may_go_back(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    takes_cards(market, account="acct_1TeaMovedAway", secret_key="sk_test_another0123", webhook_secret="whsec_another_0123456789")
    db.session.rollback()
    (old,) = (row.id for row in channel_key.history(market.cooperative) if row.state == "OLD")
    db.session.rollback()
    with pytest.raises(Conflict, match=r"key\.needed"):
        transaction(lambda: channel_key.retire(old, actor=market.director))
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    with pytest.raises(Conflict, match=r"key\.needed"):  # on its way
        transaction(lambda: channel_key.retire(old, actor=market.director))
    drained()
    assert (found(payment.id).refunded_fen, stand(market)) == (payment.amount_fen, {})
    transaction(lambda: channel_key.retire(old, actor=market.director))
    db.session.rollback()
    assert db.session.get_one(channel_key.ChannelKey, old).state == "RETIRED"


def test_a_refund_that_was_never_sent_is_stopped_without_asking(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment, refund = refunded(desk, buyer, order_id, drain=False)
    desk.down, number = True, refund.id
    db.session.rollback()
    assert refund_call.stop(number) == "refused"
    db.session.rollback()
    assert (db.session.get_one(Refund, number).state, stand(market)) == ("failed", {"stripe": payment.amount_fen, "buyer_funds": payment.amount_fen})
    drained()
    assert not [each for each in desk.asked if each == "POST /v1/refunds"]


def test_after_a_dispute_that_took_a_part_refunds_made_there_are_still_seen(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    fen = payment.amount_fen
    desk.disputes = [dispute(payment, "lost", amount=600, balance_transactions=[])]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market) == {"stripe": fen - 600, "buyer_funds": fen - 600}
    desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount="500")
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market) == {"stripe": fen - 1100, "buyer_funds": fen - 1100}
    call.ask(payment.id)  # told of the sum once more
    desk.disputes.insert(0, dispute(payment, "lost", id="dp_second", amount=200, balance_transactions=[]))
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market) == {"stripe": fen - 1300, "buyer_funds": fen - 1300}
