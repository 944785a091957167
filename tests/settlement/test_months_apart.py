"""Each month divides its own: no month's distribution takes what another month earned, whatever was refunded, in whatever order they are drafted."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger import balance
from marketplace.notices.public_notice import PublicNotice
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.reporting import books, books_shares, close_waits
from marketplace.settlement import distribution, distribution_preview
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.settlement import SettlementLine
from tests import builders
from tests.builders import Market
from tests.settlement.test_recovery import refunded, settled, the_draft

JANUARY, FEBRUARY, MARCH = "2026-01", "2026-02", "2026-03"
RULES = ("pools_add_up", "households_share_is_accounted_for", "distributions_are_exact", "distributions_come_out_again", "refunds_are_counted_to_lines")


def on(month: int, day: int = 20) -> clock.travel:
    return clock.travel(datetime(2026, month, day, 4, tzinfo=UTC))


def hold() -> list[str]:
    return [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok and each.rule in RULES]


def previewed(market: Market) -> dict[str, int]:
    """Months that wait, and what each would divide; the list of months says the same."""
    months = {each.period: each.pool_fen for each in distribution_preview.months(market.cooperative)}
    for period, fen in months.items():
        assert sum(each.pool_fen for each in distribution_preview.preview(market.cooperative, period)) == fen
    return months


def published(market: Market, row: Distribution) -> datetime:
    """Approved and published; the moment from which it may be posted."""
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=row.version))
    notice = transaction(lambda: distribution.publish(row.id, actor=market.accountant))
    assert notice.body["total_fen"] == row.total_fen
    return clock.beijing_midnight(notice.ends_on + timedelta(days=1))


def posted(market: Market, row: Distribution) -> Distribution:
    with clock.travel(published(market, row)):
        return transaction(lambda: distribution.post(row.id, actor=market.accountant))


def pool(market: Market, kind: str = "household_pool") -> int:
    return balance.held(kind, market.cooperative, f"linkage_group:{market.group}")


@pytest.mark.both
@pytest.mark.parametrize("first", [JANUARY, FEBRUARY])
@pytest.mark.parametrize("refunded_in", [1, 2])
def test_an_older_month_takes_nothing_of_a_younger_one(app: Flask, first: str, refunded_in: int) -> None:
    """January earned 1,000 and 100, the 1,000 went back, in January or later; February earned 900."""
    with on(1):
        market = builders.market(on_hand=50)
        given_back = settled(market, 5_000)
        settled(market, 500)
        if refunded_in == 1:
            refunded(given_back, 5_000)
    with on(2, 3):
        settled(market, 4_500)
        if refunded_in == 2:
            refunded(given_back, 5_000)
        assert previewed(market) == {JANUARY: 100, FEBRUARY: 900}
        second = FEBRUARY if first == JANUARY else JANUARY
        drafts = {period: the_draft(market, period) for period in (first, second)}
        assert {period: row.total_fen for period, row in drafts.items()} == {JANUARY: 100, FEBRUARY: 900}
        assert previewed(market) == {}
        for period in (second, first):
            assert posted(market, drafts[period]).total_fen == (100 if period == JANUARY else 900)
        assert (pool(market), hold()) == (0, [])


def test_a_draft_of_what_went_back_since_waits_for_nobody_elses_money(app: Flask) -> None:
    """Drafted with 1,100; then 1,000 go back. The pool holds more than that, but 1,200 of it are February's."""
    with on(1):
        market = builders.market(on_hand=50)
        given_back = settled(market, 5_000)
        settled(market, 500)
        january = the_draft(market, JANUARY)
        ends = published(market, january)
    with on(2):
        settled(market, 6_000)
        refunded(given_back, 5_000)
        assert (pool(market), previewed(market)) == (1_300, {FEBRUARY: 1_200})
        february = the_draft(market, FEBRUARY)
        assert february.total_fen == 1_200
    with clock.travel(ends):
        with pytest.raises(Conflict, match=r"distribution\.short"), transaction():
            distribution.post(january.id, actor=market.accountant)
        transaction(lambda: distribution.withdraw(january.id, actor=market.accountant, reason="有退款"))
        assert the_draft(market, JANUARY).total_fen == 100
        assert posted(market, february).total_fen == 1_200
        assert (pool(market), hold()) == (100, [])


@pytest.mark.both
def test_what_was_distributed_is_recovered_from_later_months_within_the_cap(app: Flask) -> None:
    """January's 1,000 are the households', and the order goes back in February, before February is drafted: its households lose no more than
    the cap, as they would if it went back the day after."""
    with on(1):
        market = builders.market(on_hand=50)
        given_back = settled(market, 5_000)
        posted(market, the_draft(market, JANUARY))
    with on(2):
        settled(market, 4_500)
        refunded(given_back, 5_000)
        assert (pool(market), pool(market, "pool_recoverable")) == (900, 1_000)
        row = the_draft(market, FEBRUARY)
        (group,) = distribution.groups_of(row.id)
        assert (group.pool_fen, group.recovered_fen, row.total_fen) == (900, 180, 720)
        posted(market, row)
        assert (pool(market), pool(market, "pool_recoverable"), hold()) == (0, 820, [])


