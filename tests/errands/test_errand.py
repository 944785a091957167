"""An errand is done once or not at all: asked for twice, by a worker that dies, beside a second worker, by somebody whose role was taken."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, func, select

from marketplace.errands import attempt, errand
from marketplace.errands.errand import KIND, Errand
from marketplace.errands.step import steps
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import Settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotAllowed, NotFound
from marketplace.foundation.language import said
from marketplace.foundation.outbox import CLAIM
from marketplace.jobs import schedule
from marketplace.notices import message
from marketplace.notices.message import Message
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Role
from marketplace.reporting import books, money_alarm, money_health
from marketplace.settlement import distribution, distribution_errand
from marketplace.settlement.distribution import Distribution
from tests import builders
from tests.builders import Market
from tests.settlement.test_distribution import after_notice, published, sold, this_period

pytestmark = pytest.mark.both


@pytest.fixture
def market(app: Flask) -> Market:
    schedule.known()
    market = builders.market()
    sold(market, 30_000)
    return market


def asked(market: Market, actor: Actor | None = None) -> Errand:
    """A draft of this month, asked for."""
    period = this_period()
    return transaction(
        lambda: errand.ask(
            "distribution.draft", distribution_errand.of_month(market.cooperative, period), organisation_id=market.cooperative, name=period, households=3,
            path="/distributions", given={"period": period}, actor=actor or market.accountant,
        )
    )  # fmt: skip


def asked_to_post(row: Distribution, market: Market) -> Errand:
    number, period, version = row.id, row.period, row.version
    return transaction(
        lambda: errand.ask(
            "distribution.post", distribution_errand.of(number), organisation_id=market.cooperative, name=period, households=3, path="/distributions",
            given={"id": number, "version": version}, actor=market.accountant,
        )
    )  # fmt: skip


def work() -> tuple[int, int]:
    """What a worker does now: (done, failed) messages."""
    return outbox.drain(kinds={KIND})


def fresh(row: Errand) -> Errand:
    db.session.rollback()
    return db.session.get_one(Errand, row.id)


def drafts() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Distribution.id))) or 0


def told(person_id: int) -> list[str]:
    db.session.rollback()
    return [message.said(row)[0] for row in db.session.scalars(select(Message).where(Message.person_id == person_id).order_by(Message.id))]


def held_to_the_rules() -> None:
    """Those of a distribution: the orders of these tests shipped no stock."""
    assert [each.detail for each in books.check() if not each.ok and each.rule.startswith(("distributions", "pools", "books", "entries", "households"))] == []


def test_asked_for_twice_it_is_one_and_is_done_once(market: Market) -> None:
    first, second = asked(market), asked(market)
    assert (first.id, first.stage) == (second.id, "WAITING")
    assert drafts() == 0
    assert work() == (1, 0)
    row = fresh(first)
    made = db.session.scalars(select(Distribution)).one()
    assert (row.state, row.outcome, made.total_fen, made.drafted_by_id) == ("DONE", {"paper": made.public_id}, 6_000, market.accountant.person_id)
    assert work() == (0, 0)
    assert told(market.accountant.person_id) == [f"办好了：拟定 {this_period()} 的收益分配"]


def test_eight_who_ask_at_once_ask_for_one(app: Flask, market: Market) -> None:
    ids: list[int] = []

    def press() -> None:
        with app.app_context():
            ids.append(asked(market).id)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ids), len(set(ids))) == (8, 1)
    work()
    assert drafts() == 1


def test_while_one_is_under_way_another_step_of_the_same_thing_is_refused_at_once(market: Market) -> None:
    row = published(market)
    asked_to_post(row, market)
    with pytest.raises(Conflict) as refused:
        errand.must_be_free(distribution_errand.of(row.id))
    assert refused.value.code == "errand.under_way"
    with pytest.raises(Conflict) as refused, transaction():
        errand.ask(
            "payout.make", distribution_errand.of(row.id), organisation_id=market.cooperative, name="x", households=3, path="/", given={"id": row.id},
            actor=market.accountant,
        )  # fmt: skip
    assert refused.value.code == "errand.under_way"
    errand.must_be_free(distribution_errand.of(row.id + 1))


def test_who_may_not_take_the_step_may_not_ask_for_it(market: Market) -> None:
    for actor in (market.director, market.clerk):
        with pytest.raises(NotAllowed):
            asked(market, actor)
    other = builders.market(name="双溪合作社")
    with pytest.raises(NotFound):
        asked(market, other.accountant)
    assert fresh_errands() == 0


def fresh_errands() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Errand.id))) or 0


def test_the_asker_is_who_they_are_when_it_is_done(market: Market) -> None:
    """A role that was taken away between the question and the work is not there for the work."""
    row, late = asked(market), builders.person(market.cooperative, "accountant")
    transaction(lambda: db.session.execute(delete(Role).where(Role.person_id == market.accountant.person_id, Role.name == "accountant")))
    assert work() == (1, 0)
    row = fresh(row)
    assert (row.state, row.refusal.code, drafts()) == ("REFUSED", "role.missing", 0)
    assert said(row.refusal) == "这一步要由别的岗位来办。"
    again = asked(market, late)
    work()
    assert (fresh(again).state, drafts()) == ("DONE", 1)


def test_what_the_rules_refuse_is_told_and_not_tried_again(market: Market) -> None:
    paper = published(market)
    row = asked_to_post(paper, market)  # its notice has not ended
    assert work() == (1, 0)
    row = fresh(row)
    assert (row.state, row.attempts, row.refusal.code, db.session.get_one(Distribution, paper.id).state) == ("REFUSED", 1, "notice.running", "PUBLISHED")
    assert "%(" not in said(row.refusal)
    assert told(market.accountant.person_id) == [f"没有办：把 {paper.period} 的收益记到各户"]
    (news,) = db.session.scalars(select(Message))
    assert message.said(news, "en")[1].isascii()
    assert errand.standing(row.subject, paper.version) is not None
    assert errand.standing(row.subject, paper.version + 1) is None, "of what was changed since, the refusal says nothing"
    with clock.travel(after_notice(paper)):
        again = asked_to_post(paper, market)
        work()
        assert (fresh(again).state, db.session.get_one(Distribution, paper.id).state) == ("DONE", "POSTED")
    held_to_the_rules()


def test_a_version_that_is_past_is_refused(market: Market) -> None:
    paper = published(market)
    row = asked_to_post(paper, market)
    transaction(lambda: distribution.withdraw(paper.id, actor=market.director, reason="称重有误"))
    work()
    assert (fresh(row).state, fresh(row).refusal.code) == ("REFUSED", "distribution.state")


def test_what_breaks_is_tried_again_then_given_up_and_may_be_asked_for_again(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    step = steps["distribution.draft"]

    def breaks(given: Any, actor: Actor) -> dict[str, Any]:
        step.work(given, actor)
        raise OSError("no space left on device")

    monkeypatch.setitem(steps, "distribution.draft", replace(step, work=breaks))
    row, at = asked(market), clock.now()
    stages = []
    for _ in range(attempt.MOST):
        with clock.travel(at):
            work()
        stages.append(fresh(row).stage)
        at += timedelta(hours=1)
    assert (stages, drafts()) == (["AGAIN", "AGAIN", "FAILED"], 0)
    standing = {each.name: each.count for each in money_health.standing()}
    assert (standing["failed_errands"], standing["errands"], standing["outside"], standing["letters"]) == (1, 0, 0, 0)
    assert "failed_errands" in money_health.alarms(money_health.standing())
    assert [each.name for each in money_alarm.frequent() if "errands" in each.name] == ["failed_errands"]
    assert told(market.accountant.person_id) == [f"没有办成：拟定 {this_period()} 的收益分配"]
    monkeypatch.setitem(steps, "distribution.draft", step)
    with pytest.raises(NotAllowed):
        transaction(lambda: errand.ask_again(row.id, actor=market.clerk))
    for _ in range(2):
        transaction(lambda: errand.ask_again(row.id, actor=market.accountant))
    assert work() == (1, 0)
    assert (fresh(row).state, drafts()) == ("DONE", 1)
    with pytest.raises(Conflict):
        transaction(lambda: errand.ask_again(row.id, actor=market.accountant))


def test_a_second_worker_waits_for_the_first_and_does_it_no_second_time(app: Flask, market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first takes longer than a claim of the outbox lasts, so that its message is due once more."""
    step, later = steps["distribution.draft"], clock.now() + CLAIM + timedelta(seconds=1)
    times: list[str] = []
    second_ended = threading.Event()

    def second() -> None:
        with app.app_context(), clock.travel(later):
            work()
            db.session.remove()
        second_ended.set()

    thread = threading.Thread(target=second)

    def slow(given: Any, actor: Actor) -> dict[str, Any]:
        times.append(threading.current_thread().name)
        if len(times) == 1:
            thread.start()
            assert not second_ended.wait(0.7), "the second worker did not wait for the first"
        return step.work(given, actor)

    monkeypatch.setitem(steps, "distribution.draft", replace(step, work=slow))
    row = asked(market)
    assert work() == (1, 0)
    thread.join(30)
    assert (len(times), drafts(), fresh(row).state, fresh(row).attempts) == (1, 1, "DONE", 1)
    with clock.travel(later):
        assert work() == (0, 0)


