"""What Stripe keeps in another currency is in no book: it is told, as a task, until somebody says what it was."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.jobs import payments as jobs
from marketplace.ledger import balance
from marketplace.organisations.actor import Actor
from marketplace.payments import bill_difference
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.stripe_seller import foreign_fees
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.builders import Market
from tests.payments.stripe_desk import Desk
from tests.payments.test_stripe import sold, stand
from tests.payments.test_stripe_later import dispute, paid_by_card
from tests.web.work_desk import browser

__all__ = ["sold"]

HKD = {"currency": "hkd", "fee": 512}


def told() -> list[tuple[str, str, str]]:
    db.session.rollback()
    query = select(BillDifference).where(BillDifference.explained_at.is_(None)).order_by(BillDifference.id)
    return [(each.kind, each.out_request_no, each.said) for each in db.session.scalars(query)]


@pytest.mark.both
@pytest.mark.parametrize(
    ("moved", "said"),
    [
        (HKD, "HKD 5.12"), ({"currency": "jpy", "fee": 60}, "JPY 60"), ({"fee_details": [{"currency": "cny", "amount": 299}]}, ""), (HKD | {"fee": 0}, ""),
        ({"fee_details": [{"currency": "cny", "amount": 200}, {"currency": "usd", "amount": 12}]}, "USD 0.12"),
    ],
)  # fmt: skip
def test_a_fee_in_another_currency_is_a_task(app: Flask, desk: Desk, sold: tuple[Market, Actor, int], moved: dict[str, Any], said: str) -> None:
    market, _buyer, order_id = sold
    desk.fee, desk.moved = 299, moved
    payment = paid_by_card(desk, order_id)
    fen, number = payment.amount_fen, payment.id
    with clock.travel(clock.now() + timedelta(minutes=11)):
        assert outbox.drain(kinds={"payment.fee"}) == (1, 0)
        transaction(lambda: outbox.put("payment.fee", str(number), {"payment_id": number}))
        assert outbox.drain(kinds={"payment.fee"}) == (1, 0)  # asked again: told already
    assert told() == ([("CURRENCY", "", said)] if said else [])
    own = 0 if said or not moved.get("fee", 1) else 299
    assert (balance.held("fees", market.cooperative), stand(market)["stripe"]) == (own, fen - own)


def test_it_is_shown_with_its_age_until_it_is_explained(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    desk.moved = HKD
    paid_by_card(desk, order_id)
    with clock.travel(clock.now() + timedelta(minutes=11)):
        outbox.drain(kinds={"payment.fee"})
    page = browser(app, market.accountant).get("/cooperative/differences").text
    assert all(each in page for each in ("Stripe 用外币扣了钱", "HKD 5.12", "按当天汇率"))
    page = browser(app, builders.person(builders.operator(), "treasurer")).get("/operator/money/differences").text
    assert "Stripe 用外币扣了钱 · HKD 5.12" in page
    with clock.travel(clock.now() + timedelta(days=2)):
        db.session.rollback()
        assert "differences" in money_health.alarms(money_health.standing(market.cooperative))
        assert "differences" in {each.name for each in money_alarm.frequent() if each.organisation_id == market.cooperative}
        db.session.rollback()
        number = db.session.scalars(select(BillDifference.id)).one()
        db.session.rollback()
        transaction(lambda: bill_difference.explain(number, "按 0.92 折人民币 4.71 元", actor=market.accountant))
        assert told() == []


def test_so_is_what_a_lost_dispute_took_in_another_currency(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.disputes = [dispute(payment, "lost", id="dp_1", balance_transactions=[{"currency": "cny", "fee": 1500}, {"currency": "hkd", "fee": 8500}])]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert (told(), balance.held("fees", market.cooperative)) == ([("CURRENCY", "dp_1-fee", "HKD 85.00")], 1500)


def test_a_dispute_in_another_currency_is_shown_and_what_it_took_is_a_task(app: Flask, desk: Desk, sold: tuple[Market, Actor, int]) -> None:
    market, _buyer, order_id = sold
    payment = paid_by_card(desk, order_id)
    desk.disputes = [dispute(payment, "needs_response", id="dp_2", currency="hkd", amount=9900)]
    assert (jobs.cards(), jobs.cards()) == ("1 learnt from Stripe", "")
    assert [(each.count, each.fen) for each in money_health.standing() if each.name == "disputes"] == [(1, 0)]
    desk.disputes[0]["status"] = "lost"
    assert jobs.cards() == ""
    assert (told(), stand(market)["stripe"]) == ([("CURRENCY", "dp_2", "HKD 99.00")], payment.amount_fen - 1500)


def test_what_came_and_went_in_another_currency_is_nothing() -> None:
    assert foreign_fees([HKD, HKD | {"fee": -512}]) == ""
    assert foreign_fees([HKD, {"currency": "usd", "fee": 100}, {"currency": "cny", "fee": 7}]) == "HKD 5.12 + USD 1.00"
