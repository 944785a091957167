"""The receipt and the statement as pages: open by address, not kept, not indexed; a household's answer is a form."""

from flask import Flask

from marketplace.disclosure import household_statement
from marketplace.disclosure.household_answer import HouseholdAnswer
from marketplace.foundation.database import db, transaction
from marketplace.orders.order import Order
from marketplace.settlement import settlement
from tests import builders
from tests.disclosure.test_benefit_receipt import distribute, pay
from tests.disclosure.test_household_statement import item_of, token_of
from tests.settlement.builders import order
from tests.settlement.test_recovery import refunded


def test_a_receipt_shows_what_the_yuan_will_do_and_then_what_it_did(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 10_000)
    address = f"/r/{db.session.get_one(Order, order_id).receipt_token}"
    page = app.test_client().get(address)
    assert page.status_code == 200
    assert "钱将这样分" in page.text and "¥20.00" in page.text
    assert (page.headers["Cache-Control"], page.headers["Referrer-Policy"]) == ("private, no-store", "no-referrer")
    assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    period = transaction(lambda: settlement.settle(order_id)).period
    pay(market, distribute(market, period), returned=0)
    page = app.test_client().get(address)
    assert "钱是这样分的" in page.text and "不足 5 户" in page.text
    assert "王小明" not in page.text
    assert app.test_client().get("/r/nothing").status_code == 404


def test_what_a_refund_took_back_is_said_plainly(app: Flask) -> None:
    """Half of it went back after it was distributed: what is left stands above, and what the households have stays theirs."""
    order_id = order(market := builders.market(), 10_000)
    distribute(market, transaction(lambda: settlement.settle(order_id)).period)
    refunded(order_id, 5_000)
    token = db.session.get_one(Order, order_id).receipt_token
    for address in (f"/r/{token}", f"/r/{token}/slip"):
        page = app.test_client().get(address).text
        assert "分账以后退了货款 ¥50.00" in page and "¥35.00" in page
    page = app.test_client().get(f"/r/{token}").text
    assert "退款收回" in page and "由这个组以后的收益补上" in page
    assert app.test_client().get(f"/r/{token}/receipt.pdf").data.startswith(b"%PDF")


def test_a_household_reads_its_own_rows_and_answers(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 30_000)
    period = transaction(lambda: settlement.settle(order_id)).period
    pay(market, distribute(market, period), returned=2)
    first, second, _ = market.households
    token = token_of(first)
    client = app.test_client()
    page = client.get(f"/h/{token}")
    assert page.status_code == 200
    assert "¥10.00" in page.text and "¥20.00" not in page.text
    assert "没有发到" in client.get(f"/h/{token_of(second)}").text
    assert client.post(f"/h/{token}/payments/{item_of(first)}", data={"answer": "OBJECTION"}).status_code == 422
    done = client.post(f"/h/{token}/payments/{item_of(first)}", data={"answer": "RECEIVED"})
    assert done.status_code == 302
    assert household_statement.for_token(token).payments[0].answer == "RECEIVED"
    assert "您的回答：收到了" in client.get(f"/h/{token}").text
    stranger = client.post(f"/h/{token}/payments/{item_of(second)}", data={"answer": "RECEIVED"})
    assert stranger.status_code == 404


def test_an_empty_statement_says_what_to_expect(app: Flask) -> None:
    market = builders.market()
    assert "还没有分到您家的钱" in app.test_client().get(f"/h/{token_of(market.households[0])}").text


def test_an_answer_is_given_so_often_and_every_one_is_kept(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 30_000)
    pay(market, distribute(market, transaction(lambda: settlement.settle(order_id)).period), returned=0)
    first, client = market.households[0], app.test_client()
    address = f"/h/{token_of(first)}/payments/{item_of(first)}"
    said = [client.post(address, data={"answer": "RECEIVED"}).status_code for _ in range(31)]
    assert (said[:30], said[30]) == ([302] * 30, 429)
    assert db.session.query(HouseholdAnswer).count() == 30
