"""What goes back on Stripe's own pages, or by a dispute, is counted as Stripe has it: up and down, and what went twice is shown until it is ended."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.foundation.outbox import OutboxMessage
from marketplace.jobs import payments as jobs
from marketplace.ledger import balance
from marketplace.orders import refund_reissue
from marketplace.organisations.actor import Actor
from marketplace.payments import bank_refund, call, channel_key, refund_loss, stripe_look
from marketplace.payments import payment as payments
from marketplace.payments.call import PaymentCall
from marketplace.payments.payment import Payment
from marketplace.payments.refund import LEFT, RECOUNTED, Refund
from marketplace.reporting import money_alarm, money_health, payment_story
from tests.builders import Market
from tests.orders import trade
from tests.payments.stripe_desk import Desk
from tests.payments.test_stripe import ACCOUNT, event, found, opened, sold, stand, takes_cards, told
from tests.payments.test_stripe_later import dispute, dispute_event, paid_by_card, refund_event, refunded

__all__ = ["sold"]


def waits(name: str) -> int:
    db.session.rollback()
    return next(each.count for each in money_health.standing() if each.name == name)


def waits_fen(name: str) -> int | None:
    return next(each.fen for each in money_health.standing() if each.name == name)


def refunds() -> list[tuple[str, int, str]]:
    db.session.rollback()
    return [(each.state, each.fen, each.sub_code) for each in db.session.scalars(select(Refund).order_by(Refund.id))]


@pytest.mark.both
def test_a_refund_made_there_that_the_buyers_bank_refused_is_the_buyers_again(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """The books said that it went, and Stripe has the money again: it is no refund any more, and somebody makes it another way."""
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    fen = payment.amount_fen
    first, second = (desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount=amount)["id"] for amount in ("600", "200"))
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market) == {"stripe": fen - 800, "buyer_funds": fen - 800}
    desk.turned[second] = {"status": "pending"}  # not refused yet: it may arrive
    assert (jobs.cards(), stand(market)["stripe"]) == ("", fen - 800)
    desk.turned[second] = {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert (stand(market), trade.order(order_id).refunded_fen) == ({"stripe": fen - 600, "buyer_funds": fen - 600}, 600)
    # What was counted in one is counted in two: only what came back is to be made again.
    assert refunds() == [("failed", 800, RECOUNTED), ("succeeded", 600, ""), ("failed", 200, stripe_look.SENT_BACK)]
    assert (waits("refused_refunds"), waits_fen("refused_refunds")) == (1, 200)
    desk.turned[first] = {"status": "failed"}
    assert (jobs.cards(), stand(market)) == ("1 learnt from Stripe", {"stripe": fen, "buyer_funds": fen})
    assert (waits("refused_refunds"), waits_fen("refused_refunds")) == (2, 800)
    assert "refused_refunds" in {each.name for each in money_alarm.frequent()}


def test_what_came_back_hides_no_refund_made_there_in_its_place(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """Ours came back from the buyer's bank, and the cooperative refunds it on Stripe's pages: it is not sent over the bank a second time."""
    market, buyer, order_id = sold
    payment, refund = refunded(desk, buyer, order_id)
    named, number = desk.refund_of(str(payment.trade_no)), refund.id
    desk.turned[named] = {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    assert told(app, market, refund_event(refund, "refund.failed", "failed", id=named)) == 200
    assert (waits("refused_refunds"), stand(market)["stripe"]) == (1, payment.amount_fen)
    # localstripe gives no charge back twice: the row is as Stripe would list it.
    row = {"id": "re_by_hand", "amount": payment.amount_fen, "currency": "cny", "status": "succeeded", "payment_intent": payment.trade_no, "metadata": {}}
    assert transaction(lambda: stripe_look.made_there(market.cooperative, ACCOUNT, [row])) == [payment.trade_no]
    assert transaction(lambda: stripe_look.take_elsewhere(market.cooperative, ACCOUNT, str(payment.trade_no), [row])) == "refunded_elsewhere"
    assert (stand(market), waits("refused_refunds")) == ({}, 0)
    db.session.rollback()
    with pytest.raises(Conflict, match=r"refund\.exceeds"):
        transaction(lambda: refund_reissue.propose(number, "王小明", "6228480402564890018", "农业银行", actor=market.accountant))


@pytest.mark.both
def test_a_refund_made_there_of_what_had_gone_back_over_the_bank_is_shown(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """The card refused it, it went over the bank, and somebody refunds it on Stripe's pages, too: Stripe has no bill that would tell of it."""
    market, buyer, order_id = sold
    payment, refund = refunded(desk, buyer, order_id)
    named, first, fen, trade_no = desk.refund_of(str(payment.trade_no)), refund.id, payment.amount_fen, str(payment.trade_no)
    desk.turned[named] = {"status": "failed", "failure_reason": "expired_or_canceled_card"}
    assert told(app, market, refund_event(refund, "refund.failed", "failed", id=named)) == 200
    db.session.rollback()
    asked = transaction(lambda: refund_reissue.propose(first, "王小明", "6228480402564890018", "农业银行", actor=market.accountant).id)
    again = transaction(lambda: refund_reissue.decide(asked, approved=True, actor=market.director).refund_id or 0)
    transaction(lambda: bank_refund.record(again, "BOC2026112500017", clock.business_date(), actor=market.accountant))
    assert (stand(market)["stripe"], balance.held("bank", market.cooperative)) == (fen, -fen)
    row = {"id": "re_by_hand", "amount": 600, "currency": "cny", "status": "succeeded", "payment_intent": trade_no, "metadata": {}}

    def looked(*rows: dict[str, Any]) -> str:
        db.session.rollback()
        return transaction(lambda: stripe_look.take_elsewhere(market.cooperative, ACCOUNT, trade_no, list(rows)))

    assert (looked(row), looked(row), waits("lost_refunds"), waits_fen("lost_refunds")) == ("refunded_elsewhere", "", 1, 600)
    assert (looked(row | {"status": "failed"}), looked(row | {"status": "failed"}), waits("lost_refunds")) == ("came_back", "", 0)
    assert (looked(row | {"id": "re_once_more"}), waits("lost_refunds")) == ("refunded_elsewhere", 1)
    db.session.rollback()
    lost = db.session.scalars(select(Refund.id).where(Refund.sub_code == LEFT)).one()
    db.session.rollback()
    proposed = transaction(lambda: refund_loss.propose(lost, "转账退过，又在 Stripe 上退了。", actor=market.accountant).id)
    transaction(lambda: refund_loss.decide(proposed, actor=market.director, version=1, approved=True))
    assert (stand(market)["stripe"], looked(row), waits("lost_refunds"), trade.order(order_id).refunded_fen) == (fen - 600, "", 0, fen)


