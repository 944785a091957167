"""Jobs do what is due, say so, and one that fails does not stop the others."""

import threading

import pytest
from flask import Flask

from marketplace.foundation import outbox
from marketplace.foundation.database import transaction
from marketplace.jobs import schedule
from marketplace.jobs.schedule import JOBS, Job


def test_the_outbox_job_carries_out_what_waits(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setitem(outbox.handlers, "test.kind", lambda payload: seen.append(payload["n"]))
    transaction(lambda: outbox.put("test.kind", "a", {"n": 1}))
    runner = app.test_cli_runner()
    assert "1 done" in runner.invoke(args=["jobs", "once", "outbox"]).output
    assert "nothing was due" in runner.invoke(args=["jobs", "once", "outbox"]).output
    assert seen == [1]


def test_what_was_approved_is_found_within_seconds() -> None:
    """The index is updated by the outbox, and the outbox is looked after every few seconds."""
    assert JOBS["outbox"].every <= 5


def test_a_gateway_that_hangs_holds_up_nothing_else(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refunds and questions wait for its answer; expiry, settlement, search and letters do not."""
    stop, hanging, goes_on, ran = threading.Event(), threading.Event(), threading.Event(), []

    def refund(payload: dict[str, int]) -> None:
        hanging.set()
        assert goes_on.wait(30)

    def expire() -> str:
        if hanging.is_set():
            ran.append("expire")
            goes_on.set()
            stop.set()
        return ""

    schedule.known()
    monkeypatch.setitem(outbox.handlers, "refund", refund)
    transaction(lambda: outbox.put("refund", "1", {"refund_id": 1}))
    monkeypatch.setitem(JOBS, "expire", Job("expire", 0, "", expire))
    schedule.run(app, stop, {"outbox", "calls", "expire"})
    assert ran
    assert outbox.drain(kinds={"refund"}) == (0, 0)  # what hung was finished before the schedule ended


def test_who_waits_for_whom() -> None:
    jobs = schedule.known().values()
    assert {each.name for each in jobs if each.asks == "gateway"} >= {"calls", "ask", "bills", "accounts"}
    assert {"refund", "payment.query", "payment.close", "payment.fee"} <= outbox.asking("gateway")
    # Every kind of message has a job that drains it.
    assert {each.asks for each in jobs if each.name in ("outbox", "calls", "transfers", "letters", "errands")} >= {outbox.others.get(kind, "") for kind in outbox.handlers}


def test_a_spell_begins_nothing_once_it_is_over(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outbox.handlers, "test.kind", lambda payload: None)
    for number in range(3):
        transaction(lambda key=f"{number}": outbox.put("test.kind", key))  # type: ignore[misc]
    assert outbox.drain(kinds={"test.kind"}, seconds=0) == (0, 0)
    assert outbox.drain(kinds={"test.kind"}) == (3, 0)


def test_every_job_is_listed_and_an_unknown_one_is_named(app: Flask) -> None:
    runner = app.test_cli_runner()
    listed = runner.invoke(args=["jobs", "list"]).output
    assert all(name in listed for name in schedule.known())
    refused = runner.invoke(args=["jobs", "once", "nonsense"])
    assert refused.exit_code == 2
    assert "outbox" in refused.output


def test_a_failing_job_leaves_the_others_running(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, ran = threading.Event(), []

    def fail() -> str:
        raise OSError("down")

    def work() -> str:
        ran.append(1)
        stop.set()
        return ""

    schedule.known()
    monkeypatch.setitem(JOBS, "test.fail", Job("test.fail", 1, "", fail))
    monkeypatch.setitem(JOBS, "test.work", Job("test.work", 1, "", work))
    schedule.run(app, stop, {"test.fail", "test.work"})
    assert ran == [1]
