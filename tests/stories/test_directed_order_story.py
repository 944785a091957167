"""A school buys forty five-litre cans of camellia oil: ordered, approved, shipped in two parts with one short, accepted on
credit, paid by a transfer that names the reference, and counted. Every fen of it, as the account book shows it."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.ledger import balance
from marketplace.orders import shipment
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of
from marketplace.organisations.approval import OwnWork
from marketplace.payments import bank_match, bank_statement
from marketplace.payments.bank_statement import BankReceipt
from marketplace.procurement import acceptance, directed_order, scorecard, target
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.reporting import books_trade
from marketplace.settlement import settlement
from marketplace.supply.stock import Stock
from tests import builders

CAN = 52_000  # the public price of a can of oil, ¥520.00
TIER = 49_800  # from thirty cans on
BOUGHT, CAME = 40, 39
MONDAY = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
DESTINATION = Destination(recipient="刘老师", phone="13807950001", street="教育路 1 号", province="江西省", city="宜春市")


@pytest.mark.both
def test_a_school_buys_oil_on_credit(app: Flask) -> None:
    with clock.travel(MONDAY):
        market = builders.market(name="靖安油茶合作社", category="camellia_oil", price_fen=CAN, on_hand=100)
        builders.tier(market.pack, 30, TIER)
        bureau = builders.unit("靖安县教育体育局")
        school = builders.unit("靖安县第一中学", parent_id=bureau)
        buyer, approver = builders.person(school, "buyer", "approver"), builders.person(school, "approver")
        county_office = builders.person(builders.operator(), "treasurer")

        # The year's duty: 30 % of ¥100,000 of the canteen's food.
        with transaction():
            filed = target.file(year=2026, canteen="OWN", base_fen=10_000_000, actor=buyer)
            target.lock(filed.id, actor=county_office)
        assert scorecard.figures(school, 2026).reserved_fen == 3_000_000

        with transaction():
            ordered = directed_order.submit(
                {market.pack: BOUGHT},
                cooperative_id=market.cooperative, destination=DESTINATION, terms="POSTPAY", actor=buyer, key="k1",
            )  # fmt: skip
        order_id = db.session.get_one(DirectedOrder, ordered).order_id
        order = db.session.get_one(Order, order_id)
        assert (order.kind, order.goods_fen, order.freight_fen, order.total_fen) == ("DIRECTED", 1_992_000, 0, 1_992_000)
        (line,) = lines_of(order_id)
        assert (line.price_fen, line.list_price_fen) == (TIER, CAN)
        assert db.session.get_one(Stock, market.pack).reserved == BOUGHT

        with pytest.raises(OwnWork), transaction():
            directed_order.approve(ordered, actor=buyer)
        with transaction():
            directed_order.approve(ordered, actor=approver)
        with transaction():
            row = directed_order.confirm(ordered, actor=market.director)
            assert (row.ship_by, row.pay_by) == (clock.business_date(MONDAY) + timedelta(days=7), None)

        with transaction():
            shipment.ship(order_id, [(line.id, market.batch, 25)], "靖安快运", "JA-1", actor=market.clerk)
        with transaction():
            shipment.ship(order_id, [(line.id, market.batch, 14)], "靖安快运", "JA-2", actor=market.clerk)
        assert db.session.get_one(Order, order_id).fulfilment == "PARTLY_SHIPPED"

    wednesday = MONDAY + timedelta(days=2)
    with clock.travel(wednesday):
        with transaction():
            signed = acceptance.accept(order_id, [Arrived(line.id, CAME, 1, "少一桶")], actor=buyer)
            assert (signed.accepted_fen, signed.short_fen) == (1_942_200, 49_800)
        order = db.session.get_one(Order, order_id)
        assert (order.fulfilment, order.received_at, order.return_until) == (
            "RECEIVED", wednesday, wednesday + timedelta(days=7),
        )  # fmt: skip
        assert db.session.get_one(DirectedOrder, ordered).pay_by == clock.business_date(wednesday) + timedelta(days=30)
        # The short can stays in the house and may be sold to somebody else.
        shelf = db.session.get_one(Stock, market.pack)
        assert (shelf.on_hand, shelf.reserved) == (61, 0)
        assert book(market.cooperative) == {"receivable": 1_942_200, "accepted_unpaid": 1_942_200}
        figures = scorecard.figures(school, 2026)
        assert (figures.ordered_fen, figures.accepted_fen, figures.paid_fen, figures.counted_fen) == (1_992_000, 1_942_200, 0, 0)

    with clock.travel(MONDAY + timedelta(days=10)):
        reference = db.session.get_one(DirectedOrder, ordered).reference
        statement = (
            "账户明细查询\n"
            "交易日期,收入金额,支出金额,对方户名,对方账号,摘要,附言,流水号\n"
            f"2026-03-11,\"19,422.00\",,靖安县国库集中支付中心,36050001,货款,油款 {reference.lower()},L1\n"
            "2026-03-11,500.00,,靖安县第一中学,36050002,活动费,,L2\n"
        ).encode("gb18030")
        with transaction():
            imported = bank_statement.import_csv(statement, actor=market.accountant)
        assert (imported.new, imported.new_fen, imported.bad) == (2, 1_992_200, [])
        assert book(market.cooperative) == {
            "bank": 1_992_200, "unapplied": 1_992_200, "receivable": 1_942_200, "accepted_unpaid": 1_942_200,
        }  # fmt: skip

        receipt = db.session.query(BankReceipt).filter_by(serial="L1").one()
        first = bank_match.propose(receipt.id, actor=market.accountant)[0]
        assert (first.payable.id, first.fen, first.reasons) == (order_id, 1_942_200, ("REFERENCE", "AMOUNT"))
        with transaction():
            bank_match.match(receipt.id, first.payable.kind, first.payable.id, first.fen, actor=market.accountant, key="m1")
        order = db.session.get_one(Order, order_id)
        assert (order.paid_fen, order.payment, db.session.get_one(BankReceipt, receipt.id).state) == (1_942_200, "PAID", "matched")
        assert book(market.cooperative) == {"bank": 1_992_200, "unapplied": 50_000, "buyer_funds": 1_942_200}

        figures = scorecard.figures(school, 2026)
        assert (figures.paid_fen, figures.counted_fen, figures.completion_rate_bp) == (1_942_200, 1_942_200, 6474)
        (seen,) = scorecard.subordinates(bureau, 2026)
        assert (seen.name_zh, seen.counted_fen, seen.missing_fen) == ("靖安县第一中学", 1_942_200, 1_057_800)

    # The return window is over: the money divides 70 : 20 : 6 : 4.
    with clock.travel(wednesday + timedelta(days=8)):
        assert settlement.settle_due() == [order_id]
        with transaction():
            settled = settlement.settle(order_id)
            assert (settled.base_fen, settled.cooperative_fen, settled.pool_fen) == (1_942_200, 1_359_540, 388_440)
            assert (settled.village_fen, settled.fund_fen) == (116_532, 77_688)
        assert "buyer_funds" not in book(market.cooperative)
        assert [breach for rule in books_trade.RULES for breach in rule()] == []


def book(cooperative: int) -> dict[str, int]:
    """What stands in the cooperative's accounts, positive the way each is read, leaving out the empty ones."""
    return {kind: fen for kind, fen in balance.by_kind(cooperative).items() if fen}
