"""A payout over Alipay through its pages: the account proposed and agreed to, the batch, the transfers, what came back, and who sees it."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.payments import transfer_ending
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch
from tests import builders
from tests.builders import Market
from tests.settlement.alipay_desk import AlipayDesk, item, rounds, started, transfers, with_accounts
from tests.settlement.test_payout_batch import posted
from tests.settlement.test_transfer_ending import LATER, ORDER, used_already
from tests.web.test_goods import browser
from tests.web.test_payout_pages import fresh, step, word


def proposed(client: FlaskClient, house: str, account: str, name: str, /, **form: str):  # type: ignore[no-untyped-def]
    db.session.rollback()
    version = db.session.query(Household).filter_by(public_id=house).one().version
    data = {"kind": "alipay", "account": account, "again": account, "payee_name": name, "reason": "本人要求", "version": str(version), **form}
    return client.post(f"/households/{house}/account", data=data)


def houses(market: Market) -> list[str]:
    return [db.session.get_one(Household, each).public_id for each in market.households]


def test_from_the_account_to_the_households_own_statement(app: Flask) -> None:
    market, distribution_id = posted()
    AlipayDesk(app, market)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    auditor = browser(app, builders.person(builders.operator(), "auditor"))
    first, *_others = houses(market)
    assert "没有登记" in accountant.get(f"/households/{first}/account").text
    assert proposed(accountant, first, "138 0000 0001", "王小明").status_code == 303
    waiting = director.get(f"/households/{first}/account").text
    assert "138****0001" in waiting and "王小明（和户主不同名）" in waiting and "13800000001" not in waiting
    assert word(director, market, first).status_code == 303
    shown = accountant.get(f"/households/{first}/account").text
    assert "138****0001 · 王小明" in shown and "13800000001" not in shown

    source = db.session.get_one(Distribution, distribution_id).public_id
    page = accountant.get(f"/payouts/new/{source}?channel=alipay").text
    assert "做支付宝代发批次 ¥10.00" in page and page.count("登记支付宝</a>") == 2, "who has none is told by name"
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    form = {"idempotency_key": key[1], "channel": "alipay"}
    one, again = (accountant.post(f"/payouts/new/{source}", data=form) for _ in range(2))
    assert (one.status_code, one.location) == (303, again.location)
    row = db.session.query(PayoutBatch).one()
    assert "走支付宝" in director.get(f"/payouts/{row.public_id}/step/approve").text
    assert step(director, row, "approve").status_code == 303
    assert step(accountant, row, "send").status_code == 409
    assert "开始转账 ¥10.00" in accountant.get(f"/payouts/{row.public_id}/step/start").text
    for expected in (303, 409):
        assert step(accountant, row, "start").status_code == expected
    assert "1 笔没有结果" in auditor.get(f"/payouts/{row.public_id}").text
    assert accountant.get(f"/payouts/{row.public_id}/results").status_code == 409, "no bank, no results file"
    rounds()
    for reader in (accountant, auditor):
        page = reader.get(f"/payouts/{row.public_id}").text
        assert "¥10.00" in page and "已到账" in page and "尾号 0001" in page
        story = reader.get(f"/payouts/items/{item(row, 0).public_id}").text
        for told in ("放进代发批次", "理事长同意，内容冻结", "请支付宝转账", "办成了", "支付宝余额", "尾号 0001", transfers(row)[0].out_biz_no):
            assert told in story
    assert browser(app, builders.market(name="另一家").accountant).get(f"/payouts/items/{item(row, 0).public_id}").status_code == 404
    token = db.session.get_one(Household, market.households[0]).statement_token
    assert "支付宝，尾号 0001" in app.test_client().get(f"/h/{token}").text
    assert "支付宝" in accountant.get("/payouts?channel=alipay").text
    assert row.number not in accountant.get("/payouts?channel=bank").text
    for download in (accountant.post(f"/payouts/{row.public_id}/file"),):
        assert (download.status_code, download.content_type) == (200, "text/csv; charset=utf-8")
        assert "13800000001,王小明" in download.text


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"account": "12345678901"}, "account"), ({"account": "王@x.cn"}, "account"), ({"account": "x@y"}, "account"),
        ({"again": "13800000002"}, "again"), ({"payee_name": "=1+1"}, "payee_name"), ({"payee_name": ""}, "payee_name"),
        ({"reason": ""}, "reason"),
    ],
)  # fmt: skip
def test_an_account_that_is_none_is_told_at_its_field(app: Flask, form: dict[str, str], field: str) -> None:
    market, _distribution_id = posted()
    first = houses(market)[0]
    answer = proposed(browser(app, market.accountant), first, "13800000001", "王小明", **form)
    assert answer.status_code == 422
    assert re.search(rf'id="{field}"[^>]*aria-invalid', answer.text) or f'href="#{field}"' in answer.text


def test_an_alipay_account_that_changed_meanwhile_is_not_written(app: Flask) -> None:
    market, _distribution_id = posted()
    first = houses(market)[0]
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert proposed(accountant, first, "v@example.org", "王小明").status_code == 303
    with_accounts(market.households[0])
    assert word(director, market, first).status_code == 409
    assert db.session.query(Household).filter_by(public_id=first).one().alipay_account.startswith("1380000")


def test_a_stopped_batch_says_why_and_whose_turn_it_is(app: Flask) -> None:
    market, distribution_id = posted()
    with_accounts(*market.households)
    desk = AlipayDesk(app, market, fen=1_500)
    row = started(market, distribution_id)
    rounds()
    accountant, clerk = browser(app, market.accountant), browser(app, market.clerk)
    page = accountant.get(f"/payouts/{row.public_id}").text
    assert "停下来了：支付宝余额不够。还有 2 笔没有转成" in page and "补足了，接着转" in page
    assert "补足了，接着转" not in clerk.get(f"/payouts/{row.public_id}").text
    health = browser(app, builders.person(builders.operator(), "treasurer"))
    assert row.number in health.get("/operator/money/stopped_payouts").text
    desk.fill(10_000)
    assert step(accountant, row, "go-on").status_code == 303
    rounds()
    assert (fresh(row).state, fresh(row).stopped_at) == ("DONE", None)
    assert step(accountant, row, "go-on").status_code == 409


def test_what_came_back_is_issued_again_the_other_way_and_each_names_the_other(app: Flask) -> None:
    market, distribution_id = posted()
    with_accounts(*market.households)
    desk = AlipayDesk(app, market)
    row = started(market, distribution_id)
    desk.fault("transfer_fail", transfers(row)[0].out_biz_no)
    rounds(2)
    accountant = browser(app, market.accountant)
    page = accountant.get(f"/payouts/{row.public_id}/step/reissue?channel=bank").text
    assert "收款的支付宝账号状态异常" in page and "补发 ¥10.00" in page
    answer = step(accountant, row, "reissue", channel="bank")
    assert answer.status_code == 303
    again = db.session.query(PayoutBatch).order_by(PayoutBatch.id.desc()).first()
    assert again is not None and (again.channel, again.reissue_of_id) == ("bank", row.id)
    assert f"/payouts/items/{item(again, 0).public_id}" in accountant.get(f"/payouts/items/{item(row, 0).public_id}").text
    assert step(accountant, again, "withdraw").status_code == 303
    assert item(row, 0).state == "returned"
    assert "做的人撤回了" in accountant.get(f"/payouts/{again.public_id}").text


def test_a_transfer_that_alipay_contradicts_ends_on_its_page(app: Flask) -> None:
    market, row, _desk, its = used_already(app)
    where = f"/payouts/items/{item(row, 0).public_id}"
    accountant, director, clerk = (browser(app, each) for each in (market.accountant, market.director, market.clerk))
    assert f'href="{where}">去查清' in accountant.get(f"/payouts/{row.public_id}").text
    page = accountant.get(where).text
    assert ("支付宝说这个单号办的是另一笔" in page or "支付宝回答的金额和这一笔不一样" in page) and "到支付宝查清楚了？" in page
    assert "到支付宝查清楚了？" not in clerk.get(where).text
    form = {"outcome": "PAID", "order_id": ORDER, "paid_on": f"{clock.business_date()}", "reason": "商家平台账单"}
    with clock.travel(clock.now() + LATER):
        for wrong in ({"order_id": "x"}, {"paid_on": "昨天"}, {"reason": ""}, {"outcome": ""}):
            assert accountant.post(f"{where}/ending", data=form | wrong).status_code == 422
        assert clerk.post(f"{where}/ending", data=form).status_code == 403
        assert accountant.post(f"{where}/ending", data=form).status_code == 303
        assert "是您提出的" in accountant.get(where).text
        page = director.get(where).text
        assert ORDER in page and "核对过，记为已付 ¥10.00" in page
        assert "有人说支付宝已经付出第 1 笔 ¥10.00" in director.get(f"/payouts/{row.public_id}").text
        treasurer = browser(app, builders.person(builders.operator(), "treasurer"))
        assert f'href="{where}"' in treasurer.get("/operator/money/transfer_endings").text
        asked = transfer_ending.of_transfer(its.id)[0]
        decision = {"version": "1", "decision": "approve"}
        assert accountant.post(f"{where}/ending/{asked.public_id}", data=decision).status_code == 403
        assert browser(app, builders.market(name="另一家").director).post(f"{where}/ending/{asked.public_id}", data=decision).status_code == 404
        assert director.post(f"{where}/ending/{asked.public_id}", data=decision | {"decision": "return"}).status_code == 422
        assert director.post(f"{where}/ending/{asked.public_id}", data=decision).status_code == 303
        page = director.get(where).text
    assert all(each in page for each in ("已到账", ORDER, "说支付宝已经付出", "核对过，照此记下"))


def test_a_director_reads_why_not_paid_is_not_recorded(app: Flask) -> None:
    market, row, _desk, its = used_already(app)
    where = f"/payouts/items/{item(row, 0).public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    with clock.travel(clock.now() + LATER):
        assert accountant.post(f"{where}/ending", data={"outcome": "UNPAID", "reason": "客服说没有<b>这一笔</b>"}).status_code == 303
        asked = transfer_ending.of_transfer(its.id)[0]
        assert director.post(f"{where}/ending/{asked.public_id}", data={"version": "1", "decision": "approve"}).status_code == 303
        page = director.get(where).text
    assert "客服说没有&lt;b&gt;这一笔" in page and "<b>这一笔" not in page, "what people write is no markup"
    assert "支付宝现在没有明确地说没有这一笔" in page and "问支付宝，记为没有付 ¥10.00" in page


def test_an_alipay_account_is_taken_away_by_two_people(app: Flask) -> None:
    market, _distribution_id = posted()
    with_accounts(market.households[0])
    first, second, _third = houses(market)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert "不再用支付宝收钱？" in accountant.get(f"/households/{first}/account?kind=alipay").text
    assert "不再用支付宝收钱？" not in accountant.get(f"/households/{second}/account?kind=alipay").text, "it has none"
    where, form = f"/households/{first}/account/alipay/remove", {"version": "1", "removal_reason": "手机号不用了"}
    assert director.post(where, data=form).status_code == 403
    short = accountant.post(where, data=form | {"removal_reason": ""})
    assert (short.status_code, 'href="#removal_reason"' in short.text) == (422, True)
    assert accountant.post(where, data=form).status_code == 303
    page = director.get(f"/households/{first}/account").text
    assert "取消，以后不走支付宝" in page and "不再有这一户，改从银行发" in page
    assert word(director, market, first).status_code == 303
    page = accountant.get(f"/households/{first}/account").text
    assert "支付宝取消了" not in page and page.count("取消") >= 1 and "138****" not in page
    assert db.session.query(Household).filter_by(public_id=first).one().alipay_account == ""
