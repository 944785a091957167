"""The shelf: what buyers see of the goods on sale. Reads only, in a fixed small number of statements per page, each built once.

A product's list position is a key, not a count of rows, so that a page stays the same page while goods come and go.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, func, select, tuple_
from sqlalchemy.orm import aliased

from marketplace.catalogue.product import Product
from marketplace.foundation.database import db, not_found
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.region import Region
from marketplace.search import card
from marketplace.search.card import Card, pack, product, township
from marketplace.supply.batch import Batch

PAGE = 24
SORTS = ("new", "price", "expensive", "popular")


class Named(NamedTuple):
    """A township to filter by."""

    code: str
    name_zh: str
    name_en: str | None


@dataclass
class Facets:
    """How many of what was found are of each category and from each township, by code; each counted under the other's filter."""

    categories: Counter[str]
    townships: Counter[str]
    found: int


@dataclass
class Listing:
    """One page of cards; ``after`` is the key of the next one, None on the last. Facets only for a search's answer."""

    cards: list[Card]
    after: str | None
    townships: Sequence[Any]  # to filter by: all of them, or those of a search's answer
    facets: Facets | None = None


def listing(
    *, category: str = "", township: str = "", sort: str = "new", after: str = "", ids: Sequence[int] | None = None, limit: int = PAGE
) -> Listing:
    """A page of what is on sale: three statements, four for a search. ``category`` and ``township`` are codes, unknown ones find
    nothing; ``after`` is a product's public id; with ``ids`` (a search's answer, best first) only those, in that order unless sorted."""
    facets: Facets | None = None
    townships: Sequence[Any] | None = None
    if ids is None:
        asked = {"category": category, "township": township, "after": after, "most": limit + 1}
        found = db.session.execute(_page(bool(category), bool(township), sort, bool(after)), asked)
        cards = card.gathered(found)
    else:
        wanted, facets, townships = _narrowed(ids, category, township, sort, after, limit + 1)
        cards = _in_order(wanted)
    more = len(cards) > limit
    cards = cards[:limit]
    if townships is None:
        townships = list(db.session.execute(_TOWNSHIPS))
    return Listing(cards, cards[-1].product.public_id if more and cards else None, townships, facets)


_region = Region.__table__
_TOWNSHIPS = select(_region.c.code, _region.c.name_zh, _region.c.name_en).where(_region.c.kind == "TOWNSHIP").order_by(_region.c.code)
_BY_ID = card.rows().where(product.c.id.in_(bindparam("ids", expanding=True))).order_by(product.c.id, pack.c.position, pack.c.id)
_FOUND = (
    select(
        product.c.id, product.c.public_id, product.c.category, func.coalesce(product.c.from_price_fen, 0), product.c.sold_count,
        township.c.code, township.c.name_zh, township.c.name_en,
    )
    .join(township, township.c.id == product.c.township_id)
    .where(product.c.id.in_(bindparam("ids", expanding=True)), product.c.state == "ON_SALE")
)


def _narrowed(ids: Sequence[int], category: str, township: str, sort: str, after: str, most: int) -> tuple[list[int], Facets, list[Any]]:
    """Which of ``ids`` the page shows, the facets of all of them, and their townships: a light row each, sorted and counted here."""
    rows = db.session.execute(_FOUND, {"ids": list(ids)}).all() if ids else []
    townships = [Named(*each) for each in sorted({tuple(row[5:8]) for row in rows})]
    facets = Facets(
        Counter(row[2] for row in rows if not township or row[5] == township),
        Counter(row[5] for row in rows if not category or row[2] == category),
        len(rows),
    )
    rows = [row for row in rows if (not category or row[2] == category) and (not township or row[5] == township)]
    rank = {number: place for place, number in enumerate(ids)}
    keys: dict[str, Any] = {
        "price": lambda row: (row[3], row[0]),
        "expensive": lambda row: (-row[3], -row[0]),
        "popular": lambda row: (-row[4], -row[0]),
    }
    rows.sort(key=keys.get(sort, lambda row: rank[row[0]]))
    if after:
        places = [place for place, row in enumerate(rows) if row[1] == after]
        rows = rows[places[0] + 1 :] if places else []
    return [row[0] for row in rows[:most]], facets, townships


