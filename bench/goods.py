"""A county's market grown to any number of products: the seed's goods again and again under other names, with packs and stock.

What is asked for by a rare word is as much in a market of 1,000 as in one of 100,000, so that sizes can be compared.
"""

import random
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

# Each stands in the names of HITS products, whatever the size of the market.
RARE = ("惊蛰", "立夏", "小满", "芒种", "夏至", "小暑", "大暑", "立秋", "处暑", "寒露")
HITS = 40
MANNERS = (
    "清香", "浓香", "原味", "手工", "高山", "老树", "晨采", "家藏", "自饮", "送礼",
    "小罐", "散装", "石磨", "木榨", "竹盒", "陶罐", "新芽", "秋露", "云雾", "溪畔",
)  # fmt: skip
PLENTY = 1_000_000  # packs in stock
BUYERS = 64
PASSWORD = "bench-2026"
CHUNK = 2_000


def phone(buyer: int) -> str:
    """The number with which a buyer signs in."""
    return f"138001{buyer:05d}"


def grow(products: int) -> None:
    """Fill up to ``products`` on sale, and register the buyers. Inside the application's context; commits."""
    from marketplace.catalogue.product import Product
    from marketplace.foundation.database import db, transaction
    from marketplace.organisations.organisation import Cooperative
    from marketplace.organisations.person import register

    def fill() -> None:
        connection = db.session.connection()
        for model, rows in _rows(connection, products):
            connection.execute(insert(model), rows)
        # Production pays nobody through an application of the emulator.
        connection.execute(update(Cooperative).values(alipay_app_id=func.replace(Cooperative.alipay_app_id, "2021EMU", "2021000")))
        _go_on_counting(connection)
        connection.execute(text("ANALYZE"))

    transaction(fill)
    for buyer in range(BUYERS):
        transaction(lambda buyer=buyer: register(phone=phone(buyer), name=f"买家 {buyer}", password=PASSWORD).id)  # type: ignore[misc]
    found = db.session.scalar(select(func.count(Product.id)).where(Product.state == "ON_SALE"))
    if found != products:
        raise RuntimeError(f"{found} products on sale, not {products}")


def _rows(connection: Connection, products: int) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    from marketplace.catalogue.product import Pack, Product
    from marketplace.supply.stock import Stock

    connection.execute(update(Stock).values(on_hand=PLENTY))
    models = [dict(row._mapping) for row in connection.execute(select(Product.__table__).where(Product.state == "ON_SALE").order_by(Product.id))]
    packs: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(select(Pack.__table__).where(Pack.withdrawn_at.is_(None)).order_by(Pack.id)):
        packs.setdefault(row.product_id, []).append(dict(row._mapping))
    chance = random.Random(7)
    next_product, next_pack = (1 + (connection.scalar(select(func.max(model.id))) or 0) for model in (Product, Pack))
    new: dict[Any, list[dict[str, Any]]] = {Product.__table__: [], Pack.__table__: [], Stock.__table__: []}
    wanted = products - len(models)
    apart = max(1, wanted // (HITS * len(RARE)))
    for number in range(wanted):
        model = models[number % len(models)]
        rare = RARE[number // apart % len(RARE)] if number % apart == 0 and number // apart < HITS * len(RARE) else ""
        name = f"{rare}{MANNERS[chance.randrange(len(MANNERS))]}{model['name_zh']} {number}"
        own = [each | {"price_fen": each["price_fen"] + chance.randrange(0, 3_000, 10)} for each in packs[model["id"]]]
        new[Product.__table__].append(
            model
            | {
                "id": next_product,
                "public_id": f"b{number:015d}",
                "code": f"BENCH-{number}",
                "slug": f"bench-{number}",
                "name_zh": name,
                "name_en": f"{model['name_en']} {number}",
                "from_price_fen": min(each["price_fen"] for each in own),
                "sold_count": chance.randrange(5_000),
            }
        )
        for each in own:
            new[Pack.__table__].append(each | {"id": next_pack, "public_id": f"k{next_pack:015d}", "product_id": next_product, "sku": f"BENCH-{next_pack}"})
            new[Stock.__table__].append({"pack_id": next_pack, "organisation_id": each["organisation_id"], "on_hand": PLENTY, "reserved": 0})
            next_pack += 1
        next_product += 1
        if len(new[Product.__table__]) == CHUNK or number == wanted - 1:
            for table, rows in new.items():
                yield table, list(rows)
                rows.clear()


def _go_on_counting(connection: Connection) -> None:
    """PostgreSQL's sequences know nothing of numbers that were given."""
    if connection.dialect.name == "postgresql":
        for table in ("product", "pack"):
            connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))

