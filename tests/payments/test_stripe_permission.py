"""A restricted key that may not read one kind of thing at Stripe: that waits and is told by name, and everything else goes on."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import OutsideFailure
from marketplace.jobs import payments as jobs
from marketplace.ledger import balance
from marketplace.notices import message
from marketplace.notices.message import Message
from marketplace.organisations.actor import Actor
from marketplace.payments import call, lacking_permission, stripe_look
from marketplace.payments.stripe_event import ASKING
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.stripe_desk import Desk
from tests.payments.test_stripe import ACCOUNT, asked, event, found, opened, sold, stand, told
from tests.payments.test_stripe_event import intent_of, outcomes
from tests.payments.test_stripe_later import dispute, dispute_event, paid_by_card, refunded
from tests.web.work_desk import browser

__all__ = ["sold"]
LATER = call.STOPPED + timedelta(hours=7)  # when whatever waited longest is tried again


def waits(*names: str) -> list[int]:
    db.session.rollback()
    return [each.count for each in money_health.standing() if each.name in names]


def letters(to: Actor) -> list[tuple[str, str]]:
    db.session.rollback()
    query = select(Message).where(Message.person_id == to.person_id, Message.kind == "stripe.lacks").order_by(Message.id)
    return [message.said(row, "zh") for row in db.session.scalars(query)]


@pytest.mark.both
def test_disputes_that_the_key_may_not_read_hold_up_no_payment(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = opened(order_id)
    number, body = payment.id, event(payment, thing={"id": intent_of(desk, payment)})
    desk.pay(str(payment.precreated))
    call.ask(number)
    desk.disputes = [dispute(found(number), "needs_response")]
    desk.forbidden = {"/v1/disputes": "rak_dispute_read"}
    for _ in range(2):
        assert told(app, market, dispute_event(desk.disputes[0])) == 200
    assert told(app, market, body) == 200
    assert outcomes() == [ASKING, "repeated"]
    assert waits("alarm", "events", "permissions") == [0, 1, 1]
    (wrong,) = (each for each in money_alarm.frequent() if each.name in ("alarm", "permissions"))
    assert (wrong.name, wrong.number, wrong.organisation_id) == ("permissions", "rak_dispute_read", market.cooperative)
    # The director is told once: what is missing, and where to add it.
    ((subject, text),) = letters(market.director)
    assert "Disputes" in subject
    assert all(each in text for each in (ACCOUNT, "rak_dispute_read", "追款", "API keys", "Edit key", "Disputes 设成 Read"))
    assert letters(market.accountant) == []
    desk.forbidden = {}
    with clock.travel(clock.now() + LATER):
        assert asked() == (1, 0)
        assert (outcomes(), waits("events", "permissions", "disputes")) == (["disputed", "repeated"], [1, 0, 0])


@pytest.mark.both
@pytest.mark.parametrize("named", ["rak_dispute_read", ""])
def test_refunds_are_looked_through_where_disputes_may_not_be(app: Flask, desk: Desk, sold: tuple[Market, Actor, int], named: str) -> None:
    """Whether or not Stripe names the permission."""
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    fen = payment.amount_fen
    desk.ask("POST", "/v1/refunds", payment_intent=str(payment.trade_no), amount="600")
    desk.disputes = [dispute(payment, "needs_response")]
    desk.forbidden = {"/v1/disputes": named}
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert stand(market)["stripe"] == fen - 600
    assert (waits("permissions"), len(letters(market.director))) == ([1], 1)
    db.session.rollback()
    assert outbox.drain(kinds={stripe_look.AGAIN}) == (0, 1)
    desk.forbidden = {}
    with clock.travel(clock.now() + LATER):
        assert outbox.drain(kinds={stripe_look.AGAIN}) == (1, 0)
        assert waits("permissions", "disputes") == [1, 0]
        assert (jobs.cards(), outbox.drain(kinds={stripe_look.AGAIN})) == ("", (0, 0))
    # It may be taken away again, which is news.
    desk.forbidden = {"/v1/disputes": named}
    jobs.cards()
    assert (waits("permissions"), len(letters(market.director))) == ([1], 2)


def test_what_nothing_waits_for_any_more_is_over_and_news_when_it_comes_again(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """No page for a buyer: whoever comes next is told at once, and nobody has to try it out that the permission is there again."""
    market, _buyer, _order_id = sold
    desk.forbidden, begin = {"POST /v1/checkout": "rak_checkout_session_write"}, clock.now()
    for later, refused in ((timedelta(0), 1), (timedelta(hours=1), 1), (timedelta(days=9), 2)):
        with clock.travel(begin + later):
            (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
            with pytest.raises(OutsideFailure, match=r"channel\.unavailable"):
                opened(order_id)
            assert (waits("permissions", "alarm"), len(letters(market.director))) == ([0, 1], refused)
    assert "Checkout Sessions 设成 Write" in letters(market.director)[0][1]
    with clock.travel(begin + timedelta(days=9, hours=8)):
        assert waits("permissions") == [0]


@pytest.mark.both
def test_one_permission_that_two_kinds_of_call_want_is_told_once(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, _order_id = sold
    for kind in ("event_dispute", "query", "event_dispute"):
        transaction(lambda kind=kind: lacking_permission.heard(market.cooperative, ACCOUNT, kind, "rak_dispute_read"))
    assert (waits("permissions"), len(letters(market.director))) == ([2], 1)


def test_a_key_that_may_not_be_used_from_here_lacks_no_permission(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    """It is bound to other addresses: to add a permission would mend nothing."""
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.disputes, desk.forbidden = [dispute(payment, "needs_response")], {"/v1/": "address"}
    assert told(app, market, dispute_event(desk.disputes[0])) == 200
    assert jobs.cards() == ""
    assert (waits("alarm", "permissions"), letters(market.director)) == ([1, 0], [])


def test_without_the_permission_to_read_balances_only_fees_wait(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, buyer, order_id = sold
    desk.fee, desk.forbidden = 299, {"balance_transaction": "rak_balance_transaction_source_read"}
    _payment, refund = refunded(desk, buyer, order_id)
    assert refund.state == "succeeded"
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert outbox.drain(kinds={"payment.fee"}) == (0, 1)
        ((_subject, text),) = letters(market.director)
        assert "手续费" in text and "Balance transaction sources 设成 Read" in text
    desk.forbidden = {}
    with clock.travel(clock.now() + LATER):
        assert outbox.drain(kinds={"payment.fee"}) == (1, 0)
        assert (waits("permissions"), balance.held("fees", market.cooperative)) == ([0], 299)


def test_the_pages_say_what_is_missing_and_where_to_add_it(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    paid_by_card(desk, order_id)
    desk.forbidden = {"/v1/disputes": "rak_dispute_read"}
    jobs.cards()
    treasurer = builders.person(builders.operator(), "treasurer")
    db.session.rollback()
    for who, path in ((market.director, "/keys"), (treasurer, "/operator/money/permissions")):
        page = browser(app, who).get(path).text
        assert all(each in page for each in (ACCOUNT, "rak_dispute_read", "追款", "Disputes", "Read")), path
    assert "密钥缺少的权限" in browser(app, treasurer).get("/operator/money").text
