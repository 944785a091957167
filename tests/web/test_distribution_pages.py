"""A month on its way through the pages: drafted, approved by another, published, objected to and answered, credited; and what is refused."""

import io
import re
from datetime import timedelta

import pytest
from flask import Flask
from python_calamine import CalamineWorkbook

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.notices import objection
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import grant
from marketplace.settlement import distribution
from marketplace.settlement.distribution import Distribution
from tests import builders
from tests.builders import Market
from tests.settlement.test_distribution import drafted, published, sold, this_period
from tests.settlement.test_recovery import distributed, refunded, settled
from tests.web.test_goods import browser


def the_one() -> Distribution:
    db.session.rollback()
    return db.session.query(Distribution).order_by(Distribution.id.desc()).first() or pytest.fail("none")


def step(client, row: Distribution, name: str, **form: str):  # type: ignore[no-untyped-def]
    return client.post(f"/distributions/{row.public_id}/step/{name}", data={"version": str(row.version), **form})


def raised(row: Distribution, text: str = "少算了我家一筐茶") -> Objection:
    notice_id = row.notice_id or 0
    return transaction(lambda: objection.raise_(notice_id, text=text, name="王小明", contact="13800138000"))


def ended(row: Distribution) -> clock.datetime:
    return clock.beijing_midnight(db.session.get_one(PublicNotice, row.notice_id).ends_on + timedelta(days=1))


