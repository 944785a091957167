"""Builders: a market with obvious defaults. Each builder returns rows or ids and commits, or joins the transaction that is open.

``market()`` gives a whole small one: a cooperative with a tin of white tea at ¥88.00, ten of them in stock, three households.
"""
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import select

from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.organisations.region import Region
from marketplace.supply import stock
from marketplace.supply.batch import Batch, Delivery
from tests.builders_people import (
    LONG_AGO,
    committed,
    county,
    customer,
    kept,
    operator,
    organisation,
    person,
    serial,
    station,
    unit,
    village,
)

__all__ = ["LONG_AGO", "customer", "station", "unit", "village"]  # people are asked of this module too


@committed
def scheme(
    cooperative_id: int,
    category: str = "white_tea",
    bp: tuple[int, int, int, int] = (7000, 2000, 600, 400),
    *,
    version_no: int = 1,
) -> int:
    """A split scheme in force: cooperative, household pool, village collective, relief fund in basis points."""
    row = SplitScheme(
        organisation_id=cooperative_id,
        category=category,
        version_no=version_no,
        effective_from=LONG_AGO,
        cooperative_bp=bp[0],
        household_pool_bp=bp[1],
        village_collective_bp=bp[2],
        relief_fund_bp=bp[3],
    )
    return kept(row).id


@committed
def cooperative(name: str = "中源白茶合作社", *, categories: tuple[str, ...] = ("white_tea",)) -> int:
    """A selling cooperative with a scheme in force for each category; its organisation id."""
    county()
    own = organisation("COOPERATIVE", name)
    row = Cooperative(
        organisation_id=own,
        food_licence="SC11436092500011",
        licence_expires_on=date(2099, 1, 1),
        licence_scope=";".join(CATEGORIES),
        bank_name="靖安农商银行",
        alipay_app_id=f"2021EMU{own:09d}",
        alipay_seller_id=f"2088{own:012d}",
    )
    row.bank_account = f"6217{own:012d}"
    kept(row)
    for category in categories:
        scheme(own, category)
    return own


@committed
def linkage_group(cooperative_id: int, *, category: str = "white_tea", patronage_bp: int = 6000) -> int:
    """A linkage group of the cooperative in the village; its id."""
    number = next(serial)
    row = LinkageGroup(
        organisation_id=cooperative_id,
        code=f"G-{number}",
        category=category,
        region_id=county(),
        name_zh=f"联农组 {number}",
        patronage_bp=patronage_bp,
        starts_on=LONG_AGO,
        version=1,
    )
    return kept(row).id


@committed
def household(
    *,
    village_id: int | None = None,
    people: int = 3,
    registry_status: str = "LIFTED",
    unable_to_work: int = 0,
) -> int:
    """A registered household; its id."""
    number = next(serial)
    row = Household(
        organisation_id=operator(),
        code=f"JA-TEST-{number:04d}",
        village_id=village_id or county(),
        registry_status=registry_status,
        people=people,
        bank_name="靖安农商银行",
        entered_on=LONG_AGO,
        statement_token=f"statement-{number}",
        version=1,
    )
    row.name = f"测{number}"
    row.id_number = f"36092519700101{number:04d}"
    row.bank_account = f"6228{number:012d}"
    row.set_hardship(ill_or_disabled=unable_to_work > 0, unable_to_work=unable_to_work)
    return kept(row).id


