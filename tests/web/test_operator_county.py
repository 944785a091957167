"""The county and its bulletin: every figure opens on its rows, and the rows sum to the figure."""

import re
from html import unescape

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import target
from marketplace.reporting import bulletin, fairness
from marketplace.settlement import distribution, settlement
from tests import builders
from tests.procurement.unit_market import accept, confirmed, match, receipt, ship, unit_market
from tests.settlement.builders import order
from tests.web.test_unit_pages import browser
from tests.web.work_desk import rows_of

YEAR = clock.business_date().year


def office(app: Flask, role: str = "auditor"):  # type: ignore[no-untyped-def]
    return browser(app, builders.person(builders.operator(), role))


def test_every_percentage_is_computed_and_opens_on_its_orders(app: Flask) -> None:
    at = unit_market()
    idle = builders.person(builders.unit("闲着的局"), "buyer")
    builders.unit("没申报的局")
    exempt = builders.person(builders.unit("没食堂的局"), "buyer")
    with transaction():
        target.file(year=YEAR, canteen="OWN", base_fen=1_000_000, actor=at.buyer)
        target.file(year=YEAR, canteen="OWN", base_fen=2_000_000, actor=idle)
        target.file(year=YEAR, canteen="NONE", base_fen=0, actor=exempt)
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 9, 1)
    match(at, receipt(at, 72_000, day=f"{clock.business_date():%Y-%m-%d}"), made, 72_000)
    said = bulletin.bulletin(YEAR)
    assert (said.reserved_fen, said.ordered_fen, said.counted_fen) == (900_000, 80_000, 72_000)
    assert said.progress.bp == 800  # 720 of 9,000 yuan is 8.00 %
    assert (said.signed.part, said.signed.whole, said.signed.bp) == (3, 4, 7500)
    assert (said.filed.part, said.filed.bp) == (3, 7500)
    assert (said.bought.part, said.bought.whole, said.bought.bp) == (1, 2, 5000)
    assert {view: said.count(view) for view in ("unfiled", "idle", "exempt", "unsigned")} == {"unfiled": 1, "idle": 1, "exempt": 1, "unsigned": 1}
    assert [row.filing.unit.name_zh for row in said.top] == ["靖安县第一中学"]

    client = office(app)
    page = client.get("/operator/bulletin").text
    assert "8%" in page
    assert "75%" in page
    assert "闲着的局" in client.get("/operator/bulletin/units?view=idle").text
    assert "没申报的局" in client.get("/operator/bulletin/units?view=unfiled").text
    assert "没食堂的局" not in client.get("/operator/bulletin/units?view=unfiled").text
    path = f"/operator/bulletin/units/{db.session.get_one(Organisation, at.unit).public_id}"
    assert "¥720.00" in client.get(path).text
    lines = rows_of(client.get(f"{path}?export=1").data)
    assert [line[-4:] for line in lines if line[0].startswith("JA")] == [[800.0, 720.0, 720.0, 720.0]]
    sheet = rows_of(client.get("/operator/bulletin?export=1").data)
    assert ["申报了的单位", 3.0, 4.0, 0.75] in [line[:4] for line in sheet]
    assert client.get("/operator/bulletin/units?view=what").status_code == 400
    ranking = rows_of(client.get("/operator/bulletin/units?export=1").data)
    assert [line[0] for line in ranking if line[1] in ("靖安县第一中学", "闲着的局")] == [1.0, 2.0]


