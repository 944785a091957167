"""Layouts of bank files on their pages: begun from a usual one, previewed, kept; and a bank's results whose columns and words are asked about."""

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.settlement import (
    payout_batch,
    payout_form,
    payout_layout,
    payout_part,
    payout_preset,
    payout_reversal,
)
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.payout_form import Column, Form
from marketplace.settlement.payout_layout import PayoutLayout
from marketplace.settlement.payout_results import PayoutResults
from tests import builders
from tests.settlement.test_payout_batch import posted, sent
from tests.web.test_goods import browser
from tests.web.test_payout_pages import owed, upload


def typed(form: Form, **over: str) -> dict[str, str]:
    """The form as the page posts it."""
    fields = {
        "name": "农商行双溪支行", "kind": form.kind, "encoding": form.encoding, "separator": "tab" if form.separator == "\t" else form.separator,
        "money": form.money, "total": form.total, "account": form.account, "most_rows": str(form.most_rows), "remark": str(form.remark),
        "answer_money": form.money, **({"heading": "1"} if form.heading else {}),
    }  # fmt: skip
    for at, column in enumerate(form.columns):
        fields |= {f"value-{at}": column.value, f"heading-{at}": column.heading, f"text-{at}": column.text}
    words = {f"words-{outcome}": "、".join(payout_form.USUAL_WORDS[outcome]) for outcome in payout_form.OUTCOMES}
    return {**fields, **words, **over}


@pytest.mark.parametrize("code", payout_preset.PRESETS)
def test_a_layout_is_begun_from_a_usual_one_looked_at_and_kept(app: Flask, code: str) -> None:
    market = builders.market()
    client, form = browser(app, market.accountant), payout_preset.form(code)
    assert "还没有自己的版式" in client.get("/payouts/layouts").text
    page = client.get(f"/payouts/layouts/new/{code}").text
    assert ("写出来的样子" in page, "王小花" in page or "写不进" in page) == (True, True)
    seen = client.post(f"/payouts/layouts/new/{code}", data=typed(form, **{"look": "1", "heading-0": "编号"}))
    assert (seen.status_code, "编号" in seen.text, db.session.query(PayoutLayout).count()) == (200, True, 0)
    assert client.post(f"/payouts/layouts/new/{code}", data=typed(form, save="1")).status_code == 303
    row = db.session.query(PayoutLayout).one()
    assert (row.name, row.its_form) == ("农商行双溪支行", form)
    assert row.its_answer.words == payout_form.USUAL_WORDS
    assert row.name in client.get("/payouts/layouts").text


def test_a_column_moves_and_what_is_wrong_is_said_where_it_is(app: Flask) -> None:
    market = builders.market()
    client, form = browser(app, market.accountant), payout_preset.form("rural")
    page = client.post("/payouts/layouts/new/rural", data=typed(form, **{"up-1": "1"})).text
    assert re.findall(r'name="heading-[01]" value="([^"]*)"', page) == ["姓名", "序号"]
    for over, words in (
        ({"value-4": ""}, "户名、账号、金额三列一定要有"), ({"name": "农"}, "请写银行的名字"), ({"most_rows": "很多"}, "没有限制就写 0"),
        ({"remark": "0"}, "用途最长几个字"), ({"value-0": "name"}, "同一项内容只能放一列"), ({"heading-0": ""}, "每一列都要写表头"),
        ({"words-paid": "成功 退票"}, "写在了两种结果里"), ({"encoding": "latin-1"}, "请刷新后再试"),
    ):  # fmt: skip
        answer = client.post("/payouts/layouts/new/rural", data=typed(form, save="1", **over))
        assert (answer.status_code, words in answer.text, "农商行双溪支行" in answer.text or "name" in over) == (422, True, True), over
    assert db.session.query(PayoutLayout).count() == 0
    assert client.post("/payouts/layouts/new/nonsense", data={}).status_code == 404
    assert client.post("/payouts/layouts/new/rural", data={}).status_code == 422


