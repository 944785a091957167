"""Money back to a unit that has not paid all yet, or whose goods have not come yet: what went back of goods that came is not owed again."""

import itertools
from datetime import timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from marketplace import foundation
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.ledger import balance
from marketplace.orders import refund_call_off, refund_reissue, return_request, shipment
from marketplace.orders.order import Order, lines_of
from marketplace.payments import bank_refund
from marketplace.payments.refund import Refund
from marketplace.procurement import acceptance, directed_order, price_cut, scorecard
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.reporting import books
from marketplace.settlement import settlement
from marketplace.settlement.settlement import SettlementLine
from tests import builders
from tests.orders import trade
from tests.procurement.unit_market import (
    DESTINATION,
    UnitMarket,
    accept,
    confirmed,
    match,
    order_of,
    receipt,
    ship,
    unit_market,
)

pytestmark = pytest.mark.both

_number = itertools.count(1)


def pays(at: UnitMarket, made: int, fen: int) -> None:
    serial = f"S{next(_number)}"
    match(at, receipt(at, fen, serial=serial), made, fen, key=serial)


def gives_back(at: UnitMarket, made: int, fen: int = 0, *, packs: int = 0) -> None:
    """The cooperative, by two people: so much, or what so many packs cost."""
    order_id = order_of(made).id
    named = {lines_of(order_id)[0].id: packs} if packs else None
    asked = transaction(lambda: return_request.propose(order_id, fen, "抽检不合格", actor=at.market.clerk, packs=named))
    transaction(lambda: return_request.approve(asked.id, actor=at.market.director))


def stands(at: UnitMarket, made: int) -> tuple[str, int, int]:
    """How the order stands, what of it is open, and what the books say is owed; every rule of them holds."""
    db.session.expire_all()
    order: Order = order_of(made)
    assert [f"{each.rule}: {each.detail}" for each in books.check() if not each.ok] == []
    return order.payment, order.open_fen, balance.held("receivable", at.market.cooperative)


def test_what_goes_back_of_a_part_that_was_paid_leaves_the_rest_owed(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    pays(at, made, 40_000)
    gives_back(at, made, 8_000)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 40_000)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)
    with pytest.raises(Conflict, match=r"cut\.exceeds"), transaction():
        price_cut.ask(order_of(made).id, 1, "再减一点", actor=at.buyer, key="cut")


def test_all_that_was_paid_goes_back_and_the_rest_is_owed_still(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    ship(at, made, 10)
    accept(at, made, 10)
    pays(at, made, 40_000)
    gives_back(at, made, 40_000)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 40_000)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)


def test_what_went_back_before_the_goods_came_is_not_put_on_credit(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    gives_back(at, made, 8_000)
    ship(at, made, 10)
    accept(at, made, 10)
    assert stands(at, made) == ("PAID", 0, 0)
    assert order_of(made).refunded_fen == 8_000


def test_what_went_back_of_a_pack_is_not_given_back_again_when_it_is_short(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    gives_back(at, made, packs=1)
    ship(at, made, 9)
    accept(at, made, 9, short=1)
    assert stands(at, made) == ("PAID", 0, 0)
    order = order_of(made)
    assert (order.refunded_fen, order.short_fen) == (8_000, 8_000)


def test_an_order_that_is_paid_first_can_be_paid_to_its_end(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    pays(at, made, 40_000)
    gives_back(at, made, packs=1)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 0)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)
    assert order_of(made).fulfilment == "READY"
    ship(at, made, 9)
    assert order_of(made).fulfilment == "SHIPPED"
    accept(at, made, 9, short=1)
    assert stands(at, made) == ("PAID", 0, 0)


def test_a_part_payment_that_goes_back_never_lowers_the_price(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    pays(at, made, 40_000)
    with pytest.raises(InvalidInput, match=r"return\.part_paid"):
        gives_back(at, made, 39_999)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 0)


@pytest.mark.parametrize("terms", ["PREPAY", "POSTPAY"])
def test_all_of_a_part_payment_goes_back_and_the_order_ends(app: Flask, terms: str) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms=terms)
    pays(at, made, 40_000)
    gives_back(at, made, 40_000)
    assert stands(at, made)[0] == "REFUNDED"
    assert (order_of(made).fulfilment, db.session.get_one(DirectedOrder, made).approval) == ("CANCELLED", "CANCELLED")
    assert trade.free(at.market.pack) == (100, 0)


