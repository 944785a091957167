"""What can be taken along as Excel: remittances, unclaimed lists and their households, a batch's payments, households' changes."""

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.households.household_change import HouseholdChange
from marketplace.ledger.entry import JournalEntry
from marketplace.settlement import payout_batch, unclaimed, unclaimed_return
from tests import builders
from tests.builders_people import operator, person
from tests.settlement.test_household_change import DIVIDED, administrator, changed
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.settlement.test_remittance import approve, earning, paid, propose
from tests.settlement.test_unclaimed import LATER, moved, waiting
from tests.web.work_desk import browser, rows_of


def test_remittances(app: Flask) -> None:
    market = earning()
    paid(approve(propose(market, "FUND", 500), market), market)
    (row,) = rows_of(browser(app, market.director).get("/remittances/export.xlsx").data)[1:]
    assert (row[1], row[4], row[9] != row[7]) == ("中源白茶合作社", "已划出", True), "two people stand in it"
    assert "/remittances/export.xlsx" in browser(app, market.accountant).get("/remittances").text
    other = builders.market(name="另一家")
    assert rows_of(browser(app, other.director).get("/remittances/export.xlsx").data)[1:] == []
    assert len(rows_of(browser(app, person(operator(), "auditor")).get("/remittances/export.xlsx").data)) == 2


def test_unclaimed_lists_and_what_became_of_each_household(app: Flask) -> None:
    market, _ = waiting()
    with clock.travel(clock.now() + LATER):
        row = moved(market)
        asked = transaction(lambda: unclaimed_return.propose(row.id, market.households[1], "本人持户口簿到场", actor=market.accountant))
        transaction(lambda: unclaimed_return.decide(asked.id, actor=market.director, version=1, approved=True))
        director = browser(app, market.director)
        (line,) = rows_of(director.get("/unclaimed/export.xlsx").data)[1:]
        assert line[3:7] == [2, 50.0, 50.0, "已转入基金"]
        public_id = row.public_id
        lines = rows_of(director.get(f"/unclaimed/{public_id}/export.xlsx").data)[1:]
        homes = [db.session.get_one(Household, each) for each in market.households[1:]]
        assert [each[:2] for each in lines] == [[home.code, masked_name(home.name)] for home in homes]
        assert [(each[3], each[4], each[5]) for each in lines] == [(20.0, 20.0, 20.0), (30.0, 30.0, "")]
        assert lines[0][7] == "本人持户口簿到场"
        stranger = browser(app, builders.market(name="另一家").director)
        assert stranger.get(f"/unclaimed/{public_id}/export.xlsx").status_code == 404


def test_a_batch_with_results_and_the_banks_reasons(app: Flask) -> None:
    market, distribution_id = posted()
    row = sent(market, distribution_id)
    bring(row, market, f"{row.number},1,10.00,paid,", f"{row.number},2,20.00,returned,=户名不符")
    again = transaction(lambda: payout_batch.reissue(row.id, actor=market.accountant))
    public_id, number, fresh = row.public_id, row.number, again.public_id
    accountant = browser(app, market.accountant)
    lines = rows_of(accountant.get(f"/payouts/{public_id}/items.xlsx").data)[1:]
    account = db.session.get_one(Household, market.households[0]).bank_account
    assert [(each[0], each[6], each[7], each[8]) for each in lines] == [
        (1, 10.0, "已到账", ""), (2, 20.0, "被退回，已补发", "=户名不符"), (3, 30.0, "银行办理中", ""),
    ]  # fmt: skip
    assert lines[0][5] == account[-4:] and not any(account in str(cell) for cell in lines[0])
    assert [each[10] for each in rows_of(accountant.get(f"/payouts/{fresh}/items.xlsx").data)[1:]] == [number]
    assert f"/payouts/{public_id}/items.xlsx" in accountant.get(f"/payouts/{public_id}").text
    assert browser(app, builders.market(name="另一家").director).get(f"/payouts/{public_id}/items.xlsx").status_code == 404


