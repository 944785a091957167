"""What of the harvest is promised: packs reserved by orders, laid on the batches of their group, the oldest first, as they will be shipped."""

from sqlalchemy import func, select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db
from marketplace.supply.batch import Batch
from marketplace.supply.stock import Stock


def promised(organisation_id: int) -> dict[int, int]:
    """Grams promised by batch; what no batch can hold is under 0. One statement."""
    reserved = (
        select(Product.linkage_group_id, func.sum(Stock.reserved * Pack.net_grams).label("grams"))
        .join(Pack, Pack.product_id == Product.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.organisation_id == organisation_id, Stock.reserved > 0)
        .group_by(Product.linkage_group_id)
        .subquery()
    )
    holds = (Batch.linkage_group_id == reserved.c.linkage_group_id) & (Batch.grams_sold < Batch.grams_packed)
    query = (
        select(reserved.c.linkage_group_id, reserved.c.grams, Batch.id, Batch.grams_packed - Batch.grams_sold)
        .select_from(reserved)
        .outerjoin(Batch, holds)
        .order_by(reserved.c.linkage_group_id, Batch.harvested_on, Batch.id)
    )
    waiting: dict[int, int] = {}
    laid: dict[int, int] = {}
    for group_id, grams, batch_id, left in db.session.execute(query):
        rest = waiting.setdefault(group_id, int(grams))
        part = min(left or 0, rest)
        if part:
            laid[batch_id] = part
            waiting[group_id] -= part
    beyond = sum(waiting.values())
    return laid | ({0: beyond} if beyond else {})
