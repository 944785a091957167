"""Orders that are paid, shipped and received, built row by row: settlement reads orders only, whoever made them."""

import itertools
from datetime import datetime, timedelta

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order, OrderLine, Purchase
from marketplace.orders.return_request import ReturnRequest
from marketplace.orders.shipment import Shipment, ShipmentLine
from marketplace.organisations.actor import Actor
from tests import builders
from tests.builders import Market, committed

_number = itertools.count(1)


@committed
def order(
    market: Market,
    *goods_fen: int,
    buyer: Actor | None = None,
    freight_fen: int = 0,
    received_at: datetime | None = None,
    batch_id: int | None = None,
    group_id: int | None = None,
    paid: bool = True,
    refunded_fen: int = 0,
) -> int:
    """A public order of one line for each amount, one pack each; paid over Alipay and received twenty days ago unless told
    otherwise, so that it is due. Ships from ``batch_id`` (default: the market's; 0: nothing was shipped). Its id."""
    buyer = buyer or builders.customer()
    received_at = received_at or clock.now() - timedelta(days=20)
    total = sum(goods_fen) + freight_fen
    purchase = Purchase(organisation_id=buyer.organisation_id, placed_by_id=buyer.person_id, placed_at=received_at)
    purchase.street, purchase.recipient, purchase.phone = "双溪大道 1 号", "王小明", "13800000000"
    db.session.add(purchase)
    db.session.flush()
    row = Order(
        organisation_id=market.cooperative,
        purchase_id=purchase.id,
        buyer_id=buyer.organisation_id,
        placed_by_id=buyer.person_id,
        kind="PUBLIC",
        fulfilment="RECEIVED",
        payment="PAID" if paid else "UNPAID",
        goods_fen=sum(goods_fen),
        freight_fen=freight_fen,
        total_fen=total,
        paid_fen=total if paid else 0,
        refunded_fen=refunded_fen,
        placed_at=received_at - timedelta(days=5),
        placed_on=clock.business_date(received_at - timedelta(days=5)),
        paid_at=received_at - timedelta(days=5) if paid else None,
        shipped_at=received_at - timedelta(days=3),
        received_at=received_at,
        return_until=received_at + timedelta(days=7),
        receipt_token=f"receipt-{next(_number)}",
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    lines = [_line(market, row, fen, group_id or market.group) for fen in goods_fen]
    if batch_id != 0:
        _ship(market, row, lines, batch_id or market.batch)
    if paid and total:
        event.alipay_paid(book=market.cooperative, source=Source("payment", row.id), fen=total)
    if refunded_fen:
        event.refund_approved(book=market.cooperative, source=Source("refund", row.id), fen=refunded_fen)
    return row.id


@committed
def open_return(order_id: int, fen: int = 100) -> int:
    """A return request that nobody has answered yet; its id."""
    row = db.session.get_one(Order, order_id)
    request = ReturnRequest(
        organisation_id=row.organisation_id,
        buyer_id=row.buyer_id,
        order_id=row.id,
        fen=fen,
        reason="罐子瘪了",
        raised_at=clock.now(),
        raised_by_id=row.placed_by_id,
    )
    db.session.add(request)
    db.session.flush()
    return request.id


def _line(market: Market, row: Order, fen: int, group_id: int) -> OrderLine:
    line = OrderLine(
        organisation_id=market.cooperative,
        order_id=row.id,
        product_id=market.product,
        pack_id=market.pack,
        linkage_group_id=group_id,
        scheme_id=market.scheme,
        village_id=market.village,
        households_shown=len(market.households),
        name_zh="明前白茶 50 克罐",
        quantity=1,
        price_fen=fen,
        list_price_fen=fen,
        goods_fen=fen,
        net_grams=50,
        shipped=1,
    )
    db.session.add(line)
    db.session.flush()
    return line


def _ship(market: Market, row: Order, lines: list[OrderLine], batch_id: int) -> None:
    shipment = Shipment(
        organisation_id=market.cooperative,
        order_id=row.id,
        carrier="顺丰",
        tracking_number="SF1",
        shipped_at=row.shipped_at,
        shipped_by_id=market.clerk.person_id,
    )
    db.session.add(shipment)
    db.session.flush()
    for line in lines:
        db.session.add(
            ShipmentLine(
                organisation_id=market.cooperative,
                shipment_id=shipment.id,
                order_line_id=line.id,
                batch_id=batch_id,
                quantity=1,
                grams=50,
            )
        )
