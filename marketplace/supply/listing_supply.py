"""What the supply says before a product is listed: something to sell must be there, and a batch must stand behind the mark of origin."""

from collections.abc import Iterator, Sequence

from sqlalchemy import func, select

from marketplace.catalogue import listing_check
from marketplace.catalogue.listing_check import GI_ALTITUDE_M, GI_CATEGORY, Finding
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db
from marketplace.foundation.language import N_
from marketplace.organisations.region import Region
from marketplace.supply.batch import Batch
from marketplace.supply.stock import Stock


@listing_check.rule
def in_stock(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    """At least one pack must have a free piece."""
    free = db.session.scalar(
        select(func.coalesce(func.sum(Stock.on_hand - Stock.reserved), 0)).where(Stock.pack_id.in_([pack.id for pack in packs]))
    )
    if packs and not free:
        yield Finding("stock.none", N_("所有规格都没有库存，先登记库存再提交。"))


@listing_check.rule
def gi_batch(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    """The mark needs a batch of this group and village from high enough, picked in the season."""
    if not product.gi_mark or product.category != GI_CATEGORY:
        return
    batches = db.session.scalars(
        select(Batch).where(Batch.linkage_group_id == product.linkage_group_id, Batch.village_id == product.origin_id)
    )
    village = db.session.get_one(Region, product.origin_id)
    if any(not batch.gi_faults(village) for batch in batches):
        return
    message = N_("没有一个批次合地理标志的要求：海拔 %(metres)s 米以上，三月中旬到四月中旬采摘。")
    yield Finding("gi.batch", message, "gi_mark", data={"metres": GI_ALTITUDE_M})
