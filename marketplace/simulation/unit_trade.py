"""The units' trade: bulk orders at a tier, approved by a second person, accepted, paid by transfer."""

import random
from collections import Counter
from datetime import date, timedelta

from sqlalchemy import func, select

from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import acceptance, commitment, directed_order
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.target import Target
from marketplace.simulation.bank import Bank, Transfer
from marketplace.simulation.people import People
from marketplace.supply.stock import Stock


def order(chance: random.Random, people: People, day: str, number: int, done: Counter[str]) -> None:
    """A unit that is behind its year's target buys a part of the gap from one cooperative; approver and director agree the same day."""
    gaps = _gaps(people.units)
    unit = chance.choices(people.units, [max(gaps.get(each, 0), 20_000_00) for each in people.units])[0]
    staff = people.staff[unit]
    cooperative_id = chance.choice(people.cooperatives)
    packs = _basket(chance, cooperative_id, round(max(gaps.get(unit, 0), 20_000_00) * chance.uniform(0.1, 0.4)))
    if not packs:
        done["nothing for units"] += 1
        return
    destination = Destination(recipient=staff["buyer"].person_name, phone="13807950001", street="单位食堂", province="江西省", city="宜春市")
    pledge = chance.random() < 0.3

    def submit() -> int:
        commitment_id = None
        if pledge:
            fen = sum(db.session.get_one(Pack, pack_id).price_fen * quantity for pack_id, quantity in packs.items())
            year = clock.business_date().year
            commitment_id = commitment.make(fen=fen, year=year, cooperative_id=cooperative_id, actor=staff["buyer"]).id
        return directed_order.submit(
            packs,
            cooperative_id=cooperative_id,
            destination=destination,
            terms="POSTPAY",
            commitment_id=commitment_id,
            actor=staff["buyer"],
            key=f"simulated-unit-{day}-{number}",
        )

    try:
        ordered = transaction(submit)
        transaction(lambda: directed_order.approve(ordered, actor=staff["approver"]))
        transaction(lambda: directed_order.confirm(ordered, actor=people.staff[cooperative_id]["director"]))
    except Conflict:
        done["unit order refused"] += 1
        return
    done["commitments"] += pledge
    done["directed orders"] += 1


def _gaps(units: list[int]) -> dict[int, int]:
    """Fen that each unit has reserved for this year and not ordered yet; units without a quota are left out."""
    year = clock.business_date().year
    reserved = select(Target.organisation_id, Target.reserved_fen).where(Target.year == year, Target.organisation_id.in_(units))
    ordered = (
        select(Order.buyer_id, func.sum(Order.goods_fen))
        .where(Order.kind == "DIRECTED", Order.cancelled_at.is_(None), Order.placed_at >= clock.beijing_midnight(date(year, 1, 1)))
        .group_by(Order.buyer_id)
    )
    bought: dict[int, int] = {unit: int(fen) for unit, fen in db.session.execute(ordered)}
    return {unit: max(0, fen - bought.get(unit, 0)) for unit, fen in db.session.execute(reserved)}


def _basket(chance: random.Random, cooperative_id: int, budget_fen: int) -> dict[int, int]:
    """Packs at their tiers' quantities, for about the budget in fen and never more than half of what is in stock."""
    query = (
        select(Pack.id, PriceTier.min_quantity, PriceTier.price_fen, Stock.on_hand - Stock.reserved)
        .join(Product, Product.id == Pack.product_id)
        .join(PriceTier, PriceTier.pack_id == Pack.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.state == "ON_SALE", Product.organisation_id == cooperative_id, Pack.withdrawn_at.is_(None))
        .where(Stock.on_hand - Stock.reserved >= PriceTier.min_quantity * 2)
        .order_by(Pack.id, PriceTier.min_quantity)
    )
    offers = [tuple(row) for row in db.session.execute(query)]
    chance.shuffle(offers)
    packs: dict[int, int] = {}
    for pack_id, quantity, price_fen, stock in offers:
        times = min(stock // 2 // quantity, budget_fen // (price_fen * quantity), 6)
        if pack_id not in packs and (times > 0 or not packs):
            packs[pack_id] = quantity * max(1, times)
            budget_fen -= packs[pack_id] * price_fen
        if budget_fen <= 0 or len(packs) == 4:
            break
    return packs


def accept(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Three days after shipping the unit signs, now and then for one less."""
    before = clock.now() - timedelta(days=3)
    query = select(Order.id, Order.buyer_id).where(Order.kind == "DIRECTED", Order.fulfilment == "SHIPPED", Order.shipped_at < before)
    for order_id, unit in db.session.execute(query.order_by(Order.id)).all():
        arrived = []
        for line in lines_of(order_id):
            short = 1 if chance.random() < 0.1 and line.shipped else 0
            arrived.append(Arrived(line.id, line.shipped - short, line.taken_off + short, "破损一件" if short else ""))
        transaction(lambda o=order_id, a=arrived, u=unit: acceptance.accept(o, a, actor=people.staff[u]["buyer"]))  # type: ignore[misc]
        done["accepted"] += 1


def pay(chance: random.Random, people: People, bank: Bank, done: Counter[str]) -> None:
    """Some units transfer what they accepted; the bank shows it on the evening's statement."""
    before = clock.now() - timedelta(days=4)
    query = (
        select(Order.id, Order.organisation_id, Order.buyer_id)
        .where(Order.kind == "DIRECTED", Order.fulfilment == "RECEIVED", Order.payment == "UNPAID", Order.received_at < before)
        .order_by(Order.id)
    )
    for order_id, cooperative_id, unit in db.session.execute(query).all():
        if chance.random() < 0.6:
            directed = directed_order.of_order(order_id)
            assert directed is not None
            name = db.session.get_one(Organisation, unit).name_zh
            fen = db.session.get_one(Order, order_id).due_fen
            bank.transfers[cooperative_id].append(Transfer(fen, name, f"3605{unit:08d}", f"货款 {directed.reference}"))
            done["transfers"] += 1
