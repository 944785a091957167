"""A period's pool on its way to the households: weights, two people, a notice, and entries that are exact."""

from datetime import date, timedelta

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.ledger import balance, event
from marketplace.ledger.posting import Source
from marketplace.notices import objection
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import acting
from marketplace.organisations.approval import OwnWork
from marketplace.organisations.person import Role
from marketplace.settlement import distribution, settlement
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_weights import equity
from marketplace.settlement.pool_division import divide
from tests import builders
from tests.builders import Market
from tests.settlement.builders import order

pytestmark = pytest.mark.both


def this_period() -> str:
    return clock.period_of(clock.business_date())


def sold(market: Market, *goods_fen: int, **options: int) -> None:
    order_id = order(market, *goods_fen, **options)
    transaction(lambda: settlement.settle(order_id))


def drafted(market: Market) -> Distribution:
    return transaction(lambda: distribution.draft(market.cooperative, this_period(), actor=market.accountant))


def published(market: Market) -> Distribution:
    row = drafted(market)
    transaction(lambda: distribution.approve(row.id, actor=market.director, version=1))
    transaction(lambda: distribution.publish(row.id, actor=market.director))
    return db.session.get_one(Distribution, row.id)


def after_notice(row: Distribution) -> clock.datetime:
    notice = db.session.get_one(PublicNotice, row.notice_id)
    return clock.beijing_midnight(notice.ends_on + timedelta(days=1))


def post(row: Distribution, market: Market) -> Distribution:
    return transaction(lambda: distribution.post(row.id, actor=market.accountant))


def test_sixty_percent_by_grams_forty_by_shares(app: Flask) -> None:
    market = builders.market()  # 1, 2, 3 kg and 1, 2, 3 shares
    sold(market, 30_000)  # pool 60.00
    row = drafted(market)
    (group,) = distribution.groups_of(row.id)
    assert (group.pool_fen, group.patronage_fen, group.equity_fen, group.basis) == (6_000, 3_600, 2_400, "BATCHES")
    shares = distribution.shares_of(row.id)
    assert [(each.grams, each.total_grams, each.patronage_fen, each.equity_fen, each.fen) for each in shares] == [
        (1_000, 6_000, 600, 400, 1_000),
        (2_000, 6_000, 1_200, 800, 2_000),
        (3_000, 6_000, 1_800, 1_200, 3_000),
    ]


def test_only_batches_that_the_goods_came_from_count(app: Flask) -> None:
    market = builders.market()
    first, _, third = market.households
    other = builders.batch(market.cooperative, market.group, deliveries={first: 5_000})
    sold(market, 30_000, batch_id=other)
    shares = {each.household_id: each for each in distribution.shares_of(drafted(market).id)}
    assert shares[first].patronage_fen == 3_600
    assert shares[third].patronage_fen == 0


def test_without_shipment_records_the_last_twelve_months_count_and_older_deliveries_do_not(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000, batch_id=0)
    assert distribution.groups_of(drafted(market).id)[0].basis == "TWELVE_MONTHS"
    today = clock.business_date()
    later = clock.beijing_midnight(today.replace(year=today.year + 2, day=1))
    with clock.travel(later):
        sold(market, 30_000, batch_id=0)
        (group,) = distribution.groups_of(drafted(market).id)
    assert (group.basis, group.patronage_fen, group.equity_fen) == ("EQUITY_ONLY", 0, 6_000)


def test_share_days_count_only_the_days_in_force(app: Flask) -> None:
    market = builders.market()
    leaver, joiner = builders.household(), builders.household()
    builders.share(market.group, leaver, 10, ends_on=date(2026, 2, 10))
    builders.share(market.group, joiner, 10, starts_on=date(2026, 2, 27))
    builders.share(market.group, builders.household(), 10, kind="RELIEF")
    weights = equity(market.group, "2026-02")
    assert weights[leaver] == 100
    assert weights[joiner] == 20
    assert [weights[each] for each in market.households] == [28, 56, 84]
    assert len(weights) == 5


def test_nobody_to_give_to_stops_the_draft(app: Flask) -> None:
    market = builders.market()
    empty = builders.linkage_group(market.cooperative)
    sold(market, 30_000, batch_id=0, group_id=empty)
    with pytest.raises(Conflict) as refused:
        drafted(market)
    assert refused.value.code == "distribution.nobody"


