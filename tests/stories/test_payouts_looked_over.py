"""Pages of what was recorded of payouts wrongly, of steps that a worker takes, and of sign-ins that wait for a second administrator: looked
over in a browser as ``test_states_looked_over`` does."""

from dataclasses import replace
from datetime import timedelta

from flask import Flask
from playwright.sync_api import Page

from marketplace.errands import attempt, errand
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.jobs import schedule
from marketplace.organisations import sign_in_proposal
from marketplace.settlement import (
    difference,
    payout_batch,
    payout_found,
    payout_results,
    payout_reversal,
)
from marketplace.settlement.difference import Difference
from marketplace.settlement.payout_item import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.organisations.test_sign_in_proposal import proposed, two
from tests.payments.statement import receipt, row, take
from tests.settlement.test_payout_batch import HEADER, approved, bring, made, posted, sent
from tests.settlement.test_payout_found import WHY, found, items
from tests.stories.test_states_looked_over import look, pytestmark  # noqa: F401 - in a browser
from tests.web.test_errand_pages import the_errand
from tests.web.work_desk import browser


def received(batch: PayoutBatch, market: Market, *lines: str) -> str:
    """The address of a results file that was sent and not applied."""
    content = "\n".join([HEADER, *(f"{batch.number},{line}" for line in lines)]).encode()
    kept = transaction(lambda: payout_results.receive(batch.id, content, name="回盘.csv", actor=market.accountant))
    return f"/payouts/{batch.public_id}/results/{kept.public_id}"


def test_a_batch_that_was_taken_back_and_had_been_paid(app: Flask, page: Page) -> None:
    market, distribution_id = posted()
    batch = approved(market, distribution_id)
    number, where = batch.id, f"/payouts/{batch.public_id}"
    transaction(lambda: payout_batch.bank_file(number, actor=market.accountant))
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    wrong = look(page, accountant, "recall-out", where, f"{where}/step/recall")
    transaction(lambda: payout_batch.recall(number, "网银上查过，没有这一批", actor=market.accountant, version=2))
    wrong += look(page, director, "recall-said", where, f"{where}/step/return")
    transaction(lambda: payout_batch.approve(number, actor=market.director, version=3, approved=False, reason="重做"))
    fresh = made(market, distribution_id).id
    transaction(lambda: payout_batch.approve(fresh, actor=market.director, version=1))
    transaction(lambda: payout_batch.mark_sent(fresh, actor=market.accountant))
    paid = db.session.get_one(PayoutBatch, fresh)
    bring(paid, market, *(f"{paid.number},{each.sequence},{each.fen // 100}.00,paid," for each in items(paid)))
    asks = received(batch, market, "1,10.00,paid,", "2,20.00,paid,", "3,30.00,refused,户名不符")
    wrong += look(page, accountant, "cancelled", where, asks)
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,paid,")
    first, second = (f"/payouts/items/{each.public_id}" for each in items(batch)[:2])
    wrong += look(page, accountant, "found-own", where, first, opened=True) + look(page, director, "found-second", first, where)
    for one, _item in payout_found.of_batch(number)[:1]:
        transaction(lambda its=one: payout_found.decide(its.id, version=1, approved=True, actor=market.director))  # type: ignore[misc]
    wrong += look(page, accountant, "found-twice", first, second, opened=True)
    assert wrong + look(page, browser(app, builders.person(builders.operator(), "treasurer")), "found-county", "/operator/money/paid_twice", "/operator/money/payouts_found", first) == []


def test_a_payment_that_was_found_and_of_which_a_file_says_otherwise(app: Flask, page: Page) -> None:
    market, distribution_id = posted()
    batch = sent(market, distribution_id)
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,returned,户名不符", f"{batch.number},3,30.00,unknown,处理中")
    item = items(batch)[1]
    number, where, its = item.id, f"/payouts/{batch.public_id}", f"/payouts/items/{item.public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    transaction(lambda: payout_found.propose(number, WHY, actor=market.director))
    transaction(lambda: payout_found.decide(payout_found.of_item(number)[0].id, version=1, approved=False, answer="流水上没有", actor=builders.person(market.cooperative, "director")))
    found(market, number)
    wrong = look(page, accountant, "back-may", its, opened=True)
    asks = received(batch, market, "1,10.00,paid,", "2,20.00,returned,户名不符", "3,30.00,paid,")
    wrong += look(page, accountant, "back-preview", asks)
    bring(batch, market, f"{batch.number},2,20.00,returned,户名不符", f"{batch.number},3,30.00,paid,")
    second = builders.person(market.cooperative, "director")
    wrong += look(page, accountant, "back-own", its, where) + look(page, browser(app, second), "back-second", its)
    (asked,) = payout_reversal.of_item(number)
    transaction(lambda: payout_reversal.decide(asked.id, version=1, approved=True, actor=second))
    third = items(batch)[2]
    transaction(lambda: payout_reversal.propose(third.id, "流水上没有这一笔", actor=market.accountant))
    wrong += look(page, accountant, "back-done", its, opened=True) + look(page, director, "reversal-second", f"/payouts/items/{third.public_id}", where)
    asks = received(batch, market, "1,10.00,refused,户名不符")
    assert wrong + look(page, accountant, "contradiction", asks) == []


