"""The public's trade of a day: buying, paying or not, shipping, confirming, calling off."""

import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.orders import cancellation, cart, checkout, expiry, order_payment, received, shipment
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of, orders_of
from marketplace.settlement import settlement, settlement_run
from marketplace.simulation.gateway import Gateway
from marketplace.simulation.people import People
from marketplace.supply.batch import Batch

CITIES = (("江西省", "南昌市"), ("江西省", "宜春市"), ("上海市", "上海市"), ("广东省", "深圳市"), ("浙江省", "杭州市"))
CARRIERS = ("中国邮政", "顺丰速运", "中通快递")


def fall_due(done: Counter[str]) -> None:
    """What the schedule would do: expire, count as received, settle."""
    for order_id in expiry.due(500):
        done["expired"] += transaction(lambda order_id=order_id: expiry.expire(order_id))  # type: ignore[misc]
    done["received"] += transaction(lambda: received.confirm_due(500))
    done["settled"] += settlement_run.settle(settlement.settle_due(500), transaction).settled


def buy(chance: random.Random, people: People, gateway: Gateway, day: str, number: int, done: Counter[str]) -> None:
    """One buyer fills a cart, often of two cooperatives, and mostly pays."""
    buyer = chance.choice(people.customers)
    packs = _on_shelf()
    wanted = chance.sample(packs, k=min(len(packs), chance.choice((1, 1, 2, 3))))
    province, city = chance.choice(CITIES)
    destination = Destination(
        recipient=buyer.person_name, phone="13800138000", street=f"人民路 {chance.randrange(1, 400)} 号", province=province, city=city
    )
    key = f"simulated-{day}-{number}"

    def place() -> list[int]:
        own = cart.opened(None, buyer.organisation_id)
        for pack_id in wanted:
            cart.change(own.id, pack_id, chance.choice((1, 1, 1, 2, 3)))
        return [order.id for order in orders_of(checkout.place(own.id, destination, actor=buyer, key=key))]

    state = chance.getstate()
    try:
        with transaction():
            chance.setstate(state)
            order_ids = place()
    except Conflict:
        done["sold out"] += 1
        return
    done["orders"] += len(order_ids)
    if chance.random() < 0.04:
        done["unpaid"] += 1
        return
    attempts = transaction(lambda: [each.id for each in order_payment.open_for_orders(order_ids, key=f"{key}-pay")])
    from marketplace.payments.payment import Payment

    gateway.pay([db.session.get_one(Payment, each) for each in attempts])
    done["payments"] += len(attempts)
    if chance.random() < 0.03:
        transaction(lambda: cancellation.cancel(order_ids[0], actor=buyer, reason="不需要了"))
        done["called off"] += 1


def ship(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Clerks send in the evening what was paid by noon (a unit's order: ordered the day before), oldest batch first."""
    noon = clock.now() - timedelta(hours=5)
    ready = (Order.kind == "PUBLIC") & (Order.paid_at < noon) | (Order.kind == "DIRECTED") & (Order.placed_at < noon - timedelta(hours=12))
    query = select(Order.id, Order.organisation_id).where(Order.fulfilment.in_(("READY", "PARTLY_SHIPPED")), ready).order_by(Order.id)
    for order_id, cooperative_id in db.session.execute(query).all():
        clerk = people.staff[cooperative_id]["clerk"]
        parts = parts_of(order_id)
        if not parts:
            done["no batch"] += 1
            continue
        number = f"JA{chance.randrange(10**9):09d}"
        transaction(lambda o=order_id, p=parts, c=clerk, n=number: shipment.ship(o, p, chance.choice(CARRIERS), n, actor=c))  # type: ignore[misc]
        done["shipped"] += 1


def confirm(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Some buyers say that it came; the others let the days pass."""
    before = clock.now() - timedelta(days=3)
    buyers = {each.organisation_id: each for each in people.customers}
    query = select(Order.id, Order.buyer_id).where(Order.kind == "PUBLIC", Order.fulfilment == "SHIPPED", Order.shipped_at < before)
    for order_id, buyer_id in db.session.execute(query.order_by(Order.id)).all():
        if chance.random() < 0.35 and buyer_id in buyers:
            transaction(lambda o=order_id, b=buyers[buyer_id]: received.confirm(o, actor=b))  # type: ignore[misc]
            done["confirmed"] += 1


def parts_of(order_id: int) -> list[tuple[int, int, int]]:
    """What remains of an order, as (line, batch, packs) from batches that hold enough; empty if one line has none."""
    parts: list[tuple[int, int, int]] = []
    taken: Counter[int] = Counter()
    for line in lines_of(order_id):
        packs = line.to_ship
        if not packs:
            continue
        query = select(Batch.id, Batch.grams_packed - Batch.grams_sold).where(
            Batch.linkage_group_id == line.linkage_group_id, Batch.harvested_on <= clock.business_date()
        )
        for batch_id, left in db.session.execute(query.order_by(Batch.harvested_on, Batch.id)).all():
            if left - taken[batch_id] >= packs * line.net_grams:
                parts.append((line.id, batch_id, packs))
                taken[batch_id] += packs * line.net_grams
                break
        else:
            return []
    return parts


def _on_shelf() -> list[int]:
    query = select(Pack.id).join(Product, Product.id == Pack.product_id).where(Product.state == "ON_SALE", Pack.withdrawn_at.is_(None))
    return list(db.session.scalars(query.order_by(Pack.id)))