def test_households_changes(app: Flask) -> None:
    market, _ = posted()
    changed(market.households[2], "SPLITS", DIVIDED)
    mine = browser(app, administrator())
    (line,) = rows_of(mine.get("/operator/household-changes/export.xlsx").data)[1:]
    assert (line[1], line[3], line[9], line[11], line[12]) == ("分户", "已办", "JA-NEW-01", 0.5, 0.25)
    assert "export.xlsx" in mine.get("/operator/household-changes").text
    assert browser(app, market.director).get("/operator/household-changes/export.xlsx").status_code == 403


def test_an_auditor_reads_what_became_of_households_and_of_their_money_but_no_document(app: Flask) -> None:
    market, _ = posted()
    changed(market.households[2], "SPLITS", DIVIDED)
    auditor, office = browser(app, person(operator(), "auditor")), browser(app, administrator())
    number = db.session.query(HouseholdChange.public_id).scalar()
    path = f"/operator/household-changes/{number}"
    assert path in auditor.get("/operator/household-changes").text and "/operator/household-changes/new" not in auditor.get("/operator/household-changes").text
    assert len(rows_of(auditor.get("/operator/household-changes/export.xlsx").data)) == 2
    page = auditor.get(path).text
    assert "没发的钱分出去" in page and 'method="post" action="/operator/household-changes' not in page
    assert f'action="{path}/document"' in office.get(path).text
    for step in ("document", "decide"):
        assert auditor.post(f"{path}/{step}").status_code == 403
    entry = db.session.query(JournalEntry.id).filter_by(source_type="household_change").scalar()
    assert path in auditor.get(f"/books/entries/{entry}").text
    assert browser(app, person(operator(), "treasurer")).get(path).status_code == 403


@pytest.mark.parametrize("path", ["/remittances/export.xlsx", "/unclaimed/export.xlsx", "/operator/household-changes/export.xlsx"])
def test_of_nothing_the_heading_alone(app: Flask, path: str) -> None:
    assert len(rows_of(browser(app, administrator()).get(path).data)) == 1


def test_lists_are_filtered_by_state_on_the_page_and_in_the_sheet(app: Flask) -> None:
    market = earning()
    paid(approve(propose(market, "FUND", 500), market), market)
    propose(market, "FUND", 300, key="again")
    director = browser(app, market.director)
    for state, fen in (("PAID", [5.0]), ("PROPOSED", [3.0]), ("WITHDRAWN", []), ("", [3.0, 5.0])):
        assert [row[3] for row in rows_of(director.get(f"/remittances/export.xlsx?state={state}").data)[1:]] == fen
        page = director.get(f"/remittances?state={state}").text
        assert [f"¥{each:.2f}" in page for each in (5.0, 3.0)] == [each in fen for each in (5.0, 3.0)]
    assert "没有这样的记录" in director.get("/remittances?state=WITHDRAWN").text
    for path in ("/remittances", "/fund-returns", "/unclaimed"):
        sheet = "/unclaimed/export.xlsx" if path == "/unclaimed" else f"{path}/export.xlsx"
        assert (director.get(f"{path}?state=NONE").status_code, director.get(f"{sheet}?state=NONE").status_code) == (400, 400)
    assert "还没有" in browser(app, builders.market(name="另一家").director).get("/remittances").text
    assert "没有这样的记录" in director.get("/fund-returns?state=PROPOSED").text
    office = browser(app, administrator())
    assert "没有这样的记录" in office.get("/operator/household-changes?state=PROPOSED").text
    assert office.get("/operator/household-changes?state=NONE").status_code == 400


def test_a_list_of_unclaimed_money_stands_in_the_way_of_another_whatever_is_shown(app: Flask) -> None:
    market, _ = waiting()
    with clock.travel(clock.now() + LATER):
        accountant = browser(app, market.accountant)
        assert 'method="post" action="/unclaimed"' in accountant.get("/unclaimed").text
        transaction(lambda: unclaimed.draft(actor=market.accountant))
        for state in ("", "DRAFTED", "POSTED"):
            assert 'method="post" action="/unclaimed"' not in accountant.get(f"/unclaimed?state={state}").text
