"""The index of products on sale: words in, ids out, best first, and nothing else. It is a shadow of the tables: fed through the
outbox in the transaction of the change, and rebuilt from them at any time.

On PostgreSQL the index is a table, so that every node sees the same one; else it is a Whoosh folder under DATA_DIR.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import aliased

from marketplace.catalogue.category import CATEGORIES, Category
from marketplace.catalogue.product import Product
from marketplace.foundation import outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.search import postgres_index, whoosh_index, word

KIND = "search.product"
MOST = 1_000  # ids of an answer; facets are exact up to here
_LONGEST = 80  # characters of a question that are looked at
_WORDS = 8


class Document(NamedTuple):
    """What is searched of a product: its name, everything else that is said of it, and how it sounds (pinyin and initials)."""

    product_id: int
    name: str
    words: str
    sounds: tuple[str, ...]


def index_product(product_id: int) -> None:
    """Ask, in the open transaction, for this product to be searchable as it now is (or no longer, when it is not on sale)."""
    outbox.put(KIND, str(product_id), {"product_id": product_id})


def index_everything() -> None:
    """Ask, in the open transaction, for the index to be made anew: quicker than many products one by one."""
    outbox.put(KIND, "everything", {})


def query(words: str, limit: int = MOST) -> list[int]:
    """Ids of products on sale for what somebody typed, best first. Every word must be found; a slip of the keyboard
    or a wrong character of the same sound is forgiven when nothing else is found. Empty if there is no index yet."""
    _learn_places()
    asked = word.words(words[:_LONGEST])[:_WORDS]
    return _index().ask(asked, limit) if asked else []


def ready() -> bool:
    """Whether there is an index to ask."""
    return not str(_index().trouble())


def trouble() -> str:
    """What is wrong with the index and what to do about it; empty if nothing is, or nothing is on sale that could be found."""
    said = str(_index().trouble())
    return said if said and db.session.scalar(select(Product.id).where(Product.state == "ON_SALE").limit(1)) else ""


def generation() -> str:
    """A word that changes whenever the index does, unless the shelf's version tells."""
    return str(_index().generation())


def rebuild() -> int:
    """Make the index anew from the tables and put it in the place of the old one. Returns how many products it holds."""
    _learn_places(again=True)
    return int(_index().rebuild(_documents(_on_sale())))


@outbox.handles(KIND)
def _update(payload: dict[str, Any]) -> None:
    if not ready() or "product_id" not in payload:
        rebuild()
        return
    _learn_places()
    product_id = int(payload["product_id"])
    documents = list(_documents(_on_sale().where(Product.id == product_id)))
    db.session.rollback()
    _index().put(product_id, documents[0] if documents else None)


def _index() -> ModuleType:
    return postgres_index if db.engine.dialect.name == "postgresql" else whoosh_index


def _on_sale() -> Any:
    village, township = aliased(Region), aliased(Region)
    return (
        select(Product, Organisation.name_zh, Organisation.name_en, village, township, Category)
        .join(Organisation, Organisation.id == Product.organisation_id)
        .join(village, village.id == Product.origin_id)
        .join(township, township.id == Product.township_id)
        .join(Category, Category.code == Product.category)
        .where(Product.state == "ON_SALE")
        .order_by(Product.id)
    )


def _documents(products: Any) -> Iterator[Document]:
    for product, seller, seller_en, village, township, category in db.session.execute(products):
        name = f"{product.name_zh} {category.name_zh} {CATEGORIES[category.code][0]} {village.name_zh}"
        rest = (
            product.name_en, product.summary_zh, product.summary_en, seller, seller_en, village.name_en, township.name_zh, township.name_en, category.name_en,
        )  # fmt: skip
        heard = {sound for each in word.words(f"{name} {township.name_zh}") for sound in word.sounds(each)}
        yield Document(product.id, name, " ".join(each for each in rest if each), tuple(sorted(heard)))


_learned: set[str] = set()  # databases whose places are words already


def _learn_places(again: bool = False) -> None:
    address = settings().sqlalchemy_url
    if address in _learned and not again:
        return
    names = list(db.session.scalars(select(Region.name_zh)))
    word.learn(names)
    if names:
        _learned.add(address)