def test_a_worker_that_is_killed_in_the_middle_did_nothing_and_the_next_does_it_once(market: Market, settings: Settings, database: str) -> None:
    published(market)
    sold(market, 10_000)
    row = asked(market)
    command = [sys.executable, "-m", "tests.errands.killed", str(settings.data_dir), database]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    row = fresh(row)
    assert (row.stage, row.attempts, drafts()) == ("RUNNING", 1, 1)
    assert work() == (0, 0)  # claimed by the dead, until its time is over
    with clock.travel(clock.now() + CLAIM + timedelta(seconds=1)):
        assert work() == (1, 0)
    assert (fresh(row).state, fresh(row).attempts, drafts()) == ("DONE", 2, 2)
    held_to_the_rules()


def test_a_worker_that_dies_every_time_is_given_up(market: Market) -> None:
    """It may be the work that kills it: for want of memory, say."""
    row, at = asked(market), clock.now()
    for _ in range(attempt.MOST):
        transaction(lambda: attempt.begin(row.id))  # and no more of it
    with clock.travel(at + timedelta(hours=1)):
        assert work() == (1, 0)
    assert (fresh(row).state, drafts()) == ("FAILED", 0)


def test_how_long_it_takes_is_told_by_the_last_one(market: Market) -> None:
    row = asked(market)
    assert errand.usual_seconds(row) is None
    transaction(lambda: attempt.begin(row.id))
    with clock.travel(clock.now() + timedelta(seconds=30)):
        transaction(lambda: attempt.carry_out(row.id))
    sold(market, 10_000)
    following = asked(market)
    following.households = 9
    assert errand.usual_seconds(following) in range(89, 92)
    assert errand.before(following) == 0
    db.session.rollback()


def test_what_takes_long_is_a_setting(app: Flask) -> None:
    assert (errand.takes_long(4_999), errand.takes_long(5_000)) == (False, True)
    app.extensions["settings"] = replace(app.extensions["settings"], errand_households=2)
    assert (errand.takes_long(1), errand.takes_long(2)) == (False, True)
