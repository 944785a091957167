"""Rules of how a pool is divided, on their pages: proposed at the cooperative, decided at the county office, shown to everybody, and in the reasons."""

from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.organisation import Organisation
from marketplace.reporting import fairness
from marketplace.settlement import distribution
from marketplace.settlement.distribution_rule import Terms
from marketplace.settlement.rule_proposal import RuleProposal
from tests import builders
from tests.builders_people import operator, person
from tests.settlement.test_distribution import after_notice, post, published, sold, this_period
from tests.settlement.test_distribution_rule import next_month, rule, unable
from tests.web.work_desk import browser, rows_of


def typed(**changed: str) -> dict[str, str]:
    figures = {"relief_bp": "10", "relief_by": "PERSON", "relief_most_fen": "30", "guaranteed_fen": "２.00", "patronage_bp": "60%"}
    return {**figures, "from_period": next_month(), "reason": "保底稳住人心", "idempotency_key": "once", **changed}


def test_a_rule_goes_its_way_and_the_public_sees_both_versions(app: Flask) -> None:
    market = builders.market()
    director, office = browser(app, market.director), browser(app, person(operator(), "administrator"))
    group = db.session.get_one(LinkageGroup, market.group).public_id
    page = director.get("/cooperative/rules").text
    assert ("建组时" in page, f"/cooperative/rules/new/{group}" in page) == (True, True)
    assert f"/cooperative/rules/new/{group}" not in browser(app, market.accountant).get("/cooperative/rules").text
    assert 'value="60"' in director.get(f"/cooperative/rules/new/{group}").text
    for _ in range(2):  # a double click is one proposal
        assert director.post(f"/cooperative/rules/new/{group}", data=typed()).status_code == 302
    db.session.rollback()
    row = db.session.query(RuleProposal).one()
    assert (row.guaranteed_fen, row.relief_bp, row.relief_most_fen) == (200, 1_000, 3_000)
    address = f"/operator/rules/{row.public_id}"
    assert "等审批的分配规则" in office.get("/operator").text
    assert address in office.get("/operator/queues/rules").text
    listed = office.get("/operator/rules").text
    assert address in listed
    for page in (listed, director.get("/cooperative/rules").text):  # what is proposed stands in the row, whichever part it changes
        assert "最多 10%，按人平均" in page
    page = office.get(address).text
    assert ("<b>每股每月 ¥2.00</b>" in page, "最多 10%，按人平均，每人每月最多 ¥30.00" in page) == (True, True)
    assert office.post(f"{address}/decide", data={"decision": "return", "version": "1"}).status_code == 422
    assert office.post(f"{address}/decide", data={"decision": "approve", "version": "7"}).status_code == 409
    assert office.post(f"{address}/decide", data={"decision": "what", "version": "1"}).status_code == 400
    for expected in (302, 409):
        assert office.post(f"{address}/decide", data={"decision": "approve", "version": "1"}).status_code == expected
    own = db.session.get_one(Organisation, market.cooperative).public_id
    page = app.test_client().get(f"/cooperatives/{own}").text
    for sentence in ("建组时", "第 1 版", "还没到起用的月份", "每股每月 ¥2.00", "保底稳住人心"):
        assert sentence in page


def test_what_was_typed_comes_back_with_its_error(app: Flask) -> None:
    market = builders.market()
    director = browser(app, market.director)
    group = db.session.get_one(LinkageGroup, market.group).public_id
    for wrong in (
        {"relief_bp": "51"}, {"relief_by": "VILLAGE"}, {"guaranteed_fen": "很多"}, {"patronage_bp": "59.99"}, {"from_period": this_period()},
        {"from_period": "下月"}, {"reason": ""}, {"relief_most_fen": "-1"},
    ):  # fmt: skip
        answer = director.post(f"/cooperative/rules/new/{group}", data=typed(**wrong))
        assert answer.status_code == 422, wrong
        assert "保底稳住人心" in answer.text or wrong == {"reason": ""}
    assert director.post(f"/cooperative/rules/new/{group}", data=typed(idempotency_key="")).status_code == 422


def test_every_page_says_what_came_first_and_why(app: Flask) -> None:
    market = builders.market()
    needy = unable(market, people=4)
    rule(market, Terms(6_000, guaranteed_fen=2_000, relief_bp=1_000))
    sold(market, 30_000)
    accountant = browser(app, market.accountant)
    page = accountant.get(f"/distributions/new?period={this_period()}").text
    assert ("¥6.00" in page, "应付 ¥120.00，池子不够，按比例付" in page) == (True, True)
    row = published(market)
    assert "应付 ¥120.00，池子不够，按比例付" in accountant.get(f"/distributions/{row.public_id}").text
    page = accountant.get(f"/distributions/{row.public_id}/households").text
    assert ("不能劳动：4 / 4 份 → ¥6.00" in page, "保底 ¥20.00 → ¥9.00" in page) == (True, True)
    heading, *lines = rows_of(accountant.get(f"/distributions/{row.public_id}/households.xlsx").data)
    assert [heading[12:], sum(line[13] for line in lines), sum(line[15] for line in lines)] == [["不能劳动（份）", "救助", "应付保底", "保底"], 6, 54]
    with clock.travel(after_notice(row)):
        post(row, market)
        notice = app.test_client().get("/notices/" + db.session.get_one(PublicNotice, row.notice_id).public_id).text
        assert ("其中保底 ¥54.00" in notice, "按规则应付 ¥120.00" in notice, "全家都不能劳动" in notice) == (True, True, False)
        statement = app.test_client().get(f"/h/{db.session.get_one(Household, needy).statement_token}").text
        assert ("全家不能劳动" in statement, "您家 4 份，全组 4 份" in statement) == (True, True)
        fair = fairness.fairness(fairness.homes(clock.business_date().year))
    assert (fair.relieved, fair.relief_fen, fair.cannot_work_fen) == (1, 600, 600)
    assert distribution.groups_of(row.id)[0].households == 4
