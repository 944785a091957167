"""What of the harvest is promised: packs reserved by orders, laid on the batches of their group, the oldest first, as they will be shipped."""

from sqlalchemy import func, select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import db
from marketplace.supply.batch import Batch
from marketplace.supply.stock import Stock


def promised(organisation_id: int) -> dict[int, int]:
    """Grams promised by batch; what no batch can hold is under 0. Two statements."""
    reserved = (
        select(Product.linkage_group_id, func.sum(Stock.reserved * Pack.net_grams))
        .join(Pack, Pack.product_id == Product.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.organisation_id == organisation_id, Stock.reserved > 0)
        .group_by(Product.linkage_group_id)
    )
    waiting = {row[0]: int(row[1]) for row in db.session.execute(reserved)}
    query = (
        select(Batch.id, Batch.linkage_group_id, Batch.grams_packed - Batch.grams_sold)
        .where(Batch.organisation_id == organisation_id, Batch.linkage_group_id.in_(waiting), Batch.grams_sold < Batch.grams_packed)
        .order_by(Batch.harvested_on, Batch.id)
    )
    laid: dict[int, int] = {}
    for batch_id, group_id, left in db.session.execute(query):
        part = min(left, waiting[group_id])
        if part:
            laid[batch_id] = part
            waiting[group_id] -= part
    beyond = sum(waiting.values())
    return laid | ({0: beyond} if beyond else {})
