"""A product and its packs. A pack is what is priced and stocked; a product names exactly one linkage group."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    case,
    select,
    update,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public, Versioned, db

STATES = ("DRAFT", "SUBMITTED", "RETURNED", "ON_SALE", "SUSPENDED", "WITHDRAWN")


class Product(Public, Versioned, Model):
    """What is listed. Only ``ON_SALE`` ones are shown to buyers."""

    __tablename__ = "product"
    __table_args__ = (
        CheckConstraint("state IN ('DRAFT','SUBMITTED','RETURNED','ON_SALE','SUSPENDED','WITHDRAWN')", name="state"),
        Index("ix_product_listed", "state", "category", "id"),
        # One for each way in which the shop's list is sorted and filtered: a page is read off, however many there are.
        Index("ix_product_by_township", "state", "township_id", "id"),
        Index("ix_product_by_price", "state", "from_price_fen", "id"),
        Index("ix_product_by_category_price", "state", "category", "from_price_fen", "id"),
        Index("ix_product_by_sold", "state", "sold_count", "id"),
        Index("ix_product_by_category_sold", "state", "category", "sold_count", "id"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    slug: Mapped[str] = mapped_column(String(80), unique=True)
    category: Mapped[str] = mapped_column(ForeignKey("category.code"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    origin_id: Mapped[int] = mapped_column(ForeignKey("region.id"), index=True)  # a village
    township_id: Mapped[int] = mapped_column(ForeignKey("region.id"), index=True)  # its township, for filters
    name_zh: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str | None] = mapped_column(String(160))
    summary_zh: Mapped[str] = mapped_column(String(300), default="")
    summary_en: Mapped[str | None] = mapped_column(String(400))
    story_zh: Mapped[str] = mapped_column(Text, default="")
    story_en: Mapped[str | None] = mapped_column(Text)
    storage_zh: Mapped[str] = mapped_column(String(200), default="")
    storage_en: Mapped[str | None] = mapped_column(String(300))
    gi_mark: Mapped[bool] = mapped_column(default=False)
    standard_code: Mapped[str] = mapped_column(String(60), default="")
    shelf_life_months: Mapped[int]
    picture: Mapped[str] = mapped_column(String(80), default="")
    state: Mapped[str] = mapped_column(String(12), default="DRAFT")
    submitted_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    submitted_at: Mapped[datetime | None]
    listed_at: Mapped[datetime | None]
    # The organisation that suspended the sale, and may resume it: the cooperative itself, or the operator with a reason.
    suspended_by_id: Mapped[int | None]
    suspend_reason: Mapped[str] = mapped_column(String(300), default="", server_default="")
    # For cards and sorting: the cheapest pack, kept by catalogue.listing_content.
    from_price_fen: Mapped[int | None]
    sold_count: Mapped[int] = mapped_column(default=0)  # packs sold and kept, counted when their order settles; see count_sold


class Pack(Public, Versioned, Model):
    """A pack of a product with its public price. ``net_grams`` is what the pack holds (oil by weight); ``pieces`` counts flowers."""

    __tablename__ = "pack"
    __table_args__ = (
        CheckConstraint("price_fen > 0 AND price_fen < 100000000", name="price"),
        CheckConstraint("net_grams > 0", name="net_grams"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    sku: Mapped[str] = mapped_column(String(40), unique=True)
    name_zh: Mapped[str] = mapped_column(String(80))
    name_en: Mapped[str | None] = mapped_column(String(120))
    net_grams: Mapped[int]
    net_ml: Mapped[int | None]
    pieces: Mapped[int | None]
    price_fen: Mapped[int]
    position: Mapped[int] = mapped_column(default=0)
    withdrawn_at: Mapped[datetime | None]

    @property
    def per_500g_fen(self) -> int:
        """Price of 500 g, rounded to the fen: shown beside every price."""
        return (self.price_fen * 1000 + self.net_grams) // (2 * self.net_grams)

    @property
    def per_piece_fen(self) -> int | None:
        return (self.price_fen * 2 + self.pieces) // (2 * self.pieces) if self.pieces else None


def count_sold(packs: Mapping[int, int]) -> None:
    """Add packs (product id → packs) to what the products have sold: the shop's list "by sales" is sorted by it.

    The version stays: a sale is no edit, and makes no editor's form stale. Rows are locked in id order.
    """
    if not packs:
        return
    locked = db.session.scalars(select(Product.id).where(Product.id.in_(packs)).order_by(Product.id).with_for_update()).all()
    sold = case(dict(packs), value=Product.id)
    statement = update(Product).where(Product.id.in_(locked)).values(sold_count=Product.sold_count + sold)
    db.session.execute(statement, execution_options={"synchronize_session": False})


class PriceTier(Identified, Model):
    """A unit's price of a pack from a quantity on. Never above the public price (unit price guard)."""

    __tablename__ = "price_tier"
    __table_args__ = (
        UniqueConstraint("pack_id", "min_quantity"),
        CheckConstraint("min_quantity > 1 AND price_fen > 0", name="positive"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"), index=True)
    min_quantity: Mapped[int]
    price_fen: Mapped[int]
