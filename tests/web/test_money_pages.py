"""The money page and what opens from it: why money waits, remittances by two people, and the receipt of each order from all its sides."""

import re
from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.orders.order import Order
from marketplace.procurement import directed_order
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.settlement.remittance import Remittance
from tests import builders
from tests.orders import trade
from tests.procurement.unit_market import order_of, submit, unit_market
from tests.settlement.builders import open_return, order
from tests.settlement.test_distribution import sold
from tests.settlement.test_payout_batch import posted, sent
from tests.settlement.test_remittance import earning
from tests.web.work_desk import browser, rows_of

MONEY = "/cooperative/money"


@pytest.mark.both
def test_each_yuan_waits_for_a_reason_that_opens_on_its_orders(app: Flask) -> None:
    market = builders.market()
    now = clock.now()
    in_window, returning, due = order(market, 3_000, received_at=now - timedelta(days=2)), order(market, 5_000), order(market, 700)
    open_return(returning)
    partly = order(market, 9_000)
    with transaction():
        db.session.get_one(Order, partly).paid_fen, db.session.get_one(Order, partly).payment = 4_000, "PARTLY_PAID"
    on_the_way = order(market, 1_100)
    with transaction():
        row = db.session.get_one(Order, on_the_way)
        row.received_at, row.return_until, row.fulfilment = None, None, "SHIPPED"
    sold(market, 30_000)
    client = browser(app, market.clerk)
    page = client.get(MONEY).text
    for words in ("¥138.00", "等退货期满", "等答复退货申请", "只付了一部分", "等收货", "已到期", "¥210.00", "¥60.00"):
        assert words in page, words
    until = db.session.get_one(Order, in_window).return_until
    assert until
    page = client.get(f"{MONEY}/orders?why=return_window").text
    assert (f"到 {until.astimezone(clock.BEIJING):%Y-%m-%d}" in page, page.count("<tr>")) == (True, 2)
    assert f"/cooperative/orders/{db.session.get_one(Order, in_window).public_id}" in page
    for why, number in (("due", due), ("return_open", returning), ("unpaid", partly), ("not_received", on_the_way)):
        page = client.get(f"{MONEY}/orders?why={why}").text
        assert (db.session.get_one(Order, number).public_id in page, page.count("<tr>")) == (True, 2), why
    rows = rows_of(client.get(f"{MONEY}/orders.xlsx").data)
    assert (len(rows), sum(row[7] - row[8] for row in rows[1:])) == (6, 138.0)
    assert client.get(f"{MONEY}/orders?why=because").status_code == 400
    other = builders.market(name="宝峰油茶合作社")
    page = browser(app, other.accountant).get(MONEY).text
    assert ("收到的钱都结算了" in page, "¥138.00" in page) == (True, False)
    assert browser(app, other.accountant).get(f"{MONEY}/orders?after={db.session.get_one(Order, due).public_id}").status_code == 404


def test_waiting_orders_are_paged_by_key(app: Flask) -> None:
    market, buyer = builders.market(), builders.customer()
    for n in range(53):
        order(market, 100 + n, buyer=buyer, received_at=clock.now() - timedelta(hours=n % 5))
    client, address, seen = browser(app, market.clerk), f"{MONEY}/orders", []
    while address:
        page = client.get(address).text
        seen += re.findall(r"/cooperative/orders/(\w{16})", page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1] if following else ""
    assert (len(seen), len(set(seen))) == (53, 53)


def test_where_the_households_money_is(app: Flask) -> None:
    market, distribution_id = posted()
    client = browser(app, market.clerk)
    assert "¥60.00" in client.get(MONEY).text
    row = sent(market, distribution_id)
    page = client.get(MONEY).text
    assert (row.number in page, "银行办理中" in page) == (True, True)


def step(client, row: Remittance, name: str, **form: str):  # type: ignore[no-untyped-def]
    db.session.rollback()
    version = str(db.session.get_one(Remittance, row.id).version)
    return client.post(f"/remittances/{row.public_id}/step/{name}", data={"version": version, **form})


