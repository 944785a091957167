"""The cooperative takes a unit's order on, imports the bank's file and decides what a receipt pays."""

import io
import re

from flask import Flask

from marketplace.foundation.database import db, transaction
from marketplace.payments.bank_statement import BankReceipt
from marketplace.procurement import directed_order
from marketplace.procurement.directed_order import DirectedOrder
from tests import builders
from tests.procurement.unit_market import order_of, submit, unit_market
from tests.web.test_unit_pages import browser


def test_confirm_import_and_match(app: Flask) -> None:
    at = unit_market()
    made = submit(at, 10)
    with transaction():
        directed_order.approve(made, actor=at.approver)
    row = db.session.get_one(DirectedOrder, made)
    reference, path = row.reference, f"/cooperative/unit-orders/{row.public_id}"
    director, accountant = browser(app, at.market.director), browser(app, at.market.accountant)
    assert reference in director.get("/cooperative/unit-orders").get_data(as_text=True)
    assert accountant.post(path, data={"decision": "confirm"}).status_code == 403
    assert director.post(path, data={"decision": "decline", "reason": ""}).status_code == 400
    assert director.post(path, data={"decision": "confirm"}).status_code == 302

    text = f"交易日期,收入金额,对方户名,摘要,流水号\n2026-03-01,900.00,某中心,{reference},S1\n2026-03-01,坏,甲,乙,S2\n"
    looking = accountant.post("/cooperative/bank", data={"file": (io.BytesIO(text.encode("gb18030")), "流水.csv")}).location
    looked = accountant.get(looking).text
    assert ("金额读不出来" in looked, "导入 1 行" in looked, db.session.query(BankReceipt).count()) == (True, True, 0)
    page = accountant.get(accountant.post(f"{looking}/take").location).text
    assert ("新到账 1 笔" in page, "附言里有编号" in page) == (True, True)
    receipt = db.session.query(BankReceipt).one()
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    form = {"order": order_of(made).public_id, "amount": "800.00", "idempotency_key": key[1]}
    receipt_path = f"/cooperative/bank/{receipt.public_id}"
    assert browser(app, builders.market(name="乙社").accountant).post(receipt_path, data=form).status_code == 404
    for _ in range(2):
        assert accountant.post(receipt_path, data=form).status_code == 302
    assert (order_of(made).paid_fen, order_of(made).payment) == (80_000, "PAID")
    assert "¥100.00" in accountant.get("/cooperative/bank").get_data(as_text=True)
    assert accountant.post("/cooperative/bank").status_code == 422
