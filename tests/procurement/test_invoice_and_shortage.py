"""An invoice that was issued before the goods came, and goods that then were short: its red letter names them, and no freight that never was."""

from datetime import timedelta

import pytest
from flask import Flask

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.orders import invoice, invoice_sheet, red_invoice, return_request
from marketplace.orders.invoice import Invoice
from marketplace.orders.invoice_title import InvoiceTitle
from marketplace.orders.order import lines_of
from marketplace.orders.shipment import ship
from marketplace.procurement import acceptance, directed_order
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import DirectedOrder
from tests import builders
from tests.procurement.unit_market import DESTINATION, UnitMarket, match, receipt, unit_market

pytestmark = pytest.mark.both

SCHOOL = InvoiceTitle("VAT_GENERAL", "靖安县第一中学", "123609254914800336")


@pytest.fixture
def issued(app: Flask) -> tuple[UnitMarket, int, int]:
    """Ten tins at ¥80.00 and two boxes at ¥100.00, paid first and invoiced; the order's id and the invoice's."""
    at = unit_market()
    box = builders.pack(at.market.product, price_fen=10_000, net_grams=100, name="100 克盒")
    with transaction():
        made = directed_order.submit(
            {at.market.pack: 10, box: 2}, cooperative_id=at.market.cooperative, destination=DESTINATION, terms="PREPAY", actor=at.buyer, key="k"
        )
    transaction(lambda: directed_order.approve(made, actor=at.approver))
    transaction(lambda: directed_order.confirm(made, actor=at.market.director))
    order_id = db.session.get_one(DirectedOrder, made).order_id
    match(at, receipt(at, 100_000), made, 100_000)
    asked = transaction(lambda: invoice.request([order_id], SCHOOL, actor=at.buyer, key="i"))
    transaction(
        lambda: invoice.issue(
            asked, number="26367000000012345678", issued_on=clock.business_date(), file=b"%PDF-1.7", version=1, actor=at.market.accountant
        )
    )
    return at, order_id, asked


def arrives(at: UnitMarket, order_id: int, *accepted: int) -> None:
    """Everything that is still to be sent leaves, and so many of each line are accepted."""
    with clock.travel(clock.now() + timedelta(days=1)):
        lines = lines_of(order_id)
        parts = [(line.id, at.market.batch, line.to_ship) for line in lines if line.to_ship]
        transaction(lambda: ship(order_id, parts, "快运", actor=at.market.clerk))
        arrived = [Arrived(line.id, count, line.quantity - count, "破了") for line, count in zip(lines_of(order_id), accepted, strict=True)]
        transaction(lambda: acceptance.accept(order_id, arrived, actor=at.buyer))


def rows(invoice_id: int) -> list[tuple[str, int, int]]:
    """(goods, packs, fen) of the invoice as it was issued."""
    db.session.expire_all()
    return [(each.goods.split()[-2], each.quantity, each.fen) for each in invoice_sheet.rows_of(db.session.get_one(Invoice, invoice_id), {})]


def reds(invoice_id: int) -> list[tuple[str, int]]:
    row = db.session.get_one(Invoice, invoice_id)
    due = red_invoice.red_due_fen(row)
    return [(each.goods.split()[-2] if " " in each.goods else each.goods, each.fen) for each in red_invoice.rows_due(row, due)]


def test_short_goods_are_reversed_as_goods(issued: tuple[UnitMarket, int, int]) -> None:
    at, order_id, asked = issued
    before = rows(asked)
    assert [(packs, fen) for _, packs, fen in before] == [(10, 80_000), (2, 20_000)]
    arrives(at, order_id, 10, 1)
    assert rows(asked) == before, "what was issued stays what it was"
    assert [fen for _, fen in reds(asked)] == [10_000]
    assert reds(asked)[0][0] == before[1][0]


def test_packs_that_were_paid_back_before_they_left_are_reversed_as_goods(issued: tuple[UnitMarket, int, int]) -> None:
    at, order_id, asked = issued
    before = rows(asked)
    tins = lines_of(order_id)[0].id
    with clock.travel(clock.now() + timedelta(hours=1)):
        request = transaction(lambda: return_request.propose(order_id, 0, "这批不够", actor=at.market.clerk, packs={tins: 2}).id)
        transaction(lambda: return_request.approve(request, actor=at.market.director))
    assert rows(asked) == before
    assert reds(asked) == [(before[0][0], 16_000)]
    arrives(at, order_id, 8, 2)
    assert rows(asked) == before
    assert reds(asked) == [(before[0][0], 16_000)]