@pytest.mark.both
def test_a_remittance_from_proposal_to_the_banks_slip(app: Flask) -> None:
    market = earning()
    accountant, director, holder = browser(app, market.accountant), browser(app, market.director), builders.operator()
    page = accountant.get("/remittances/new").text
    assert ("¥18.00" in page, "¥12.00" in page, "¥210.00" in page) == (True, True, True)
    key = re.search(r'name="idempotency_key" value="(\w+)"', page)
    assert key
    form = {"to": "FUND", "amount": "12.00", "note": "十一月", "idempotency_key": key[1]}
    for amount in ("0", "-1", "12.345", "abc", "", "1e3"):
        assert accountant.post("/remittances/new", data={**form, "amount": amount}).status_code == 422, amount
    too_much = accountant.post("/remittances/new", data={**form, "amount": "12.01"})
    assert (too_much.status_code, "最多能划 ¥12.00" in too_much.text) == (409, True)
    assert accountant.post("/remittances/new", data={**form, "to": "GIFT"}).status_code == 422
    assert accountant.post("/remittances/new", data={**form, "to": "COLLECTIVE:zzzzzzzzzzzzzzzz"}).status_code == 422
    offered = re.findall(r'<option value="([^"]+)"', page)
    assert [each.partition(":")[0] for each in offered] == ["COLLECTIVE", "FUND", "REVENUE"]
    village = accountant.post("/remittances/new", data={**form, "to": offered[0], "amount": "18", "idempotency_key": "v"})
    assert (village.status_code, "三坪村" in accountant.get(village.location).text) == (303, True)
    first, second = (accountant.post("/remittances/new", data=form) for _ in range(2))
    assert (first.status_code, first.location) == (303, second.location)
    row = db.session.query(Remittance).filter_by(kind="FUND").one()
    assert "等理事长审批" in accountant.get(first.location).text
    assert "¥12.00" in director.get(f"/remittances/{row.public_id}/step/approve").text
    assert step(accountant, row, "approve").status_code == 403
    assert step(director, row, "approve", version="7").status_code == 409
    for expected in (303, 409):
        assert step(director, row, "approve").status_code == expected
    assert row.number in accountant.get(first.location).text
    today = f"{clock.business_date():%Y-%m-%d}"
    assert step(director, row, "paid", paid_on=today, bank_serial="WY000001").status_code == 403
    for paid_on, serial in (("soon", "WY000001"), ("2020-01-01", "WY000001"), (today, "")):
        assert step(accountant, row, "paid", paid_on=paid_on, bank_serial=serial).status_code == 422
    for expected in (303, 409):
        assert step(accountant, row, "paid", paid_on=today, bank_serial="WY000001").status_code == expected
    assert balance.held("relief_fund", holder) == balance.held("bank", holder) == 1_200
    assert "WY000001" in browser(app, market.clerk).get(first.location).text


def test_a_remittance_returned_withdrawn_and_not_anothers(app: Flask) -> None:
    market, other = earning(), builders.market(name="宝峰油茶合作社")
    accountant, director = browser(app, market.accountant), browser(app, market.director)
    builders.operator()
    for n in range(2):
        form = {"to": "FUND", "amount": "1", "idempotency_key": f"k{n}"}
        assert accountant.post("/remittances/new", data=form).status_code == 303
    one, two = db.session.query(Remittance).order_by(Remittance.id)
    stranger = browser(app, other.director)
    assert stranger.get(f"/remittances/{one.public_id}").status_code == 404
    assert step(stranger, one, "approve").status_code == 404
    assert one.number not in stranger.get("/remittances").text
    assert step(director, one, "return").status_code == 422
    assert step(director, one, "return", reason="先不划").status_code == 303
    assert "先不划" in accountant.get(f"/remittances/{one.public_id}").text
    assert step(accountant, two, "withdraw", reason="写错了").status_code == 303
    assert step(accountant, two, "withdraw", reason="写错了").status_code == 409
    assert director.get(f"/remittances/{two.public_id}/step/nonsense").status_code == 404
    auditor = browser(app, builders.person(builders.operator(), "auditor"))
    assert one.number in auditor.get("/remittances").text
    assert auditor.get(f"/remittances/{one.public_id}").status_code == 200
    assert step(auditor, one, "approve").status_code == 403
    assert auditor.post("/remittances/new", data={"to": "FUND", "amount": "1", "idempotency_key": "k"}).status_code == 403


@pytest.mark.parametrize("paid", [True, False])
def test_the_receipt_is_opened_from_every_side_of_an_order(app: Flask, paid: bool) -> None:
    market, buyer = builders.market(), builders.customer()
    row = db.session.get_one(Order, trade.bought(buyer, (market.pack, 1)) if paid else trade.placed(buyer, (market.pack, 1))[0])
    address = f"/r/{row.receipt_token}"
    purchase = db.session.execute(db.text('SELECT public_id FROM purchase WHERE id = :id'), {"id": row.purchase_id}).scalar_one()
    pages = [browser(app, buyer).get(f"/orders/{purchase}"), browser(app, market.clerk).get(f"/cooperative/orders/{row.public_id}")]
    assert [(page.status_code, address in page.text) for page in pages] == [(200, paid)] * 2
    assert app.test_client().get(address).status_code == 200


def test_the_receipt_is_opened_from_a_units_order(app: Flask) -> None:
    at = unit_market()
    made = submit(at, 10)
    with transaction():
        directed_order.approve(made, actor=at.approver)
    row = db.session.get_one(DirectedOrder, made)
    with transaction():
        order_of(made).paid_fen = 1
    page = browser(app, at.buyer).get(f"/unit/orders/{row.public_id}").text
    assert f"/r/{order_of(made).receipt_token}" in page
