"""Checkout: a cart becomes a purchase, one order a cooperative, with stock reserved and every promise frozen.

Frozen are prices, the split scheme, the linkage group, the village and the number of households shown; never the members'
shares. All of it happens or none of it.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from marketplace.catalogue import split_scheme
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, locked
from marketplace.foundation.errors import Conflict, NotAllowed
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageShare, shares_in_pool
from marketplace.orders import cart
from marketplace.orders.cart import Cart, CartItem
from marketplace.orders.destination import Destination
from marketplace.orders.freight import freight_fen
from marketplace.orders.order import Order, OrderLine, Purchase
from marketplace.organisations.actor import Actor
from marketplace.supply import stock


@dataclass(frozen=True)
class Wanted:
    """Packs of one kind at the price to be frozen, in fen a pack."""

    pack: Pack
    product: Product
    quantity: int
    price_fen: int


def place(
    cart_id: int,
    destination: Destination,
    *,
    actor: Actor,
    key: str,
    buyer_id: int | None = None,
    shown_fen: int | None = None,
) -> int:
    """Buy what is in the cart; the purchase's id. The same ``key`` again gives the same purchase.

    ``buyer_id`` is the buying organisation if not the actor's own (a station orders for a villager); ``shown_fen`` the total
    that the buyer saw. Raises InvalidInput for a bad destination, StockShortage, Conflict ``cart.empty``, ``pack.off_sale``,
    ``price.changed``, ``scheme.missing``, ``purchase.unpaid``, ``stock.kept``, NotAllowed ``cart.foreign``.
    """
    buyer = buyer_id or actor.organisation_id
    request = {"cart": cart_id, "to": destination.as_request(), "buyer": buyer}
    answer = once(
        f"checkout:{actor.organisation_id}", key, request, lambda: {"purchase_id": _place(cart_id, destination, actor, buyer, shown_fen)}
    )
    return int(answer["purchase_id"])


def _place(cart_id: int, destination: Destination, actor: Actor, buyer_id: int, shown_fen: int | None) -> int:
    own = locked(Cart, cart_id)
    if own.organisation_id not in (None, actor.organisation_id):
        raise NotAllowed("cart.foreign", N_("这个购物车不是您的。"))
    destination.check()
    items = cart.lines(cart_id)
    if not items:
        raise Conflict("cart.empty", N_("购物车是空的。"))
    for item in items:
        cart.must_be_on_sale(item.product, item.pack)
    _must_leave_others(buyer_id, items)
    now = clock.now()
    purchase = write_purchase(destination, actor=actor, buyer_id=buyer_id, expires_at=now + timedelta(minutes=settings().payment_minutes))
    stock.reserve({item.pack.id: item.quantity for item in items}, source_type="purchase", source_id=purchase.id)
    wanted: dict[int, list[Wanted]] = {}
    for item in items:
        wanted.setdefault(item.cooperative.id, []).append(Wanted(item.pack, item.product, item.quantity, item.pack.price_fen))
    orders = [
        write_order(purchase, cooperative_id, parts, kind="PUBLIC", freight=freight_fen(sum(w.quantity * w.price_fen for w in parts)))
        for cooperative_id, parts in sorted(wanted.items())
    ]
    total_fen = sum(order.total_fen for order in orders)
    if shown_fen is not None and shown_fen != total_fen:
        raise Conflict("price.changed", N_("价格刚刚有变动，请核对新的金额后再提交。"), now_fen=total_fen, shown_fen=shown_fen)
    cart.empty(cart_id, [item.pack.id for item in items])
    audit.record("purchase.placed", purchase, person_id=actor.person_id, organisation_id=actor.organisation_id, total_fen=total_fen)
    db.session.flush()
    return purchase.id


def _must_leave_others(buyer_id: int, items: Sequence[CartItem]) -> None:
    """What waits for a payment is nobody else's to buy: one buyer keeps little of it waiting. Raises Conflict ``purchase.unpaid``, ``stock.kept``."""
    most, free_packs = settings().unpaid_purchases, settings().unpaid_packs
    query = (
        select(Order.purchase_id, OrderLine.pack_id, OrderLine.quantity)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(Order.buyer_id == buyer_id, Order.kind == "PUBLIC", Order.fulfilment == "WAITING", Order.payment == "UNPAID")
    )
    waiting = db.session.execute(query).all()
    if most and len({row[0] for row in waiting}) >= most:
        raise Conflict("purchase.unpaid", N_("您有 %(n)s 笔订单还没付款。先付款或取消，再下新的。"), n=most)
    for item in items if free_packs else ():
        kept = sum(quantity for _purchase, pack_id, quantity in waiting if pack_id == item.pack.id)
        may = max(free_packs, (item.free + kept) // 2)
        if kept + item.quantity > may and item.quantity <= item.free:  # what is not there is said as such
            message = N_("“%(name)s”存货不多，没付款的最多留 %(most)s 件。付了这些再买，大宗采购请联系合作社。")
            raise Conflict("stock.kept", message, name=item.product.name_zh, most=may, pack_id=item.pack.id)


def write_purchase(destination: Destination, *, actor: Actor, buyer_id: int, expires_at: datetime | None) -> Purchase:
    """The row of a purchase. ``expires_at`` is None for a unit's, which wait for approval and not for a payment."""
    purchase = Purchase(
        organisation_id=buyer_id,
        placed_by_id=actor.person_id,
        station_id=actor.organisation_id if actor.kind == "STATION" and buyer_id != actor.organisation_id else None,
        placed_at=clock.now(),
        expires_at=expires_at,
        region_id=destination.region_id,
        place=destination.place(),
        note=destination.note.strip(),
    )
    purchase.street = destination.street.strip()
    purchase.recipient = destination.recipient.strip()
    purchase.phone = destination.phone.strip()
    db.session.add(purchase)
    db.session.flush()
    return purchase


def write_order(purchase: Purchase, cooperative_id: int, wanted: Sequence[Wanted], *, kind: str, freight: int = 0) -> Order:
    """One cooperative's order with its lines, everything frozen as of now; the stock is reserved by the caller, once for all.

    ``freight`` in fen. Raises Conflict ``scheme.missing``.
    """
    goods_fen = sum(each.quantity * each.price_fen for each in wanted)
    order = Order(
        organisation_id=cooperative_id,
        purchase_id=purchase.id,
        buyer_id=purchase.organisation_id,
        placed_by_id=purchase.placed_by_id,
        kind=kind,
        goods_fen=goods_fen,
        freight_fen=freight,
        total_fen=goods_fen + freight,
        placed_at=purchase.placed_at,
        placed_on=clock.business_date(purchase.placed_at),
        receipt_token=secrets.token_urlsafe(24),
        version=1,
    )
    db.session.add(order)
    db.session.flush()
    households = households_in(each.product.linkage_group_id for each in wanted)
    db.session.add_all(_line(order, each, households.get(each.product.linkage_group_id, 0)) for each in wanted)
    db.session.flush()
    return order


def _line(order: Order, wanted: Wanted, households: int) -> OrderLine:
    product, pack = wanted.product, wanted.pack
    return OrderLine(
        organisation_id=order.organisation_id,
        order_id=order.id,
        product_id=product.id,
        pack_id=pack.id,
        linkage_group_id=product.linkage_group_id,
        scheme_id=split_scheme.in_force(order.organisation_id, product.category).id,
        village_id=product.origin_id,
        households_shown=households,
        name_zh=f"{product.name_zh} {pack.name_zh}",
        name_en=f"{product.name_en or product.name_zh} {pack.name_en or pack.name_zh}",
        quantity=wanted.quantity,
        price_fen=wanted.price_fen,
        list_price_fen=pack.price_fen,
        discount_fen=0,
        goods_fen=wanted.quantity * wanted.price_fen,
        net_grams=pack.net_grams,
    )


def households_in(group_ids: Iterable[int]) -> dict[int, int]:
    """How many distinct households share in the pool today (Beijing), by linkage group."""
    query = (
        select(LinkageShare.group_id, func.count(LinkageShare.household_id.distinct()))
        .where(LinkageShare.group_id.in_(set(group_ids)), shares_in_pool(LinkageShare, clock.business_date()))
        .group_by(LinkageShare.group_id)
    )
    return {row[0]: row[1] for row in db.session.execute(query)}
