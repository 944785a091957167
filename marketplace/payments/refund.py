"""A refund of a payment. The sum of a payment's refunds, unknown ones included, never passes its amount: the database holds it.

States: requested → approved → submitting → unknown → succeeded | failed.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, Public


class Refund(Public, Model):
    """``out_request_no`` is our number, sent again unchanged until the outcome is known."""

    __tablename__ = "refund"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('requested','approved','submitting','unknown','succeeded','failed')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    payment_id: Mapped[int] = mapped_column(ForeignKey("payment.id"), index=True)
    order_id: Mapped[int | None] = mapped_column(ForeignKey("order.id"), index=True)  # none: of money that was never applied
    out_request_no: Mapped[str] = mapped_column(String(64), unique=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(120))
    state: Mapped[str] = mapped_column(String(12), default="approved")
    approved_at: Mapped[datetime]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    succeeded_at: Mapped[datetime | None]
