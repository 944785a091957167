"""The open books say what was divided and what arrived; a notice can be objected to by anybody, and names nobody."""

from datetime import timedelta

from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.notices.public_notice import Objection
from marketplace.reporting import open_books
from marketplace.settlement import distribution, settlement
from tests import builders
from tests.settlement.builders import order


def test_an_empty_year_says_why_it_is_zero(app: Flask) -> None:
    assert "还没有分账" in app.test_client().get("/transparency").text
    assert app.test_client().get("/transparency?year=nonsense").status_code == 200


def test_the_four_parts_sum_to_what_was_sold(app: Flask) -> None:
    market = builders.market()
    for fen in (13_600, 9_999):
        order_id = order(market, fen)
        transaction(lambda order_id=order_id: settlement.settle(order_id))
    now = open_books.year(clock.business_date().year)
    assert (now.orders, now.base_fen) == (2, 23_599)
    assert now.cooperative_fen + now.pool_fen + now.village_fen + now.fund_fen == 23_599
    assert (now.paid_fen, now.waiting_fen) == (0, now.pool_fen)
    (part,) = open_books.parts(now.year)
    assert (part.base_fen, part.pool_fen) == (23_599, now.pool_fen)
    assert "¥235.99" in app.test_client().get("/transparency").text


def test_anybody_objects_while_it_stands_and_stays_unnamed(app: Flask) -> None:
    market = builders.market()
    order_id = order(market, 13_600)
    settled = transaction(lambda: settlement.settle(order_id))
    row = transaction(lambda: distribution.draft(market.cooperative, settled.period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    notice = transaction(lambda: distribution.publish(row.id, actor=market.director))
    address, ends_on = f"/notices/{notice.public_id}", notice.ends_on
    assert address in app.test_client().get("/transparency").text

    stranger = app.test_client()
    assert stranger.post(f"{address}/objections", data={"text": " "}).status_code == 422
    given = {"text": "少算了我家一筐茶", "name": "王小明", "contact": "13800138000"}
    assert stranger.post(f"{address}/objections", data=given).status_code == 302
    page = app.test_client().get(address).text
    assert "少算了我家一筐茶" in page
    assert "王小明" not in page
    assert "13800138000" not in page
    kept = db.session.query(Objection).one()
    assert (kept.name, kept.outcome) == ("王小明", "OPEN")

    with clock.travel(clock.beijing_midnight(ends_on + timedelta(days=1))):
        late = app.test_client().post(f"{address}/objections", data=given)
        assert late.status_code == 409
    assert app.test_client().get("/notices/zzzzzzzzzzzzzzzz").status_code == 404


def test_one_address_speaks_ten_times_a_day_against_a_notice(app: Flask) -> None:
    """Nobody is paid before every objection is answered: one voice is not a hundred."""
    market, told = builders.market(), []
    for _ in range(2):
        order_id = order(market, 13_600)
        period = transaction(lambda n=order_id: settlement.settle(n)).period  # type: ignore[misc]
        row = transaction(lambda p=period: distribution.draft(market.cooperative, p, actor=market.accountant))  # type: ignore[misc]
        transaction(lambda n=row.id: distribution.approve(n, actor=market.director, version=1))  # type: ignore[misc]
        told.append(transaction(lambda n=row.id: distribution.publish(n, actor=market.director)).public_id)  # type: ignore[misc]

    def said(notice: str, address: str, text: str = "少算了") -> int:
        return app.test_client().post(f"/notices/{notice}/objections", data={"text": text}, environ_base={"REMOTE_ADDR": address}).status_code

    assert [said(told[0], f"2001:db8::{number}", f"少算了 {number}") for number in range(11)] == [302] * 10 + [429]
    assert (said(told[1], "2001:db8::1"), said(told[0], "2001:db8:1::1")) == (302, 302)
    assert db.session.query(Objection).count() == 12