def test_the_whole_way_with_whose_turn_it_is(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    assert f"{this_period()} 有 ¥60.00 还没有分配" in accountant.get("/distributions").text
    page = accountant.get(f"/distributions/new?period={this_period()}").text
    assert ("¥60.00" in page, "¥36.00" in page, "¥24.00" in page) == (True, True, True)
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    form = {"period": this_period(), "idempotency_key": key[1]}
    first, second = (accountant.post("/distributions/new", data=form) for _ in range(2))
    assert (first.status_code, first.location) == (303, second.location)
    row = the_one()
    address = f"/distributions/{row.public_id}"
    assert "等理事长审批" in accountant.get(address).text
    assert f"{address}/step/approve" in director.get(address).text
    question = director.get(f"{address}/step/approve").text
    assert ("¥60.00 分给 3 户" in question, f'name="version" value="{row.version}"' in question) == (True, True)
    for expected in (303, 409):
        assert step(director, row, "approve").status_code == expected
    row = the_one()
    question = accountant.get(f"{address}/step/publish").text
    assert "7 个工作日" in question
    for expected in (303, 409):
        assert step(accountant, row, "publish").status_code == expected
    row = the_one()
    assert db.session.query(PublicNotice).count() == 1
    page = accountant.get(address).text
    assert ("公示到" in page, "step/post" in page) == (True, False)
    assert step(accountant, row, "post").status_code == 409
    with clock.travel(ended(row)):
        assert f"{address}/step/post" in accountant.get(address).text
        assert "记账以后不能撤回" in accountant.get(f"{address}/step/post").text
        for expected in (303, 409):
            assert step(accountant, row, "post").status_code == expected
        assert "可以做代发批次了" in accountant.get(address).text
        assert "等会计做代发批次" in director.get(address).text


def test_a_return_and_a_withdrawal_need_their_reason_and_show_it(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row, director = drafted(market), browser(app, market.director)
    answer = step(director, row, "return", reason=" ")
    assert (answer.status_code, "请写明理由" in answer.text) == (422, True)
    assert step(director, row, "return", reason="少算一户").status_code == 303
    assert ("已撤回：少算一户" in director.get(f"/distributions/{row.public_id}").text, the_one().state) == (True, "WITHDRAWN")
    row = published(market)
    assert step(director, row, "withdraw", reason="").status_code == 422
    assert step(director, row, "withdraw", reason="称重有误").status_code == 303
    page = director.get(f"/distributions/{row.public_id}").text
    assert ("已撤回：称重有误" in page, f"{this_period()} 有 ¥60.00 还没有分配" in browser(app, market.accountant).get("/distributions").text) == (True, True)
    assert "已撤回" in director.get("/notices/" + db.session.get_one(PublicNotice, row.notice_id).public_id).text


@pytest.mark.parametrize("outcome", ["REJECTED", "UPHELD"])
def test_an_objection_is_answered_where_it_stands_and_the_page_says_what_follows(app: Flask, outcome: str) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    its = raised(row)
    address = f"/distributions/{row.public_id}"
    director, accountant = browser(app, market.director), browser(app, market.accountant)
    page = director.get(address).text
    assert ("少算了我家一筐茶" in page, "13800138000" in page, "不能记到各户，要撤回" in page) == (True, True, True)
    assert "13800138000" not in accountant.get(address).text
    post = f"{address}/objections/{its.public_id}"
    assert accountant.post(post, data={"outcome": outcome, "text": "已核对"}).status_code == 403
    assert director.post(post, data={"text": "已核对"}).status_code == 422
    empty = director.post(post, data={"outcome": outcome, "text": " "})
    assert (empty.status_code, "请写明答复" in empty.text) == (422, True)
    for expected in (303, 409):
        assert director.post(post, data={"outcome": outcome, "text": "已核对"}).status_code == expected
    with clock.travel(ended(row)):
        page = accountant.get(address).text
        assert ("step/post" in page, "有异议成立" in page) == (outcome == "REJECTED", outcome == "UPHELD")
        assert step(accountant, the_one(), "post").status_code == (303 if outcome == "REJECTED" else 409)


def test_recomputed_on_the_page_and_a_stale_page_is_told_so(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row, accountant = drafted(market), browser(app, market.accountant)
    sold(market, 10_000)
    assert step(accountant, row, "recompute").status_code == 303
    assert the_one().total_fen == 8_000
    stale = step(browser(app, market.director), row, "approve", version="1")
    assert (stale.status_code, "别人刚刚改过" in stale.text) == (409, True)
    assert step(browser(app, market.director), the_one(), "approve", version="").status_code == 400
    assert the_one().state == "DRAFTED"


def test_nobody_approves_what_they_drafted(app: Flask) -> None:
    market = builders.market()
    with transaction():
        grant(market.accountant.person_id, market.cooperative, "director")
    sold(market, 30_000)
    row, client = drafted(market), browser(app, market.accountant)
    assert "要请另一位理事长来审批" in client.get(f"/distributions/{row.public_id}").text
    assert step(client, row, "approve").status_code == 403
    assert the_one().state == "DRAFTED"


@pytest.mark.both
def test_each_household_has_its_reasons_and_is_found(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row, client = drafted(market), browser(app, market.clerk)
    address = f"/distributions/{row.public_id}/households"
    page = client.get(address).text
    assert ("1,000 g / 6,000 g → ¥6.00" in page, "→ ¥4.00" in page, "共 3 行，¥60.00" in page) == (True, True, True)
    names = re.findall(r"JA-TEST-\d+", page)
    assert len(set(names)) == 3
    found = client.get(f"{address}?q={names[0]}").text
    assert "共 1 行" in found
    assert "共 3 行" in client.get(f"{address}?q=三坪").text
    assert "共 3 行" in client.get(f"{address}?q=测").text
    assert "没有找到" in client.get(f"{address}?q=%25").text
    assert "没有找到" in client.get(f"{address}?group=zzzz").text
    assert client.get(f"{address}?sort=name").status_code == 400
    assert client.get(f"{address}?after=1.2").status_code == 400
    most = client.get(f"{address}?sort=most").text
    assert most.index("¥30.00") < most.index("¥20.00") < most.index("¥10.00")
    book = client.get(f"/distributions/{row.public_id}/households.xlsx")
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book.data)).get_sheet_by_index(0).to_python()
    assert [line[10] for line in rows[1:]] == [10.0, 20.0, 30.0]
    assert rows[1][1].endswith("**")


def test_paging_goes_through_everybody_once(app: Flask) -> None:
    market = builders.market()
    builders.members(market.group, tuple([1] * 110))
    sold(market, 300_000)
    row, client = drafted(market), browser(app, market.clerk)
    for sort in ("code", "most"):
        address, seen = f"/distributions/{row.public_id}/households?sort={sort}", []
        while address:
            page = client.get(address).text
            seen += re.findall(r'class="main">(JA-TEST-\d+)', page)
            following = re.search(r'rel="next" href="([^"]+)"', page)
            address = following[1].replace("&amp;", "&") if following else ""
        assert (len(seen), len(set(seen))) == (113, 113)


def statements(app: Flask, client, address: str) -> int:  # type: ignore[no-untyped-def]
    from sqlalchemy import event

    seen: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    assert client.get(address).status_code == 200
    return len([each for each in seen if each.lstrip().upper().startswith("SELECT")])


def test_lists_ask_few_questions_whatever_their_size(app: Flask) -> None:
    market = builders.market()
    builders.members(market.group, tuple([1] * 60))
    sold(market, 300_000)
    row, client = drafted(market), browser(app, market.clerk)
    client.get("/distributions")
    # Two of them say who acts and what waits to be shipped.
    assert statements(app, client, f"/distributions/{row.public_id}/households") <= 6 + 2
    assert statements(app, client, "/distributions") <= 2 * (6 + 2)


def test_another_cooperatives_are_not_found(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    sold(market, 30_000)
    row = published(market)
    its = raised(row)
    accountant, director = browser(app, other.accountant), browser(app, other.director)
    for path in ("", "/households", "/households.xlsx", "/step/withdraw", "/slips", "/board"):
        assert accountant.get(f"/distributions/{row.public_id}{path}").status_code == 404, path
    assert row.public_id not in accountant.get("/distributions").text
    for name in ("approve", "publish", "post", "withdraw"):
        assert step(director, row, name, reason="x").status_code == 404
    assert director.post(f"/distributions/{row.public_id}/objections/{its.public_id}", data={"outcome": "UPHELD", "text": "x"}).status_code == 404
    assert director.get(f"/distributions/{row.public_id}/step/nonsense").status_code == 404
    assert the_one().state == "PUBLISHED"
    sold(other, 30_000)
    own = published(other)
    # An objection to one distribution is not answered through another's address.
    assert director.post(f"/distributions/{own.public_id}/objections/{its.public_id}", data={"outcome": "UPHELD", "text": "x"}).status_code == 404


def test_the_county_office_sees_objects_and_withdraws_and_its_auditor_only_reads(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    its = raised(row)
    reviewer, auditor = (browser(app, builders.person(builders.operator(), role)) for role in ("reviewer", "auditor"))
    address = f"/distributions/{row.public_id}"
    assert address in reviewer.get("/operator/queues/distributions").text
    assert f"{address}#objections" in reviewer.get("/operator/queues/objections").text
    assert "公示中的收益分配" in reviewer.get("/operator").text
    before = db.session.query(AuditEvent).count()
    for path in ("/distributions", address, f"{address}/households", f"{address}/households.xlsx", "/distributions/export.xlsx", "/payouts", "/remittances"):
        assert auditor.get(path).status_code == 200, path
    assert (db.session.query(AuditEvent).count(), "step/withdraw" in auditor.get(address).text) == (before, False)
    for name in ("approve", "publish", "post", "withdraw", "return", "recompute"):
        assert step(auditor, row, name, reason="x").status_code == 403
    assert auditor.post(f"{address}/objections/{its.public_id}", data={"outcome": "UPHELD", "text": "x"}).status_code == 403
    assert auditor.post("/distributions/new", data={"period": this_period(), "idempotency_key": "k"}).status_code == 403
    assert step(reviewer, row, "post").status_code == 403
    assert step(reviewer, row, "withdraw", reason="成员待核").status_code == 303
    page = browser(app, market.accountant).get(address).text
    assert "已撤回：成员待核" in page
    again = published(market)
    with clock.travel(ended(again)):
        assert step(browser(app, market.accountant), again, "post").status_code == 303
        assert step(reviewer, the_one(), "withdraw", reason="太晚").status_code == 409


def test_the_villages_board_names_nobody(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = drafted(market)
    accountant = browser(app, market.accountant)
    assert accountant.get(f"/distributions/{row.public_id}/board").status_code == 409
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    step(accountant, the_one(), "publish")
    page = accountant.get(f"/distributions/{row.public_id}/board").text
    assert ("测**" in page, "¥30.00" in page, "3 户，共 ¥60.00" in page, "JA-TEST" in page) == (True, True, True, False)
    assert not re.search(r"测\d", page)


def test_empty_pages_say_why(app: Flask) -> None:
    market: Market = builders.market()
    client = browser(app, market.accountant)
    assert "还没有分配过" in client.get("/distributions").text
    assert "没有这样的分配" in client.get("/distributions?view=posted").text
    assert "没有要分配的月份" in client.get("/distributions/new").text
    assert "没有待分配的收益" in client.get("/distributions/new?period=2026-01").text
    assert client.get("/distributions/new?period=soon").status_code == 400
    assert client.get("/distributions?view=nonsense").status_code == 400
    assert client.post("/distributions/new", data={"period": "2026-01", "idempotency_key": "k"}).status_code == 409


def test_what_refunds_still_take_from_later_revenue_is_told_wherever_it_matters(app: Flask) -> None:
    """¥20.00 were given to households and then refunded; the next ¥60.00 may give back a fifth, ¥12.00, and ¥8.00 wait on."""
    market = builders.market()
    returned = settled(market, 10_000)
    distributed(market)
    director = browser(app, market.director)
    assert "待收回" not in director.get("/cooperative/money").text
    refunded(returned, 10_000)
    sold(market, 30_000)
    row = published(market)

    page = director.get(f"/distributions/{row.public_id}").text
    assert "待收回 ¥20.00（每期最多收回 20%）" in page
    money = director.get("/cooperative/money").text
    assert "分配以后退的款，待收回" in money and "<dd>¥20.00</dd>" in money
    notice = db.session.get_one(PublicNotice, row.notice_id)
    body = notice.body
    assert (body["total_fen"], body["recovered_fen"], body["still_recoverable_fen"], body["recovery_cap_bp"]) == (4_800, 1_200, 800, 2_000)
    public = app.test_client()
    announced = public.get(f"/notices/{notice.public_id}").text
    assert "这次从收益池里收回 ¥12.00，还有 ¥8.00 待收回。 每期最多收回收益池的 20%，从不向农户追讨。" in announced
    own = db.session.get_one(Organisation, market.cooperative).public_id
    assert "一个月最多抵 20%" in public.get(f"/cooperatives/{own}").text

    with clock.travel(ended(row)):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
    assert "待收回 ¥8.00（每期最多收回 20%）" in director.get(f"/distributions/{row.public_id}").text
