"""The four figures of a unit: each on its own, in its own year, and no rate without a quota."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.orders import order_refund
from marketplace.orders.order import locked_order
from marketplace.procurement import scorecard, target
from tests import builders
from tests.procurement.unit_market import (
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    submit,
    unit_market,
)

DECEMBER = datetime(2025, 12, 30, 2, 0, tzinfo=UTC)
JANUARY = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


def four(unit: int, year: int) -> tuple[int, int, int, int]:
    figures = scorecard.figures(unit, year)
    return figures.ordered_fen, figures.accepted_fen, figures.paid_fen, figures.counted_fen


def test_each_figure_rises_when_its_own_thing_happens(app: Flask) -> None:
    with clock.travel(JANUARY):
        at = unit_market()
        made = confirmed(at, 10)
        assert four(at.unit, 2026) == (80_000, 0, 0, 0)
        match(at, receipt(at, 30_000, day="2026-01-05"), made, 30_000)
        assert four(at.unit, 2026) == (80_000, 0, 30_000, 0)
        ship(at, made, 9)
        accept(at, made, 9, 1)
        assert four(at.unit, 2026) == (80_000, 72_000, 30_000, 30_000)


def test_goods_that_went_back_do_not_count_and_a_shortage_is_taken_off_once(app: Flask) -> None:
    with clock.travel(JANUARY):
        at = unit_market()
        made = confirmed(at, 10, terms="PREPAY")
        match(at, receipt(at, 80_000, day="2026-01-05"), made, 80_000)
        ship(at, made, 9)
        accept(at, made, 9, 1)
        assert four(at.unit, 2026) == (80_000, 72_000, 72_000, 72_000)
        with transaction():
            order_refund.pay_back(locked_order(order_of(made).id), 16_000, "returned", person_id=None)
        assert four(at.unit, 2026) == (80_000, 72_000, 56_000, 56_000)


@pytest.mark.both
def test_what_is_ordered_in_one_year_may_count_in_the_next(app: Flask) -> None:
    with clock.travel(DECEMBER):
        at = unit_market()
        made = confirmed(at, 10)
        ship(at, made, 10)
        accept(at, made, 10)
    with clock.travel(JANUARY):
        # The money came on the last day of the year and was matched in the new one: it belongs to the old.
        match(at, receipt(at, 50_000, day="2025-12-31"), made, 50_000, key="1")
        match(at, receipt(at, 30_000, day="2026-01-04", serial="S2"), made, 30_000, key="2")
    assert four(at.unit, 2025) == (80_000, 80_000, 50_000, 50_000)
    assert four(at.unit, 2026) == (0, 0, 30_000, 30_000)


def test_the_trade_union_stands_apart(app: Flask) -> None:
    with clock.travel(JANUARY):
        at = unit_market()
        submit(at, 10, key="canteen")
        submit(at, 1, key="gifts", union=True)
        figures = scorecard.figures(at.unit, 2026)
    assert (figures.ordered_fen, figures.union.ordered_fen) == (80_000, 8_800)


@pytest.mark.parametrize("canteen", ["NONE", "SHARED"])
def test_without_a_canteen_there_is_no_rate(app: Flask, canteen: str) -> None:
    buyer = builders.person(builders.unit(), "buyer")
    with clock.travel(JANUARY), transaction():
        target.file(year=2026, canteen=canteen, base_fen=500, actor=buyer)
    figures = scorecard.figures(buyer.organisation_id, 2026)
    assert (figures.filed, figures.reserved_fen, figures.completion_rate_bp, figures.missing_fen) == (True, None, None, None)


def test_nobody_filed_is_not_the_same_as_no_canteen(app: Flask) -> None:
    assert scorecard.figures(builders.unit(), 2026).filed is False


@pytest.mark.parametrize(("counted", "reserved", "rate"), [(51_202, 222_493, 2301), (0, 5, 0), (30, 20, 15_000), (1, 20_000, 1)])
def test_the_rate_is_computed_and_may_pass_one_hundred(counted: int, reserved: int, rate: int) -> None:
    assert scorecard.rate_bp(counted, reserved) == rate


def test_a_locked_target_is_not_edited_and_a_stale_one_not_overwritten(app: Flask) -> None:
    office = builders.person(builders.operator(), "administrator")
    buyer = builders.person(builders.unit(), "buyer")
    with clock.travel(JANUARY):
        with transaction():
            filed = target.file(year=2026, canteen="OWN", base_fen=1_000_000, actor=buyer).id
        with transaction():
            assert target.file(year=2026, canteen="OWN", base_fen=2_000_000, version=1, actor=buyer).reserved_fen == 600_000
        with pytest.raises(Conflict), transaction():
            target.file(year=2026, canteen="OWN", base_fen=3_000_000, version=1, actor=buyer)
        with transaction():
            target.lock(filed, actor=office)
        with pytest.raises(Conflict) as caught, transaction():
            target.file(year=2026, canteen="OWN", base_fen=3_000_000, version=3, actor=buyer)
    assert caught.value.code == "target.locked"


def test_the_percent_is_never_below_the_county_s_minimum(app: Flask) -> None:
    buyer = builders.person(builders.unit(), "buyer")
    with clock.travel(JANUARY), pytest.raises(InvalidInput), transaction():
        target.file(year=2026, canteen="OWN", base_fen=1_000_000, percent_bp=2999, actor=buyer)


def test_only_the_parent_reviews_and_only_the_county_locks(app: Flask) -> None:
    bureau = builders.unit("主管局")
    school = builders.unit("学校", parent_id=bureau)
    buyer, head = builders.person(school, "buyer"), builders.person(bureau, "approver")
    with clock.travel(JANUARY):
        with transaction():
            filed = target.file(year=2026, canteen="OWN", base_fen=1_000_000, actor=buyer).id
        with pytest.raises(NotFound), transaction():
            target.review(filed, actor=builders.person(builders.unit("别局"), "approver"))
        with transaction():
            assert target.review(filed, actor=head).state == "REVIEWED"
        with pytest.raises(NotAllowed), transaction():
            target.lock(filed, actor=head)
