"""What was recorded of payouts wrongly, mended on its pages: a file that is out, a payment made after all, a return booked as a receipt."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.settlement import difference, payout_batch
from marketplace.settlement.difference import Difference
from tests import builders
from tests.payments.statement import receipt, row, take
from tests.settlement.test_payout_batch import approved, bring, posted, sent
from tests.settlement.test_payout_found import cancelled
from tests.web.test_payout_pages import step
from tests.web.work_desk import browser


def test_a_file_that_was_taken_and_a_payment_that_was_made_after_all_on_their_pages(app: Flask) -> None:
    market, distribution_id = posted()
    row = approved(market, distribution_id)
    director, accountant = browser(app, market.director), browser(app, market.accountant)
    show = f"/payouts/{row.public_id}"
    assert accountant.post(f"{show}/file", data={"part": "1"}).status_code == 200
    page = director.get(show).text
    assert "可能已经在银行了" in page and f"{show}/step/return" not in page
    refused = step(director, row, "return", reason="重做")
    assert (refused.status_code, "会付两次" in refused.text) == (409, True)
    assert step(accountant, row, "recall", reason="没").status_code == 422
    assert step(accountant, row, "recall", reason="网银上查过，没有这一批").status_code == 303
    assert f"{show}/step/return" in director.get(show).text
    assert "网银上查过，没有这一批" in director.get(f"{show}/step/return").text
    # The bank had it after all: its results are taken as those of a batch that was handed over.
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,refused,户名不符", f"{row.number},3,30.00,paid,")
    db.session.rollback()
    item = payout_batch.items_of(row.id)[1]
    page = f"/payouts/items/{item.public_id}"
    assert "记为没有到账，其实银行付了？" in accountant.get(page).text
    assert accountant.post(f"{page}/found", data={"found": "付"}).status_code == 422
    assert accountant.post(f"{page}/found", data={"found": "流水第 3 行已扣款"}).status_code == 303
    assert "是您提出的" in accountant.get(page).text
    (decide,) = re.findall(rf'action="({page}/found/[^"]+)"', director.get(page).text)
    assert director.post(decide, data={"version": 1, "decision": "return", "answer": ""}).status_code == 422
    assert director.post(decide, data={"version": 1, "decision": "approve"}).status_code == 303
    db.session.rollback()
    assert payout_batch.items_of(row.id)[1].state == "paid"
    assert "核对过，记为到账" in director.get(page).text


@pytest.mark.both
def test_a_payout_that_was_booked_as_a_receipt_is_repaired_and_a_pairing_taken_apart_on_the_pages(app: Flask) -> None:
    market, distribution_id = posted()
    batch = sent(market, distribution_id)
    today = f"{clock.business_date()}"
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,returned,户名不符", f"{batch.number},3,30.00,returned,户名不符")
    take(
        market.accountant,
        [(today, -6_000, "代发专户", f"代发 {batch.number}", "D"), (today, 2_000, "代发专户", "转入", "C0"), (today, 3_000, "代发业务专户", "退票", "C1")], opening_fen=9_000,
    )  # fmt: skip
    with clock.travel(clock.now() + timedelta(days=3)):
        take(market.accountant, [(f"{clock.business_date() - timedelta(days=1)}", 1, "银行", "利息", "E")], opening_fen=8_000)
        transaction(lambda: difference.reconcile(market.cooperative, ["bank"]))
        accountant, director = browser(app, market.accountant), browser(app, market.director)
        ours = db.session.query(Difference).filter_by(kind="ONLY_OURS", state="OPEN").one()
        page = accountant.get(f"/cooperative/bank/receipts/{receipt('C0').public_id}").text
        assert f'<option value="{ours.public_id}">' in page
        said = {"kind": "STANDS", "why": "银行退的代发"}
        assert accountant.post(f"/cooperative/bank/receipts/{receipt('C0').public_id}/say", data=said).status_code == 422, "which entry?"
        assert accountant.post(f"/cooperative/bank/receipts/{receipt('C0').public_id}/say", data={**said, "entry": ours.public_id}).status_code == 303
        (decision,) = re.findall(r'action="(/cooperative/bank/decisions/[^"]+)"', director.get("/cooperative/bank/decisions").text)
        assert director.post(decision, data={"version": 1, "decision": "approve"}).status_code == 303
        db.session.rollback()
        assert receipt("C0").state == "unrelated"
        theirs = db.session.query(Difference).filter_by(row_id=row("C1").id, state="OPEN").one()
        address = f"/reconciliation/differences/{theirs.public_id}"
        assert "是买家付的货款" in accountant.get(address).text
        pair = {"step": "pair", "version": theirs.version, "other": ours.public_id}
        assert accountant.post(address, data=pair).status_code == 303
        page = accountant.get(address).text
        (link,) = re.findall(r'name="link" value="([^"]+)"', page)
        assert "拆开" not in director.get(address).text
        apart = {"step": "apart", "version": 1, "link": link, "apart": "错"}
        assert accountant.post(address, data=apart).status_code == 422
        assert accountant.post(address, data={**apart, "link": "nothing-1", "apart": "看错了行"}).status_code == 404
        assert accountant.post(address, data={**apart, "apart": "看错了行，不是同一笔"}).status_code == 303
        assert "看错了行，不是同一笔" in accountant.get(address).text


def test_a_whole_batch_that_was_called_off_and_paid_is_decided_on_one_page(app: Flask) -> None:
    market, distribution_id = posted()
    row = cancelled(market, distribution_id)
    show, page = f"/payouts/{row.public_id}", f"/payouts/{row.public_id}/found"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert page in accountant.get(show).text
    assert "提出 3 笔" in accountant.get(page).text
    assert accountant.post(page, data={"found": "付"}).status_code == 422
    assert accountant.post(page, data={"found": "流水上扣了整批"}).status_code == 303
    assert browser(app, market.clerk).get(page).status_code == 403
    assert browser(app, builders.market(name="乙社").accountant).get(page).status_code == 404
    assert "是您提出的" in accountant.get(page).text
    assert director.post(page, data={"found": "流水上扣了整批"}).status_code == 303
    again = director.get(page).text
    assert ("别人已经提出过了" in again, "已提出 0 笔" in again, 'href="#together"' in again) == (True, False, True)
    told = director.get(show).text
    assert "3 笔共 ¥60.00 银行其实付了" in told and "第 2 笔" not in told.split("每一笔")[0]
    asked = director.get(page).text
    data = {name: re.findall(rf'name="{name}" value="(\d+)"', asked)[0] for name in ("count", "last")}
    assert accountant.post(f"{page}/decision", data={**data, "decision": "approve"}).status_code == 403
    assert director.post(f"{page}/decision", data={**data, "decision": "return", "answer": ""}).status_code == 422
    assert director.post(f"{page}/decision", data={**data, "count": "2", "decision": "approve"}).status_code == 409
    assert director.post(f"{page}/decision", data={**data, "decision": "approve"}).status_code == 303
    db.session.rollback()
    assert [each.state for each in payout_batch.items_of(row.id)] == ["paid"] * 3
    assert "没有等核对的" in director.get(page).text