def test_a_dispute_lost_of_what_had_gone_back_is_shown_until_two_people_end_it(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment, _refund = refunded(desk, buyer, order_id)
    fen, number = payment.amount_fen, payment.id
    assert stand(market) == {}
    desk.disputes = [dispute(payment, "lost")]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert refunds() == [("succeeded", fen, ""), ("failed", fen, LEFT)]
    assert stand(market) == {"stripe": -1500}  # what Stripe took for it; the loss itself is in no book yet
    assert (waits("lost_refunds"), balance.held("fees", market.cooperative)) == (1, 1500)
    assert "lost_refunds" in {each.name for each in money_alarm.frequent()}
    db.session.rollback()
    lost = db.session.scalars(select(Refund.id).where(Refund.sub_code == LEFT)).one()
    db.session.rollback()
    kinds = [each.kind for each in payment_story.story(found(number))]
    assert (kinds.count("refund_left"), kinds.count("refund_approved"), "refund_failed" in kinds) == (1, 1, False)
    db.session.rollback()
    proposed = transaction(lambda: refund_loss.propose(lost, "退了货款，发卡银行又追走一次。", actor=market.accountant).id)
    transaction(lambda: refund_loss.decide(proposed, actor=market.director, version=1, approved=True))
    assert (stand(market), waits("lost_refunds"), jobs.cards()) == ({"stripe": -fen - 1500}, 0, "")
    assert found(number).refunded_fen == fen


def test_a_dispute_lost_of_which_a_part_had_gone_back_is_counted_in_two_parts(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    fen = payment.amount_fen
    desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount="600")
    jobs.cards()
    desk.disputes = [dispute(payment, "lost", balance_transactions=[])]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert sorted(refunds()) == [("failed", 600, LEFT), ("succeeded", 600, ""), ("succeeded", fen - 600, "")]
    assert (stand(market), waits("lost_refunds")) == ({}, 1)


def test_an_account_whose_last_key_is_gone_is_looked_at_no_more(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """It was retired lawfully, half a year after the last payment: a look that waits is over, and nobody is told every day for ever."""
    market, _buyer, order_id = sold
    paid_by_card(desk, order_id)
    desk.down = True
    assert jobs.cards() == ""
    takes_cards(market, account="acct_1TeaMovedAway", secret_key="sk_test_another0123", webhook_secret="whsec_another_0123456789")
    db.session.rollback()
    (old,) = (row.id for row in channel_key.history(market.cooperative) if row.state == "OLD")
    db.session.rollback()
    with clock.travel(clock.now() + channel_key.MAY_GO_BACK + timedelta(days=1)):
        transaction(lambda: channel_key.retire(old, actor=market.director))
        assert transaction(stripe_look.accounts) == []
        assert outbox.drain(kinds={stripe_look.AGAIN}) == (1, 0)
        assert jobs.cards() == ""
        assert outbox.drain(kinds={stripe_look.AGAIN}) == (0, 0)


def test_an_event_that_waits_keeps_its_accounts_last_key(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment, _refund = refunded(desk, buyer, order_id)
    takes_cards(market, account="acct_1TeaMovedAway", secret_key="sk_test_another0123", webhook_secret="whsec_another_0123456789")
    desk.down, number = True, payment.trade_no
    assert told(app, market, event(payment, "charge.refunded", account=ACCOUNT, thing={"payment_intent": number, "amount_refunded": 1})) == 200
    assert waits("events") == 1
    (old,) = (row.id for row in channel_key.history(market.cooperative) if row.state == "OLD")
    db.session.rollback()
    with pytest.raises(Conflict, match=r"key\.needed"):
        transaction(lambda: channel_key.retire(old, actor=market.director))
    desk.down = False
    with clock.travel(clock.now() + timedelta(minutes=1)):
        outbox.drain(kinds={"stripe.event"})
        assert waits("events") == 0
        transaction(lambda: channel_key.retire(old, actor=market.director))


def test_a_page_that_is_made_after_its_attempt_was_given_up_is_closed(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """Stripe's answer comes when the order is off already, and the attempt's closing found no page."""
    _market, _buyer, order_id = sold
    payment = opened(order_id)
    made, number = str(payment.precreated), payment.id
    answer = db.session.scalars(select(PaymentCall).where(PaymentCall.kind == "checkout")).one().id
    db.session.rollback()

    def given_up() -> None:
        its = db.session.get_one(Payment, number)
        its.precreated, its.state = None, "requires_action"
        payments.give_up(its)

    transaction(given_up)
    assert outbox.drain(kinds={"payment.close"}) == (1, 0)
    assert desk.sessions[made]["status"] == "open"
    transaction(lambda: call._record(answer, "checkout", number, call.Answer("succeeded", code=made, told={"url": "https://x"})))
    assert outbox.drain(kinds={"payment.close"}) == (1, 0)
    assert (desk.sessions[made]["status"], found(number).state) == ("expired", "canceled")


def test_what_people_wrote_beside_a_refund_at_stripe_is_not_kept(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    payment, refund = refunded(desk, buyer, order_id)
    named = desk.refund_of(str(payment.trade_no))
    desk.turned[named] = {"metadata": {"out_request_no": refund.out_request_no, "note": "身份证 330802197001011234"}}
    assert told(app, market, refund_event(refund, "refund.updated", "succeeded", id=named)) == 200
    db.session.rollback()
    kept: list[Any] = [each.answer for each in db.session.scalars(select(PaymentCall).where(PaymentCall.kind == "event_refund"))]
    assert [each["metadata"] for each in kept] == [{"out_request_no": refund.out_request_no}]
    assert db.session.scalars(select(OutboxMessage.id).where(OutboxMessage.kind == "stripe.event", OutboxMessage.done_at.is_(None))).all() == []


@pytest.mark.both
def test_what_stripe_keeps_of_a_dispute_that_was_won_is_a_fee_too(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """The money is in the account again, and the fee for the dispute mostly is not."""
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    fen, number = payment.amount_fen, payment.id
    desk.disputes = [dispute(payment, "needs_response")]
    assert (jobs.cards(), stand(market)) == ("1 learnt from Stripe", {"stripe": fen, "buyer_funds": fen})
    back = {"object": "balance_transaction", "amount": fen, "currency": "cny", "fee": 0}
    desk.disputes[0] |= {"status": "won", "balance_transactions": [*desk.disputes[0]["balance_transactions"], back]}
    for _ in range(2):
        assert told(app, market, dispute_event(desk.disputes[0], "charge.dispute.closed")) == 200
        jobs.cards()
    assert (stand(market), balance.held("fees", market.cooperative)) == ({"stripe": fen - 1500, "buyer_funds": fen}, 1500)
    assert "fee" in [step.data["kind"] for step in payment_story.story(found(number)) if step.kind == "entry"]
    # Of another one it was given back.
    desk.disputes.insert(0, dispute(payment, "won", id="dp_again", balance_transactions=[{"currency": "cny", "fee": 1500}, {"currency": "cny", "fee": -1500}]))
    jobs.cards()
    assert stand(market)["stripe"] == fen - 1500


def test_each_dispute_of_a_payment_is_shown(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.disputes = [dispute(payment, "won")]
    assert (jobs.cards(), jobs.cards(), waits("disputes")) == ("1 learnt from Stripe", "", 1)
    second = dispute(payment, "needs_response", id="dp_again")
    desk.disputes.insert(0, second)
    assert told(app, market, dispute_event(second)) == 200
    assert (jobs.cards(), waits("disputes")) == ("", 2)