def test_a_period_is_drafted_once_and_what_settles_later_gets_a_second_number(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    assert drafted(market).total_fen == 6_000
    with pytest.raises(Conflict):
        drafted(market)
    sold(market, 10_000)
    second = drafted(market)
    assert (second.number, second.total_fen) == (2, 2_000)


def test_who_may_do_what(app: Flask) -> None:
    market, other = builders.market(), builders.market(name="宝峰油茶合作社")
    sold(market, 30_000)
    with pytest.raises(NotAllowed):
        transaction(lambda: distribution.draft(market.cooperative, this_period(), actor=market.clerk))
    with pytest.raises(NotFound):
        transaction(lambda: distribution.draft(market.cooperative, this_period(), actor=other.accountant))
    row = drafted(market)
    with pytest.raises(NotAllowed):
        transaction(lambda: distribution.approve(row.id, actor=market.accountant, version=1))
    with pytest.raises(NotFound):
        transaction(lambda: distribution.approve(row.id, actor=other.director, version=1))
    with pytest.raises(Conflict):
        transaction(lambda: distribution.publish(row.id, actor=market.director))


def test_nobody_approves_their_own_draft(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    with transaction():
        db.session.add(
            Role(person_id=market.accountant.person_id, organisation_id=market.cooperative, name="director")
        )
    both = acting(market.accountant.person_id, market.cooperative)
    assert both is not None
    row = drafted(market)
    with pytest.raises(OwnWork):
        transaction(lambda: distribution.approve(row.id, actor=both, version=1))


def test_a_returned_draft_frees_its_settlements(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = drafted(market)
    with pytest.raises(InvalidInput):
        transaction(lambda: distribution.approve(row.id, actor=market.director, version=1, approved=False))
    transaction(
        lambda: distribution.approve(row.id, actor=market.director, version=1, approved=False, reason="少一户")
    )
    assert db.session.get_one(Distribution, row.id).state == "WITHDRAWN"
    assert drafted(market).total_fen == 6_000


def test_the_notice_holds_aggregates_and_a_group_of_three_has_no_name(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    notice = db.session.get_one(PublicNotice, row.notice_id)
    assert notice.body["total_fen"] == 6_000
    assert notice.body["groups"] == [{"name": None, "households": None, "fen": 6_000}]


def test_the_notice_must_end_before_money_is_credited(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    notice_ends = after_notice(row)
    with clock.travel(notice_ends - timedelta(seconds=1)), pytest.raises(Conflict) as refused:
        post(row, market)
    assert refused.value.code == "notice.running"
    with clock.travel(notice_ends):
        assert post(row, market).state == "POSTED"
    assert balance.held("household_pool", market.cooperative, f"linkage_group:{market.group}") == 0
    owed = balance.by_owner("household", market.cooperative)
    assert [owed[f"household:{each}"] for each in market.households] == [1_000, 2_000, 3_000]
    with clock.travel(notice_ends), pytest.raises(Conflict):
        post(row, market)


@pytest.mark.parametrize(("upheld", "code"), [(True, "objection.upheld"), (False, "")])
def test_objections_are_answered_first_and_an_upheld_one_stops_it(app: Flask, upheld: bool, code: str) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    assert row.notice_id is not None
    notice_id = row.notice_id
    raised = transaction(lambda: objection.raise_(notice_id, text="我家交了四公斤", name="王二"))
    with clock.travel(after_notice(row)):
        with pytest.raises(Conflict) as refused:
            post(row, market)
        assert refused.value.code == "objection.open"
        transaction(lambda: objection.answer(raised.id, text="已核对", upheld=upheld, actor=market.director))
        if not upheld:
            assert post(row, market).state == "POSTED"
            return
        with pytest.raises(Conflict) as refused:
            post(row, market)
        assert refused.value.code == code
        transaction(lambda: distribution.withdraw(row.id, actor=market.director, reason="异议成立"))
    assert db.session.get_one(PublicNotice, notice_id).withdrawn_at is not None
    assert drafted(market).total_fen == 6_000


def test_the_operator_may_object_by_withdrawing(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = drafted(market)
    reviewer = builders.person(builders.operator(), "reviewer")
    assert transaction(lambda: distribution.withdraw(row.id, actor=reviewer, reason="成员待核")).state == "WITHDRAWN"


def refund_late(market: Market, *, from_pool: int = 0, recoverable: int = 0) -> None:
    with transaction():
        event.refund_after_settlement(
            book=market.cooperative, source=Source("refund", 99), revenue_fen=0, freight_fen=0, collectives={}, fund_fen=0,
            pools={market.group: (from_pool, recoverable)},
        )  # fmt: skip


def test_a_refund_after_settlement_lessens_the_pool(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    refund_late(market, from_pool=500)
    assert drafted(market).total_fen == 5_500


def test_a_refund_between_draft_and_posting_stops_it(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    row = published(market)
    refund_late(market, from_pool=500)
    with clock.travel(after_notice(row)), pytest.raises(Conflict) as refused:
        post(row, market)
    assert refused.value.code == "distribution.short"


def test_earlier_refunds_are_recovered_up_to_the_cap(app: Flask) -> None:
    market = builders.market()
    sold(market, 30_000)
    refund_late(market, recoverable=5_000)
    row = published(market)
    (group,) = distribution.groups_of(row.id)
    assert (group.pool_fen, group.recovered_fen, row.total_fen) == (6_000, 1_200, 4_800)  # 20 %
    with clock.travel(after_notice(row)):
        post(row, market)
    owner = f"linkage_group:{market.group}"
    assert balance.held("pool_recoverable", market.cooperative, owner) == 3_800
    assert balance.held("household_pool", market.cooperative, owner) == 0


@pytest.mark.parametrize("period", ["2026-13", "2026-1", "november", "2026-11-01", ""])
def test_a_period_is_a_month(app: Flask, period: str) -> None:
    market = builders.market()
    with pytest.raises(InvalidInput):
        distribution.draft(market.cooperative, period, actor=market.accountant)


weights = st.dictionaries(st.integers(1, 40), st.integers(0, 10**7), max_size=20)


@given(fen=st.integers(0, 10**12), bp=st.integers(6_000, 10_000), grams=weights, share_days=weights)
@settings(deadline=None)
def test_a_pool_divides_exactly_for_any_shares_and_deliveries(
    fen: int, bp: int, grams: dict[int, int], share_days: dict[int, int]
) -> None:
    keys = {each: f"JA-{each:04d}" for each in set(grams) | set(share_days)}
    nobody = not any(grams.values()) and not any(share_days.values())
    if nobody and fen:
        with pytest.raises(Conflict):
            divide(fen, patronage_bp=bp, basis="BATCHES", grams=grams, share_days=share_days, keys=keys, salt="s")
        return
    divided = divide(fen, patronage_bp=bp, basis="BATCHES", grams=grams, share_days=share_days, keys=keys, salt="s")
    assert divided.patronage_fen + divided.equity_fen == fen
    assert sum(part.patronage_fen for part in divided.parts) == divided.patronage_fen
    assert sum(part.equity_fen for part in divided.parts) == divided.equity_fen
    assert all(part.patronage_fen >= 0 and part.equity_fen >= 0 for part in divided.parts)
    if any(grams.values()):
        assert divided.patronage_fen * 10_000 >= fen * bp, "the rule is at least so much by patronage"
    for part in divided.parts:
        if not part.grams:
            assert part.patronage_fen == 0
        if not part.share_days:
            assert part.equity_fen == 0


@pytest.mark.parametrize(
    ("published_on", "ends_on"),
    [
        (date(2026, 11, 25), date(2026, 12, 4)),  # over one weekend
        (date(2026, 9, 29), date(2026, 10, 14)),  # over the National Day, with its Saturday that is worked
    ],
)
def test_a_notice_ends_with_the_seventh_working_day_after_it(app: Flask, published_on: date, ends_on: date) -> None:
    with clock.travel(clock.beijing_midnight(published_on) + timedelta(hours=10)):
        market = builders.market()
        sold(market, 30_000)
        row = published(market)
        notice = db.session.get_one(PublicNotice, row.notice_id)
        assert (notice.published_at, notice.ends_on) == (clock.now(), ends_on)
        assert not notice.is_provisional
    with clock.travel(clock.beijing_midnight(ends_on) + timedelta(hours=23)), pytest.raises(Conflict), transaction():
        distribution.post(row.id, actor=market.accountant)
    with clock.travel(clock.beijing_midnight(ends_on + timedelta(days=1))):
        assert transaction(lambda: distribution.post(row.id, actor=market.accountant)).state == "POSTED"
