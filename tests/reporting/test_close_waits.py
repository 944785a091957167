"""Before a month is closed its treasurer sees what of it still waits: each kind with its number and sum, and none of it forbids closing."""

from datetime import date, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import transaction
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.reporting import close_waits
from marketplace.settlement import difference, distribution, payout_batch
from tests import builders
from tests.builders import Market
from tests.builders_people import operator, person
from tests.disclosure import sealed
from tests.payments.statement import take
from tests.settlement.builders import order
from tests.settlement.test_difference import told_by_the_trade_bill
from tests.settlement.test_distribution import after_notice, published, sold, this_period
from tests.web.work_desk import browser, rows_of


def waiting(period: str) -> dict[str, tuple[int, int | None]]:
    """What waits, and of it only what is not nothing."""
    return {each.name: (each.count, each.fen) for each in close_waits.waits(period) if each.count}


def trading(market: Market) -> str:
    """A month with something of each kind; which."""
    sold(market, 30_000)
    row = published(market)
    with clock.travel(after_notice(row)):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
        batch_id = transaction(lambda: payout_batch.make(row.id, actor=market.accountant)).id
        transaction(lambda: payout_batch.approve(batch_id, actor=market.director, version=1))
        transaction(lambda: payout_batch.mark_sent(batch_id, actor=market.accountant))
        period = this_period()
        sold(market, 10_000)
        transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant))
        sold(market, 20_000)
        order(market, 5_000)
        told_by_the_trade_bill(market, "X1", 500)
        take(market.accountant, [(f"{period}-01", 100, "甲", "款", "B1")], opening_fen=700)
        with transaction():
            difference.reconcile(market.cooperative)
    return period


@pytest.mark.both
def test_each_kind_is_told_with_its_number_and_sum(app: Flask) -> None:
    with clock.travel(clock.beijing_midnight(clock.business_date().replace(year=2026, month=5, day=12))):
        market = builders.market()
        period = trading(market)
    with clock.travel(clock.beijing_midnight(clock.business_date().replace(year=2026, month=6, day=20))):
        found = waiting(period)
        assert found.pop("unsealed")[0] > 5
        assert found == {
            "due": (1, 5_000), "pools": (1, 4_000), "distributions": (1, 2_000), "payouts": (1, 6_000), "days": (30, None), "differences": (1, 700),
            "bill_differences": (1, 500),
        }  # fmt: skip
        sealed.seal()
        assert waiting(period)["unsealed"][0] > 5, "in the log, and in no head yet"
        sealed.head()
        assert "unsealed" not in waiting(period)
        assert waiting("2026-01") == {}


@pytest.mark.both
def test_a_bank_that_moved_and_was_never_looked_at_counts_from_its_first_day(app: Flask) -> None:
    with clock.travel(clock.beijing_midnight(date(2026, 5, 12))):
        market = builders.market()
        builders.market(name="不动的社")
        with transaction():
            event.revenue_taken_out(book=market.cooperative, source=Source("planted", 1), fen=500)
    with clock.travel(clock.beijing_midnight(date(2026, 6, 20))):
        assert waiting("2026-04") == {}
        assert waiting("2026-05")["days"] == (20, None)
        take(market.accountant, [("2026-05-12", -500, "合作社", "划款", "B1"), ("2026-05-30", 100, "甲", "款", "B2")], opening_fen=700)
        assert waiting("2026-05")["days"] == (1, None)


def test_the_page_tells_it_with_the_way_on(app: Flask) -> None:
    with clock.travel(clock.beijing_midnight(clock.business_date().replace(year=2026, month=5, day=12))):
        period = trading(builders.market())
    desk = browser(app, person(operator(), "treasurer"))
    with clock.travel(clock.now() + timedelta(days=1)):
        page = desk.get(f"/books/months/{period}/close").text
    for words in ("结算了还没有拟定分配的收益池", "¥40.00", f"/distributions?period={period}", "还没有说明的对账差异", "不挡结账"):
        assert words in page, words
    assert "这个月的分配都记了账" not in page


def test_the_checklist_is_taken_along_and_read_by_the_auditor_who_closes_nothing(app: Flask) -> None:
    with clock.travel(clock.beijing_midnight(date(2026, 5, 12))):
        market = builders.market()
        period = trading(market)
    with clock.travel(clock.beijing_midnight(date(2026, 6, 20))):
        auditor, path = browser(app, person(operator(), "auditor")), f"/books/months/{period}/close"
        page = auditor.get(path).text
        assert "到期还没有结算的订单" in page and f'action="{path}"' not in page
        assert f"{path}?export=1" in page and path in auditor.get("/books/months").text
        told = {row[0]: row[1:4] for row in rows_of(auditor.get(f"{path}?export=1").data)[1:]}
        assert told["到期还没有结算的订单"] == ["提醒", 1.0, 50.0]
        assert (told["缺对账单的天数"][:2], told["还没有说明的对账差异"]) == (["提醒", 30.0], ["提醒", 1.0, 7.0])
        assert told["这个月过完了"][0] == "办好了" and told["账目检查没有通过"][0] == "还没有"
        assert auditor.post(path).status_code == 403
        assert browser(app, market.director).get(path).status_code == 403
