"""The units' trade: bulk orders at a tier, approved by a second person, accepted, paid by transfer, matched from a statement."""

import random
from collections import Counter, defaultdict
from datetime import timedelta

from sqlalchemy import select

from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, lines_of
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bank_match, bank_statement
from marketplace.payments.bank_statement import BankReceipt
from marketplace.procurement import acceptance, directed_order
from marketplace.procurement.acceptance import Arrived
from marketplace.simulation.people import People
from marketplace.supply.stock import Stock


def order(chance: random.Random, people: People, day: str, number: int, done: Counter[str]) -> None:
    """A unit's buyer orders at the lowest tier; the approver and the cooperative's director agree the same day."""
    unit = chance.choice(people.units)
    staff = people.staff[unit]
    query = (
        select(Pack.id, Product.organisation_id, PriceTier.min_quantity)
        .join(Product, Product.id == Pack.product_id)
        .join(PriceTier, PriceTier.pack_id == Pack.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.state == "ON_SALE", Stock.on_hand - Stock.reserved >= PriceTier.min_quantity * 2)
        .order_by(Pack.id, PriceTier.min_quantity)
    )
    offers = db.session.execute(query).all()
    if not offers:
        done["nothing for units"] += 1
        return
    pack_id, cooperative_id, quantity = chance.choice(offers)
    destination = Destination(recipient=staff["buyer"].person_name, phone="13807950001", street="单位食堂", province="江西省", city="宜春市")
    try:
        ordered = transaction(
            lambda: directed_order.submit(
                {pack_id: quantity},
                cooperative_id=cooperative_id,
                destination=destination,
                terms="POSTPAY",
                actor=staff["buyer"],
                key=f"simulated-unit-{day}-{number}",
            )
        )
        transaction(lambda: directed_order.approve(ordered, actor=staff["approver"]))
        transaction(lambda: directed_order.confirm(ordered, actor=people.staff[cooperative_id]["director"]))
    except Conflict:
        done["unit order refused"] += 1
        return
    done["directed orders"] += 1


def accept(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Three days after shipping the unit signs, now and then for one less."""
    before = clock.now() - timedelta(days=3)
    query = select(Order.id, Order.buyer_id).where(Order.kind == "DIRECTED", Order.fulfilment == "SHIPPED", Order.shipped_at < before)
    for order_id, unit in db.session.execute(query.order_by(Order.id)).all():
        arrived = []
        for line in lines_of(order_id):
            short = 1 if chance.random() < 0.1 else 0
            arrived.append(Arrived(line.id, line.quantity - short, short, "破损一件" if short else ""))
        transaction(lambda o=order_id, a=arrived, u=unit: acceptance.accept(o, a, actor=people.staff[u]["buyer"]))  # type: ignore[misc]
        done["accepted"] += 1


def pay(chance: random.Random, people: People, done: Counter[str]) -> None:
    """Some units pay what they accepted; each cooperative imports its bank's statement of the day and confirms the first proposal."""
    before = clock.now() - timedelta(days=4)
    query = (
        select(Order.id, Order.organisation_id, Order.buyer_id)
        .where(Order.kind == "DIRECTED", Order.fulfilment == "RECEIVED", Order.payment == "UNPAID", Order.received_at < before)
        .order_by(Order.id)
    )
    rows: dict[int, list[str]] = defaultdict(list)
    for order_id, cooperative_id, unit in db.session.execute(query).all():
        if chance.random() < 0.6:
            directed = directed_order.of_order(order_id)
            assert directed is not None
            fen = acceptance.due_fen(db.session.get_one(Order, order_id))
            name = db.session.get_one(Organisation, unit).name_zh
            serial = f"{clock.business_date():%Y%m%d}{order_id:06d}"
            rows[cooperative_id].append(
                f"{clock.business_date():%Y-%m-%d},{fen // 100}.{fen % 100:02d},,{name},3605{unit:08d},货款 {directed.reference},,{serial}"
            )
    for cooperative_id, lines in rows.items():
        _import(people, cooperative_id, lines, done)


def _import(people: People, cooperative_id: int, lines: list[str], done: Counter[str]) -> None:
    accountant = people.staff[cooperative_id]["accountant"]
    heading = "交易日期,收入金额,支出金额,对方户名,对方账号,摘要,附言,流水号"
    statement = "\n".join([heading, *lines]).encode("gb18030")
    transaction(lambda: bank_statement.import_csv(statement, actor=accountant))
    query = select(BankReceipt.id).where(BankReceipt.organisation_id == cooperative_id, BankReceipt.state == "imported")
    for receipt_id in db.session.scalars(query.order_by(BankReceipt.id)).all():
        proposals = bank_match.propose(receipt_id, actor=accountant)
        if proposals:
            best = proposals[0]
            transaction(
                lambda r=receipt_id, b=best: bank_match.match(r, b.payable.kind, b.payable.id, b.fen, actor=accountant, key=f"simulated-{r}")  # type: ignore[misc]
            )
            done["transfers matched"] += 1


