"""A receipt of which nothing tells what it pays: the accountant finds its orders among all that is owed, one after another, and is told what does not fit."""

import re

import pytest
from flask import Flask

from marketplace.foundation.database import db
from marketplace.ledger import balance
from marketplace.payments import bank_match
from marketplace.payments.bank_statement import BankReceipt
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.web import receipt_orders, unit_seller
from tests import builders
from tests.procurement.unit_market import UnitMarket, confirmed, order_of, receipt, unit_market
from tests.web.work_desk import browser

TREASURY = "靖安县财政国库支付中心"


def reference(made: int) -> str:
    return db.session.get_one(DirectedOrder, made).reference


def page_of(receipt_id: int) -> str:
    db.session.expire_all()
    return f"/cooperative/bank/receipts/{db.session.get_one(BankReceipt, receipt_id).public_id}/orders"


def form(page: str, made: int, amount: str) -> dict[str, str]:
    """What the page's form for this order sends."""
    public_id = order_of(made).public_id
    found = re.search(r'name="idempotency_key" value="(\w+)">\s*<input type="hidden" name="kind" value="order"><input type="hidden" name="order" value="' + public_id, page)
    assert found
    return {"idempotency_key": found[1], "kind": "order", "order": public_id, "amount": amount}


def of_treasury() -> tuple[UnitMarket, list[int], int]:
    """Three orders of ¥800, ¥880 and ¥960, and one transfer of the treasury for all of them and ¥10 more, that names none."""
    at = unit_market()
    made = [confirmed(at, packs, key=f"{packs}") for packs in (10, 11, 12)]
    return at, made, receipt(at, 265_000, remark="国库集中支付", payer=TREASURY)


@pytest.mark.both
def test_a_transfer_of_the_treasury_pays_three_orders_that_nothing_proposed(app: Flask) -> None:
    at, made, came = of_treasury()
    assert bank_match.propose(came, actor=at.market.accountant) == []
    accountant, path = browser(app, at.market.accountant), page_of(came)
    assert path in accountant.get("/cooperative/bank").text
    for number, amount in zip(made, ("800.00", "880.00", "960"), strict=True):
        page = accountant.get(path).text
        answer = accountant.post(path, data=form(page, number, amount))
        assert (answer.status_code, answer.location) == (303, path)
    row = db.session.get_one(BankReceipt, came)
    assert ([order_of(each).payment for each in made], row.left_fen, row.state) == (["PAID"] * 3, 1_000, "partial")
    book = at.market.cooperative
    assert (balance.held("unapplied", book), balance.held("buyer_funds", book)) == (1_000, 264_000)
    assert "没有单位欠款" in accountant.get(path).text


def test_the_last_fen_leads_back_and_a_press_twice_pays_once(app: Flask) -> None:
    at = unit_market()
    made, came = confirmed(at, 10), receipt(at, 80_000, payer=TREASURY, remark="货款")
    accountant, path = browser(app, at.market.accountant), page_of(came)
    sent = form(accountant.get(path).text, made, "800.00")
    for _ in range(2):
        answer = accountant.post(path, data=sent)
        assert (answer.status_code, answer.location) == (303, "/cooperative/bank")
    assert order_of(made).paid_fen == 80_000
    assert "这笔钱都有着落了" in accountant.get(path).text


def test_what_does_not_fit_is_said_beside_its_order_and_pays_nothing(app: Flask) -> None:
    at, made, came = of_treasury()
    accountant, path = browser(app, at.market.accountant), page_of(came)
    page = accountant.get(path).text
    for amount, status, words in (("800.01", 409, "这张单没有欠那么多"), ("八百", 422, "请写一个金额"), ("0", 422, "请填写核销金额"), ("-1", 422, "请写一个金额")):
        answer = accountant.post(path, data=form(page, made[0], amount))
        assert answer.status_code == status
        assert words in answer.text and f'value="{amount}"' in answer.text
    assert (db.session.get_one(BankReceipt, came).matched_fen, order_of(made[0]).paid_fen) == (0, 0)


def test_what_is_owed_is_found_by_number_unit_or_amount_and_paged(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    at, made, came = of_treasury()
    accountant, path = browser(app, at.market.accountant), page_of(came)

    def listed(asked: str) -> list[int]:
        page = accountant.get(f"{path}?{asked}").text
        return [each for each in made if f'name="order" value="{order_of(each).public_id}"' in page]

    assert listed("") == made
    assert listed(f"q={reference(made[1]).lower()}") == [made[1]]
    assert listed("q=960.00") == [made[2]]
    assert listed("q=没有这个单位") == []
    assert "没有这样的欠款" in accountant.get(f"{path}?q=没有这个单位").text
    monkeypatch.setattr(receipt_orders, "PAGE", 2)
    assert listed("") == made[:2]
    following = re.search(r'rel="next" href="([^"]+)"', accountant.get(path).text)
    assert following and listed(following[1].partition("?")[2]) == made[2:]


def test_nobody_else_chooses(app: Flask) -> None:
    at, made, came = of_treasury()
    path = page_of(came)
    sent = {"order": order_of(made[0]).public_id, "amount": "1", "idempotency_key": "k" * 16}
    other = builders.market(name="乙社")
    for actor, status in ((at.market.clerk, 403), (at.market.director, 403), (other.accountant, 404)):
        assert browser(app, actor).get(path).status_code == status
        assert browser(app, actor).post(path, data=sent).status_code == status
    theirs = receipt(UnitMarket(other, at.unit, at.buyer, at.approver), 100, serial="T1")
    assert browser(app, other.accountant).post(page_of(theirs), data=sent).status_code == 404
    assert order_of(made[0]).paid_fen == 0


def test_receipts_that_wait_are_paged_by_key(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    at = unit_market()
    monkeypatch.setattr(unit_seller, "PAGE", 2)
    days = ("2026-03-02", "2026-03-01", "2026-03-02")
    came = [receipt(at, 100 + place, day=day, serial=f"S{place}", payer=f"付款人{place}") for place, day in enumerate(days)]
    accountant = browser(app, at.market.accountant)
    first = accountant.get("/cooperative/bank").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following is not None
    second = accountant.get(following[1]).text
    shown = [[place for place in range(len(came)) if f"<h3>¥1.0{place} · 付款人{place}</h3>" in page] for page in (first, second)]
    assert shown == [[0, 1], [2]]
    made = confirmed(at, 10, key="k")
    page = accountant.get(following[1]).text  # of a unit that nothing here names: chosen by hand, and refused on the page on which it stands
    action = f"{following[1].replace('/bank?', '/bank/' + db.session.get_one(BankReceipt, came[2]).public_id + '?')}"
    assert "付款人2" in page and "付款人2" in accountant.post(action, data={"order": order_of(made).public_id, "amount": "9"}).text
    assert 'rel="next"' not in second
