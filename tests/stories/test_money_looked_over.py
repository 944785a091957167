"""The pages of money as a browser shows them, at both widths: nothing that axe finds fault with, nothing wider than the screen."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, Route

from marketplace.foundation.database import db, transaction
from marketplace.households import account_proposal
from marketplace.households.household import Household
from marketplace.notices import objection
from marketplace.settlement import payout_batch, payout_results, remittance
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.chromium import axe_faults
from tests.settlement.builders import order
from tests.settlement.test_distribution import drafted, published, sold
from tests.settlement.test_payout_batch import HEADER, posted, sent
from tests.stories.visitor import DESK, PHONE, TOO_WIDE
from tests.web.work_desk import browser

pytestmark = pytest.mark.browser
TOP = Path(__file__).resolve().parents[2]


def served_by(client: FlaskClient, language: str) -> Callable[[Route], None]:
    """Answer a browser's questions from the application itself, without a server."""

    def answer(route: Route) -> None:
        parts = urlsplit(route.request.url)
        if parts.path.startswith("/static/"):
            route.fulfill(path=TOP / parts.path[1:])
            return
        with client.application.app_context():  # Playwright asks from a greenlet of its own
            found = client.get(f"{parts.path}?{parts.query}" if parts.query else parts.path, headers={"X-Language": language})
            route.fulfill(status=found.status_code, headers=dict(found.headers), body=found.data)

    return answer


def look(page: Page, client: FlaskClient, *paths: str) -> list[str]:
    """What is wrong with these pages, in English on a phone and in Chinese on a desk."""
    wrong = []
    for width, language in ((PHONE, "en"), (DESK, "zh")):
        page.unroute_all()
        page.route("**/*", served_by(client, language))
        page.set_viewport_size({"width": width, "height": 900})
        for path in paths:
            answer = page.goto(f"http://market.test{path}")
            if answer is None or answer.status != 200:
                wrong.append(f"{path}: {answer and answer.status}")
                continue
            wrong += [f"{path} at {width}: {each}" for each in axe_faults(page)]
            wrong += [f"{path} at {width}: too wide {each}" for each in page.evaluate(TOO_WIDE)]
    return wrong


def test_money_is_looked_over(app: Flask, page: Page) -> None:
    market, posted_id = posted()
    house = db.session.get_one(Household, market.households[0]).public_id
    source = db.session.get_one(Distribution, posted_id).public_id
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    operator = browser(app, builders.person(builders.operator(), "treasurer"))
    station = browser(app, builders.person(builders.station(), "station_clerk"))
    wrong = look(page, accountant, f"/payouts/new/{source}", "/payouts", "/remittances")
    batch = sent(market, posted_id)
    lines = f"{HEADER}\n{batch.number},1,10.00,returned,户名不符\n{batch.number},2,20.00,paid,\n".encode()
    kept = transaction(lambda: payout_results.receive(batch.id, lines, name="a.csv", actor=market.accountant))
    address = f"/payouts/{batch.public_id}"
    wrong += look(page, accountant, address, f"{address}/results", f"{address}/results/{kept.public_id}")
    transaction(lambda: payout_results.apply(kept.id, actor=market.accountant))
    asked = transaction(
        lambda: account_proposal.propose(
            market.households[0], bank_name="邮储银行", account="62284800", again="62284800", reason="销户", actor=market.accountant, version=1
        )
    )
    wrong += look(page, director, f"/households/{house}/account", "/payouts", address)
    wrong += look(page, accountant, f"/households/{house}/account", f"{address}/step/reissue")
    transaction(lambda: account_proposal.decide(asked.id, actor=market.director, version=1, approved=True))
    again = transaction(lambda: payout_batch.reissue(batch.id, actor=market.accountant))
    fresh = f"/payouts/{db.session.get_one(PayoutBatch, again.id).public_id}"
    wrong += look(page, director, f"{address}?items=back", fresh, f"{fresh}/step/approve")
    wrong += look(page, accountant, f"{address}/step/reissue", f"/households/{house}/account", f"/distributions/{source}/slips", f"/distributions/{source}/board")

    order(market, 5_000)
    sold(market, 30_000)
    made = transaction(lambda: remittance.propose("FUND", 100, actor=market.accountant, key="k"))
    wrong += look(
        page, accountant, "/cooperative/money", "/cooperative/money/orders", "/remittances/new", f"/remittances/{made.public_id}",
        "/distributions", f"/distributions/new?period={db.session.get_one(Distribution, posted_id).period}",
    )  # fmt: skip
    wrong += look(page, director, f"/remittances/{made.public_id}/step/approve")
    row = drafted(market)
    wrong += look(page, director, f"/distributions/{row.public_id}", f"/distributions/{row.public_id}/step/return")
    sold(market, 20_000)
    row = published(market)
    notice_id = row.notice_id or 0
    transaction(lambda: objection.raise_(notice_id, text="少算了一筐"))
    wrong += look(page, director, f"/distributions/{row.public_id}", f"/distributions/{row.public_id}/households", f"/distributions/{row.public_id}/step/withdraw")
    wrong += look(page, operator, "/operator", "/operator/queues/objections", f"/distributions/{row.public_id}", "/payouts", "/remittances")
    wrong += look(page, station, "/station/statements")
    assert not wrong, "\n".join(wrong)
