"""Food licences that end soon, with how many goods of theirs are on sale: what the county office reminds cooperatives of."""

from datetime import timedelta

from sqlalchemy import func, select

from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.organisations.organisation import Cooperative, Organisation


def ending(days: int) -> list[tuple[Organisation, Cooperative, int]]:
    """Cooperatives whose licence has ended or ends within so many days (Beijing), the first to end first. One statement."""
    on_sale = select(func.count(Product.id)).where(Product.organisation_id == Organisation.id, Product.state == "ON_SALE").scalar_subquery()
    query = (
        select(Organisation, Cooperative, on_sale)
        .join(Cooperative, Cooperative.organisation_id == Organisation.id)
        .where(Organisation.suspended_at.is_(None), Cooperative.licence_expires_on <= clock.business_date() + timedelta(days=days))
        .order_by(Cooperative.licence_expires_on, Organisation.id)
    )
    return [(row[0], row[1], row[2]) for row in db.session.execute(query)]
