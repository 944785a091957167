"""What a person repeats happens once; what must happen outside is never lost and never doubled by us."""

import threading
import time
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from marketplace.foundation import clock, outbox
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.outbox import OutboxMessage
from marketplace.foundation.workdays import WorkdayOverride

pytestmark = pytest.mark.both


def test_a_repeat_gets_the_first_answer(app: Flask) -> None:
    done: list[int] = []

    def work() -> dict[str, int]:
        done.append(1)
        return {"order": 7}

    for _ in range(3):
        assert transaction(lambda: once("place", "k1", {"cart": 1}, work)) == {"order": 7}
    assert done == [1]


def test_the_same_key_with_another_request_is_a_conflict(app: Flask) -> None:
    transaction(lambda: once("place", "k1", {"cart": 1}, dict))
    with pytest.raises(Conflict) as refused:
        transaction(lambda: once("place", "k1", {"cart": 2}, dict))
    assert refused.value.code == "key.reused"
    with pytest.raises(InvalidInput):
        transaction(lambda: once("place", "", {}, dict))


def test_a_failed_work_leaves_no_claim(app: Flask) -> None:
    def fail() -> dict[str, int]:
        raise Conflict("no", "no")

    with pytest.raises(Conflict):
        transaction(lambda: once("place", "k1", {}, fail))
    assert transaction(lambda: once("place", "k1", {}, lambda: {"ok": 1})) == {"ok": 1}


def test_eight_at_once_do_the_work_once(app: Flask) -> None:
    from datetime import date

    answers = []

    def work() -> dict[str, str]:
        db.session.add(WorkdayOverride(day=date(2030, 1, 1), is_workday=True, reason="once"))
        return {"made": "yes"}

    def press() -> None:
        with app.app_context():
            answers.append(transaction(lambda: once("press", "same", {}, work)))

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [{"made": "yes"}] * 8
    assert db.session.scalar(select(func.count()).select_from(WorkdayOverride)) == 1


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    got: list[int] = []

    def handler(payload: dict[str, int]) -> None:
        if payload.get("fail"):
            raise OSError("down")
        got.append(payload["n"])

    monkeypatch.setitem(outbox.handlers, "test.kind", handler)
    return got


def test_asked_twice_is_done_once_and_asked_later_is_done_again(app: Flask, seen: list[int]) -> None:
    for n in (1, 2):
        transaction(lambda n=n: outbox.put("test.kind", "a", {"n": n}))
    assert outbox.drain(kinds={"test.kind"}) == (1, 0)
    assert outbox.drain(kinds={"test.kind"}) == (0, 0)
    transaction(lambda: outbox.put("test.kind", "a", {"n": 3}))
    assert outbox.drain(kinds={"test.kind"}) == (1, 0)
    assert seen == [2, 3]


def test_what_is_undone_asks_for_nothing(app: Flask, seen: list[int]) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        outbox.put("test.kind", "a", {"n": 1})
        _ = 1 // 0
    assert outbox.drain(kinds={"test.kind"}) == (0, 0)


def test_a_failure_waits_and_a_killed_worker_is_replaced(app: Flask, seen: list[int]) -> None:
    transaction(lambda: outbox.put("test.kind", "a", {"n": 1, "fail": 1}))
    assert outbox.drain(kinds={"test.kind"}) == (0, 1)
    assert outbox.drain(kinds={"test.kind"}) == (0, 0)
    message = db.session.scalars(select(OutboxMessage)).one()
    assert message.last_error == "OSError: down"
    with clock.travel(clock.now() + timedelta(seconds=11)):
        # A worker claims and dies: nothing but the claim is written.
        transaction(lambda: outbox._claim({"test.kind"}))
        assert outbox.drain(kinds={"test.kind"}) == (0, 0)
    with clock.travel(clock.now() + outbox.CLAIM + timedelta(seconds=12)):
        transaction(lambda: outbox.put("test.kind", "a", {"n": 5}))
        assert outbox.drain(kinds={"test.kind"}) == (1, 0)
    assert seen == [5]


def test_the_network_is_not_touched_inside_a_transaction(app: Flask, seen: list[int]) -> None:
    with pytest.raises(RuntimeError, match="outside"), transaction():
        outbox.drain()


def test_what_is_asked_for_again_just_as_it_is_finished_is_done_again(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody asks within a transaction that lasts until the worker, done with it, wants to say so."""
    got: list[int] = []
    asked = threading.Event()

    def ask() -> None:
        outbox.put("test.kind", "one", {"n": 2})
        asked.set()
        until = time.monotonic() + 3
        while db.engine.dialect.name == "postgresql" and time.monotonic() < until:
            if db.session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                return  # the worker waits for us

    def again() -> None:
        with app.app_context():
            transaction(ask)

    other = threading.Thread(target=again)

    def handler(payload: dict[str, int]) -> None:
        got.append(payload["n"])
        if len(got) == 1:
            other.start()
            assert asked.wait(10)

    monkeypatch.setitem(outbox.handlers, "test.kind", handler)
    transaction(lambda: outbox.put("test.kind", "one", {"n": 1}))
    outbox.drain(kinds={"test.kind"})
    other.join()
    outbox.drain(kinds={"test.kind"})
    assert got == [1, 2]
    db.session.rollback()
    assert db.session.scalars(select(OutboxMessage.done_at)).one() is not None


def test_what_is_asked_for_again_just_as_it_fails_is_tried_as_soon_as_anything_new(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that failed for a week waits hours between two tries; a person who asks for it now does not."""
    asked: list[int] = []

    def handler(payload: dict[str, int]) -> None:
        asked.append(1)
        if len(asked) > 1:
            transaction(lambda: outbox.put("again", "k", {}))
        raise ValueError("not yet")

    monkeypatch.setitem(outbox.handlers, "again", handler)
    transaction(lambda: outbox.put("again", "k", {}))
    assert outbox.drain(kinds={"again"}) == (0, 1)
    transaction(lambda: setattr(db.session.scalars(select(OutboxMessage)).one(), "attempts", 7))
    with clock.travel(clock.now() + timedelta(minutes=1)):
        assert outbox.drain(kinds={"again"}) == (0, 1)
        db.session.rollback()
        waits = db.session.scalars(select(OutboxMessage)).one()
        assert (waits.attempts, waits.due_at - clock.now() <= timedelta(seconds=outbox.BACKOFF[0])) == (0, True)