def test_who_may_and_a_stale_page(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    form = payout_preset.form("rural")
    row = transaction(lambda: payout_layout.add("农商行", form, actor=market.accountant))
    address = f"/payouts/layouts/{row.public_id}"
    director, clerk, accountant = (browser(app, actor) for actor in (market.director, market.clerk, market.accountant))
    assert (director.get(address).status_code, 'name="save"' in director.get(address).text, clerk.get(address).status_code) == (200, False, 403)
    assert director.post(address, data=typed(form, save="1", version="1")).status_code == 403
    assert browser(app, other.accountant).get(address).status_code == 404
    assert browser(app, other.accountant).post(address, data=typed(form, save="1", version="1")).status_code == 404
    assert accountant.post(address, data=typed(form, save="1", version="1", most_rows="500")).status_code == 303
    assert accountant.post(address, data=typed(form, save="1", version="1")).status_code == 409
    db.session.rollback()
    assert db.session.get_one(PayoutLayout, row.id).its_form.most_rows == 500
    assert accountant.post(f"{address}/retire", data={"version": "2"}).status_code == 303
    assert accountant.get(address).status_code == 404


def test_a_draft_takes_another_layout_and_says_what_does_not_go_in(app: Flask) -> None:
    market, distribution_id = posted()
    old = transaction(lambda: payout_layout.add("农行", payout_preset.form("agricultural"), actor=market.accountant))
    with transaction():
        db.session.get_one(Household, market.households[1]).name = "李䶮"
    row = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant, layout_id=old.id))
    address = f"/payouts/{row.public_id}"
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    page = director.get(address).text
    assert ("有字写不进" in page, "第 2 笔 李**：䶮" in page) == (True, True)
    refused = director.post(f"{address}/step/approve", data={"version": "1"})
    assert (refused.status_code, "李**" in refused.text, "李䶮" in refused.text) == (409, True, False)
    assert director.post(f"{address}/layout", data={"version": "1", "layout": ""}).status_code == 403
    assert accountant.post(f"{address}/layout", data={"version": "1", "layout": ""}).status_code == 303
    assert "有字写不进" not in accountant.get(address).text
    assert director.post(f"{address}/step/approve", data={"version": "2"}).status_code == 303
    assert accountant.post(f"{address}/layout", data={"version": "3", "layout": old.public_id}).status_code == 409


def test_whoever_approves_sees_what_each_column_holds_and_how_the_file_begins(app: Flask) -> None:
    market, distribution_id = posted()
    form = payout_preset.form("rural")
    form = Form((*form.columns, Column("text", "备注", "由合作社代收")))
    layout = transaction(lambda: payout_layout.add("农商行", form, actor=market.accountant))
    row = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant, layout_id=layout.id))
    account = db.session.get_one(Household, market.households[0]).bank_account
    director = browser(app, market.director)
    page, question = (director.get(f"/payouts/{row.public_id}{step}").text for step in ("", "/step/approve"))
    assert ("<td>由合作社代收</td>" in page, f"<td>**{account[-4:]}</td>" in page, account in page) == (True, True, False)
    assert ("“由合作社代收”" in page, "“由合作社代收”" in question) == (True, True)


def batch_of_parts(app: Flask) -> tuple[FlaskClient, PayoutBatch]:
    market, distribution_id = posted()
    form = Form(payout_preset.form("postal").columns, kind="xlsx", most_rows=2, remark=10)
    layout = transaction(lambda: payout_layout.add("邮储", form, actor=market.accountant))
    row = transaction(lambda: payout_batch.make(distribution_id, actor=market.accountant, layout_id=layout.id))
    row = transaction(lambda: payout_batch.approve(row.id, actor=market.director, version=1))
    return browser(app, market.accountant), row


def test_each_file_of_several_is_downloaded(app: Flask) -> None:
    client, row = batch_of_parts(app)
    page = client.get(f"/payouts/{row.public_id}").text
    assert ("分成 2 个文件" in page, "第 2 个：3 到 3 笔，¥30.00" in page) == (True, True)
    for part, status in (("1", 200), ("2", 200), ("3", 404), ("x", 404)):
        answer = client.post(f"/payouts/{row.public_id}/file", data={"part": part})
        assert answer.status_code == status, part
        if status == 200:
            assert (answer.data[:2], answer.headers["Content-Disposition"]) == (b"PK", f"attachment; filename={row.number}-{part}.xlsx")