def _in_order(wanted: list[int]) -> list[Card]:
    """The cards of these products, in this order."""
    by_id = {each.product.id: each for each in card.gathered(db.session.execute(_BY_ID, {"ids": wanted}))} if wanted else {}
    return [by_id[number] for number in wanted if number in by_id]


@lru_cache(maxsize=64)
def _page(category: bool, township: bool, sort: str, after: bool) -> Any:
    """The statement of a page with these filters. It finds the page in an index first, and only then what the page shows."""
    key, falling = _key(product, sort)
    query = select(product.c.id, key.label("sorted_by")).where(product.c.state == "ON_SALE")
    if key is product.c.from_price_fen:
        query = query.where(key.is_not(None))  # what has no pack has no price to be sorted by
    if category:
        query = query.where(product.c.category == bindparam("category"))
    if township:
        query = query.where(product.c.township_id == select(_region.c.id).where(_region.c.code == bindparam("township")).scalar_subquery())
    if after:
        other = product.alias()
        last = [select(part).where(other.c.public_id == bindparam("after")).scalar_subquery() for part in (_key(other, sort)[0], other.c.id)]
        place = tuple_(key, product.c.id)
        query = query.where(place < tuple_(*last) if falling else place > tuple_(*last))
    order = (key.desc(), product.c.id.desc()) if falling else (key, product.c.id)
    page = query.order_by(*order).limit(bindparam("most")).subquery("page")
    outer = (page.c.sorted_by.desc(), page.c.id.desc()) if falling else (page.c.sorted_by, page.c.id)
    return card.rows().join(page, page.c.id == product.c.id).order_by(*outer, pack.c.position, pack.c.id)


def _key(of: Any, sort: str) -> tuple[Any, bool]:
    """What the list is sorted by, never null, and whether it falls. ``Product`` has an index for each."""
    if sort in ("price", "expensive"):
        return of.c.from_price_fen, sort == "expensive"
    return (of.c.sold_count if sort == "popular" else of.c.id), True


def in_season(limit: int = 8, each_category: int = 3) -> list[Card]:
    """What was harvested last, newest first, a few of each kind of goods. Three statements."""
    harvest = (
        select(Batch.linkage_group_id, Batch.village_id, func.max(Batch.harvested_on).label("harvested_on"))
        .group_by(Batch.linkage_group_id, Batch.village_id)
        .subquery()
    )
    query = (
        select(Product.id, Product.category, harvest.c.harvested_on)
        .join(harvest, and_(harvest.c.linkage_group_id == Product.linkage_group_id, harvest.c.village_id == Product.origin_id))
        .where(Product.state == "ON_SALE")
        .order_by(harvest.c.harvested_on.desc(), Product.id)
        .limit(limit * 8)
    )
    taken: Counter[str] = Counter()
    days: dict[int, date] = {}
    for number, category, harvested_on in db.session.execute(query):
        if taken[category] < each_category and len(days) < limit:
            taken[category] += 1
            days[number] = harvested_on
    cards = _in_order(list(days))
    for each in cards:
        each.harvested_on = days[each.product.id]
    return cards


Village, Township = aliased(Region), aliased(Region)


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
    for above, village, count in db.session.execute(query):
        villages = found.setdefault(above.id, (above, []))[1]
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
    wares = card.rows().where(product.c.state == "ON_SALE", product.c.organisation_id == row[0].id)
    cards = card.gathered(db.session.execute(wares.order_by(product.c.category, product.c.id, pack.c.position, pack.c.id)))
    return row[0], row[1], cards
