"""A cooperative that leaves Alipay is asked after its bills as long as its money may move there; what can never come two people close, and the days
behind it are reconciled."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace.emulator.emulator import Emulator
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import Settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.jobs import payments as jobs
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import (
    account_bill,
    bill_closure,
    bill_day,
    bill_import,
    seller_channel,
)
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.bill_closure import BillClosure
from marketplace.payments.bill_day import MissingBill
from marketplace.payments.bill_import import ImportedBill
from marketplace.payments.channel import EXTENSION
from marketplace.payments.channel_key import LONGEST
from marketplace.payments.payment import Payment
from marketplace.payments.seller_channel import SellerChannel
from marketplace.reporting import close_waits, money_health
from marketplace.settlement import difference
from marketplace.settlement.difference import Difference
from tests import builders
from tests.builders import Market
from tests.orders import trade
from tests.payments.test_bill_day import Silent, missing, mornings
from tests.payments.test_bill_import import DAY, NEXT, NOON, market, opened, paid_at_the_gateway
from tests.web.test_buying_emulator import emulator, settings
from tests.web.work_desk import browser

__all__ = ["emulator", "market", "settings"]


class Lost:
    """A seller's channel that has no bill of these days any more."""

    def __init__(self, channel: Any, days: set[date]) -> None:
        self.channel, self.days = channel, days

    def bill(self, day: date) -> Any:
        return None if day in self.days else self.channel.bill(day)

    def account_bill(self, day: date) -> Any:
        return None if day in self.days else self.channel.account_bill(day)


def leaves(market: Market, app_id: str = "", seller_id: str = "") -> None:
    with transaction():
        seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == market.cooperative)).one()
        seller.alipay_app_id, seller.alipay_seller_id = app_id, seller_id


def without(app: Flask, emulator: Emulator, market: Market) -> set[date]:
    """Eight days, of which the bills of the second to fourth never come; our books moved on the second, and a buyer paid of whom nobody told."""
    (_, payment_id), (_, unheard) = opened(market), opened(market)
    paid_at_the_gateway(emulator, payment_id)
    mornings(1)
    with clock.travel(NOON + timedelta(days=1)):
        paid_at_the_gateway(emulator, unheard)
    genuine, days = app.extensions[EXTENSION], {DAY + timedelta(days=each) for each in (1, 2, 3)}
    app.extensions[EXTENSION] = lambda organisation_id: Lost(genuine(organisation_id), days)
    with transaction():
        event.alipay_unapplied(book=market.cooperative, source=Source("payment", payment_id), fen=5, at=NOON + timedelta(days=1))
    mornings(7, NEXT + timedelta(days=1))
    app.extensions[EXTENSION] = genuine
    return days


@pytest.mark.both
def test_of_who_has_left_bills_are_wanted_as_long_as_money_may_move(market: Market) -> None:
    _, payment_id = opened(market)
    assert bill_day.spans() == {market.cooperative: (DAY, DAY - timedelta(days=1))}
    with clock.travel(NEXT + timedelta(days=500)):
        assert bill_day.spans()[market.cooperative] == (DAY, DAY + timedelta(days=500))
        leaves(market)
        assert bill_day.spans()[market.cooperative] == (DAY, DAY + LONGEST)
        days = {day for _own, day in bill_import.missing_days(1000)}
        assert max(days) == DAY + LONGEST
        db.session.rollback()
        treasurer = builders.person(builders.operator(), "treasurer")
        with pytest.raises(InvalidInput, match=r"bill\.day"):
            transaction(lambda: bill_day.ask_for(market.cooperative, [DAY + LONGEST + timedelta(days=1)], actor=treasurer))
        for later, source, last in ((40, payment_id, LONGEST), (400, payment_id + 1, timedelta(days=400))):  # a refund, and what was withdrawn at last
            with transaction():
                event.alipay_unapplied(book=market.cooperative, source=Source("payment", source), fen=5, at=NOON + timedelta(days=later))
            assert bill_day.spans()[market.cooperative] == (DAY, DAY + last)
        # Nor does a month that is closed later wait for the others.
        db.session.rollback()
        transaction(lambda: account_bill.take_absent(market.cooperative, DAY))
        (waits,) = (each.count for each in close_waits.waits("2027-06") if each.name == "days")
        assert waits == 400


def test_where_nobody_has_a_key_any_more_no_new_day_is_wanted(emulator: Emulator, settings: Settings, market: Market) -> None:
    """What was missed until then two people close; what the books move there later is missed again."""
    _, payment_id = opened(market)
    with clock.travel(NEXT + timedelta(days=100)):
        leaves(market)
        assert bill_day.spans()[market.cooperative] == (DAY, DAY + timedelta(days=100))
        for each in ("app_private.pem", "alipay_public.pem"):
            (settings.data_dir / "emulator" / each).unlink()
        assert bill_day.spans()[market.cooperative] == (DAY, DAY)
        with transaction():
            event.alipay_unapplied(book=market.cooperative, source=Source("payment", payment_id), fen=5, at=NOON + timedelta(days=40))
        assert bill_day.spans()[market.cooperative] == (DAY, DAY + timedelta(days=40))