@committed
def share(
    group_id: int,
    household_id: int,
    shares: int = 1,
    *,
    kind: str = "EQUITY",
    starts_on: date = LONG_AGO,
    ends_on: date | None = None,
) -> int:
    """A household's part in a group; its id."""
    row = LinkageShare(
        organisation_id=operator(),
        group_id=group_id,
        household_id=household_id,
        kind=kind,
        shares=shares,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    return kept(row).id


@committed
def members(group_id: int, shares: tuple[int, ...] = (1, 2, 3)) -> list[int]:
    """New households with these equity shares in the group; their ids."""
    ids = [household() for _ in shares]
    for household_id, count in zip(ids, shares, strict=True):
        share(group_id, household_id, count)
    return ids


@committed
def product(
    cooperative_id: int,
    group_id: int,
    *,
    category: str = "white_tea",
    name: str = "明前白茶",
    price_fen: int = 8800,
    net_grams: int = 50,
    on_hand: int = 10,
) -> int:
    """A product on sale with one pack in stock; the product's id. ``pack_of`` gives the pack's."""
    number = next(serial)
    origin = db.session.get_one(Region, county())
    row = kept(
        Product(
            organisation_id=cooperative_id,
            code=f"P-{number}",
            slug=f"product-{number}",
            category=category,
            linkage_group_id=group_id,
            origin_id=origin.id,
            township_id=origin.parent_id,
            name_zh=name,
            name_en="White tea",
            shelf_life_months=18,
            state="ON_SALE",
            listed_at=clock.now(),
            from_price_fen=price_fen,
            version=1,
        )
    )
    pack(row.id, price_fen=price_fen, net_grams=net_grams, on_hand=on_hand)
    return row.id


@committed
def pack(
    product_id: int, *, price_fen: int = 8800, net_grams: int = 50, on_hand: int = 10, name: str = "50 克罐"
) -> int:
    """One more pack of a product, in stock; its id."""
    owner = db.session.get_one(Product, product_id).organisation_id
    row = kept(
        Pack(
            organisation_id=owner,
            product_id=product_id,
            sku=f"SKU-{next(serial)}",
            name_zh=name,
            name_en="tin",
            net_grams=net_grams,
            price_fen=price_fen,
            version=1,
        )
    )
    stock.open_stock(row.id, owner, on_hand)
    return row.id


@committed
def tier(pack_id: int, min_quantity: int = 10, price_fen: int = 8000) -> int:
    """A unit's price from a quantity on; its id."""
    owner = db.session.get_one(Pack, pack_id).organisation_id
    return kept(
        PriceTier(organisation_id=owner, pack_id=pack_id, min_quantity=min_quantity, price_fen=price_fen)
    ).id


def pack_of(product_id: int) -> int:
    """The id of a product's first pack."""
    return (
        db.session.scalars(select(Pack.id).where(Pack.product_id == product_id).order_by(Pack.id)).first()
        or 0
    )


@committed
def batch(
    cooperative_id: int,
    group_id: int,
    *,
    category: str = "white_tea",
    grams: int = 100_000,
    deliveries: dict[int, int] | None = None,
) -> int:
    """A batch with packed grams and its households' deliveries (household id → grams); its id."""
    today = clock.business_date()
    row = kept(
        Batch(
            organisation_id=cooperative_id,
            code=f"B-{next(serial)}",
            category=category,
            linkage_group_id=group_id,
            village_id=county(),
            harvested_on=today,
            altitude_m=620,
            area_mu=100,
            grams_harvested=grams,
            grams_packed=grams,
            version=1,
        )
    )
    for household_id, delivered in (deliveries or {}).items():
        kept(
            Delivery(
                organisation_id=cooperative_id,
                batch_id=row.id,
                household_id=household_id,
                grams=delivered,
                delivered_on=today,
                floor_price_fen_per_kg=12_000,
            )
        )
    return row.id


@dataclass(frozen=True)
class Market:
    """One cooperative's small market: ids only."""

    village: int
    cooperative: int
    group: int
    scheme: int
    households: list[int]
    product: int
    pack: int
    batch: int
    clerk: Actor = field(compare=False)
    director: Actor = field(compare=False)
    accountant: Actor = field(compare=False)


@committed
def market(
    *, name: str = "中源白茶合作社", category: str = "white_tea", price_fen: int = 8800, on_hand: int = 10
) -> Market:
    """A cooperative with its people, a group of three households (1, 2 and 3 shares; 1, 2 and 3 kg delivered), a product and a batch."""
    home = county()
    own = cooperative(name, categories=(category,))
    group = linkage_group(own, category=category)
    households = members(group)
    goods = product(own, group, category=category, price_fen=price_fen, on_hand=on_hand)
    delivered = {household_id: 1000 * (i + 1) for i, household_id in enumerate(households)}
    in_force = db.session.scalars(select(SplitScheme.id).where(SplitScheme.organisation_id == own)).one()
    return Market(
        village=home,
        cooperative=own,
        group=group,
        scheme=in_force,
        households=households,
        product=goods,
        pack=pack_of(goods),
        batch=batch(own, group, category=category, deliveries=delivered),
        clerk=person(own, "clerk"),
        director=person(own, "director"),
        accountant=person(own, "accountant"),
    )
