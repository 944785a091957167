"""Documents as PDF: for those who may see the page, with nothing of the texts read as typesetting, in our own font."""

import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from marketplace.foundation import document
from marketplace.foundation.database import db, transaction
from marketplace.households.household import Household
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.settlement import settlement
from marketplace.settlement.distribution import Distribution
from tests import builders
from tests.disclosure.sealed import head, seal, traded
from tests.missing import missing
from tests.procurement.unit_market import confirmed, submit, unit_market
from tests.settlement.builders import order
from tests.web.work_desk import browser


def words(pdf: bytes, folder: Path) -> str:
    """What the PDF says."""
    assert pdf.startswith(b"%PDF-")
    if not shutil.which("pdftotext"):
        missing("pdftotext: apt-get install poppler-utils")
    (folder / "document.pdf").write_bytes(pdf)
    return subprocess.run(["pdftotext", "-layout", str(folder / "document.pdf"), "-"], check=True, capture_output=True, text=True).stdout


def test_a_receipt_is_a_file_to_keep(app: Flask, tmp_path: Path) -> None:
    market = builders.market()
    with transaction():
        db.session.get_one(Organisation, market.cooperative).name_zh = '#panic() *璪都* $x$ ] } " 合作社'
    order_id = order(market, 10_000)
    address = f"/r/{db.session.get_one(Order, order_id).receipt_token}"
    stranger = app.test_client()
    assert address + "/receipt.pdf" in stranger.get(address).text
    transaction(lambda: settlement.settle(order_id))
    seal()
    row = head()
    answer = stranger.get(f"{address}/receipt.pdf")
    assert (answer.status_code, answer.mimetype, answer.headers["Cache-Control"]) == (200, "application/pdf", "private, no-store")
    said = words(answer.data, tmp_path)
    assert "#panic()" in said and row.short in said and "¥100.00" in said and "王小明" not in said
    assert stranger.get("/r/nothing/receipt.pdf").status_code == 404
    assert stranger.get("/distributions/zzzzzzzzzzzzzzzz/board.pdf").status_code == 302
    assert stranger.get("/unit/orders/zzzzzzzzzzzzzzzz/payment-letter.pdf").status_code == 302


def test_a_payment_letter_says_the_amount_in_words_and_only_to_the_unit(app: Flask, tmp_path: Path) -> None:
    at = unit_market()
    row = db.session.get_one(DirectedOrder, confirmed(at, terms="PREPAY"))
    address, reference = f"/unit/orders/{row.public_id}", row.reference
    unit = browser(app, at.buyer)
    assert f"{address}/payment-letter.pdf" in unit.get(address).text
    answer = unit.get(f"{address}/payment-letter.pdf")
    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    said = words(answer.data, tmp_path)
    assert "捌佰元整" in said and reference in said and "¥800.00" in said
    assert browser(app, unit_market().buyer).get(f"{address}/payment-letter.pdf").status_code == 404
    other = db.session.get_one(DirectedOrder, submit(at, key="k2")).public_id
    assert unit.get(f"/unit/orders/{other}/payment-letter.pdf").status_code == 409, "nobody confirmed it: nothing is to be paid"


def test_a_board_is_masked_and_only_for_the_cooperative(app: Flask, tmp_path: Path) -> None:
    market, _, distribution_id = traded()
    address = f"/distributions/{db.session.get_one(Distribution, distribution_id).public_id}/board.pdf"
    answer = browser(app, market.accountant).get(address)
    assert (answer.status_code, answer.mimetype) == (200, "application/pdf")
    said = words(answer.data, tmp_path)
    name = db.session.get_one(Household, market.households[0]).name
    assert "测**" in said
    assert name not in said
    assert "3户" in said.replace(" ", "")
    assert browser(app, builders.market(name="另一个合作社").accountant).get(address).status_code == 404
    assert browser(app, market.clerk).get(address).status_code == 403


def frame(**more: object) -> dict[str, object]:
    return {"title": "标题", "subtitle": "", "market": "靖安集", "seal": "靖", "language": "zh", "foot": "脚"} | more


def test_the_village_board_has_a_page_a_village(tmp_path: Path) -> None:
    village = {"name": "璪都村", "rows": [["农户", "1 户"]], "households": [["王**", "¥1.00"]], "total": "¥1.00"}
    pdf = document.pdf("board", frame(columns=["", "户主", "金额"], total="合计", note="", villages=[village, village]))
    said = words(pdf, tmp_path)
    assert (said.count("璪都村") == 2 and said.count("\f") == 2)


def test_the_same_data_makes_the_same_page_and_an_unknown_document_is_none() -> None:
    data = frame(
        amount="¥1.05", words="壹元零伍分", sentence="", rows=[], columns=["商品", "件数", "金额"], lines=[["茶", "1", "¥1.05"]], freight=[],
        less=[["已付", "¥0.00"]], total="应付", qr='<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', signed="",
    )  # fmt: skip
    assert document.pdf("payment_letter", data).startswith(b"%PDF-")
    with pytest.raises(KeyError):
        document.pdf("nothing", data)
