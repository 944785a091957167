"""A batch: one harvest of one place, and the deliveries of households that made it. Sold ≤ packed ≤ harvested ≤ area × yield."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.listing_check import GI_ALTITUDE_M, GI_CATEGORY
from marketplace.foundation.database import Identified, Model, Public, Versioned
from marketplace.organisations.region import Region

# Tea under the geographical indication is picked between these days of a year (month, day).
GI_PICKED = ((3, 15), (4, 15))


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

    @property
    def grams_left(self) -> int:
        """Packed and not sold yet."""
        return self.grams_packed - self.grams_sold

    def gi_faults(self, village: Region) -> list[str]:
        """Why its tea may not bear the geographical indication: ``category``, ``area``, ``altitude``, ``season``; empty if it may."""
        first, last = GI_PICKED
        faults = {
            "category": self.category != GI_CATEGORY,
            "area": not village.gi_area,
            "altitude": self.altitude_m is None or self.altitude_m < GI_ALTITUDE_M,
            "season": not first <= (self.harvested_on.month, self.harvested_on.day) <= last,
        }
        return [fault for fault, holds in faults.items() if holds]


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
    # A delivery that was recorded wrongly stays, and counts no more.
    voided_at: Mapped[datetime | None]
    voided_by_id: Mapped[int | None]
    void_reason: Mapped[str] = mapped_column(String(200), default="", server_default="")
