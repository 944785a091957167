"""A listing that passes every check, to be spoilt one thing at a time."""

from marketplace.catalogue import listing_check
from marketplace.catalogue.listing_review import Edited
from marketplace.catalogue.product import Product
from marketplace.foundation.database import db, transaction
from tests import builders


def ready(**market: object) -> builders.Market:
    """A market whose product is a complete draft: text, standard, stock, linkage, licence."""
    made = builders.market(**market)  # type: ignore[arg-type]
    with transaction():
        product = db.session.get_one(Product, made.product)
        product.state, product.listed_at = "DRAFT", None
        product.summary_zh, product.standard_code = "清明前采。", "GB/T 14456.1"
    return made


def product_of(market: builders.Market) -> Product:
    """The product as it now stands."""
    db.session.rollback()
    return db.session.get_one(Product, market.product)


def codes(market: builders.Market, *, refusing: bool = True) -> set[str]:
    """The codes of what the check finds."""
    return {each.code for each in listing_check.findings(product_of(market)) if each.refuses == refusing}


def edited(product: Product, *, prices: dict[str, int] | None = None, gi_mark: bool | None = None, **texts: str) -> Edited:
    """The product's own content with some texts changed."""
    return Edited({"name_zh": product.name_zh, **texts}, product.shelf_life_months, product.gi_mark if gi_mark is None else gi_mark, prices or {})
