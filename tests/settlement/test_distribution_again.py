"""A draft computed again gives the same fen from the same records and follows records that changed; what is closed stays as it is."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, NotAllowed, NotFound
from marketplace.ledger import balance
from marketplace.settlement import distribution, distribution_preview
from marketplace.settlement.distribution import Distribution
from tests import builders
from tests.builders import Market
from tests.settlement.test_distribution import (
    after_notice,
    drafted,
    post,
    published,
    refund_late,
    sold,
    this_period,
)


def shares(row: Distribution) -> list[tuple[int, int, int, int, int]]:
    return [
        (each.linkage_group_id, each.household_id, each.patronage_fen, each.equity_fen, each.fen)
        for each in distribution.shares_of(row.id)
    ]


def recomputed(row: Distribution, market: Market, version: int = 1) -> Distribution:
    return transaction(lambda: distribution.recompute(row.id, actor=market.accountant, version=version))


def uneven() -> Market:
    """Seven households with one share each and deliveries that leave odd fen to give."""
    market = builders.market()
    for grams in (1_001, 1_001, 1_001, 1_001):
        household = builders.household()
        builders.share(market.group, household, 1)
        builders.batch(market.cooperative, market.group, deliveries={household: grams})
    return market


@pytest.mark.both
def test_the_same_records_give_the_same_fen(app: Flask) -> None:
    market = uneven()
    for fen in (13_601, 8_803, 77):
        sold(market, fen, batch_id=0)
    row = drafted(market)
    first = shares(row)
    assert sum(each[-1] for each in first) == row.total_fen
    for version in (1, 2):
        assert shares(recomputed(row, market, version)) == first
    # Withdrawn and drafted again, under another number and another outside name: still the same.
    transaction(lambda: distribution.withdraw(row.id, actor=market.accountant, reason="再看看"))
    again = drafted(market)
    assert (again.number, again.public_id != row.public_id, shares(again)) == (2, True, first)


def test_the_preview_is_what_the_draft_writes(app: Flask) -> None:
    market = uneven()
    sold(market, 13_601, batch_id=0)
    refund_late(market, recoverable=700)
    (month,) = distribution_preview.months(market.cooperative)
    (group,) = distribution_preview.preview(market.cooperative, month.period)
    row = drafted(market)
    (written,) = distribution.groups_of(row.id)
    assert (group.pool_fen, group.recovered_fen, group.patronage_fen, group.equity_fen, group.households, group.basis) == (
        written.pool_fen, written.recovered_fen, written.patronage_fen, written.equity_fen, written.households, written.basis,
    )  # fmt: skip
    assert (month.orders, group.fen, group.refused) == (1, row.total_fen, None)
    assert distribution_preview.months(market.cooperative) == []
    assert distribution_preview.preview(market.cooperative, month.period) == []


def test_the_preview_says_where_nobody_can_be_given_to(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000, batch_id=0, group_id=builders.linkage_group(market.cooperative))
    (group,) = distribution_preview.preview(market.cooperative, this_period())
    assert group.refused is not None
    assert (group.refused.code, group.fen) == ("distribution.nobody", 0)


def test_a_draft_follows_what_changed_and_what_settled_since(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = drafted(market)
    builders.share(market.group, builders.household(), 6)
    sold(market, 10_000)
    refund_late(market, from_pool=500)
    again = recomputed(row, market)
    assert (again.total_fen, len(shares(again)), again.number) == (7_500, 4, 1)
    assert sum(each[3] for each in shares(again)) == 3_000


def test_only_a_draft_is_recomputed_by_the_accountant_who_saw_it(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    sold(market, 30_000)
    row = drafted(market)
    with pytest.raises(NotAllowed):
        transaction(lambda: distribution.recompute(row.id, actor=market.director, version=1))
    with pytest.raises(NotFound):
        transaction(lambda: distribution.recompute(row.id, actor=other.accountant, version=1))
    recomputed(row, market)
    with pytest.raises(Conflict) as stale:
        recomputed(row, market, version=1)
    assert stale.value.code == "version.stale"
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=2))
    with pytest.raises(Conflict) as late:
        recomputed(row, market, version=3)
    assert late.value.code == "distribution.state"


def test_a_closed_month_stays_whatever_happens_later(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    with clock.travel(after_notice(row)):
        post(row, market)
        kept, owed = shares(row), balance.by_owner("household", market.cooperative)
        builders.share(market.group, builders.household(), 50)
        builders.batch(market.cooperative, market.group, deliveries={market.households[0]: 90_000})
        refund_late(market, recoverable=900)
        for step in (
            lambda: distribution.recompute(row.id, actor=market.accountant, version=db.session.get_one(Distribution, row.id).version),
            lambda: distribution.withdraw(row.id, actor=market.director, reason="重来"),
            lambda: distribution.draft(market.cooperative, row.period, actor=market.accountant),
        ):
            with pytest.raises(Conflict):
                transaction(step)
        assert (shares(row), balance.by_owner("household", market.cooperative)) == (kept, owed)


def test_a_page_that_is_stale_moves_nothing(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = drafted(market)
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    for step in (
        lambda: distribution.publish(row.id, actor=market.director, version=1),
        lambda: distribution.withdraw(row.id, actor=market.director, version=1, reason="重来"),
    ):
        with pytest.raises(Conflict) as stale:
            transaction(step)
        assert stale.value.code == "version.stale"
    transaction(lambda: distribution.publish(row.id, actor=market.director, version=2))
    with clock.travel(after_notice(db.session.get_one(Distribution, row.id)) + timedelta(days=1)), pytest.raises(Conflict):
        transaction(lambda: distribution.post(row.id, actor=market.director, version=2))
    assert db.session.get_one(Distribution, row.id).state == "PUBLISHED"
