"""Alarms: whoever should know is told once, once a day while it lasts, and when it is over; the morning's digest once a morning."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.jobs import alarms
from marketplace.notices import alarm, mail_wish, message
from marketplace.notices.alarm import Wrong
from marketplace.notices.mail_wish import MailWish
from marketplace.notices.message import Message
from marketplace.orders import cancellation
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor
from marketplace.payments import call
from marketplace.payments import payment as payments
from marketplace.payments.channel import UNSENT, Answer
from marketplace.payments.refund import Refund
from marketplace.reporting import money_alarm, money_health
from tests import builders
from tests.notices.mail_server import mail_server
from tests.notices.test_mail import configured
from tests.orders import trade
from tests.payments.gateway import WrittenChannel

pytestmark = pytest.mark.usefixtures("still_clock")

REFUSES_US = Answer("unknown", sub_code="40002/isv.invalid-signature", told={"misconfigured": True})
TAKES_US = Answer("refused", sub_code="ACQ.TRADE_NOT_EXIST")


def wrong(number: int, organisation_id: int | None = None, name: str = "differences") -> Wrong:
    return Wrong(name, str(number), f"2026{number}", clock.now(), organisation_id, 12_345)


def look(*found: Wrong, after: timedelta = timedelta(), **more: Any) -> tuple[int, int]:
    with clock.travel(clock.now() + after):
        return transaction(lambda: alarm.take(found, ("differences", "notices"), **more))


def told(who: Actor) -> list[str]:
    """The kinds of what a person was told, in order."""
    db.session.rollback()
    return [row.kind for row in db.session.scalars(select(Message).where(Message.person_id == who.person_id).order_by(Message.id))]


def confirmed(who: Actor, **wishes: bool) -> None:
    asked: dict[str, Any] = {"address": "zhang@office.example", "language": "zh", "alarms": True, "digest": False, "by_mail": True} | wishes
    transaction(lambda: mail_wish.save(**asked, version=0, actor=who))
    db.session.execute(update(MailWish).where(MailWish.person_id == who.person_id).values(confirmed_at=clock.now()))
    db.session.commit()


@pytest.mark.both
def test_the_same_is_told_once_a_day_and_when_it_is_over(app: Flask) -> None:
    office = builders.person(builders.operator(), "treasurer")
    assert look(wrong(1)) == (1, 0)
    for hours in (0, 1, 23):
        assert look(wrong(1), after=timedelta(hours=hours)) == (0, 0)
    assert look(wrong(1), wrong(2), after=timedelta(hours=12)) == (1, 0)  # only what is new
    assert look(wrong(1), wrong(2), after=timedelta(hours=25)) == (1, 0)  # the first lasts
    assert told(office) == ["money.alarm"] * 3
    assert look(wrong(2), after=timedelta(hours=26)) == (0, 1)
    assert told(office)[-1] == "money.solved"
    # Back within the day: people believe that it is over, so they are told again.
    assert look(wrong(1), wrong(2), after=timedelta(hours=27)) == (1, 0)
    assert look(wrong(1), wrong(2), after=timedelta(hours=52)) == (2, 0)
    assert look(after=timedelta(hours=53)) == (0, 2)
    assert look(after=timedelta(hours=54)) == (0, 0)
    assert told(office)[3:] == ["money.solved", "money.alarm", "money.alarm", "money.solved"]


@pytest.mark.both
def test_one_letter_in_ten_minutes_holds_all_that_happened(app: Flask) -> None:
    """While one thing after another passes its time, the first is told at once and the others together."""
    office = builders.person(builders.operator(), "treasurer")
    minutes = {0: (wrong(1),), 1: (wrong(1), wrong(2)), 2: (wrong(2), wrong(3), wrong(4)), 3: (wrong(2), wrong(3)), 9: (wrong(2), wrong(3))}
    for minute, found in minutes.items():
        look(*found, after=timedelta(minutes=minute))
    assert told(office) == ["money.alarm"]
    look(wrong(2), wrong(3), after=timedelta(minutes=10))
    assert told(office) == ["money.alarm", "money.alarm"]
    _first, second = (message.said(row)[1] for row in db.session.scalars(select(Message).where(Message.person_id == office.person_id).order_by(Message.id)))
    wrong_now, over = second.split("现在都好了")
    assert ("20262" in wrong_now, "20263" in wrong_now, "20261" in over) == (True, True, True)
    assert "20264" not in second and "20261" not in wrong_now  # what came and went in between is no news
    look(after=timedelta(minutes=11))
    assert told(office) == ["money.alarm", "money.alarm"]
    look(after=timedelta(minutes=20))
    assert told(office) == ["money.alarm", "money.alarm", "money.solved"]


def test_each_reader_has_a_pace_of_their_own(app: Flask) -> None:
    """What is somebody's first news is told at once, whoever else has just been told of another thing."""
    market, other = builders.market(), builders.market(name="另一家")
    office = builders.person(builders.operator(), "treasurer")
    look(wrong(1, market.cooperative))
    look(wrong(1, market.cooperative), wrong(2, other.cooperative), after=timedelta(minutes=1))
    assert [len(told(each)) for each in (market.director, other.director, office)] == [1, 1, 1]
    look(wrong(1, market.cooperative), wrong(2, other.cooperative), after=timedelta(minutes=10))
    assert [len(told(each)) for each in (market.director, other.director, office)] == [1, 1, 2]


