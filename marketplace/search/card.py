"""A card: a product as lists show it, with its packs, what is free of them and the split scheme in force.

Read as columns in one statement that is built once: a list shows two dozen of them, and a row of columns costs a tenth of an object.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from marketplace.catalogue.product import Pack, Product
from marketplace.catalogue.split_scheme import SplitScheme
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.supply.stock import Stock


class Ware(NamedTuple):
    """What a card tells of the product."""

    id: int
    public_id: str
    slug: str
    category: str
    organisation_id: int
    name_zh: str
    name_en: str | None
    picture: str


class Place(NamedTuple):
    """A village or a township."""

    code: str
    name_zh: str
    name_en: str | None
    altitude_m: int | None


class Seller(NamedTuple):
    """The cooperative."""

    id: int
    public_id: str
    name_zh: str
    name_en: str | None


class Offered(NamedTuple):
    """What a card tells of a pack. Prices as ``Pack`` reckons them."""

    public_id: str
    name_zh: str
    name_en: str | None
    net_grams: int
    pieces: int | None
    price_fen: int

    per_500g_fen = property(Pack.per_500g_fen.fget)  # type: ignore[attr-defined, misc]
    per_piece_fen = property(Pack.per_piece_fen.fget)  # type: ignore[attr-defined, misc]


class Scheme(NamedTuple):
    """A version of a split scheme; it divides as ``SplitScheme`` does."""

    organisation_id: int
    category: str
    version_no: int
    cooperative_bp: int
    household_pool_bp: int
    village_collective_bp: int
    relief_fund_bp: int
    effective_from: date

    def divide(self, base_fen: int, salt: str) -> tuple[int, int, int, int]:
        """``base_fen`` as (cooperative, household pool, village collective, relief fund), exact to the fen."""
        return SplitScheme.divide(self, base_fen, salt)  # type: ignore[arg-type]


class Offer(NamedTuple):
    """A pack with what is free of it."""

    pack: Offered
    free: int


@dataclass
class Card:
    """A product as lists show it."""

    product: Any  # a Ware, on the product's own page the whole row
    origin: Any
    township: Any
    seller: Any
    offers: list[Offer] = field(default_factory=list)
    scheme: Scheme | None = None  # in force today
    harvested_on: date | None = None

    @property
    def cheapest(self) -> Offer | None:
        return min(self.offers, key=lambda each: each.pack.price_fen, default=None)

    @property
    def in_stock(self) -> bool:
        return any(each.free > 0 for each in self.offers)


# Tables, not classes: what is selected from these comes as plain rows.
product, pack, stock, organisation = (model.__table__ for model in (Product, Pack, Stock, Organisation))
village, township = Region.__table__.alias("village"), Region.__table__.alias("township")
free = (stock.c.on_hand - stock.c.reserved).label("free")


def columns(table: Any, shape: type[Any]) -> list[Any]:
    """The columns of a table that a shape holds, in its order."""
    return [table.c[name] for name in shape._fields]


PARTS = ((product, Ware), (village, Place), (township, Place), (organisation, Seller), (pack, Offered))


def rows() -> Any:
    """A select of cards: one row a pack that is sold, or one without a pack."""
    return (
        select(*(column for table, shape in PARTS for column in columns(table, shape)), free)
        .select_from(product)
        .join(village, village.c.id == product.c.origin_id)
        .join(township, township.c.id == product.c.township_id)
        .join(organisation, organisation.c.id == product.c.organisation_id)
        .outerjoin(pack, (pack.c.product_id == product.c.id) & pack.c.withdrawn_at.is_(None))
        .outerjoin(stock, stock.c.pack_id == pack.c.id)
    )


def gathered(found: Iterable[Any]) -> list[Card]:
    """The cards of ``rows``, in the order in which each product came first, with their schemes: one statement more."""
    cards: dict[int, Card] = {}
    for row in found:
        card = cards.get(row[0])
        if card is None:
            card = cards[row[0]] = Card(Ware._make(row[:8]), Place._make(row[8:12]), Place._make(row[12:16]), Seller._make(row[16:20]))
        if row[20] is not None:
            card.offers.append(Offer(Offered._make(row[20:26]), row[26] or 0))
    give_schemes(list(cards.values()))
    return list(cards.values())


_scheme = SplitScheme.__table__
_SCHEMES = (
    select(*columns(_scheme, Scheme))
    .where(_scheme.c.organisation_id.in_(bindparam("sellers", expanding=True)), _scheme.c.effective_from <= bindparam("today"))
    .order_by(_scheme.c.effective_from, _scheme.c.version_no)
)


def give_schemes(cards: list[Card]) -> None:
    """Give the cards the split scheme that is in force today, in one statement."""
    if not cards:
        return
    sellers = sorted({card.product.organisation_id for card in cards})
    versions = db.session.execute(_SCHEMES, {"sellers": sellers, "today": clock.business_date()})
    # The last one in force wins: later rows overwrite earlier ones.
    schemes = {(row[0], row[1]): row for row in versions}
    for card in cards:
        row = schemes.get((card.product.organisation_id, card.product.category))
        card.scheme = Scheme._make(row) if row is not None else None
