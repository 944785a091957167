"""A batch: one harvest of one place, and the deliveries of households that made it. Sold ≤ packed ≤ harvested ≤ area × yield."""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public, Versioned


class Batch(Public, Versioned, Model):
    """Grams are of finished goods. ``grams_sold`` counts what shipments took from it and never passes ``grams_packed``."""

    __tablename__ = "batch"
    __table_args__ = (
        CheckConstraint("grams_packed <= grams_harvested", name="packed"),
        CheckConstraint("grams_sold >= 0 AND grams_sold <= grams_packed", name="mass_balance"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    village_id: Mapped[int] = mapped_column(ForeignKey("region.id"))
    harvested_on: Mapped[date]
    altitude_m: Mapped[int | None]
    area_mu: Mapped[int | None]
    grams_harvested: Mapped[int]
    grams_packed: Mapped[int]
    grams_sold: Mapped[int] = mapped_column(default=0)


class Delivery(Identified, Model):
    """Grams that a household delivered to a batch, at a floor price (fen per kilogram): the base of patronage."""

    __tablename__ = "delivery"
    __table_args__ = (CheckConstraint("grams > 0", name="grams"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    grams: Mapped[int]
    delivered_on: Mapped[date]
    floor_price_fen_per_kg: Mapped[int] = mapped_column(default=0)
