"""What the open books say is on its way is what the ledger holds for households, to the fen, at every step and over the years."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance, event, posting
from marketplace.ledger.posting import Source
from marketplace.notices.public_notice import PublicNotice
from marketplace.reporting import open_books
from marketplace.settlement import distribution, payout_batch, payout_file
from tests import builders
from tests.builders import Market
from tests.settlement.test_distribution import sold
from tests.settlement.test_payout_batch import bring


def refund(market: Market, number: int, *, pool: int, recoverable: int = 0, revenue: int = 0) -> int:
    """A refund after settlement, and its entry."""
    return transaction(
        lambda: event.refund_after_settlement(
            book=market.cooperative, source=Source("refund", number), revenue_fen=revenue, freight_fen=0, collectives={}, fund_fen=0,
            pools={market.group: (pool, recoverable)},
        )
    )  # fmt: skip


def on_its_way() -> int:
    """What the ledger holds for households: pools less what they owe, households, and what the banks are carrying."""
    db.session.rollback()
    held = Counter(balance.by_kind())
    return held["household_pool"] - held["pool_recoverable"] + held["household"] + held["in_transit"]


def shown() -> open_books.Year:
    return open_books.year(clock.business_date().year)


def distributed(market: Market, period: str) -> tuple[int, datetime]:
    row = transaction(lambda: distribution.draft(market.cooperative, period, actor=market.accountant))
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    notice: PublicNotice = transaction(lambda: distribution.publish(row.id, actor=market.director))
    after = clock.beijing_midnight(notice.ends_on + timedelta(days=1))
    with clock.travel(after):
        transaction(lambda: distribution.post(row.id, actor=market.accountant))
    return row.id, after


@pytest.mark.both
def test_what_is_on_its_way_is_what_the_ledger_holds_at_every_step(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    sold(market, 9_999)
    period = clock.period_of(clock.business_date())
    steps = [shown().waiting_fen]
    assert steps[-1] == on_its_way() == 8_000
    refund(market, 1, pool=500, revenue=1_750)
    assert shown().waiting_fen == on_its_way() == 7_500
    assert (shown().refunded_fen, shown().pool_refunded_fen) == (2_250, 500)

    failed = refund(market, 2, pool=300)
    transaction(lambda: posting.reverse(failed, source=Source("refund", 2)))
    assert shown().waiting_fen == on_its_way() == 7_500, "a refund that failed took nothing"

    row_id, after = distributed(market, period)
    with clock.travel(after):
        assert shown().waiting_fen == on_its_way() == 7_500
        refund(market, 3, pool=0, recoverable=900)
        assert shown().waiting_fen == on_its_way() == 6_600, "what the pool owes is counted against what waits"
        batch = transaction(lambda: payout_batch.make(row_id, actor=market.accountant))
        transaction(lambda: payout_batch.approve(batch.id, actor=market.director, version=1))
        transaction(lambda: payout_batch.mark_sent(batch.id, actor=market.accountant))
        assert shown().waiting_fen == on_its_way() == 6_600
        amounts = [payout_file.yuan(item.fen) for item in payout_batch.items_of(batch.id)]
        bring(batch, market, f"{batch.number},1,{amounts[0]},paid,", f"{batch.number},2,{amounts[1]},returned,销户")
        assert (shown().waiting_fen, shown().paid_fen) == (on_its_way(), payout_batch.items_of(batch.id)[0].fen)
        bring(batch, market, f"{batch.number},3,{amounts[2]},paid,", f"{batch.number},1,{amounts[0]},returned,账户冻结")
        assert shown().waiting_fen == on_its_way()


def test_over_the_years_nothing_is_counted_twice_or_lost(app: Flask) -> None:
    market = builders.market()
    last_year = clock.beijing_midnight(clock.business_date().replace(month=6, day=15, year=clock.business_date().year - 1))
    with clock.travel(last_year):
        sold(market, 30_000)
        distributed(market, clock.period_of(clock.business_date()))
    sold(market, 10_000)
    refund(market, 1, pool=0, recoverable=700)
    refund(market, 2, pool=200)
    before, now = open_books.year(last_year.year), shown()
    assert (before.pool_fen, before.pool_refunded_fen, now.pool_fen, now.pool_refunded_fen) == (6_000, 0, 2_000, 900)
    assert now.waiting_fen == before.waiting_fen == on_its_way() == 6_000 + 2_000 - 900


def test_the_page_says_it(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    refund(market, 1, pool=500, revenue=1_750)
    page = app.test_client().get("/transparency").text
    assert ("¥55.00" in page, "分账以后又退货的 ¥22.50" in page, "之后退货扣回 ¥5.00" in page) == (True, True, True)
    assert "现在还在路上" not in app.test_client().get(f"/transparency?year={clock.business_date().year - 1}").text