def test_more_that_is_paid_before_the_answer_goes_back_with_the_rest(app: Flask) -> None:
    at = unit_market()
    made = confirmed(at, 10, terms="PREPAY")
    pays(at, made, 40_000)
    order_id = order_of(made).id
    asked = transaction(lambda: return_request.propose(order_id, 40_000, "采摘受灾", actor=at.market.clerk).id)
    pays(at, made, 40_000)
    transaction(lambda: return_request.approve(asked, actor=at.market.director))
    assert (stands(at, made)[0], order_of(made).refunded_fen, order_of(made).fulfilment) == ("REFUNDED", 80_000, "CANCELLED")


@pytest.mark.parametrize("unsent", [True, False])
def test_what_went_back_of_goods_that_are_then_short_is_taken_off_what_counts_once(app: Flask, unsent: bool) -> None:
    """A tin less before it was sent, or one that came broken and went back before the unit signed: nine tins count."""
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    if unsent:
        gives_back(at, made, packs=1)
        ship(at, made, 9)
    else:
        ship(at, made, 10)
        gives_back(at, made, packs=1)
    accept(at, made, 9, short=1)
    assert stands(at, made) == ("PAID", 0, 0)
    assert scorecard.figures(at.unit, clock.business_date().year).counted_fen == 72_000


def test_goods_that_come_back_after_a_price_cut_bring_what_they_cost(app: Flask) -> None:
    """Tins for ¥50.00 and, of another group, bags for ¥50.00; ¥10.00 are cut. All tins go back: the bags' group keeps all of its share."""
    at = unit_market()
    tins, bags = (builders.pack(at.market.product, price_fen=500, net_grams=20, name=name) for name in ("10 克罐", "20 克袋"))
    group = builders.linkage_group(at.market.cooperative)

    def bought() -> int:
        made = directed_order.submit(
            {tins: 10, bags: 10}, cooperative_id=at.market.cooperative, destination=DESTINATION, terms="POSTPAY", actor=at.buyer, key="two"
        )  # fmt: skip
        directed_order.approve(made, actor=at.approver)
        directed_order.confirm(made, actor=at.market.director)
        return made

    made = transaction(bought)
    order_id = order_of(made).id
    tin, bag = (line.id for line in lines_of(order_id))
    transaction(lambda: shipment.ship(order_id, [(each, at.market.batch, 10) for each in (tin, bag)], "快运", "1", actor=at.market.clerk))
    with transaction():
        lines_of(order_id)[1].linkage_group_id = group
    transaction(lambda: acceptance.accept(order_id, [Arrived(each, 10) for each in (tin, bag)], actor=at.buyer))
    goods, freight = (order_of(made).goods_fen, order_of(made).freight_fen)
    cut = transaction(lambda: price_cut.ask(order_id, 1_000, "有些受潮", actor=at.buyer, key="cut"))
    transaction(lambda: price_cut.decide(cut, version=1, approved=True, actor=at.market.director))
    pays(at, made, goods + freight - 1_000)
    half = transaction(lambda: return_request.propose(order_id, 0, "抽检不合格", actor=at.market.clerk, packs={tin: 4}))
    assert half.fen == 4 * 450
    transaction(lambda: return_request.approve(half.id, actor=at.market.director))
    with clock.travel(clock.now() + timedelta(days=30)):
        transaction(lambda: bank_refund.record(refund_of(order_id), "WY0001", clock.business_date(), actor=at.market.accountant))
        transaction(lambda: settlement.settle(order_id))
        pool = balance.held("household_pool", at.market.cooperative, f"linkage_group:{group}")
        rest = transaction(lambda: return_request.propose(order_id, 0, "全部召回", actor=at.market.clerk, packs={tin: 10}))
        assert rest.fen == 6 * 450
        transaction(lambda: return_request.approve(rest.id, actor=at.market.director))
        assert balance.held("household_pool", at.market.cooperative, f"linkage_group:{group}") == pool == 900
        assert balance.held("household_pool", at.market.cooperative, f"linkage_group:{at.market.group}") == 0
        with pytest.raises(InvalidInput), transaction():
            return_request.propose(order_id, 0, "再退", actor=at.market.clerk, packs={tin: 1})
        assert stands(at, made) == ("PAID", 0, 0)
    # What the migration reckons for lines from before is the same.
    with transaction():
        for line in lines_of(order_id):
            line.cut_fen = 0
    with transaction():
        reckoned()._reckon(db.session.connection())
    db.session.expire_all()
    assert [(line.unpaid_fen, line.cut_fen) for line in lines_of(order_id)] == [(0, 500), (0, 500)]