def test_the_county_reconciles_and_says_whom_nothing_reached(app: Flask) -> None:
    market = builders.market()
    builders.household(people=2, registry_status="NOT_LIFTED", unable_to_work=2)
    order_id = order(market, 100_000)
    settled = transaction(lambda: settlement.settle(order_id))
    row = transaction(lambda: distribution.draft(market.cooperative, settled.period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    notice = transaction(lambda: distribution.publish(row.id, actor=market.director))
    ends_on = notice.ends_on
    with clock.travel(clock.beijing_midnight(ends_on) + (clock.beijing_midnight(ends_on) - clock.beijing_midnight(clock.business_date()))):
        transaction(lambda: distribution.post(row.id, actor=market.director))
    year = int(settled.period[:4])
    homes = fairness.homes(year)
    fair = fairness.fairness(homes)
    assert (fair.households, fair.linked, fair.reached, fair.nothing, fair.linked_nothing) == (4, 3, 3, 1, 0)
    assert (fair.cannot_work, fair.cannot_work_reached, fair.cannot_work_fen) == (1, 0, 0)
    assert fair.earned_fen == sum(home.earned_fen for home in homes) == 20_000
    assert (fair.tenth, fair.tenth_fen) == (1, max(home.earned_fen for home in homes))

    client = office(app)
    page = client.get(f"/operator/county?year={year}").text
    assert "按状态和按乡镇各算一遍，两个数一致" in page
    assert "4 户 11 人" in page
    nothing = client.get(f"/operator/county/households?year={year}&view=nothing").text
    poor = db.session.query(Household).filter_by(registry_status="NOT_LIFTED").one()
    assert poor.code in nothing
    assert poor.name not in nothing
    assert db.session.query(AuditEvent).filter_by(action="households.counted").count() == 2
    assert "三坪村" in client.get(f"/operator/county/townships/360925201?year={year}").text
    assert client.get("/operator/county/townships/1").status_code == 404
    assert office(app, "reviewer").get("/operator/county/households").status_code == 403
    sold = client.get(f"/operator/orders?year={year}&basis=settled&place=360925201").text
    assert "1 单，货款合计 ¥1,000.00" in sold


def test_hardship_is_opened_once_for_as_long_as_nothing_changes(app: Flask) -> None:
    builders.household(people=2, registry_status="NOT_LIFTED", unable_to_work=2)
    home = builders.household(people=3, registry_status="NOT_LIFTED", unable_to_work=1)
    client = office(app)

    def opened() -> list[bool]:
        db.session.rollback()
        return [each.data["hardship"] for each in db.session.query(AuditEvent).filter_by(action="households.counted").order_by(AuditEvent.id)]

    for _ in range(2):
        assert "病残 2 户 5 人，不能劳动 3 人" in client.get(f"/operator/county?year={YEAR}").text
    assert opened() == [True, False]
    with transaction():
        db.session.get_one(Household, home).set_hardship(ill_or_disabled=False, unable_to_work=3)
    assert "病残 1 户 2 人，不能劳动 5 人" in client.get(f"/operator/county?year={YEAR}").text
    assert opened() == [True, False, True]
    client.get(f"/operator/county/households?year={YEAR}")
    client.get(f"/operator/county/households?year={YEAR}&view=cannot_work")
    assert opened() == [True, False, True, False, True]


def test_the_list_of_households_goes_on_behind_the_last_one_shown(app: Flask) -> None:
    with transaction():
        codes = {db.session.get_one(Household, builders.household()).code for _ in range(120)}
        gone = db.session.get_one(Household, builders.household())
        gone.exited_on = clock.business_date()
    client, path, read = office(app), f"/operator/county/households?year={YEAR}&view=nothing", list[str]()
    for _page in range(3):
        page = client.get(path).text
        assert "120 户" in page
        read += [code for code in re.findall(r"JA-TEST-\d+", page) if code not in read]
        more = re.search(r'href="([^"]*/operator/county/households\?[^"]*after=[^"]*)"', page)
        path = unescape(more[1]) if more else ""
    assert path == ""
    assert read == sorted(codes)


@pytest.mark.parametrize("path", ["/operator/orders?kind=X", "/operator/county/households?view=X", "/operator/orders?place=360925201"])
def test_a_filter_that_is_none_is_refused(app: Flask, path: str) -> None:
    builders.county()
    assert office(app).get(path).status_code == 400
