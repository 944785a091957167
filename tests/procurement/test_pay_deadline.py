"""A unit that pays first has 30 days, once 15 more; after that the goods are for others."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.orders import order_refund
from marketplace.orders.order import locked_order
from marketplace.payments import match_undo
from marketplace.procurement import pay_deadline
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.reporting import books
from marketplace.supply.stock import Stock
from tests import builders
from tests.procurement.unit_market import UnitMarket, confirmed, match, order_of, receipt, unit_market


def extend(at: UnitMarket, made: int, reason: str = "国库集中支付要等下月", *, actor: object = None) -> DirectedOrder:
    with transaction():
        return pay_deadline.extend(made, reason, actor=actor or at.buyer)  # type: ignore[arg-type]


def lapse(made: int) -> None:
    with transaction():
        pay_deadline.lapse(made)


@pytest.mark.both
def test_moved_once_then_the_goods_go_back(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    today = clock.business_date()
    assert extend(at, made).pay_by == today + timedelta(days=45)
    with pytest.raises(Conflict, match=r"deadline\.moved"):
        extend(at, made)
    with clock.travel(clock.now() + timedelta(days=45)):
        assert pay_deadline.lapsed() == []
        with pytest.raises(Conflict, match=r"deadline\.running"):
            lapse(made)
    with clock.travel(clock.now() + timedelta(days=45 + pay_deadline.LATEST_DAYS)):
        assert pay_deadline.lapsed() == []
    with clock.travel(clock.now() + timedelta(days=46 + pay_deadline.LATEST_DAYS)):
        assert pay_deadline.lapsed() == [made]
        lapse(made)
        assert pay_deadline.lapsed() == []
    order = order_of(made)
    assert (order.fulfilment, order.cancel_reason) == ("CANCELLED", "LAPSED")
    stock = db.session.get_one(Stock, at.market.pack)
    assert (stock.on_hand, stock.reserved) == (100, 0)


def test_a_transfer_of_the_last_day_is_waited_for(app: Flask) -> None:
    """The statement tells of it days later; while it may be on its way, and while a receipt names the order, the goods are kept."""
    at = unit_market()
    made, other = confirmed(at, 10, terms="PREPAY"), confirmed(at, 5, terms="PREPAY", key="other")
    pay_by = clock.business_date() + timedelta(days=30)
    row = db.session.get_one(DirectedOrder, made)
    assert row.pay_by == pay_by
    with clock.travel(clock.now() + timedelta(days=34)):
        assert pay_deadline.lapsed() == []  # the bank has told of no day yet
        receipt(at, 80_000, day=f"{pay_by}", remark=f"货款 {row.reference.lower()}", serial="S1")
        assert pay_deadline.lapsed() == []  # of the last day, not of the days after it
        receipt(at, 100, day=f"{pay_by + timedelta(days=1)}", remark="利息", serial="S2")
        assert pay_deadline.lapsed() == [other]
        with pytest.raises(Conflict, match=r"deadline\.running"):
            lapse(made)
        lapse(other)
    with clock.travel(clock.now() + timedelta(days=90)):
        assert pay_deadline.lapsed() == []  # the receipt still waits for its match


def test_what_was_paid_in_part_waits_for_a_person(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    match(at, receipt(at, 10_000), made, 10_000)
    with clock.travel(clock.now() + timedelta(days=60)):
        assert pay_deadline.lapsed() == []
        with pytest.raises(Conflict):
            lapse(made)


def test_who_had_paid_and_did_not_after_all_has_the_days_anew(app: Flask) -> None:
    """The transfer was another unit's, and that comes out after the deadline: the order waits again, and does not end the same night."""
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    number = match(at, receipt(at, order_of(made).total_fen), made, order_of(made).total_fen)
    assert order_of(made).fulfilment == "READY"
    with clock.travel(clock.now() + timedelta(days=60)):
        today = clock.business_date()
        undo = transaction(lambda: match_undo.ask(number, "是另一家的款", actor=at.market.accountant)).id
        transaction(lambda: match_undo.decide(undo, version=1, approved=True, actor=at.market.director))
        assert (order_of(made).fulfilment, db.session.get_one(DirectedOrder, made).pay_by) == ("WAITING", today + timedelta(days=30))
        assert pay_deadline.lapsed() == []
        with pytest.raises(Conflict, match=r"deadline\.running"):
            lapse(made)


@pytest.mark.both
def test_what_was_paid_in_part_and_given_back_holds_the_goods_no_longer(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    match(at, receipt(at, 10_000), made, 10_000)
    with transaction():
        order_refund.pay_back(locked_order(order_of(made).id), 10_000, "不要了", person_id=None)
    with clock.travel(clock.now() + timedelta(days=60)):
        assert pay_deadline.lapsed() == [made]
        lapse(made)
    assert db.session.get_one(Stock, at.market.pack).reserved == 0
    assert [each.detail for each in books.check() if not each.ok] == []


def test_who_may_move_it_and_when(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    with pytest.raises(NotAllowed):
        extend(at, made, actor=at.approver)
    with pytest.raises(NotFound):
        extend(at, made, actor=builders.person(builders.unit("别的单位"), "buyer"))
    with pytest.raises(InvalidInput):
        extend(at, made, " ")
    with clock.travel(clock.now() + timedelta(days=31)), pytest.raises(Conflict, match=r"deadline\.over"):
        extend(at, made)
    with pytest.raises(Conflict, match=r"deadline\.none"):
        extend(at, confirmed(at, 10, terms="POSTPAY", key="later"))