def reckoned() -> Any:
    """The migration that counted short packs and cuts to their lines."""
    (path,) = (Path(foundation.__file__).parent / "migrations" / "versions").glob("*_what_a_line_cost_in_the_end.py")
    spec = spec_from_file_location("reckoned", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def refund_of(order_id: int) -> int:
    return db.session.scalars(select(Refund.id).where(Refund.order_id == order_id)).one()


def test_goods_that_went_back_of_what_was_accepted_come_off_their_own_line(app: Flask) -> None:
    """Of ten tins nine came, of ten bags ten; a tin goes back. What is divided of the bags is what they cost."""
    at = unit_market()
    bags = builders.pack(at.market.product, price_fen=1_000, net_grams=20, name="20 克袋")

    def bought() -> int:
        made = directed_order.submit(
            {at.market.pack: 10, bags: 10}, cooperative_id=at.market.cooperative, destination=DESTINATION, terms="POSTPAY", actor=at.buyer, key="two"
        )  # fmt: skip
        directed_order.approve(made, actor=at.approver)
        directed_order.confirm(made, actor=at.market.director)
        return made

    made = transaction(bought)
    order_id = order_of(made).id
    tin, bag = (line.id for line in lines_of(order_id))
    transaction(lambda: shipment.ship(order_id, [(tin, at.market.batch, 10), (bag, at.market.batch, 10)], "快运", "1", actor=at.market.clerk))
    transaction(lambda: acceptance.accept(order_id, [Arrived(tin, 9, 1, "少"), Arrived(bag, 10)], actor=at.buyer))
    order = order_of(made)
    pays(at, made, order.open_fen)
    one = transaction(lambda: return_request.propose(order_id, 0, "抽检不合格", actor=at.market.clerk, packs={tin: 1}))
    assert one.fen == 8_000
    transaction(lambda: return_request.approve(one.id, actor=at.market.director))
    with clock.travel(clock.now() + timedelta(days=30)):
        transaction(lambda: bank_refund.record(refund_of(order_id), "WY0001", clock.business_date(), actor=at.market.accountant))
        transaction(lambda: settlement.settle(order_id))
    parts = db.session.scalars(select(SettlementLine.base_fen).order_by(SettlementLine.id)).all()
    assert parts == [8 * 8_000, 10_000]
    assert stands(at, made) == ("PAID", 0, 0)


def test_as_many_packs_less_as_were_paid_leave_the_others_ordered(app: Flask) -> None:
    """Half was paid early, and half the packs are not wanted: the other half is still to come, and to be paid."""
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 40_000)
    gives_back(at, made, packs=5)
    assert (stands(at, made), order_of(made).fulfilment, trade.free(at.market.pack)) == (("PARTLY_PAID", 40_000, 0), "READY", (100, 5))
    ship(at, made, 5)
    accept(at, made, 5, short=5)
    assert stands(at, made) == ("PARTLY_PAID", 40_000, 40_000)
    pays(at, made, 40_000)
    assert stands(at, made) == ("PAID", 0, 0)