def test_the_bills_of_an_application_that_was_left_are_asked_of_it(emulator: Emulator, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    _, payment_id = opened(market)
    paid_at_the_gateway(emulator, payment_id)
    db.session.rollback()
    payment = db.session.get_one(Payment, payment_id)
    own = payment.app_id, payment.seller_id
    assert bill_day.application(market.cooperative, DAY) == own
    leaves(market)
    assert bill_day.application(market.cooperative, DAY + timedelta(days=9)) == own

    def signed_by(organisation_id: int, **whose: str) -> SellerChannel:
        return SellerChannel(replace(seller_channel.client_for(organisation_id, **whose).client, transport=emulator))

    monkeypatch.setattr(jobs, "client_for", signed_by)
    mornings(2)
    db.session.rollback()
    assert db.session.scalars(select(KeptAccountBill.day).order_by(KeptAccountBill.day)).all() == [DAY, DAY + timedelta(days=1)]
    assert trade.held(market, "buyer_funds") == 17600
    # Another application: of the same seller it asks for the old days too, of another seller it knows nothing of them.
    leaves(market, "2021EMU000000777", own[1])
    assert bill_day.application(market.cooperative, DAY) == ("2021EMU000000777", own[1])
    leaves(market, "2021EMU000000777", "2088000000000777")
    assert bill_day.application(market.cooperative, DAY) == own
    assert bill_day.application(market.cooperative, DAY - timedelta(days=1)) == ("2021EMU000000777", "2088000000000777")


def test_who_has_left_takes_no_payments_there(market: Market) -> None:
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    leaves(market)
    with pytest.raises(Conflict, match=r"channel\.closed"):
        trade.opened([order_id])


@pytest.mark.both
def test_days_that_never_come_are_closed_by_two_people_and_the_rest_is_reconciled(app: Flask, emulator: Emulator, market: Market) -> None:
    days = without(app, emulator, market)
    first, last = min(days), max(days)
    with clock.travel(NEXT + timedelta(days=7, minutes=1)):
        newest = bill_day.newest()
        assert (account_bill.covered_until(market.cooperative), missing()["rows"]) == (DAY, 3)
        db.session.rollback()
        for who, span, why, error in (
            (market.clerk, (first, last), "密钥已经销毁", NotAllowed), (market.accountant, (first, last), "", InvalidInput),
            (market.accountant, (newest, newest), "密钥已经销毁", InvalidInput), (market.accountant, (last, first), "密钥已经销毁", InvalidInput),
        ):  # fmt: skip
            with pytest.raises(error):
                transaction(lambda who=who, span=span, why=why: bill_closure.propose(*span, why, actor=who))  # type: ignore[misc]
        asked = transaction(lambda: bill_closure.propose(first, newest, "离开支付宝，密钥已经销毁", actor=market.accountant).id)
        with pytest.raises(Conflict, match=r"closure\.open"):
            transaction(lambda: bill_closure.propose(first, last, "再说一次", actor=market.director))
        assert next(each.count for each in money_health.standing() if each.name == "bill_closures") == 1
        db.session.rollback()
        for actor, why in ((market.accountant, NotAllowed), (builders.market(name="别家").director, NotFound)):
            with pytest.raises(why):
                transaction(lambda actor=actor: bill_closure.decide(asked, version=1, approved=True, actor=actor))  # type: ignore[misc]
        with pytest.raises(InvalidInput):
            transaction(lambda: bill_closure.decide(asked, version=1, approved=False, actor=market.director))
        assert transaction(lambda: bill_closure.decide(asked, version=1, approved=True, actor=market.director).closed) == 3
        with pytest.raises(Conflict):
            transaction(lambda: bill_closure.decide(asked, version=2, approved=True, actor=market.director))
        assert (account_bill.covered_until(market.cooperative), missing()) == (newest, {"rows": 0, "shown": 0})
        assert [bill_closure.all_told(market.cooperative, [each]) for each in (DAY, first, last, newest)] == [True, False, False, True]
        db.session.rollback()
        assert jobs.fetch_bills() == 0  # nobody asks for them any more
        transaction(lambda: difference.reconcile(market.cooperative, ["alipay"]))
        # What the books moved on such a day no paper tells of: a task.
        found = select(Difference.kind, Difference.day, Difference.fen).where(Difference.state == "OPEN")
        assert [tuple(row) for row in db.session.execute(found)] == [("ONLY_OURS", first, 5)]
        # A bill that comes all the same is taken.
        db.session.rollback()
        transaction(lambda: bill_day.ask_for(market.cooperative, [first], actor=market.accountant))
        assert outbox.drain(kinds={"bill.fetch"}) == (1, 0)
        db.session.rollback()
        assert db.session.scalars(select(ImportedBill.rows).where(ImportedBill.day == first)).one() == 1
        assert trade.held(market, "alipay") == 2 * (17600 - 106) + 5


def test_nobody_closes_their_own_days_and_what_came_meanwhile_stays(app: Flask, emulator: Emulator, market: Market) -> None:
    days = without(app, emulator, market)
    with clock.travel(NEXT + timedelta(days=7, minutes=1)):
        db.session.rollback()
        own = transaction(lambda: bill_closure.propose(min(days), max(days), "密钥已经销毁", actor=market.director).id)
        with pytest.raises(OwnWork):
            transaction(lambda: bill_closure.decide(own, version=1, approved=True, actor=market.director))
    with clock.travel(NEXT + timedelta(days=8)):
        assert jobs.fetch_bills() == 4  # they came after all, with the newest
        db.session.rollback()
        second = builders.person(market.cooperative, "director")
        assert transaction(lambda: bill_closure.decide(own, version=1, approved=True, actor=second).closed) == 0
        assert jobs.fetch_account_bills() == 4
        db.session.rollback()
        assert {len(each) for each in db.session.scalars(select(ImportedBill.sha256))} == {64}


@pytest.mark.both
def test_the_database_keeps_one_waiting_and_two_people(app: Flask) -> None:
    from sqlalchemy.exc import IntegrityError

    market = builders.market()

    def row(**changed: Any) -> None:
        given = {"organisation_id": market.cooperative, "first_day": DAY, "last_day": DAY, "reason": "x", "state": "PROPOSED", "proposed_at": NOON, "proposed_by_id": market.accountant.person_id, "version": 1}
        db.session.add(BillClosure(**(given | changed)))
        db.session.flush()

    transaction(row)
    for wrong in ({}, {"state": "APPROVED", "decided_by_id": market.accountant.person_id}, {"state": "RETURNED", "first_day": DAY + timedelta(days=1)}):
        with pytest.raises(IntegrityError):
            transaction(lambda wrong=wrong: row(**wrong))  # type: ignore[misc]


def test_two_people_close_days_on_the_page(app: Flask, emulator: Emulator, market: Market) -> None:
    days = without(app, emulator, market)
    with clock.travel(NEXT + timedelta(days=7, minutes=1)):
        accountant, director = (browser(app, each) for each in (market.accountant, market.director))
        page = accountant.get("/cooperative/bills").text
        assert all(each in page for each in ("2026-03-11", "2026-03-13", "支付宝没有给出来", "请理事长同意不再等"))
        form = {"first_day": f"{min(days)}", "last_day": f"{max(days)}", "reason": "密钥已经销毁"}
        for wrong in ({"first_day": "gestern"}, {"reason": " "}, {"last_day": "2026-03-10", "first_day": "2026-03-10"}):
            answer = accountant.post("/cooperative/bills", data=form | wrong)
            assert (answer.status_code, "field-error" in answer.text) == (422, True), wrong
        assert accountant.post("/cooperative/bills", data=form).status_code == 303
        assert accountant.post("/cooperative/bills", data=form).status_code == 409
        db.session.rollback()
        public_id = db.session.scalars(select(BillClosure.public_id)).one()
        assert "同意，不再等" not in accountant.get("/cooperative/bills").text
        page = director.get("/cooperative/bills").text
        assert all(each in page for each in ("同意，不再等", "密钥已经销毁", "列成差异"))
        assert accountant.post(f"/cooperative/bills/{public_id}", data={"decision": "approve", "version": "1"}).status_code == 403
        answer = director.post(f"/cooperative/bills/{public_id}", data={"decision": "return", "version": "1", "reason": ""})
        assert (answer.status_code, "field-error" in answer.text) == (422, True)
        assert director.post(f"/cooperative/bills/{public_id}", data={"decision": "approve", "version": "1"}).status_code == 303
        page = accountant.get("/cooperative/bills").text
        assert all(each in page for each in ("每一天的账单都在", "不再等了", "密钥已经销毁"))
        assert "/cooperative/bills" in accountant.get("/reconciliation").text
        assert "已经没有支付宝的应用" not in page
        leaves(market)
        last = DAY + LONGEST
        assert f"账单取到 {last} 为止" in accountant.get("/cooperative/bills").text


def test_a_gateway_that_is_silent_for_a_day_closes_nothing(app: Flask, market: Market) -> None:
    opened(market)
    Silent(app)
    mornings(2)
    with clock.travel(NEXT + timedelta(days=1, minutes=1)):
        assert missing()["rows"] == 2
        db.session.rollback()
        with pytest.raises(InvalidInput, match=r"closure\.days"):
            transaction(lambda: bill_closure.propose(DAY, DAY + timedelta(days=1), "取不到", actor=market.accountant))
        assert "请理事长同意不再等" not in browser(app, market.accountant).get("/cooperative/bills").text


@pytest.mark.both
def test_a_bill_may_come_for_three_days_however_often_it_was_asked_for(app: Flask) -> None:
    market, today = builders.market(), clock.business_date()
    with transaction():
        for back, asked in ((2, 9), (3, 3), (5, 2)):
            day = today - timedelta(days=back)
            db.session.add(MissingBill(organisation_id=market.cooperative, kind="trade", day=day, asked=asked, ask_at=clock.now(), reason="x"))
    assert bill_closure.in_vain(market.cooperative, today - timedelta(days=9), today) == [today - timedelta(days=3)]
