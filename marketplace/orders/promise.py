"""A promise: packs that an order still has to ship, which is what is set aside in stock. Reads only."""

from typing import Any

from sqlalchemy import Select, func, select

from marketplace.foundation.database import db
from marketplace.orders.order import Order, OrderLine, packs_to_ship

Promise = tuple[Order, int]


def of_pack(pack_id: int, limit: int = 50) -> list[Promise]:
    """(order, packs) that wait for this pack, the oldest first."""
    return _orders(_waiting(func.sum(packs_to_ship())).where(OrderLine.pack_id == pack_id), limit)


def of_group(linkage_group_id: int, limit: int = 50) -> list[Promise]:
    """(order, grams) that wait for goods of a linkage group, the oldest first: they are shipped from its oldest batch."""
    grams = func.sum(packs_to_ship() * OrderLine.net_grams)
    return _orders(_waiting(grams).where(OrderLine.linkage_group_id == linkage_group_id), limit)


def _waiting(amount: Any) -> Select[Any]:
    query = select(Order, amount).join(OrderLine, OrderLine.order_id == Order.id)
    return query.where(Order.fulfilment.not_in(("RECEIVED", "CANCELLED")), packs_to_ship() > 0)


def _orders(query: Select[Any], limit: int) -> list[Promise]:
    return [(row[0], int(row[1])) for row in db.session.execute(query.group_by(Order.id).order_by(Order.id).limit(limit))]