def test_a_credit_of_the_bank_that_stands_in_the_books_already(app: Flask, page: Page) -> None:
    market, distribution_id = posted()
    batch, today = sent(market, distribution_id), f"{clock.business_date()}"
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,returned,户名不符", f"{batch.number},3,30.00,returned,户名不符")
    rows = [(today, -6_000, "代发专户", f"代发 {batch.number}", "D"), (today, 2_000, "代发专户", "转入", "C0"), (today, 3_000, "代发业务专户", "退票", "C1")]
    take(market.accountant, rows, opening_fen=9_000)
    with clock.travel(clock.now() + timedelta(days=3)):
        take(market.accountant, [(f"{clock.business_date() - timedelta(days=1)}", 1, "银行", "利息", "E")], opening_fen=8_000)
        transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
        accountant, director = browser(app, market.accountant), browser(app, market.director)
        ours = db.session.query(Difference).filter_by(kind="ONLY_OURS", state="OPEN").one()
        theirs = db.session.query(Difference).filter_by(row_id=row("C1").id, state="OPEN").one()
        where, address = f"/cooperative/bank/receipts/{receipt('C0').public_id}", f"/reconciliation/differences/{theirs.public_id}"
        wrong = look(page, accountant, "stands", where, address, "/reconciliation", opened=True)
        assert accountant.post(f"{where}/say", data={"kind": "STANDS", "why": "银行退的代发", "entry": ours.public_id}).status_code == 303
        pair = {"step": "pair", "version": theirs.version, "other": ours.public_id}
        wrong += look(page, director, "stands-second", "/cooperative/bank/decisions")
        assert "代发退票 · ¥50.00" in director.get("/cooperative/bank/decisions").text, "who agrees sees to what"
        assert accountant.post(address, data=pair).status_code == 303
        assert wrong + look(page, accountant, "stands-paired", address, opened=True) == []


def test_a_sign_in_that_waits_for_a_second_administrator(app: Flask, page: Page) -> None:
    market, (first, second) = builders.market(), two()
    transaction(lambda: sign_in_proposal.invite(market.cooperative, login="li-hua", name="Li Hua", roles=["director"], actor=first))
    wrong = look(page, browser(app, first), "sign-in-own", "/operator/sign-ins", "/operator/organisations") + look(page, browser(app, second), "sign-in-second", "/operator/sign-ins")
    number = proposed().id
    transaction(lambda: sign_in_proposal.decide(number, version=1, approved=True, actor=second))
    assert wrong + look(page, browser(app, first), "sign-in-none", "/operator/sign-ins") == []


def test_a_step_that_a_worker_takes(app: Flask, page: Page) -> None:
    schedule.known()
    app.extensions["settings"] = replace(app.extensions["settings"], errand_households=1)
    market, distribution_id = posted()
    batch = made(market, distribution_id)
    where, director = f"/payouts/{batch.public_id}", browser(app, market.director)
    assert director.post(f"{where}/step/approve", data={"version": "1"}).status_code == 303
    asked = the_errand()
    number, its = asked.id, f"/errands/{asked.public_id}"
    wrong = look(page, director, "errand-waits", its, where, "/payouts")
    transaction(lambda: attempt.begin(number))
    wrong += look(page, director, "errand-runs", its)
    assert errand.waiting(market.cooperative)
    with clock.travel(clock.now() + timedelta(hours=1)):
        schedule.once(app, "errands")
        wrong += look(page, director, "errand-ended", its, where)
    assert wrong == []
