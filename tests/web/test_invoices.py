"""Invoices clicked through: asked for in the shop or at a unit's desk, issued by the accountant, downloaded, reversed."""

import io
import re
import zipfile

from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.orders.invoice import Invoice
from marketplace.organisations.organisation import Organisation
from tests import builders
from tests.orders import trade
from tests.orders.test_invoice import PDF, refund
from tests.procurement.unit_market import accept, confirmed, ship, unit_market
from tests.web.work_desk import browser, rows_of

NUMBER = "26367000000012345678"


def paper(version: int, number: str = NUMBER, content: bytes = PDF) -> dict[str, object]:
    return {"version": version, "number": number, "issued_on": f"{clock.business_date()}", "file": (io.BytesIO(content), "a.pdf")}


def test_a_buyer_asks_and_the_accountant_issues(app: Flask) -> None:
    at, buyer = builders.market(), builders.customer()
    order_id = trade.bought(buyer, (at.pack, 2))
    seller = db.session.get_one(Organisation, at.cooperative).public_id
    shop, desk = browser(app, buyer), browser(app, at.accountant)
    assert f"/invoices/new/{seller}" in shop.get("/invoices").text
    page = shop.get(f"/invoices/new/{seller}").text
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    order = re.search(r'name="orders" id="orders-1" value="(\w+)" checked', page)
    assert key
    assert order
    given = {"orders": order[1], "kind": "VAT_GENERAL", "name": "王小明", "idempotency_key": key[1]}
    wrong = shop.post(f"/invoices/new/{seller}", data={**given, "tax_number": "123"})
    assert (wrong.status_code, "18 位的统一社会信用代码" in wrong.text, 'value="123"' in wrong.text) == (422, True, True)
    path = shop.post(f"/invoices/new/{seller}", data=given).location
    assert shop.post(f"/invoices/new/{seller}", data=given).location == path  # clicked twice
    public_id = path.rpartition("/")[2]
    assert "等合作社开票" in shop.get("/invoices").text

    row = desk.get("/cooperative/invoices/sheet")
    assert rows_of(row.data)[1][9] == 176.0
    refused = desk.post(f"/cooperative/invoices/{public_id}/issue", data=paper(1, content=b"MZ"))
    assert (refused.status_code, "PDF 或 OFD" in refused.text, f'value="{NUMBER}"' in refused.text) == (422, True, True)
    assert desk.post(f"/cooperative/invoices/{public_id}/issue", data=paper(1)).status_code == 303
    again = desk.post(f"/cooperative/invoices/{public_id}/issue", data=paper(2))
    assert again.status_code == 422
    answer = shop.get(f"{path}/file")
    assert (answer.data, answer.headers["Content-Disposition"]) == (PDF, f"attachment; filename={NUMBER}.pdf")

    refund(order_id, 600)
    assert "要冲红 ¥6.00" in desk.get("/cooperative/invoices?view=reverse").text
    db.session.expire_all()
    version = db.session.query(Invoice).one().version
    assert desk.post(f"/cooperative/invoices/{public_id}/reverse", data=paper(version, "26367000000012345679")).status_code == 303
    assert "−¥6.00" in shop.get(path).text
    assert "没有发票在这里等" in desk.get("/cooperative/invoices?view=reverse").text


def packed(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name in names:
            made.writestr(name, "<x/>")
    return out.getvalue()


def test_a_units_buyer_follows_its_invoice_and_an_ofd_is_a_zip_with_its_root(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    seller = db.session.get_one(Organisation, at.market.cooperative).public_id
    buyer, desk = browser(app, at.buyer), browser(app, at.market.accountant)
    page = buyer.get(f"/invoices/new/{seller}").text
    order = re.search(r'name="orders" id="orders-1" value="(\w+)"', page)
    assert order
    given = {"orders": order[1], "kind": "VAT_GENERAL", "name": "靖安县第一中学", "tax_number": "123609254914800336", "idempotency_key": "k"}
    asked = buyer.post(f"/invoices/new/{seller}", data=given)
    assert asked.status_code == 303, re.findall(r'class="[^"]*error[^"]*"[^>]*>([^<]+)', asked.text)
    path = asked.location
    assert "等合作社开票" in buyer.get("/invoices").text
    ofd = packed("OFD.xml", "Doc_0/Document.xml")
    for content in (packed("word/document.xml"), ofd[:-30], b"PK\x03\x04 and no more", packed("Doc_0/OFD.xml")):
        refused = desk.post(f"/cooperative{path}/issue", data=paper(1, content=content))
        assert (refused.status_code, "PDF 或 OFD" in refused.text) == (422, True)
    waiting = buyer.get("/invoices").text
    assert desk.post(f"/cooperative{path}/issue", data=paper(1, content=ofd)).status_code == 303
    listed = buyer.get("/invoices").text
    assert [each.count("等合作社开票") for each in (waiting, listed)] == [1, 0]
    assert listed.count("已开票") == waiting.count("已开票") + 1
    answer = buyer.get(f"{path}/file")
    assert (answer.data, answer.headers["Content-Disposition"]) == (ofd, f"attachment; filename={NUMBER}.ofd")


def test_nobody_else_sees_it(app: Flask) -> None:
    at, buyer, stranger = builders.market(), builders.customer(), builders.customer("李四")
    trade.bought(buyer, (at.pack, 1))
    seller = db.session.get_one(Organisation, at.cooperative).public_id
    order = re.search(r'name="orders" id="orders-1" value="(\w+)"', browser(app, buyer).get(f"/invoices/new/{seller}").text)
    assert order
    given = {"orders": order[1], "kind": "VAT_GENERAL", "name": "李四", "idempotency_key": "k"}
    assert browser(app, stranger).post(f"/invoices/new/{seller}", data=given).status_code == 404
    path = browser(app, buyer).post(f"/invoices/new/{seller}", data=given).location
    elsewhere = builders.person(builders.cooperative("别的合作社"), "accountant")
    assert browser(app, stranger).get(path).status_code == browser(app, stranger).get(f"{path}/file").status_code == 404
    assert browser(app, elsewhere).get(f"/cooperative{path}").status_code == 404
    assert browser(app, at.clerk).post(f"/cooperative{path}/issue", data=paper(1)).status_code == 403


def test_how_goods_are_taxed_is_set_once(app: Flask) -> None:
    at = builders.market()
    desk = browser(app, at.accountant)
    bad = desk.post("/cooperative/invoices/taxes", data={"code-white_tea": "103", "rate-white_tea": "9"})
    assert (bad.status_code, 'value="103"' in bad.text) == (422, True)
    good = {"code-white_tea": "1030204010000000000", "rate-white_tea": "9", "code-honey": "1010399000000000000", "exempt-honey": "1"}
    assert desk.post("/cooperative/invoices/taxes", data=good).status_code == 303
    page = desk.get("/cooperative/invoices/taxes").text
    assert 'value="1030204010000000000"' in page
    assert page.count(" checked") == 1
