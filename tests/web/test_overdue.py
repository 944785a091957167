"""Overdue money on the pages: the cooperative's list, claim, letter and waiver; what the unit sees; the county's yearly report."""

import re
from datetime import timedelta

from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.procurement.directed_order import DirectedOrder
from tests import builders
from tests.builders_people import operator
from tests.procurement.test_late_interest import accepted
from tests.procurement.unit_market import confirmed, unit_market
from tests.web.work_desk import browser, rows_of


def test_from_the_list_to_a_claim_a_letter_and_a_waiver(app: Flask) -> None:
    at = unit_market()
    row = db.session.get_one(DirectedOrder, accepted(at))
    path, reference = f"/cooperative/overdue/{row.public_id}", row.reference
    accountant, director, buyer = browser(app, at.market.accountant), browser(app, at.market.director), browser(app, at.buyer)
    assert "没有逾期的账款" in accountant.get("/cooperative/overdue").text
    with clock.travel(clock.now() + timedelta(days=41)):
        listed = accountant.get("/cooperative/overdue").text
        assert (reference in listed, "逾期 11 天" in listed, "¥4.00" in listed) == (True, True, True)
        assert rows_of(accountant.get("/cooperative/overdue/export").data)[1][4:] == [800.0, 4.0, 0.0]
        page = accountant.get(path).text
        key = re.search(r'name="idempotency_key" value="(\w+)"', page)
        assert key
        assert director.post(f"{path}/claim", data={"idempotency_key": "x"}).status_code == 403
        assert accountant.post(f"{path}/claim", data={"idempotency_key": key[1]}).status_code == 303
        assert accountant.post(f"{path}/claim", data={"idempotency_key": key[1]}).status_code == 303
        letter = accountant.get(f"{path}/letter").text
        assert (reference in letter, "¥800.00" in letter, "靖安农商银行" in letter) == (True, True, True)
        unit = buyer.get(f"/unit/orders/{row.public_id}").text
        assert ("超过付款期限 11 天" in unit, "逾期利息" in unit) == (True, True)
        waive = re.search(r'action="(/cooperative/overdue/\w+/claims/\w+/waive)"', director.get(path).text)
        assert waive
        refused = director.post(waive[1], data={"version": 1, "reason": ""})
        assert (refused.status_code, "写明理由" in refused.text) == (422, True)
        assert director.post(waive[1], data={"version": 1, "reason": "第一次逾期"}).status_code == 303
        assert "已免收" in accountant.get(path).text
        auditor = browser(app, builders.person(operator(), "auditor"))
        year = clock.business_date(row.pay_by and clock.beijing_midnight(row.pay_by)).year
        report = auditor.get(f"/operator/overdue?year={year}").text
        assert ("靖安县第一中学" in report, "¥800.00" in report) == (True, True)
        assert rows_of(auditor.get(f"/operator/overdue/export?year={year}").data)[1][2] == 1
        assert auditor.get("/operator/overdue?year=二〇二六").status_code == 400
    stranger = browser(app, builders.person(builders.cooperative("别的合作社"), "accountant", "director"))
    assert [stranger.get(each).status_code for each in (path, f"{path}/letter")] == [404, 404]
    assert stranger.post(f"{path}/claim", data={"idempotency_key": "k"}).status_code == 404


def test_the_unit_moves_its_deadline_once(app: Flask) -> None:
    at = unit_market()
    row = db.session.get_one(DirectedOrder, confirmed(at, 10, terms="PREPAY"))
    path = f"/unit/orders/{row.public_id}"
    buyer = browser(app, at.buyer)
    assert "延期 15 天" in buyer.get(path).text
    refused = buyer.post(f"{path}/extend", data={"reason": ""})
    assert (refused.status_code, "写明延期的原因" in refused.text) == (422, True)
    assert browser(app, at.approver).post(f"{path}/extend", data={"reason": "等拨款"}).status_code == 403
    assert buyer.post(f"{path}/extend", data={"reason": "等拨款"}).status_code == 302
    assert "来不及付款" not in buyer.get(path).text
    assert buyer.post(f"{path}/extend", data={"reason": "再等"}).status_code == 409
