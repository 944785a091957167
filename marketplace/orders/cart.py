"""A cart: what somebody means to buy. It reserves nothing and promises no price."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model


class Cart(Identified, Model):
    """Found by a random token in the session; belongs to an organisation once its buyer has signed in."""

    __tablename__ = "cart"

    token: Mapped[str] = mapped_column(String(32), unique=True)
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)
    touched_at: Mapped[datetime] = mapped_column(index=True)


class CartLine(Identified, Model):
    """Packs of one kind in a cart."""

    __tablename__ = "cart_line"
    __table_args__ = (UniqueConstraint("cart_id", "pack_id"), CheckConstraint("quantity BETWEEN 1 AND 9999", name="quantity"))

    cart_id: Mapped[int] = mapped_column(ForeignKey("cart.id", ondelete="CASCADE"), index=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"))
    quantity: Mapped[int]
    added_at: Mapped[datetime]
