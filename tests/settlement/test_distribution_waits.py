"""What a draft takes: nothing ahead of time, what came back only in its month, and no group waits for another that has nobody."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.payments import refund as refunds
from marketplace.reporting import books
from marketplace.settlement import distribution, distribution_pool, distribution_preview, settlement
from marketplace.settlement.closed_period import distributed_until
from tests import builders
from tests.builders import Market
from tests.settlement.test_distribution import drafted, sold, this_period
from tests.settlement.test_recovery import distributed, paid_back, the_draft, traded


@pytest.mark.both
def test_what_came_back_is_divided_in_the_month_in_which_it_came_and_in_no_other(app: Flask) -> None:
    market = builders.market(on_hand=50)
    order_id = traded(market, 3)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        refund_id = paid_back(order_id, 8_800)
        first = distributed(market)
        assert first.total_fen == 3_520
    with clock.travel(clock.now() + timedelta(days=40)):
        transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        came = this_period()
    with clock.travel(clock.now() + timedelta(days=110)):
        sold(market, 10_000)
        assert [(each.period, each.pool_fen) for each in distribution_preview.months(market.cooperative)] == [(came, 1_760), (this_period(), 2_000)]
        with pytest.raises(InvalidInput, match=r"distribution\.future"):
            the_draft(market, "2029-12")
        with pytest.raises(Conflict, match=r"distribution\.empty"):
            the_draft(market, first.period)
        assert distributed_until(market.group) is not None
        assert the_draft(market, this_period()).total_fen == 2_000
        assert the_draft(market, came).total_fen == 1_760
        assert distribution_preview.months(market.cooperative) == []


def with_an_empty_group() -> tuple[Market, int]:
    """A market that sold for its group, and for a second one that has no household."""
    market = builders.market()
    sold(market, 30_000)
    empty = builders.linkage_group(market.cooperative)
    sold(market, 10_000, batch_id=0, group_id=empty)
    return market, empty


@pytest.mark.both
def test_a_group_without_anybody_stops_no_other_and_is_told_by_name(app: Flask) -> None:
    market, empty = with_an_empty_group()
    row = drafted(market)
    assert (row.total_fen, [each.linkage_group_id for each in distribution.groups_of(row.id)]) == (6_000, [market.group])
    assert distribution_pool.left_out(row) == {empty: 2_000}
    assert distributed_until(empty) is None
    with pytest.raises(Conflict, match=r"distribution\.nobody"):
        drafted(market)
    # Its members are put right: what waited is theirs, in a second one of the month.
    builders.share(empty, builders.household(), 1)
    assert (drafted(market).total_fen, distribution_pool.left_out(row)) == (2_000, {})
    assert [each.rule for each in books.check() if not each.ok and each.rule.startswith(("distributions", "pools"))] == []


def test_what_came_back_to_a_group_that_everybody_left_stops_no_other(app: Flask) -> None:
    market = builders.market(on_hand=50)
    order_id = traded(market, 3)
    with clock.travel(clock.now() + timedelta(days=8)):
        transaction(lambda: settlement.settle(order_id))
        refund_id = paid_back(order_id, 8_800)
        first = distributed(market)
    other = builders.linkage_group(market.cooperative)
    builders.members(other)
    with clock.travel(clock.now() + timedelta(days=500)):
        transaction(lambda: refunds.fail(refund_id, "ACQ.TRADE_HAS_FINISHED"))
        with transaction():
            for share in db.session.scalars(db.select(builders.LinkageShare).where(builders.LinkageShare.group_id == market.group)):
                share.ends_on = clock.business_date() - timedelta(days=90)
        sold(market, 10_000, batch_id=0, group_id=other)
        row = drafted(market)
        assert (row.total_fen, distribution_pool.left_out(row)) == (2_000, {market.group: 1_760})
        (refused,) = [each.group.id for each in distribution_preview.preview(market.cooperative, this_period())]
        assert refused == market.group != other
        assert first.state == "POSTED"
