"""Where to send something. Recipient, phone and street are sealed; the region tells the county's own places from elsewhere."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public


class Address(Public, Model):
    """An address of an organisation (of a private buyer: their own). Never edited: a new one is written and the old one retired."""

    __tablename__ = "address"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    region_id: Mapped[int | None] = mapped_column(ForeignKey("region.id"))  # a village or township of the county
    province: Mapped[str] = mapped_column(String(40), default="")  # elsewhere: province and city as text
    city: Mapped[str] = mapped_column(String(60), default="")
    street_sealed: Mapped[str] = sealed_column(900)
    street = Sealed()
    recipient_sealed: Mapped[str] = sealed_column()
    recipient = Sealed()
    phone_sealed: Mapped[str] = sealed_column()
    phone = Sealed()
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
