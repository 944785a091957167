"""A shipment: packs of an order that left the cooperative, each from a batch. The batch is fixed here and decides patronage."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public


class Shipment(Public, Model):
    """One parcel or one load."""

    __tablename__ = "shipment"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    carrier: Mapped[str] = mapped_column(String(40))
    tracking_number: Mapped[str] = mapped_column(String(60), default="")
    shipped_at: Mapped[datetime]
    shipped_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class ShipmentLine(Identified, Model):
    """Packs of an order line, taken from a batch."""

    __tablename__ = "shipment_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    shipment_id: Mapped[int] = mapped_column(ForeignKey("shipment.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    quantity: Mapped[int]
    grams: Mapped[int]
