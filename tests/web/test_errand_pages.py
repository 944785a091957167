"""Steps with very many households on their pages: handed to a worker, waited for, done, refused in words, given up and tried again."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from marketplace.errands import attempt, errand
from marketplace.errands.errand import Errand
from marketplace.errands.step import steps
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.jobs import schedule
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Role
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.builders_people import operator, person
from tests.settlement.test_distribution import after_notice, published, sold, this_period
from tests.settlement.test_payout_batch import posted
from tests.web.test_distribution_pages import step
from tests.web.test_payout_pages import owed, upload
from tests.web.work_desk import browser


@pytest.fixture
def many(app: Flask) -> Flask:
    """A market in which every distribution has very many households."""
    schedule.known()
    app.extensions["settings"] = replace(app.extensions["settings"], errand_households=1)
    return app


def worker(app: Flask) -> None:
    schedule.once(app, "errands")


def the_errand() -> Errand:
    db.session.rollback()
    return db.session.scalars(select(Errand).order_by(Errand.id.desc()).limit(1)).one()


def page_of(client: FlaskClient, row: Errand, language: str = "zh") -> str:
    return str(client.get(f"/errands/{row.public_id}", headers={"X-Language": language}).text)


def test_a_month_is_drafted_by_the_worker_and_the_page_says_how_it_stands(many: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    client = browser(many, market.accountant)
    page = client.get(f"/distributions/new?period={this_period()}").text
    assert ("¥60.00" in page, "交给后台拟定" in page, "¥36.00" in page) == (True, True, False), "nobody waits while it is divided only to be looked at"
    form = {"period": this_period(), "idempotency_key": "one"}
    first, second = (client.post("/distributions/new", data=form) for _ in range(2))
    row = the_errand()
    assert (first.status_code, first.location, second.location) == (303, f"/errands/{row.public_id}", first.location)
    assert db.session.query(Distribution).count() == 0
    page = client.get(first.location).text
    assert ("已经交给后台" in page, "<noscript><meta http-equiv=\"refresh\"" in page, "was=WAITING" in page) == (True, True, True)
    assert f"拟定 {this_period()} 的收益分配：在排队" in client.get("/distributions").text
    unchanged = client.get(f"{first.location}?was=WAITING")
    assert (unchanged.status_code, unchanged.text) == (204, "")
    transaction(lambda: attempt.begin(row.id))
    page = client.get(f"{first.location}?was=WAITING").text
    assert ("正在办" in page, "3 户一次办完" in page) == (True, True)
    worker(many)
    made = db.session.query(Distribution).one()
    page = page_of(client, row)
    assert ("已拟定，等理事长审批。" in page, f'href="/distributions/{made.public_id}"' in page, "hx-trigger" in page, "http-equiv" in page) == (True, True, False, False)
    # The same form again leads to the same errand, and another one is refused by the rules, not by a crash.
    assert client.post("/distributions/new", data=form).location == first.location
    assert "办好了" in client.get("/messages").text
    client.post("/distributions/new", data=form | {"idempotency_key": "two"})
    assert db.session.query(Distribution).count() == 1


def test_while_it_is_posted_the_other_steps_say_so(many: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    paper = published(market)
    accountant, director = browser(many, market.accountant), browser(many, market.director)
    address = f"/distributions/{paper.public_id}"
    with clock.travel(after_notice(paper)):
        assert f"{address}/step/post" in director.get(address).text
        assert step(accountant, paper, "post").location.startswith("/errands/")
        page = director.get(address).text
        assert (f"把 {paper.period} 的收益记到各户：在排队" in page, "/step/" in page) == (True, False)
        for name in ("withdraw", "publish"):
            assert step(director, paper, name, reason="称重有误").status_code == 409
        refused = director.get(f"{address}/step/withdraw")
        assert (refused.status_code, "另外一步正在办" in refused.text) == (409, True)
        assert step(director, paper, "post").location == step(accountant, paper, "post").location
        worker(many)
        page = director.get(address).text
        assert ("已记到各户" in page, "在排队" in page) == (True, False)
        assert step(accountant, paper, "post").status_code == 409
    assert owed(market) == [1_000, 2_000, 3_000]


def test_the_whole_payout_by_the_worker(many: Flask) -> None:
    market, distribution_id = posted()
    source = db.session.get_one(Distribution, distribution_id).public_id
    accountant, director = browser(many, market.accountant), browser(many, market.director)

    def taken(client: FlaskClient, path: str, **form: str) -> str:
        """A step asked for, its page looked at, and carried out; the page then."""
        asked = client.post(path, data=form)
        assert (asked.status_code, asked.location.startswith("/errands/")) == (303, True), asked.status_code
        assert "已经交给后台" in client.get(asked.location).text
        worker(many)
        return str(client.get(asked.location).text)

    page = taken(accountant, f"/payouts/new/{source}", idempotency_key="make", channel="bank")
    row = db.session.query(PayoutBatch).one()
    assert f'href="/payouts/{row.public_id}"' in page
    address = f"/payouts/{row.public_id}"

    def now() -> str:
        db.session.rollback()
        return str(db.session.get_one(PayoutBatch, row.id).version)

    asked = director.post(f"{address}/step/approve", data={"version": now()})
    busy = accountant.get(address).text
    assert (f"审批代发 {row.number}：在排队" in busy, "/step/" in busy, "/layout" in busy) == (True, False, False)
    for path, form in ((f"{address}/step/withdraw", {"version": now()}), (f"{address}/layout", {"version": now()}), (f"{address}/file", {}), (f"{address}/results", {})):
        assert accountant.post(path, data=form).status_code == 409, path
    worker(many)
    assert "已同意，内容已冻结。" in director.get(asked.location).text
    assert "已记下，等银行的结果。" in taken(accountant, f"{address}/step/send", version=now())
    brought = upload(accountant, row, "1,10.00,paid,", "2,20.00,returned,户名不符", "3,30.00,unknown,")
    worker(many)
    found = re.search(rf"{address}/results/\w+", accountant.get(brought.location).text)
    assert found is not None
    results = found[0]
    assert owed(market) == [0, 0, 0]
    assert "1 笔到账，1 笔退回，1 笔银行还没有结果" in taken(accountant, results)
    assert owed(market) == [0, 2_000, 0]
    assert accountant.post(results).status_code == 409
    assert "补发批次做好了" in taken(accountant, f"{address}/step/reissue", channel="bank")
    assert accountant.post(f"{address}/step/reissue", data={"channel": "bank"}).status_code == 409
    assert db.session.query(PayoutBatch).count() == 2


def test_below_the_threshold_everything_is_as_it_was(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    answer = browser(app, market.accountant).post("/distributions/new", data={"period": this_period(), "idempotency_key": "one"})
    assert answer.location.startswith("/distributions/")
    assert db.session.query(Errand).count() == 0


@pytest.fixture
def waiting(many: Flask) -> tuple[Market, Errand]:
    market = builders.market()
    sold(market, 30_000)
    browser(many, market.accountant).post("/distributions/new", data={"period": this_period(), "idempotency_key": "one"})
    return market, the_errand()


def test_a_refusal_is_told_in_the_readers_language_with_what_to_do(many: Flask, waiting: tuple[Market, Errand]) -> None:
    market, row = waiting
    transaction(lambda: db.session.query(Role).filter_by(person_id=market.accountant.person_id, name="accountant").delete())
    worker(many)
    client = browser(many, market.director)
    assert ("这一步要由别的岗位来办。" in page_of(client, row), "什么也没有改" in page_of(client, row)) == (True, True)
    english = page_of(client, row, "en")
    assert re.search(r"Nothing was changed", english)


def test_what_was_given_up_is_tried_again_by_a_button(many: Flask, waiting: tuple[Market, Errand], monkeypatch: pytest.MonkeyPatch) -> None:
    market, row = waiting
    accountant, clerk = browser(many, market.accountant), browser(many, market.clerk)

    def breaks(given: Any, actor: Actor) -> dict[str, Any]:
        raise OSError("no space left on device")

    kept = steps["distribution.draft"]
    monkeypatch.setitem(steps, "distribution.draft", replace(kept, work=breaks))
    for hours in range(attempt.MOST):
        with clock.travel(clock.now() + timedelta(hours=hours)):
            worker(many)
        if not hours:
            assert "第 1 次没有办成" in page_of(accountant, row)
    again = f"/errands/{row.public_id}/again"
    page = page_of(accountant, row)
    assert ("试了 3 次都没有办成" in page, again in page, "no space" in page) == (True, True, False)
    assert again not in page_of(clerk, row)
    assert clerk.post(again).status_code == 403
    health = browser(many, treasurer())
    assert "没有办成的大批步骤" in health.get("/operator/money").text
    assert f"/errands/{row.public_id}" in health.get("/operator/money/failed_errands").text
    monkeypatch.setitem(steps, "distribution.draft", kept)
    assert accountant.post(again).location == f"/errands/{row.public_id}"
    worker(many)
    assert "已拟定" in page_of(accountant, row)
    assert accountant.post(again).status_code == 409
    assert "没有办不成的步骤" in health.get("/operator/money/failed_errands").text


def treasurer() -> Actor:
    return person(operator(), "treasurer")


def test_a_worker_that_does_not_run_is_said_and_the_operator_sees_what_waits(many: Flask, waiting: tuple[Market, Errand]) -> None:
    market, row = waiting
    with clock.travel(clock.now() + errand.LATE + timedelta(seconds=1)):
        assert "后台可能停着" in page_of(browser(many, market.accountant), row)
        page = browser(many, treasurer()).get("/operator/money/errands").text
    assert (f"/errands/{row.public_id}" in page, "2 分钟前" in page) == (True, True)
    other = builders.market(name="双溪合作社")
    assert browser(many, other.accountant).get(f"/errands/{row.public_id}").status_code == 404
    assert browser(many, other.accountant).post(f"/errands/{row.public_id}/again").status_code == 404
    assert db.session.query(Organisation).count() > 1


def test_where_the_money_of_a_distribution_is_opens_on_its_households(app: Flask) -> None:
    market, distribution_id = posted()
    client = browser(app, market.clerk)
    paper = db.session.get_one(Distribution, distribution_id).public_id
    address = f"/distributions/{paper}"
    page = client.get(address).text
    assert ("¥0.00 / ¥60.00" in page, "0 / 3 户" in page, f"{address}/households?money=owed" in page) == (True, True, True)
    accountant = browser(app, market.accountant)
    accountant.post(f"/payouts/new/{paper}", data={"idempotency_key": "make", "channel": "bank"})
    row = db.session.query(PayoutBatch).one()
    browser(app, market.director).post(f"/payouts/{row.public_id}/step/approve", data={"version": "1"})
    accountant.post(f"/payouts/{row.public_id}/step/send", data={"version": "2"})
    results = upload(accountant, row, "1,10.00,paid,", "2,20.00,returned,户名不符", "3,30.00,unknown,")
    accountant.post(results.location)
    page = client.get(address).text
    assert ("¥10.00 / ¥60.00" in page, "1 / 3 户" in page, "还没有代发" in page) == (True, True, False)
    for place, fen in (("paid", "¥10.00"), ("back", "¥20.00"), ("unknown", "¥30.00")):
        found = client.get(f"{address}/households?money={place}").text
        assert f"共 1 行，{fen}" in found, place
    assert "没有找到" in client.get(f"{address}/households?money=going").text
    assert client.get(f"{address}/households?money=elsewhere").status_code == 400
    assert client.get(f"{address}/households.xlsx?money=elsewhere").status_code == 400
    assert re.search(r'households\?money=paid">¥10\.00</a> <small>16\.66%', client.get("/distributions").text)
    batches = client.get("/payouts").text
    assert ("1 / 3 笔" in batches, "1 笔被退回" in batches, "1 笔还没有结果" in batches) == (True, True, True)
