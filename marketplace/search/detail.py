"""A detail: a product as its own page shows it, with packs, batches, and how many households share in it. Three statements."""

from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import NamedTuple

from sqlalchemy import bindparam, func, select

from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, not_found
from marketplace.households.linkage_group import LinkageGroup, LinkageShare, shares_in_pool
from marketplace.organisations.organisation import Cooperative
from marketplace.search import card
from marketplace.search.card import (
    Card,
    Offer,
    Offered,
    Place,
    Seller,
    columns,
    organisation,
    pack,
    product,
    stock,
    township,
    village,
)
from marketplace.supply.batch import Batch

FEWEST_SHOWN = 5  # a group of fewer households is never counted out in public


class Whole(NamedTuple):
    """All that is told of the product."""

    id: int
    public_id: str
    slug: str
    category: str
    organisation_id: int
    name_zh: str
    name_en: str | None
    picture: str
    summary_zh: str
    summary_en: str | None
    story_zh: str
    story_en: str | None
    storage_zh: str
    storage_en: str | None
    gi_mark: bool
    standard_code: str
    shelf_life_months: int
    linkage_group_id: int
    origin_id: int


class Group(NamedTuple):
    """The linkage group's name."""

    name_zh: str
    name_en: str | None


class Harvest(NamedTuple):
    """A batch, as it is told."""

    public_id: str
    code: str
    harvested_on: date
    grams_harvested: int


@dataclass
class Detail(Card):
    """A product as its own page shows it."""

    group: Group | None = None
    food_licence: str | None = None
    batches: list[Harvest] = field(default_factory=list)
    suspended: bool = False  # nobody may buy from its cooperative now
    households: int | None = None  # None: fewer than may be shown


def of_slug(slug: str) -> Detail:
    """A product on sale by its slug. NotFound if there is none, or it is not on sale."""
    rows = db.session.execute(_DETAIL, {"slug": slug, "today": clock.business_date()}).all()
    if not rows:
        raise not_found(Product)
    values = iter(rows[0])
    whole = Whole._make(islice(values, len(Whole._fields)))
    origin, of = (Place._make(islice(values, len(Place._fields))) for _ in range(2))
    seller, group = Seller._make(islice(values, len(Seller._fields))), Group._make(islice(values, len(Group._fields)))
    licence, suspended_at, households = next(values), next(values), next(values)
    found = Detail(whole, origin, of, seller, group=group, food_licence=licence, suspended=suspended_at is not None)
    found.households = households if households >= FEWEST_SHOWN else None
    packs = (row[-len(Offered._fields) - 1 :] for row in rows)
    found.offers = [Offer(Offered._make(each[:-1]), each[-1] or 0) for each in packs if each[0] is not None]
    card.give_schemes([found])
    asked = {"group": whole.linkage_group_id, "village": whole.origin_id}
    found.batches = [Harvest._make(row) for row in db.session.execute(_LAST_BATCHES, asked)]
    found.harvested_on = found.batches[0].harvested_on if found.batches else None
    return found


_group, _cooperative, _share, _batch = (model.__table__ for model in (LinkageGroup, Cooperative, LinkageShare, Batch))
_PARTS = ((product, Whole), (village, Place), (township, Place), (organisation, Seller), (_group, Group))
# How many distinct households share in the group's pool today (Beijing).
_MEMBERS = (
    select(func.count(_share.c.household_id.distinct()))
    .where(_share.c.group_id == product.c.linkage_group_id, shares_in_pool(_share.c, bindparam("today")))
    .scalar_subquery()
)
_DETAIL = (
    select(
        *(column for table, shape in _PARTS for column in columns(table, shape)), _cooperative.c.food_licence, organisation.c.suspended_at, _MEMBERS,
        *columns(pack, Offered), card.free,
    )
    .select_from(product)
    .join(village, village.c.id == product.c.origin_id)
    .join(township, township.c.id == product.c.township_id)
    .join(organisation, organisation.c.id == product.c.organisation_id)
    .join(_group, _group.c.id == product.c.linkage_group_id)
    .outerjoin(_cooperative, _cooperative.c.organisation_id == product.c.organisation_id)
    .outerjoin(pack, (pack.c.product_id == product.c.id) & pack.c.withdrawn_at.is_(None))
    .outerjoin(stock, stock.c.pack_id == pack.c.id)
    .where(product.c.slug == bindparam("slug"), product.c.state == "ON_SALE")
    .order_by(pack.c.position, pack.c.id)
)
_LAST_BATCHES = (
    select(*columns(_batch, Harvest))
    .where(_batch.c.linkage_group_id == bindparam("group"), _batch.c.village_id == bindparam("village"))
    .order_by(_batch.c.harvested_on.desc(), _batch.c.id.desc())
    .limit(3)
)
