"""A listing that passes every check, to be spoilt one thing at a time."""

from dataclasses import replace

from marketplace.catalogue import listing_check
from marketplace.catalogue.listing_content import Content, PackContent, content_of
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


def edited(product: Product, *, prices: dict[str, int] | None = None, gi_mark: bool | None = None, **texts: str) -> Content:
    """The product's own content with some texts and some packs' prices changed; a pack it does not have comes as one more."""
    kept = content_of(product)
    asked = prices or {}
    packs = [replace(pack, price_fen=asked.get(pack.public_id, pack.price_fen)) for pack in kept.packs]
    own = {pack.public_id for pack in packs}
    packs += [PackContent(key, "别家的规格", 50, fen) for key, fen in asked.items() if key not in own]
    mark = product.gi_mark if gi_mark is None else gi_mark
    return replace(kept, texts={**kept.texts, **texts}, gi_mark=mark, packs=tuple(packs))
