"""A food licence that has ended stops the sale of its cooperative's goods, until it is renewed and the operator resumes them."""

from sqlalchemy import select

from marketplace.catalogue.listing_review import INDEX
from marketplace.catalogue.product import Product
from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import db, locked
from marketplace.organisations.organisation import Cooperative, Organisation

REASON = "食品生产许可已经到期。"  # kept with the product, as an officer would have written it


def due(limit: int = 500) -> list[int]:
    """Products on sale whose licence ended before today (Beijing)."""
    query = (
        select(Product.id)
        .join(Cooperative, Cooperative.organisation_id == Product.organisation_id)
        .where(Product.state == "ON_SALE", Cooperative.licence_expires_on < clock.business_date())
        .order_by(Product.id)
        .limit(limit)
    )
    return list(db.session.scalars(query))


def stop(product_id: int) -> bool:
    """Suspend the product in the operator's name if its licence has ended; whether it was."""
    product = locked(Product, product_id)
    ends_on = db.session.scalar(select(Cooperative.licence_expires_on).where(Cooperative.organisation_id == product.organisation_id))
    if product.state != "ON_SALE" or ends_on is None or ends_on >= clock.business_date():
        return False
    operator = select(Organisation.id).where(Organisation.kind == "OPERATOR").order_by(Organisation.id).limit(1)
    product.state, product.suspended_by_id, product.suspend_reason = "SUSPENDED", db.session.scalar(operator), REASON
    product.version += 1
    audit.record("listing.licence_ended", product, ends_on=f"{ends_on}")
    outbox.put(INDEX, str(product.id), {"product_id": product.id})
    db.session.flush()
    return True