def test_what_a_slow_look_found_waits_for_the_next_quick_one(app: Flask) -> None:
    office = builders.person(builders.operator(), "treasurer")
    look(wrong(1))
    with clock.travel(clock.now() + timedelta(minutes=1)):
        assert transaction(lambda: alarm.take([wrong(2, name="books")], ("books",))) == (0, 0)
    assert look(wrong(1), after=timedelta(minutes=10)) == (1, 0)
    assert told(office) == ["money.alarm", "money.alarm"]


def test_what_has_happened_is_told_once(app: Flask) -> None:
    office = builders.person(builders.operator(), "treasurer")
    for hours in (0, 25, 50):
        look(wrong(1, name="notices"), after=timedelta(hours=hours), once=("notices",))
    look(after=timedelta(hours=51), once=("notices",))
    assert told(office) == ["money.alarm"]


def test_everybody_hears_of_their_own_and_the_county_of_all(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家")
    office, reviewer = builders.person(builders.operator(), "auditor"), builders.person(builders.operator(), "reviewer")
    deaf = builders.person(market.cooperative, "director")
    transaction(lambda: mail_wish.save(address="", language="zh", alarms=False, digest=False, by_mail=True, version=0, actor=deaf))
    look(wrong(1, market.cooperative), wrong(2))
    assert [told(each) for each in (office, market.director, market.accountant)] == [["money.alarm"]] * 3
    assert [told(each) for each in (reviewer, market.clerk, other.director, deaf)] == [[]] * 4
    db.session.rollback()
    of = {row.person_id: row for row in db.session.scalars(select(Message))}
    assert "20261" in message.said(of[office.person_id])[1] and "20262" in message.said(of[office.person_id])[1]
    assert "20262" not in message.said(of[market.director.person_id])[1]
    assert "2 things" in message.said(of[office.person_id], "en")[0]


def test_a_hundred_at_once_are_one_message(app: Flask) -> None:
    office = builders.person(builders.operator(), "treasurer")
    confirmed(office)
    assert look(*(wrong(number) for number in range(100))) == (100, 0)
    row = db.session.scalars(select(Message).where(Message.person_id == office.person_id)).one()
    subject, text = message.said(row)
    assert "100 件" in subject and "还有 80 件" in text and text.count("¥123.45") == alarm.MOST
    with mail_server() as (box, port), configured(app, port):
        outbox.drain(kinds={"mail"})
    letter = next(each for each in box.taken if "资金提醒" in each["Subject"])
    assert "/operator/money" in letter.get_content() and "/account/mail" in letter.get_content()


def test_a_refund_of_unknown_outcome_is_an_alarm_after_an_hour_and_then_solved(app: Flask) -> None:
    market, buyer = builders.market(), builders.customer()
    (order_id,) = trade.placed(buyer, (market.pack, 1))
    (number,) = trade.opened([order_id])
    transaction(lambda: payments.apply(trade.succeeded(number)))
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    db.session.execute(update(Refund).values(state="unknown"))
    db.session.commit()
    with clock.travel(clock.now() + timedelta(minutes=59)):
        assert alarms.alarms() == ""
    with clock.travel(clock.now() + timedelta(minutes=61)):
        assert alarms.alarms() == "1 told, 0 solved"
        assert alarms.alarms() == ""
    db.session.execute(update(Refund).values(state="succeeded", succeeded_at=clock.now()))
    db.session.commit()
    with clock.travel(clock.now() + timedelta(minutes=62)):
        assert alarms.alarms() == "0 told, 1 solved"
    assert told(market.director) == ["money.alarm"]
    with clock.travel(clock.now() + timedelta(minutes=71)):
        alarms.alarms()
    assert told(market.director) == ["money.alarm", "money.solved"]


def test_a_channel_that_refuses_our_key_is_wrong_until_it_takes_a_call(app: Flask) -> None:
    """Between two tries there are up to six hours in which nobody asks: that is no sign of health."""
    office, market = builders.person(builders.operator(), "treasurer"), builders.market()
    (order_id,) = trade.placed(builders.customer(), (market.pack, 1))
    (number,) = trade.opened([order_id])
    begin = clock.now()
    tries = {minute: timedelta(minutes=minute) for minute in (0, 13, 43, 403)}
    for minute in range(0, 420, 4):
        with clock.travel(begin + timedelta(minutes=minute)):
            due = [each for each in tries if each <= minute]
            for each in due:
                del tries[each]
                WrittenChannel(app, query=[REFUSES_US])
                call.ask(number)
            alarms.alarms()
    assert told(office) == ["money.alarm"]
    with clock.travel(begin + timedelta(minutes=424)):
        WrittenChannel(app, query=[Answer("refused", sub_code="not_opened", told=UNSENT)])  # for which nobody was asked
        call.ask(number)
        alarms.alarms()
    assert told(office) == ["money.alarm"]
    with clock.travel(begin + timedelta(minutes=425)):
        WrittenChannel(app, query=[TAKES_US])
        call.ask(number)
        assert alarms.alarms() == "0 told, 1 solved"
    assert told(office) == ["money.alarm", "money.solved"]
    with clock.travel(begin + timedelta(minutes=440)):
        WrittenChannel(app, query=[REFUSES_US])
        call.ask(number)
        assert alarms.alarms() == "1 told, 0 solved"
    assert told(office) == ["money.alarm", "money.solved", "money.alarm"]
    with clock.travel(begin + timedelta(minutes=440, hours=8)):  # nothing waits: nobody has been refused for longer than any pause
        assert alarms.alarms() == "0 told, 1 solved"


def test_what_waits_for_weeks_is_as_old_as_it_is(app: Flask) -> None:
    """A task that is tried again and again is due in the future; it has waited since it was asked for."""
    market, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (market.pack, 1))
    transaction(lambda: cancellation.cancel(order_id, actor=buyer))
    begin = clock.now()
    WrittenChannel(app, refund=[Answer("unknown")], refund_query=[Answer("unknown")])
    for day in range(20):
        with clock.travel(begin + timedelta(days=day)):
            outbox.drain(kinds={"refund"})
            standing = {each.name: each for each in money_health.standing()}["outside"]
            later = [each.since for each in money_alarm.frequent() if each.name == "outside"]
    assert (standing.count, standing.oldest) == (1, begin)
    assert later == [begin]


