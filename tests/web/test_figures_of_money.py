"""The figures of money on the desks of a cooperative and a village are the sums of the rows that they open on."""

import re
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from marketplace.catalogue.product import Pack
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.money import parse_yuan
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.reporting import open_books
from marketplace.settlement import remittance
from marketplace.settlement.settlement import Settlement
from marketplace.supply.batch import Batch
from marketplace.supply.stock import Stock
from tests import builders, builders_people
from tests.orders import trade
from tests.settlement.builders import open_return, order
from tests.settlement.test_distribution import sold
from tests.settlement.test_payout_batch import bring, posted, sent
from tests.web.figures import Page
from tests.web.work_desk import browser, rows_of


def figures(client: FlaskClient, path: str) -> list[tuple[str, int, str]]:
    """(label, fen, where it leads) of the large figures of a page."""
    return [(label, parse_yuan(value.lstrip("¥")), href) for label, value, href in Page(client.get(path).text).figures]


def sheet(client: FlaskClient, path: str, *columns: str) -> int:
    """The sum of columns of the Excel file, in fen."""
    head, *rows = rows_of(client.get(path).data)
    return round(100 * sum(row[head.index(name)] or 0 for row in rows for name in columns))


@pytest.mark.both
def test_the_four_figures_of_a_cooperatives_day_are_the_sums_of_their_rows(app: Flask) -> None:
    market, distribution_id = posted()  # 300.00 settled this month, of it 60.00 to three households
    batch = sent(market, distribution_id)
    bring(batch, market, f"{batch.number},1,10.00,paid,", f"{batch.number},2,20.00,returned,销户", f"{batch.number},3,30.00,paid,")
    with clock.travel(clock.now() - timedelta(days=40)):
        sold(market, 7_000)
    sold(market, 1_300, 250, freight_fen=900)
    open_return(order(market, 5_000))
    order(market, 3_100, freight_fen=400, received_at=clock.now() - timedelta(days=2))
    order(market, 800, paid=False)
    sold(builders.market(name="宝峰油茶合作社"), 9_999)

    client = browser(app, market.clerk)
    month = clock.period_of(clock.business_date())
    settled = f"/cooperative/money/settled?month={month}"
    own, waiting, pool, paid = figures(client, "/cooperative")
    assert own[1:] == (sheet(client, f"/cooperative/money/settled.xlsx?month={month}", "合作社", "运费"), settled)
    assert waiting[1:] == (sheet(client, "/cooperative/money/orders.xlsx", "已付"), "/cooperative/money/orders") == (8_500, waiting[2])
    assert pool[1:] == (sheet(client, f"/cooperative/money/settled.xlsx?month={month}", "农户"), settled) == (6_000 + 310, settled)
    assert paid[1:] == (sheet(client, "/payouts/export.xlsx", "已到账"), "/payouts") == (4_000, paid[2])
    assert [each[1:] for each in figures(client, "/cooperative/money")] == [each[1:] for each in (own, waiting, pool, paid)]
    listed = client.get(settled).text
    assert (listed.count("<tr>"), f"农户 ¥{pool[1] / 100:,.2f}" in listed) == (3, True)
    assert client.get("/cooperative/money/settled").text.count("<tr>") == 4, "last month's too"


def test_settled_orders_are_paged_by_key_and_only_ones_own(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    for fen in range(100, 153):
        sold(market, fen)
    client, address, seen = browser(app, market.clerk), "/cooperative/money/settled", []
    while address:
        page = client.get(address).text
        seen += re.findall(r"/cooperative/orders/(\w{16})", page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1] if following else ""
    assert (len(seen), len(set(seen))) == (53, 53)
    stranger = browser(app, other.clerk)
    assert "还没有结算过" in stranger.get("/cooperative/money/settled").text
    assert "这个月没有结算过" in client.get("/cooperative/money/settled?month=2020-01").text
    for month in ("2026-13", "soon", "2026", "２０２６-01"):
        assert client.get(f"/cooperative/money/settled?month={month}").status_code == 400
    last = db.session.query(Order).filter_by(public_id=seen[0]).one()
    row = db.session.query(Settlement).filter_by(order_id=last.id).one()
    assert stranger.get(f"/cooperative/money/settled?after={row.public_id}").status_code == 404


@pytest.mark.both
def test_what_a_village_is_owed_stands_by_cooperative(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    sold(market, 30_000)
    sold(other, 10_000)
    own = builders_people.organisation("VILLAGE", "三坪村村民委员会")
    with transaction():
        db.session.get_one(Organisation, own).region_id = market.village
    client = browser(app, builders.person(own, "village_accountant"))
    (_, given, _), (_, owed, at) = figures(client, "/village")
    assert (given, owed, at) == (1_800 + 600, 1_800 + 600, "#owed")
    rows = client.get("/village").text.partition('id="owed"')[2]
    assert ("¥18.00" in rows, "¥6.00" in rows) == (True, True)
    assert remittance.available(market.cooperative).collectives[market.village] == 1_800


@pytest.mark.both
def test_what_waits_stands_by_cooperative_and_adds_up(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    with clock.travel(clock.now() - timedelta(days=400)):
        sold(other, 10_000)
    sold(market, 30_000)
    year = clock.business_date().year
    waiting = {each.name_zh: each.waiting_fen for each in open_books.parts(year)}
    assert sorted(waiting.values()) == [2_000, 6_000]
    assert sum(waiting.values()) == open_books.year(year).waiting_fen
    assert app.test_client().get("/transparency").text.count("¥20.00") >= 1


def test_what_is_promised_of_a_pack_and_sold_of_a_batch_is_named_by_its_orders(app: Flask) -> None:
    market = builders.market()
    sent_id = trade.bought(builders.customer(), (market.pack, 2))
    trade.shipped(market, sent_id)
    waits = trade.bought(builders.customer(), (market.pack, 3))
    names = {each: db.session.get_one(Order, each).public_id for each in (sent_id, waits)}
    assert db.session.get_one(Stock, market.pack).reserved == 3
    client = browser(app, market.clerk)
    page = client.get(f"/cooperative/stock/{db.session.get_one(Pack, market.pack).public_id}").text.partition('id="promised"')[2]
    assert (names[waits] in page, names[sent_id] in page) == (True, False)
    promised, _, sold_ = client.get(f"/cooperative/batches/{db.session.get_one(Batch, market.batch).public_id}").text.partition('id="promised"')[2].partition('id="sold"')
    assert (names[waits] in promised, names[sent_id] in promised, names[sent_id] in sold_, names[waits] in sold_) == (True, False, True, False)
    assert "150 g" in promised
    assert "100 g" in sold_
