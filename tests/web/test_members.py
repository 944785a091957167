"""Members on their pages: masked, traced, their shares added and ended; deliveries; imports row by row; others' members unknown."""

import zipfile
from datetime import timedelta
from io import BytesIO

import pytest
import xlsxwriter
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from marketplace.foundation import clock, sheet
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.households.benefit import HouseholdBenefit
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.member_import import MemberImport
from marketplace.web import cooperative_members, spreadsheet
from tests import builders
from tests.statements import counted
from tests.web.work_desk import browser, rows_of, workbook

TODAY = clock.business_date()


def names(market: builders.Market) -> tuple[str, str, str]:
    """Outside names of the group, of its first member and of the batch."""
    db.session.rollback()
    group, home = db.session.get_one(LinkageGroup, market.group), db.session.get_one(Household, market.households[0])
    return group.public_id, home.public_id, db.session.get_one(Batch, market.batch).public_id


def supplier(market: builders.Market) -> str:
    home = builders.household()
    builders.share(market.group, home, 0, kind="SUPPLY")
    return db.session.get_one(Household, home).code


def test_members_are_masked_and_every_look_leaves_a_trace(app: Flask) -> None:
    market = builders.market()
    group, home, _batch = names(market)
    row = db.session.get_one(Household, market.households[0])
    code, name, account = row.code, row.name, row.bank_account
    clerk = browser(app, market.clerk)
    assert "3" in clerk.get("/cooperative/members").text
    for address in (f"/cooperative/members/{group}", f"/cooperative/members/{group}/{home}"):
        page = clerk.get(address).text
        assert code in page
        assert "测**" in page
        for secret in (name, account, row.id_number):
            assert secret not in page
    sheet = rows_of(clerk.get(f"/cooperative/members/{group}/export.xlsx").data)
    assert len(sheet) == 4
    assert name not in str(sheet)
    db.session.rollback()
    traces = list(db.session.scalars(select(AuditEvent).where(AuditEvent.action == "household.seen_masked")))
    assert [len(trace.data["households"]) for trace in traces] == [3, 1, 3]
    assert clerk.post(f"/cooperative/members/{group}/{home}/open", data={"purpose": "SHARES"}).status_code == 403
    director = browser(app, market.director)
    assert director.post(f"/cooperative/members/{group}/{home}/open", data={"purpose": ""}).status_code == 422
    opened = director.post(f"/cooperative/members/{group}/{home}/open", data={"purpose": "SHARES"})
    assert name in opened.text
    assert opened.headers["Cache-Control"] == "private, no-store"
    db.session.rollback()
    assert db.session.scalars(select(AuditEvent).where(AuditEvent.action == "household.opened")).one().person_id == market.director.person_id


