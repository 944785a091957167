"""Split schemes on their pages: proposed at the cooperative, decided at the county office, shown to everybody."""

from datetime import timedelta

from flask import Flask

from marketplace.catalogue.scheme_proposal import SchemeProposal
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from tests import builders
from tests.builders_people import operator, person
from tests.web.work_desk import browser


def typed(**changed: str) -> dict[str, str]:
    day = clock.business_date() + timedelta(days=5)
    shares = {"cooperative_bp": "60", "household_pool_bp": "30%", "village_collective_bp": "6", "relief_fund_bp": "４.0"}
    return {**shares, "effective_from": f"{day}", "reason": "多分一成给农户。", "idempotency_key": "once", **changed}


def proposal() -> SchemeProposal:
    db.session.rollback()
    return db.session.query(SchemeProposal).one()


def test_a_proposal_goes_its_way_and_the_public_sees_both_versions(app: Flask) -> None:
    market = builders.market()
    director, office = browser(app, market.director), browser(app, person(operator(), "administrator"))
    assert "第 1 版" in director.get("/cooperative/schemes").text
    assert director.get("/cooperative/schemes/new/white_tea").status_code == 200
    for _ in range(2):  # a double click is one proposal
        assert director.post("/cooperative/schemes/new/white_tea", data=typed()).status_code == 302
    row = proposal()
    assert (row.household_pool_bp, row.relief_fund_bp) == (3000, 400)
    assert "多分一成给农户。" in director.get("/cooperative/schemes").text
    address = f"/operator/schemes/{row.public_id}"
    assert "等审批的分账方案" in office.get("/operator").text
    assert address in office.get("/operator/queues/schemes").text
    assert address in office.get("/operator/schemes").text
    assert "<b>¥30.00</b>" in office.get(address).text
    assert office.post(f"{address}/decide", data={"decision": "return", "version": "1"}).status_code == 422
    assert office.post(f"{address}/decide", data={"decision": "approve", "version": "7"}).status_code == 409
    assert office.post(f"{address}/decide", data={"decision": "what", "version": "1"}).status_code == 400
    assert office.post(f"{address}/decide", data={"decision": "approve", "version": "1"}).status_code == 302
    assert office.post(f"{address}/decide", data={"decision": "approve", "version": "1"}).status_code == 409
    assert office.get("/operator/schemes?view=approved").status_code == 200
    own = db.session.get_one(Organisation, market.cooperative).public_id
    page = app.test_client().get(f"/cooperatives/{own}").text
    for sentence in ("第 1 版", "第 2 版", "现在执行", "还没到执行日", "多分一成给农户。"):
        assert sentence in page


def test_what_was_typed_comes_back_with_its_error(app: Flask) -> None:
    market = builders.market()
    director = browser(app, market.director)
    for wrong in ({"household_pool_bp": "三成"}, {"household_pool_bp": "31"}, {"effective_from": "明天"}, {"effective_from": "2001-01-01"}, {"reason": ""}):
        answer = director.post("/cooperative/schemes/new/white_tea", data=typed(**wrong))
        assert answer.status_code == 422, wrong
        assert "多分一成给农户。" in answer.text or wrong == {"reason": ""}
    assert db.session.query(SchemeProposal).count() == 0
    assert director.post("/cooperative/schemes/new/rice", data=typed()).status_code == 404


def test_other_roles_and_others_cooperatives(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    assert browser(app, market.director).post("/cooperative/schemes/new/white_tea", data=typed()).status_code == 302
    row = proposal()
    withdraw = f"/cooperative/schemes/{row.public_id}/withdraw"
    assert browser(app, market.clerk).post("/cooperative/schemes/new/white_tea", data=typed()).status_code == 403
    assert browser(app, other.director).post(withdraw, data={"version": "1"}).status_code == 404
    assert browser(app, person(operator(), "reviewer")).post(f"/operator/schemes/{row.public_id}/decide", data={"decision": "approve", "version": "1"}).status_code == 403
    assert browser(app, market.director).post(withdraw, data={"version": "2"}).status_code == 409
    assert browser(app, market.director).post(withdraw, data={"version": "1"}).status_code == 302
    assert proposal().state == "WITHDRAWN"