def test_packs_that_were_asked_off_and_are_short_then_are_paid_back_once(app: Flask) -> None:
    """The unit asked for two packs less, nobody answered, eight came, and the unit signed for eight."""
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    order_id = order_of(made).id
    line = lines_of(order_id)[0].id
    asked = transaction(lambda: return_request.raise_request(order_id, 0, "用不了这么多", actor=at.buyer, packs={line: 2}, unsent={line: 2}).id)
    ship(at, made, 8)
    accept(at, made, 8, short=2)
    assert (stands(at, made), order_of(made).refunded_fen) == (("PAID", 0, 0), 16_000)
    with pytest.raises(Conflict, match=r"return\.answered"), transaction():
        return_request.approve(asked, actor=at.market.clerk)
    assert order_of(made).refunded_fen == 16_000


def test_what_is_asked_for_goods_that_left_still_waits_once_the_rest_is_signed_for(app: Flask) -> None:
    """Two of the eight that came are bad: that is no packs that are short, and nobody else pays for them."""
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 80_000)
    order_id = order_of(made).id
    line = lines_of(order_id)[0].id
    ship(at, made, 8)
    asked = transaction(lambda: return_request.raise_request(order_id, 0, "有两件发霉", actor=at.buyer, packs={line: 2}, unsent={line: 0}).id)
    accept(at, made, 8, short=2)
    assert order_of(made).refunded_fen == 16_000
    assert transaction(lambda: return_request.approve(asked, actor=at.market.clerk).state) == "APPROVED"
    assert order_of(made).refunded_fen == 32_000


def test_every_part_of_the_price_of_what_never_left_is_the_units(app: Flask) -> None:
    """Two transfers paid it, and both give some back: neither is kept instead of goods that nobody sent."""
    at = unit_market()
    made = confirmed(at, 10)
    pays(at, made, 40_000)
    pays(at, made, 40_000)
    order_id = order_of(made).id
    line = lines_of(order_id)[0].id
    asked = transaction(lambda: return_request.raise_request(order_id, 0, "少要六件", actor=at.buyer, packs={line: 6}, unsent={line: 6}).id)
    transaction(lambda: return_request.approve(asked, actor=at.market.clerk))
    parts = [(each.id, each.fen) for each in db.session.scalars(select(Refund).order_by(Refund.id))]
    assert [fen for _number, fen in parts] == [40_000, 8_000]
    with pytest.raises(Conflict, match=r"recall\.unsent"):  # the acceptance would pay these packs back once more
        transaction(lambda: refund_call_off.ask(parts[1][0], "账号要换一个", actor=at.market.accountant))
    ship(at, made, 4)
    accept(at, made, 4, 6)
    for number, _fen in parts:
        recall = transaction(lambda number=number: refund_call_off.ask(number, "账号要换一个", actor=at.market.accountant).id)  # type: ignore[misc]
        transaction(lambda recall=recall: refund_call_off.decide(recall, version=1, approved=True, actor=at.market.director))  # type: ignore[misc]
        with pytest.raises(Conflict, match=r"waiver\.buyers"):
            transaction(lambda number=number: refund_reissue.waive(number, "单位说不用退了", actor=at.market.accountant))  # type: ignore[misc]
    assert stands(at, made) == ("PAID", 0, 0)
    for number, _fen in parts:
        payee = transaction(lambda number=number: refund_reissue.propose(number, "靖安县实验小学", "3605000100020003", "农商银行", actor=at.market.accountant).id)  # type: ignore[misc]
        transaction(lambda payee=payee: refund_reissue.decide(payee, approved=True, actor=at.market.director))  # type: ignore[misc]
    assert (order_of(made).refunded_fen, stands(at, made)) == (48_000, ("PAID", 0, 0))