@pytest.mark.both
@pytest.mark.parametrize("drafted", [False, True])
def test_a_refund_made_again_takes_back_what_the_failed_one_brought(app: Flask, drafted: bool) -> None:
    """The channel refuses it after January was divided without it: what came back is the pool's, until it is given back another way."""
    with on(1):
        market = builders.market(on_hand=50)
        given_back = settled(market, 5_000)
        settled(market, 500)
        refund_id = refunded(given_back, 5_000)
        posted(market, the_draft(market, JANUARY))
    with on(2):
        settled(market, 4_500)
        with transaction():
            db.session.query(Payment).filter_by(payable_id=given_back).one().refunded_fen = 5_000
        failed_and_forgotten(given_back)
        assert transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        assert previewed(market) == {FEBRUARY: 1_900}
        row = the_draft(market, FEBRUARY) if drafted else None
        assert row is None or row.total_fen == 1_900
        refunded(given_back, 5_000)
        # What a draft divides already stays in it: the refund is then recovered later, as any that comes after a distribution.
        assert (pool(market), pool(market, "pool_recoverable")) == ((1_900, 1_000) if drafted else (900, 0))
        row = row or the_draft(market, FEBRUARY)
        assert (posted(market, row).total_fen, pool(market), hold()) == (1_900 if drafted else 900, 0, [])


def failed_and_forgotten(order_id: int) -> None:
    """The order counts what is refunded, as its own door would have."""
    from marketplace.orders.order import Order, lines_of

    with transaction():
        db.session.get_one(Order, order_id).refunded_fen = 5_000
        lines_of(order_id)[0].refunded_fen = 5_000


@pytest.mark.both
def test_three_months_in_any_order_of_drafting(app: Flask) -> None:
    with on(1):
        market = builders.market(on_hand=50)
        orders = [settled(market, 5_000), settled(market, 2_500)]
    with on(2):
        orders.append(settled(market, 4_500))
        refunded(orders[1], 1_250)
    with on(3):
        settled(market, 500)
        refunded(orders[0], 5_000)
        refunded(orders[2], 2_000)
        for order in permutations((JANUARY, FEBRUARY, MARCH)):
            rows = {period: the_draft(market, period) for period in order}
            assert {period: row.total_fen for period, row in rows.items()} == {JANUARY: 250, FEBRUARY: 500, MARCH: 100}
            for row in rows.values():
                transaction(lambda row=row: distribution.withdraw(row.id, actor=market.accountant, reason="换个次序"))


def test_a_month_that_went_back_whole_has_nothing_to_divide_and_holds_up_no_close(app: Flask) -> None:
    with on(1):
        market = builders.market(on_hand=50)
        refunded(settled(market, 5_000), 5_000)
        assert previewed(market) == {}
        assert {each.name: (each.count, each.fen) for each in close_waits.waits(JANUARY)}["pools"] == (0, 0)
        with pytest.raises(Conflict, match=r"distribution\.empty"):
            the_draft(market, JANUARY)
        settled(market, 500)
        assert the_draft(market, JANUARY).total_fen == 100


@pytest.mark.both
def test_a_distribution_that_took_another_months_money_is_found(app: Flask) -> None:
    """As it was done once: what went back counted for January all the same, and the pool made it good with what February had earned."""
    with on(1):
        market = builders.market(on_hand=50)
        given_back = settled(market, 5_000)
        settled(market, 500)
    with on(2):
        settled(market, 6_000)
        row = the_draft(market, JANUARY)
        refunded(given_back, 5_000)
        ends = published(market, row)
    with clock.travel(ends):
        with transaction():  # the books looked at the pool alone
            for line in db.session.query(SettlementLine).filter_by(distribution_id=row.id):
                line.divided_fen = line.pool_fen if line.pool_fen < 1_000 else 0
        row = transaction(lambda: distribution.post(row.id, actor=market.accountant))
        assert [rule() for rule in books_shares.RULES if rule.__name__ != "distributions_come_out_again"] == [[]] * (len(books_shares.RULES) - 1)
        assert "1000 fen more than its month's settlements left" in " ".join(books_shares.distributions_come_out_again())
        with transaction():
            for line in db.session.query(SettlementLine).filter_by(distribution_id=row.id):
                line.divided_fen = line.pool_fen
        assert "counts 1000 fen of" in " ".join(books_shares.distributions_come_out_again())
    assert db.session.get_one(PublicNotice, row.notice_id).body["total_fen"] == 1_100