def test_an_export_of_members_has_every_one(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read in pieces, each of which leaves its trace; none is left out where pieces meet."""
    market = builders.market()
    clerk, address = browser(app, market.clerk), f"/cooperative/members/{names(market)[0]}/export.xlsx"
    whole = rows_of(clerk.get(address).data)
    for at_once in (1, 2):
        monkeypatch.setattr(cooperative_members, "AT_ONCE", at_once)
        assert rows_of(clerk.get(address).data) == whole
    traces = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "household.seen_masked").order_by(AuditEvent.id))
    assert [len(trace.data["households"]) for trace in traces] == [3, 1, 1, 1, 2, 1]


def test_another_cooperatives_members_are_unknown(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="另一家合作社")
    group, home, batch = names(market)
    own, theirs, _batch = names(other)
    stranger = browser(app, other.director)
    for address in (f"/members/{group}", f"/members/{group}/{home}", f"/members/{own}/{home}", f"/members/{group}/shares", f"/deliveries/{batch}", f"/imports/shares/{group}"):
        assert stranger.get(f"/cooperative{address}").status_code == 404, address
    for address in (f"/members/{group}/shares", f"/members/{group}/{home}/end", f"/members/{own}/{home}/open", f"/members/{own}/{home}/benefits",
                    f"/deliveries/{batch}", f"/deliveries/{batch}/void", f"/imports/shares/{group}", f"/imports/deliveries/{batch}"):  # fmt: skip
        assert stranger.post(f"/cooperative{address}", data={"purpose": "SHARES"}).status_code == 404, address
    assert stranger.get(f"/cooperative/members/{own}/{theirs}").status_code == 200


def test_a_share_is_added_and_ended(app: Flask) -> None:
    market = builders.market()
    group, _home, _batch = names(market)
    new = builders.household()
    row = db.session.get_one(Household, new)
    code, public_id = row.code, row.public_id
    director = browser(app, market.director)
    sent = {"code": code, "kind": "EQUITY", "shares": "8", "starts_on": f"{TODAY}", "basis": "茶园 4 亩折股", "idempotency_key": "once",
            "asset_kind": "LAND", "appraised": "8000.00"}  # fmt: skip
    for _ in range(2):
        assert director.post(f"/cooperative/members/{group}/shares", data=sent).status_code == 302
    added = db.session.query(LinkageShare).filter_by(household_id=new).one()
    assert (added.asset_kind, added.appraised_fen) == ("LAND", 800_000)
    db.session.rollback()
    for shown in (f"/cooperative/members/{group}?q={code}", f"/cooperative/members/{group}/{public_id}"):
        page = director.get(shown).text
        assert "土地经营权" in page and "¥8,000.00" in page, shown
    heads, *lines = rows_of(director.get(f"/cooperative/members/{group}/export.xlsx?q={code}").data)
    assert [dict(zip(heads, line, strict=True))[name] for line in lines for name in ("资产种类", "评估价（元）")] == ["土地经营权", 8000.0]
    for wrong in ({"code": "JA-X"}, {"shares": "0"}, {"shares": "很多"}, {"starts_on": "今天"}, {"basis": ""}, {"kind": "GIFT"},
                  {"asset_kind": ""}, {"asset_kind": "LABOUR"}, {"appraised": ""}, {"appraised": "0"}, {"appraised": "八千"}, {}):  # fmt: skip
        answer = director.post(f"/cooperative/members/{group}/shares", data={**sent, "idempotency_key": "w", **wrong})
        assert answer.status_code == 422, wrong
    refused = director.post(f"/cooperative/members/{group}/shares", data={**sent, "idempotency_key": "w", "asset_kind": "", "appraised": "8000.00"}).text
    assert "折股量化要写资产种类" in refused and 'value="8000.00"' in refused
    assert browser(app, market.clerk).post(f"/cooperative/members/{group}/shares", data=sent).status_code == 403
    end = {"end_kind": "EQUITY", "last_day": f"{TODAY}", "reason": "搬走了"}
    address = f"/cooperative/members/{group}/{public_id}"
    assert director.post(f"{address}/end", data={**end, "reason": ""}).status_code == 422
    assert director.post(f"{address}/end", data=end).status_code == 302
    assert director.post(f"{address}/end", data=end).status_code == 409
    assert "搬走了" in director.get(address).text
    assert director.get(f"/cooperative/members/{group}?view=left").status_code == 200


def test_a_benefit_is_recorded_once_for_whom_it_may_be(app: Flask) -> None:
    market = builders.market()
    group, home, _batch = names(market)
    address, accountant = f"/cooperative/members/{group}/{home}/benefits", browser(app, market.accountant)
    sent = {"kind": "WAGE", "amount": "1200.50", "paid_on": f"{TODAY}", "note": "采茶工钱", "idempotency_key": "once"}
    assert accountant.post(address, data=sent).status_code == 422
    builders.share(market.group, market.households[0], 0, kind="WAGE")
    for _ in range(2):
        assert accountant.post(address, data=sent).status_code == 302
    assert db.session.query(HouseholdBenefit).one().fen == 120_050
    assert accountant.post(address, data={**sent, "amount": "多"}).status_code == 422
    assert browser(app, market.clerk).post(address, data=sent).status_code == 403


def test_deliveries_are_recorded_and_voided(app: Flask) -> None:
    market = builders.market()
    _group, home, batch = names(market)
    code = supplier(market)
    clerk, address = browser(app, market.clerk), f"/cooperative/deliveries/{batch}"
    sent = {"code": code, "kilograms": "2.5", "delivered_on": f"{TODAY}", "price": "350", "idempotency_key": "once"}
    for _ in range(2):
        assert clerk.post(address, data=sent).status_code == 302
    assert db.session.query(Delivery).count() == 4
    for wrong in ({"code": "X"}, {"kilograms": "0"}, {"kilograms": "999"}, {"price": "贵"}, {"delivered_on": f"{TODAY - timedelta(days=1)}"}):
        assert clerk.post(address, data={**sent, "idempotency_key": "w", **wrong}).status_code == 422, wrong
    assert browser(app, market.accountant).post(address, data=sent).status_code == 403
    page = clerk.get(address).text
    assert "2.5 kg" in page
    void = {"household": home, "day": f"{TODAY}", "grams": "1000", "reason": "记错了"}
    assert clerk.post(f"{address}/void", data={**void, "reason": ""}).status_code == 422
    assert clerk.post(f"{address}/void", data=void).status_code == 302
    assert clerk.post(f"{address}/void", data=void).status_code == 409
    assert "作废" in clerk.get(address).text
    assert len(rows_of(clerk.get(f"{address}/export.xlsx").data)) == 5


def test_an_import_is_looked_at_row_by_row_and_written_whole(app: Flask) -> None:
    market = builders.market()
    group, _home, batch = names(market)
    homes = [db.session.get_one(Household, builders.household()).code for _ in range(2)]
    director = browser(app, market.director)
    address, heads = f"/cooperative/imports/shares/{group}", ["户编号", "方式", "股数", "资产种类", "评估价（元）", "起始日", "最后一天", "依据"]
    good = [
        [homes[0], "折股量化", 5, "林权", "5,000.50", f"{TODAY:%Y/%m/%d}", "", "林地折股"], [homes[1], "EQUITY", 5, "funds", 5000, f"{TODAY}", "", "奖补资金折股"],
    ]  # fmt: skip
    faulty = (
        [homes[1], "折股量化", "五", "林权", 1, "明天", "", ""], ["X", "EQUITY", 1, "林权", 1, f"{TODAY}", "", "林地"],
        [homes[1], "折股量化", 5, "", 5000, f"{TODAY}", "", "林地折股"], [homes[1], "折股量化", 5, "劳务", 5000, f"{TODAY}", "", "林地折股"],
        [homes[1], "折股量化", 5, "林权", "", f"{TODAY}", "", "林地折股"], [homes[1], "折股量化", 5, "林权", "五千", f"{TODAY}", "", "林地折股"],
        [homes[1], "保底收购", "", "林权", "", f"{TODAY}", "", "收购协议"],
    )  # fmt: skip
    bad = director.post(address, data={"file": (workbook(heads, good[0], *faulty), "股.xlsx")})
    assert bad.status_code == 200
    for words, times in (("折股量化要写资产种类", 2), ("折股量化要写评估价", 1), ("请写一个金额", 1), ("只有折股量化写资产种类和评估价", 1)):
        assert bad.text.count(words) == times, words
    for words in ("7 行有问题", "请写一个整数", "没有这个户编号"):
        assert words in bad.text
    assert db.session.query(MemberImport).count() == 0
    looked = director.post(address, data={"file": (workbook(heads, *good), "股.xlsx"), "declared": "16"})
    assert "写入 2 行" in looked.text
    assert db.session.query(LinkageShare).filter_by(kind="EQUITY").count() == 3
    db.session.rollback()
    kept = db.session.query(MemberImport).one().public_id
    assert browser(app, market.clerk).post(f"/cooperative/imports/{kept}/apply").status_code == 403
    other = builders.market(name="另一家合作社")
    assert browser(app, other.director).post(f"/cooperative/imports/{kept}/apply").status_code == 404
    assert director.post(f"/cooperative/imports/{kept}/apply").status_code == 302
    assert director.post(f"/cooperative/imports/{kept}/apply").status_code == 409
    rows = db.session.query(LinkageShare).filter_by(kind="EQUITY", group_id=market.group).order_by(LinkageShare.id).all()
    assert [(row.asset_kind, row.appraised_fen) for row in rows] == [(None, None)] * 3 + [("FOREST", 500_050), ("FUNDS", 500_000)]
    code = supplier(market)
    clerk, place = browser(app, market.clerk), f"/cooperative/imports/deliveries/{batch}"
    looked = clerk.post(place, data={"file": (workbook(["户编号", "公斤", "交货日", "保底价"], [code, 1.25, f"{TODAY}", 350.5]), "交货.xlsx")})
    assert "写入 1 行" in looked.text
    kept = db.session.query(MemberImport).filter_by(kind="DELIVERIES").one().public_id
    assert clerk.post(f"/cooperative/imports/{kept}/apply").status_code == 302
    row = db.session.query(Delivery).order_by(Delivery.id.desc()).first()
    assert row is not None
    assert (row.grams, row.floor_price_fen_per_kg) == (1250, 35_050)


def test_bad_files_are_refused_in_words(app: Flask) -> None:
    market = builders.market()
    group, _home, batch = names(market)
    director = browser(app, market.director)
    for content, words in (
        (b"not a workbook", "读不出来"), (b"PK\x03\x04broken", "读不出来"), (workbook(["甲", "乙"], [1, 2]).getvalue(), "表头里缺少"),
        (workbook(["户编号", "方式", "股数", "起始日", "最后一天", "依据"], ["JA-1"]).getvalue(), "表头里缺少：资产种类、评估价（元）"),
        (workbook(["户编号", "方式", "股数", "资产种类", "评估价（元）", "起始日", "最后一天", "依据"]).getvalue(), "没有数据行"),
    ):  # fmt: skip
        answer = director.post(f"/cooperative/imports/shares/{group}", data={"file": (BytesIO(content), "x.xlsx")})
        assert (answer.status_code, words in answer.text) == (422, True), words
    assert director.post(f"/cooperative/imports/shares/{group}", data={}).status_code == 422
    assert director.post(f"/cooperative/imports/deliveries/{batch}", data={}).status_code == 422
    assert rows_of(director.get("/cooperative/imports/template-shares.xlsx").data)[0][0] == "户编号"


def test_what_is_too_large_or_too_long_is_not_even_opened(app: Flask) -> None:
    heads = {"code": ("户编号",), "kilograms": ("公斤",)}
    many = workbook(["户编号", "公斤"], *([n, 1] for n in range(spreadsheet.MOST_BROUGHT + 1)))
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/worksheets/sheet1.xml", b"\0" * (sheet.UNPACKED + 1))
    for content, code in ((BytesIO(b"\0" * (spreadsheet.LARGEST + 1)), "file.large"), (many, "file.rows"), (packed, "file.unreadable")):
        content.seek(0)
        with pytest.raises(InvalidInput) as refused:
            spreadsheet.brought(FileStorage(content, filename="x.xlsx"), heads)
        assert refused.value.code == code


@pytest.mark.parametrize("far", [("A", 20_001), ("GS", 1), ("XFD", 1_048_576)])
def test_a_stray_cell_far_away_asks_for_no_memory(app: Flask, far: tuple[str, int]) -> None:
    """The reader makes room for every cell up to the last one: one in the farthest corner would be half a terabyte."""
    out = BytesIO()
    book = xlsxwriter.Workbook(out)
    sheet = book.add_worksheet()
    sheet.write("A1", "户编号")
    sheet.write(f"{far[0]}{far[1]}", "x")
    book.close()
    out.seek(0)
    with pytest.raises(InvalidInput) as refused:
        spreadsheet.brought(FileStorage(out, filename="x.xlsx"), {"code": ("户编号",)})
    assert refused.value.code == "file.far"


def test_members_and_deliveries_are_lists_of_few_statements_whatever_their_number(app: Flask) -> None:
    market = builders.market()
    group, _home, batch = names(market)
    clerk = browser(app, market.clerk)
    lists = (f"/cooperative/members/{group}", f"/cooperative/deliveries/{batch}")
    for address in lists:
        clerk.get(address)
    few = [len(_said(clerk, address)) for address in lists]
    for home in builders.members(market.group, tuple(range(1, 21))):
        builders.share(market.group, home, 0, kind="SUPPLY")
        row = Delivery(organisation_id=market.cooperative, batch_id=market.batch, household_id=home, grams=10, delivered_on=TODAY)
        with transaction():
            db.session.add(row)
    many = [len(_said(clerk, address)) for address in lists]
    assert many == few
    assert max(many) <= 6


def _said(client: FlaskClient, address: str) -> list[str]:
    with counted() as said:
        assert client.get(address).status_code == 200
    return said
