"""What a unit is said to have fulfilled, beside what its orders' records say: an honest trade breaks nothing, and a breach is named."""

from datetime import UTC, datetime

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.orders import order_refund
from marketplace.orders.order import locked_order
from marketplace.procurement import price_cut, scorecard
from marketplace.reporting import books, books_duty
from tests import builders
from tests.orders import trade
from tests.procurement.unit_market import (
    UnitMarket,
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    submit,
    unit_market,
)
from tests.reporting import planted

DECEMBER = datetime(2025, 12, 29, 2, 0, tzinfo=UTC)
JANUARY = datetime(2026, 1, 12, 2, 0, tzinfo=UTC)


def traded() -> tuple[UnitMarket, int]:
    """A unit's orders of every fate over the turn of a year, and a member of the public beside them; the unit's market and its first order."""
    with clock.travel(DECEMBER):
        at = unit_market(on_hand=500)
        short = confirmed(at, 10, terms="PREPAY", key="short")  # paid first, one short, two back
        match(at, receipt(at, 80_000, day="2025-12-29"), short, 80_000)
        ship(at, short, 10)
        late = confirmed(at, 20, key="late")  # accepted in the old year, paid in the new one, and cut
        ship(at, late, 20)
        accept(at, late, 20)
    with clock.travel(JANUARY):
        accept(at, short, 9, 1)
        with transaction():
            order_refund.pay_back(locked_order(order_of(short).id), 16_000, "returned", person_id=None)
        with transaction():
            cut = price_cut.ask(order_of(late).id, 5_000, "两罐受潮", actor=at.buyer, key="cut")
        with transaction():
            price_cut.decide(cut, version=1, approved=True, actor=at.market.accountant)
        match(at, receipt(at, 100_000, day="2026-01-12", serial="S2"), late, 100_000, key="m2")
        union = confirmed(at, 10, key="union", union=True)
        ship(at, union, 10)
        accept(at, union, 10)
        match(at, receipt(at, 30_000, day="2026-01-12", serial="S3"), union, 30_000, key="m3")
        submit(at, 10, key="waits")
        trade.bought(builders.customer(), (at.market.pack, 2))
    return at, short


def ever(unit: int) -> int:
    """What the scorecard counts of both years, the trade union's too."""
    return sum(each.counted_fen + each.union.counted_fen for each in (scorecard.figures(unit, year) for year in (2025, 2026)))


@pytest.mark.both
def test_what_is_counted_is_what_the_records_say(app: Flask) -> None:
    with clock.travel(JANUARY):
        at, _ = traded()
        assert ever(at.unit) == (72_000 - 16_000) + 100_000 + 30_000
        assert books_duty.counted_is_what_records_say() == []
        assert [each for each in books.check() if not each.ok] == []


@pytest.mark.parametrize(
    ("breach", "said", "fen"),
    [
        ("UPDATE acceptance SET accepted_fen = accepted_fen - 30000 WHERE order_id = %d", 156_000, 186_000),
        ("UPDATE acceptance_line SET accepted = 5 WHERE order_line_id IN (SELECT id FROM order_line WHERE order_id = %d)", 186_000, 154_000),
        ("UPDATE payment SET amount_fen = amount_fen - 50000 WHERE payable_id = %d", 136_000, 186_000),
        ('UPDATE "order" SET refunded_fen = refunded_fen + 700 WHERE id = %d', 186_000, 185_300),
        ("DELETE FROM refund WHERE reason = 'returned' AND order_id = %d", 202_000, 186_000),
    ],
)
def test_a_figure_that_the_records_do_not_bear_out_is_named(app: Flask, breach: str, said: int, fen: int) -> None:
    with clock.travel(JANUARY):
        at, short = traded()
        order_id = order_of(short).id
        db.session.remove()
        planted.change(breach % order_id)
        (found,) = [each for each in books.check() if each.rule == "counted_is_what_records_say"]
    assert (found.ok, found.detail) == (False, f"unit {at.unit}: {said} fen counted, {fen} by the records")
