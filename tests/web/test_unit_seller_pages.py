"""The cooperative takes a unit's order on, imports the bank's file and decides what a receipt pays."""

import io
import re

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.payments.bank_statement import BankReceipt
from marketplace.procurement import directed_order
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.price_cut import PriceCut
from marketplace.web import cooperative_bank, unit_seller
from tests import builders
from tests.procurement.unit_market import confirmed, order_of, submit, unit_market
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
    for amount, status, words in (("800.01", 409, "这张单没有欠那么多"), ("八百", 422, "请写一个金额"), ("0", 422, "请填写核销金额")):
        refused = accountant.post(receipt_path, data=form | {"amount": amount, "idempotency_key": f"k{amount}"})
        assert (refused.status_code, words in refused.text) == (status, True)
        place = f"amount-{receipt.public_id}-{order_of(made).public_id}"
        assert f'href="#{place}"' in refused.text and re.search(f'id="{place}" name="amount" value="{amount}"', refused.text)
    assert order_of(made).paid_fen == 0
    for _ in range(2):
        assert accountant.post(receipt_path, data=form).status_code == 302
    assert (order_of(made).paid_fen, order_of(made).payment) == (80_000, "PAID")
    assert "¥100.00" in accountant.get("/cooperative/bank").get_data(as_text=True)
    assert accountant.post("/cooperative/bank").status_code == 422


def test_orders_and_price_cuts_are_paged_by_key(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out in silence: every order is on some page, and of price cuts those that wait come first."""
    at = unit_market()
    made = [confirmed(at, 10, key=f"{place}") for place in range(3)]
    references = [db.session.get_one(DirectedOrder, each).reference for each in made]
    with transaction():
        for place, state in enumerate(("OPEN", "APPROVED", "OPEN")):
            db.session.add(
                PriceCut(
                    organisation_id=at.market.cooperative, unit_id=at.unit, order_id=order_of(made[place]).id, fen=100, reason=f"理由{place}", state=state,
                    asked_at=clock.now(), asked_by_id=at.buyer.person_id, version=1,
                )
            )  # fmt: skip
    monkeypatch.setattr(unit_seller, "PAGE", 2)
    monkeypatch.setattr(cooperative_bank, "PAGE", 1)
    accountant = browser(app, at.market.accountant)

    def walked(path: str, words: list[str]) -> list[list[int]]:
        pages = []
        while path:
            page = accountant.get(path).text
            shown = sorted((page.index(each), place) for place, each in enumerate(words) if each in page)
            pages.append([place for _at, place in shown])
            following = re.search(r'rel="next" href="([^"]+)"', page)
            path = following[1].replace("&amp;", "&") if following else ""
        return pages

    assert walked("/cooperative/unit-orders", references) == [[2, 1], [0]]
    assert walked("/cooperative/bank/cuts", ["理由0", "理由1", "理由2"]) == [[2], [0], [1]]
