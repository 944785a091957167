"""A buyer's request for money back, before or after shipment, and the cooperative's answer. While open it holds settlement."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, Public


class ReturnRequest(Public, Model):
    """OPEN → APPROVED (a refund follows) or REFUSED (with a reason)."""

    __tablename__ = "return_request"
    __table_args__ = (
        CheckConstraint("state IN ('OPEN','APPROVED','REFUSED','WITHDRAWN')", name="state"),
        CheckConstraint("fen > 0", name="fen"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    raised_at: Mapped[datetime]
    raised_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(Text, default="")
    refund_id: Mapped[int | None]
