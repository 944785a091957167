"""A batch of very many that was called off and paid: said and decided on by a worker in goes, each of which stands, whatever stops it between two."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete

from marketplace.errands import attempt
from marketplace.errands.errand import Errand
from marketplace.errands.step import steps
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.jobs import schedule
from marketplace.organisations.actor import Actor
from marketplace.organisations.person import Role
from marketplace.settlement import payout_found_batch
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.settlement.test_payout_batch import posted
from tests.settlement.test_payout_found import WHY, broken, cancelled
from tests.settlement.test_payout_unknown import told
from tests.web.test_errand_pages import page_of, the_errand, worker
from tests.web.work_desk import browser

pytestmark = pytest.mark.both


@pytest.fixture
def batch(app: Flask, monkeypatch: pytest.MonkeyPatch) -> tuple[Market, PayoutBatch]:
    """Three payments, each a go of its own."""
    schedule.known()
    monkeypatch.setattr(payout_found_batch, "MOST", 1)
    market, distribution_id = posted()
    return market, cancelled(market, distribution_id)


def asked(app: Flask, row: PayoutBatch, who: Actor, decision: str = "approve", **form: Any) -> Errand:
    """The director's word on what waits, handed to a worker."""
    waits, path = payout_found_batch.waiting(row.id), f"/payouts/{row.public_id}/found/decision"
    given = {"count": waits.count, "last": waits.last_id, "decision": decision, **form}
    assert browser(app, who).post(path, data=given).location.startswith("/errands/")
    return the_errand()


def said(app: Flask, market: Market, row: PayoutBatch) -> None:
    for after in (0, 1, 2):
        transaction(lambda after=after: payout_found_batch.propose(row.id, WHY, after=after, actor=market.accountant))


def states(row: PayoutBatch) -> list[str]:
    db.session.rollback()
    return [state for state, _reason in told(row)]


def gone_once(row: Errand) -> None:
    """A worker takes one go, and is no more."""
    assert transaction(lambda: attempt.begin(row.id))
    assert not transaction(lambda: attempt.carry_out(row.id))


def test_it_is_said_and_decided_on_by_the_worker(app: Flask, batch: tuple[Market, PayoutBatch]) -> None:
    market, row = batch
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    page = f"/payouts/{row.public_id}/found"
    assert accountant.post(page, data={"found": "付"}).status_code == 422
    first, second = (accountant.post(page, data={"found": WHY}).location for _ in range(2))
    its = the_errand()
    assert (first, first) == (second, f"/errands/{its.public_id}")
    busy = director.get(page).text
    assert ("另外一步正在办" in busy, first in busy, "<textarea" in busy) == (True, True, False)
    gone_once(its)
    assert ("33%" in page_of(accountant, its), "分很多次办" in page_of(accountant, its), payout_found_batch.waiting(row.id).count) == (True, True, 1)
    worker(app)
    assert "已提出 3 笔，等另一位（理事长）核对" in page_of(accountant, its)
    waits = payout_found_batch.waiting(row.id)
    for form, status in (({"count": 2, "decision": "approve"}, 409), ({"count": 3, "decision": "return"}, 422)):
        assert director.post(f"{page}/decision", data={"last": waits.last_id, **form}).status_code == status
    its = asked(app, row, market.director)
    assert director.post(f"{page}/decision", data={"count": 3, "last": waits.last_id, "decision": "return", "answer": "没有"}).status_code == 409, "while it is under way"
    worker(app)
    assert ("看了 3 笔，3 笔记为到账" in page_of(director, its), states(row), broken()) == (True, ["paid"] * 3, [])
    assert f'href="{page}"' in page_of(director, its)


def test_what_is_returned_in_goes_stays_as_it_was(app: Flask, batch: tuple[Market, PayoutBatch]) -> None:
    market, row = batch
    said(app, market, row)
    before = states(row)
    its = asked(app, row, market.director, "return", answer="流水上没有")
    worker(app)
    assert ("退回 3 笔，账照旧" in page_of(browser(app, market.director), its), states(row), payout_found_batch.waiting(row.id).count) == (True, before, 0)


def test_what_is_said_after_the_director_looked_is_not_decided_on(app: Flask, batch: tuple[Market, PayoutBatch]) -> None:
    market, row = batch
    for after in (0, 1):
        transaction(lambda after=after: payout_found_batch.propose(row.id, WHY, after=after, actor=market.accountant))
    asked(app, row, market.director)
    transaction(lambda: payout_found_batch.propose(row.id, WHY, after=2, actor=market.accountant))
    worker(app)
    assert (states(row).count("paid"), payout_found_batch.waiting(row.id).count, broken()) == (2, 1, [])


def test_a_worker_that_dies_between_two_goes_is_followed_by_one_that_goes_on(app: Flask, batch: tuple[Market, PayoutBatch]) -> None:
    market, row = batch
    said(app, market, row)
    its = asked(app, row, market.director)
    for through in (1, 2):
        gone_once(its)
        assert (states(row).count("paid"), the_errand().through, the_errand().stage) == (through, through, "RUNNING")
    transaction(lambda: attempt.begin(its.id))  # a third dies before its go: what came forward is no failure, and only this one counts
    worker(app)
    its = the_errand()
    assert (its.state, its.outcome["changed"], states(row), broken()) == ("DONE", 3, ["paid"] * 3, [])


def test_whose_part_is_taken_between_two_goes_goes_no_further_and_what_was_done_is_said(app: Flask, batch: tuple[Market, PayoutBatch]) -> None:
    market, row = batch
    said(app, market, row)
    its = asked(app, row, market.director)
    gone_once(its)
    transaction(lambda: db.session.execute(delete(Role).where(Role.person_id == market.director.person_id, Role.name == "director")))
    worker(app)
    second = builders.person(market.cooperative, "director")
    page = page_of(browser(app, second), its)
    assert (the_errand().state, "已经办好 1 户，都记下了；其余的没有改" in page, "什么也没有改" in page) == ("REFUSED", True, False)
    assert "没有办完，停下了" in browser(app, second).get(f"/payouts/{row.public_id}").text
    asked(app, row, second)
    worker(app)
    assert (the_errand().outcome["changed"], states(row), broken()) == (2, ["paid"] * 3, [])


def test_what_breaks_between_two_goes_is_given_up_and_goes_on_from_there(app: Flask, batch: tuple[Market, PayoutBatch], monkeypatch: pytest.MonkeyPatch) -> None:
    market, row = batch
    said(app, market, row)
    its, step, at = asked(app, row, market.director), steps["payout.found-approve"], clock.now()
    gone_once(its)

    def breaks(given: Any, actor: Actor) -> dict[str, Any]:
        step.work(given, actor)
        raise OSError("no space left on device")

    monkeypatch.setitem(steps, "payout.found-approve", replace(step, work=breaks))
    for hours in range(attempt.MOST):
        with clock.travel(at + timedelta(hours=hours)):
            worker(app)
    director = browser(app, market.director)
    assert (the_errand().state, states(row).count("paid"), "已经办好 1 户" in page_of(director, its)) == ("FAILED", 1, True)
    monkeypatch.setitem(steps, "payout.found-approve", step)
    assert director.post(f"/errands/{its.public_id}/again").status_code == 303
    worker(app)
    assert (the_errand().outcome["changed"], states(row), broken()) == (3, ["paid"] * 3, [])