def test_books_that_do_not_hold_are_an_alarm_of_the_county(app: Flask) -> None:
    market, buyer = builders.market(), builders.customer()
    office = builders.person(builders.operator(), "treasurer")
    (order_id,) = trade.placed(buyer, (market.pack, 1))
    assert alarms.inspection() == ""
    db.session.execute(update(Order).where(Order.id == order_id).values(paid_fen=1))
    db.session.commit()
    assert alarms.inspection().endswith("told, 0 solved")
    assert alarms.alarms() == ""  # the quick look does not take for solved what it does not look at
    assert (told(office), told(market.director)) == (["money.alarm"], [])


def test_every_kind_of_trouble_has_its_words(app: Flask) -> None:
    assert {*money_health.NAMES, *money_alarm.FREQUENT, *money_alarm.DAILY} <= set(money_alarm.LABELS)


def test_the_digest_comes_once_a_morning_to_who_wants_it(app: Flask) -> None:
    market = builders.market()
    office, other = builders.person(builders.operator(), "treasurer"), builders.person(builders.operator(), "administrator")
    confirmed(office, digest=True)
    confirmed(market.accountant, digest=True)
    morning = clock.beijing_midnight(clock.business_date()) + timedelta(days=1, hours=8)
    with clock.travel(morning - timedelta(minutes=1)):
        assert alarms.digest() == ""
    with clock.travel(morning):
        assert (alarms.digest(), alarms.digest()) == ("2 digests", "")
    with clock.travel(morning + timedelta(days=1, hours=3)):
        assert alarms.digest() == "2 digests"
    assert (told(office), told(market.accountant), told(other)) == (["money.digest"] * 2, ["money.digest"] * 2, [])
