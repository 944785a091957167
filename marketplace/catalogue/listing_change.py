"""A change of a listing that is for sale: kept beside it until another person approves it. Buyers see what was approved, all the while."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue import listing_content
from marketplace.catalogue.listing_content import Content
from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import Model, Public, db

OPEN = ("DRAFT", "SUBMITTED", "RETURNED")


class ListingChange(Public, Model):
    """The content that a product on sale is to have. At most one of a product is open; the product's version guards both."""

    __tablename__ = "listing_change"
    __table_args__ = (CheckConstraint("state IN ('DRAFT','SUBMITTED','RETURNED','APPROVED','DROPPED')", name="state"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    content: Mapped[dict[str, Any]]
    state: Mapped[str] = mapped_column(String(10), default="DRAFT", index=True)
    submitted_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    submitted_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]

    @property
    def wanted(self) -> Content:
        return Content.from_json(self.content)


def of(product_id: int) -> ListingChange | None:
    """The product's open change, if it has one."""
    query = select(ListingChange).where(ListingChange.product_id == product_id, ListingChange.state.in_(OPEN))
    return db.session.scalars(query.order_by(ListingChange.id.desc()).limit(1)).one_or_none()


def keep(product: Product, content: Content) -> ListingChange | None:
    """Keep the content beside the product; what equals the product is no change and drops the open one. The caller holds the product."""
    row = of(product.id)
    if content == listing_content.content_of(product).tidy():
        if row is not None:
            row.state, row.decided_at = "DROPPED", clock.now()
        return None
    if row is None:
        row = ListingChange(organisation_id=product.organisation_id, product_id=product.id)
        db.session.add(row)
    row.content, row.state = content.as_json(), "DRAFT"
    db.session.flush()
    return row


def standing(product: Product) -> Content:
    """What the clerk works on: the open change, else what the product says."""
    row = of(product.id)
    return row.wanted if row is not None else listing_content.content_of(product)