def test_columns_and_words_are_asked_about_and_kept(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    client = browser(app, market.accountant)
    accounts = [account for _n, _name, account, _fen in payout_part.payees(row)]
    head = "编码,收方,数额,标志,说明\n"
    content = (head + f"1,{accounts[0]},10.00,S,\n2,{accounts[1]},20.00,挂账,\n").encode("gb18030")
    answer = upload(client, row, content=content)
    assert (answer.status_code, answer.location.endswith("/columns")) == (303, True)
    page = client.get(answer.location).text
    assert ("没认出这家银行回盘的表头" in page, "收方" in page, accounts[0] in page) == (True, True, True)
    assert client.post(answer.location, data={"heading_line": "1", "column-0": "sequence"}).status_code == 422
    assert client.post(answer.location, data={"heading_line": "1", "column-0": "sequence", "column-1": "sequence"}).status_code == 422
    assert client.post(answer.location, data={"heading_line": "2", "look": "1"}).location.endswith("heading=2")
    columns = {"heading_line": "1", "column-0": "sequence", "column-1": "account", "column-2": "amount", "column-3": "result", "column-4": "reason"}
    assert client.post(answer.location, data=columns).location == answer.location
    page = client.get(answer.location).text
    assert ("“S”，1 笔" in page, "“挂账”，1 笔" in page) == (True, True)
    assert client.post(answer.location, data={"word-0": "paid"}).status_code == 422
    words = dict(zip(sorted(["S", "挂账"]), ("paid", "unknown"), strict=True))
    done = client.post(answer.location, data={f"word-{at}": words[word] for at, word in enumerate(sorted(words))})
    preview = client.get(done.location).text
    assert ("记为到账" in preview, "记为还没有结果，钱留在途中" in preview, "文件里少了 1 笔" in preview) == (True, True, True)
    assert owed(market) == [0, 0, 0]
    assert client.post(done.location).status_code == 303
    page = client.get(f"/payouts/{row.public_id}").text
    assert ("还没有结果" in page, "挂账" in page, "最久的 " in page) == (True, True, True)
    assert client.get(f"/payouts/{row.public_id}?items=unknown").text.count("尾号") == 1
    # The bank's next file of the same shape asks nothing; the same file again says that it is known.
    assert upload(client, row, content=content).location == done.location
    assert "再传一次也不会再记" in client.get(done.location).text
    assert db.session.query(PayoutResults).count() == 1


def test_one_payments_page_takes_a_word_and_a_reversal(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    accountant.post(upload(accountant, row, "1,10.00,paid,", "2,20.00,处理中,").location)
    first, second, _third = payout_batch.items_of(row.id)
    address = "/payouts/items"
    assert "问清楚了？" in accountant.get(f"{address}/{second.public_id}").text
    assert accountant.post(f"{address}/{second.public_id}/word", data={"outcome": "returned", "reason": ""}).status_code == 422
    assert accountant.post(f"{address}/{second.public_id}/word", data={"outcome": "returned", "reason": "柜面查询：已退"}).status_code == 303
    assert owed(market) == [0, 2_000, 0]
    page = accountant.get(f"{address}/{second.public_id}").text
    assert ("柜面查询：已退" in page, "问清楚了？" in page) == (True, False)
    where = f"{address}/{first.public_id}"
    assert accountant.post(f"{where}/reversal", data={"reason": "x"}).status_code == 422
    assert accountant.post(f"{where}/reversal", data={"reason": "流水上没有这一笔"}).status_code == 303
    assert "要请另一位（理事长）核对" in accountant.get(where).text
    assert "等另一位核对" in director.get(f"/payouts/{row.public_id}").text
    asked = payout_reversal.of_item(first.id)[0]
    decided = {"version": "1", "decision": "approve"}
    assert accountant.post(f"{where}/reversal/{asked.public_id}", data=decided).status_code == 403
    stranger = browser(app, builders.market(name="宝峰油茶合作社").director)
    assert stranger.post(f"{where}/reversal/{asked.public_id}", data=decided).status_code == 404
    assert (stranger.get(where).status_code, stranger.post(f"{where}/word", data={"outcome": "paid", "reason": "不是我的"}).status_code) == (404, 404)
    assert director.post(f"{where}/reversal/{asked.public_id}", data={**decided, "decision": "return"}).status_code == 422
    assert director.post(f"{where}/reversal/{asked.public_id}", data=decided).status_code == 303
    assert owed(market) == [1_000, 2_000, 0]
    assert "已冲回" in director.get(where).text
    auditor = browser(app, builders.person(builders.operator(), "auditor"))
    assert (auditor.get(where).status_code, "reversal" in auditor.get(where).text) == (200, False)
    moved = auditor.get(f"/payouts/{row.public_id}/items/{first.public_id}")
    assert (moved.status_code, moved.location) == (301, where), "where it was once"
    assert stranger.get(f"/payouts/{row.public_id}/items/{first.public_id}").status_code == 404
    for name in ("unanswered_payouts", "unknown_payouts", "payout_reversals"):
        assert browser(app, builders.person(builders.operator(), "treasurer")).get(f"/operator/money/{name}").status_code == 200
