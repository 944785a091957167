"""The shelf: what buyers see of the goods on sale. Reads only, in a fixed small number of statements per page.

A product's list position is a key, not a count of rows, so that a page stays the same page while goods come and go.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.orm import aliased

from marketplace.catalogue.product import Pack, Product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation import clock
from marketplace.foundation.database import db, not_found
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.region import Region
from marketplace.supply.batch import Batch
from marketplace.supply.stock import Stock

PAGE = 24
SORTS = ("new", "price", "expensive", "popular")
FEWEST_SHOWN = 5  # a group of fewer households is never counted out in public

Village, Township = aliased(Region), aliased(Region)


@dataclass
class Offer:
    """A pack with what is free of it."""

    pack: Pack
    free: int


@dataclass
class Card:
    """A product as lists show it."""

    product: Product
    origin: Region
    township: Region
    seller: Organisation
    offers: list[Offer] = field(default_factory=list)
    scheme: SplitScheme | None = None  # in force today
    harvested_on: date | None = None

    @property
    def cheapest(self) -> Offer | None:
        return min(self.offers, key=lambda each: each.pack.price_fen, default=None)

    @property
    def in_stock(self) -> bool:
        return any(each.free > 0 for each in self.offers)


@dataclass
class Listing:
    """One page of cards; ``after`` is the key of the next one, None on the last."""

    cards: list[Card]
    after: str | None
    townships: list[Region]


@dataclass
class Detail(Card):
    """A product as its own page shows it."""

    group: LinkageGroup | None = None
    cooperative: Cooperative | None = None
    batches: list[Batch] = field(default_factory=list)
    households: int | None = None  # None: fewer than may be shown


def listing(
    *, category: str = "", township: str = "", sort: str = "new", after: str = "", ids: Sequence[int] | None = None, limit: int = PAGE
) -> Listing:
    """A page of what is on sale, four statements. ``category`` and ``township`` are codes, unknown ones find nothing;
    ``after`` is a product's public id; with ``ids`` (a search's answer, best first) only those, in that order unless sorted."""
    query = _cards().where(Product.state == "ON_SALE")
    if category:
        query = query.where(Product.category == category)
    if township:
        query = query.where(Township.code == township)
    if ids is not None:
        query = query.where(Product.id.in_(ids))
    rank = {number: place for place, number in enumerate(ids or ())}
    key, falling = _key(Product, sort, rank)
    if after:
        other = aliased(Product)
        at = select(_key(other, sort, rank)[0]).where(other.public_id == after).scalar_subquery()
        number = select(other.id).where(other.public_id == after).scalar_subquery()
        beyond = (key < at, Product.id < number) if falling else (key > at, Product.id > number)
        query = query.where(or_(beyond[0], and_(key == at, beyond[1])))
    query = query.order_by(key.desc() if falling else key, Product.id.desc() if falling else Product.id).limit(limit + 1)
    cards = [Card(*row) for row in db.session.execute(query)]
    more = len(cards) > limit
    cards = cards[:limit]
    _fill(cards)
    townships = list(db.session.scalars(select(Region).where(Region.kind == "TOWNSHIP").order_by(Region.code)))
    return Listing(cards, cards[-1].product.public_id if more and cards else None, townships)


def in_season(limit: int = 8, each_category: int = 3) -> list[Card]:
    """What was harvested last, newest first, a few of each kind of goods. Three statements."""
    harvest = _last_harvest()
    query = (
        _cards()
        .join(harvest, and_(harvest.c.linkage_group_id == Product.linkage_group_id, harvest.c.village_id == Product.origin_id))
        .add_columns(harvest.c.harvested_on)
        .where(Product.state == "ON_SALE")
        .order_by(harvest.c.harvested_on.desc(), Product.id)
        .limit(limit * 8)
    )
    cards: list[Card] = []
    taken: dict[str, int] = {}
    for product, origin, township, seller, harvested_on in db.session.execute(query):
        if taken.get(product.category, 0) < each_category and len(cards) < limit:
            taken[product.category] = taken.get(product.category, 0) + 1
            cards.append(Card(product, origin, township, seller, harvested_on=harvested_on))
    _fill(cards)
    return cards


def detail(slug: str) -> Detail:
    """A product on sale by its slug, five statements. NotFound if there is none, or it is not on sale."""
    query = (
        _cards()
        .join(LinkageGroup, LinkageGroup.id == Product.linkage_group_id)
        .outerjoin(Cooperative, Cooperative.organisation_id == Product.organisation_id)
        .add_columns(LinkageGroup, Cooperative)
        .where(Product.slug == slug, Product.state == "ON_SALE")
    )
    row = db.session.execute(query).one_or_none()
    if row is None:
        raise not_found(Product)
    found = Detail(row[0], row[1], row[2], row[3], group=row[4], cooperative=row[5])
    _fill([found])
    found.batches = list(
        db.session.scalars(
            select(Batch)
            .where(Batch.linkage_group_id == found.product.linkage_group_id, Batch.village_id == found.product.origin_id)
            .order_by(Batch.harvested_on.desc(), Batch.id.desc())
            .limit(3)
        )
    )
    found.harvested_on = found.batches[0].harvested_on if found.batches else None
    members = households_in_force(found.product.linkage_group_id)
    found.households = members if members >= FEWEST_SHOWN else None
    return found


def households_in_force(group_id: int) -> int:
    """How many distinct households hold a share of the group in force today (Beijing)."""
    today = clock.business_date()
    query = select(func.count(LinkageShare.household_id.distinct())).where(
        LinkageShare.group_id == group_id,
        LinkageShare.starts_on <= today,
        or_(LinkageShare.ends_on.is_(None), LinkageShare.ends_on >= today),
    )
    return db.session.scalar(query) or 0


def origins() -> list[tuple[Region, list[tuple[Region, int]]]]:
    """The townships in order of their code, each with its villages that have goods on sale and how many."""
    query = (
        select(Township, Village, func.count(Product.id))
        .join(Village, Village.parent_id == Township.id)
        .outerjoin(Product, and_(Product.origin_id == Village.id, Product.state == "ON_SALE"))
        .where(Township.kind == "TOWNSHIP")
        .group_by(Township.id, Village.id)
        .order_by(Township.code, Village.code)
    )
    found: dict[int, tuple[Region, list[tuple[Region, int]]]] = {}
    for township, village, count in db.session.execute(query):
        villages = found.setdefault(township.id, (township, []))[1]
        if count:
            villages.append((village, count))
    return list(found.values())


def cooperatives() -> list[tuple[Organisation, Cooperative, Region | None, int]]:
    """Each selling organisation that is not suspended, with its place and how many products it has on sale."""
    query = (
        select(Organisation, Cooperative, Region, func.count(Product.id))
        .join(Cooperative, Cooperative.organisation_id == Organisation.id)
        .outerjoin(Region, Region.id == Organisation.region_id)
        .outerjoin(Product, and_(Product.organisation_id == Organisation.id, Product.state == "ON_SALE"))
        .where(Organisation.suspended_at.is_(None))
        .group_by(Organisation.id, Cooperative.id, Region.id)
        .order_by(Organisation.id)
    )
    return [(row[0], row[1], row[2], row[3]) for row in db.session.execute(query)]


def cooperative(public_id: str) -> tuple[Organisation, Cooperative, list[Card]]:
    """A cooperative and all that it sells. NotFound if there is none."""
    query = (
        select(Organisation, Cooperative)
        .join(Cooperative, Cooperative.organisation_id == Organisation.id)
        .where(Organisation.public_id == public_id, Organisation.suspended_at.is_(None))
    )
    row = db.session.execute(query).one_or_none()
    if row is None:
        raise not_found(Organisation)
    wares = _cards().where(Product.state == "ON_SALE", Product.organisation_id == row[0].id).order_by(Product.category, Product.id)
    cards = [Card(*each) for each in db.session.execute(wares)]
    _fill(cards)
    return row[0], row[1], cards


def _cards() -> Any:
    return (
        select(Product, Village, Township, Organisation)
        .join(Village, Village.id == Product.origin_id)
        .join(Township, Township.id == Product.township_id)
        .join(Organisation, Organisation.id == Product.organisation_id)
    )


def _key(product: Any, sort: str, rank: dict[int, int]) -> tuple[Any, bool]:
    """What the list is sorted by, never null, and whether it falls."""
    if sort in ("price", "expensive"):
        return func.coalesce(product.from_price_fen, 0), sort == "expensive"
    if sort == "popular":
        return product.sold_count, True
    if rank:
        return case(rank, value=product.id, else_=len(rank)), False
    return product.id, True


def _fill(cards: Iterable[Card]) -> None:
    """Give the cards their packs, stock and split scheme, in two statements."""
    by_product = {card.product.id: card for card in cards}
    packs = (
        select(Pack, Stock.on_hand - Stock.reserved)
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(Pack.product_id.in_(by_product), Pack.withdrawn_at.is_(None))
        .order_by(Pack.product_id, Pack.position, Pack.id)
    )
    for pack, free in db.session.execute(packs):
        by_product[pack.product_id].offers.append(Offer(pack, free or 0))
    sellers = {card.product.organisation_id for card in by_product.values()}
    versions = (
        select(SplitScheme)
        .where(SplitScheme.organisation_id.in_(sellers), SplitScheme.effective_from <= clock.business_date())
        .order_by(SplitScheme.effective_from, SplitScheme.version_no)
    )
    # The last one in force wins: later rows overwrite earlier ones.
    schemes = {(scheme.organisation_id, scheme.category): scheme for scheme in db.session.scalars(versions)}
    for card in by_product.values():
        card.scheme = schemes.get((card.product.organisation_id, card.product.category))


def _last_harvest() -> Any:
    return (
        select(Batch.linkage_group_id, Batch.village_id, func.max(Batch.harvested_on).label("harvested_on"))
        .group_by(Batch.linkage_group_id, Batch.village_id)
        .subquery()
    )
