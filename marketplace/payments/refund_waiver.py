"""A refund that was refused and shall not be made after all (the buyer keeps the goods, say): one person says why, a director agrees.

Until then the order waits with its split; afterwards its money is divided as though nothing had been asked back (``orders.refund_reissue``).
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Model, Public, db

MADE_AGAIN = "MADE_AGAIN"  # why one is out of it: the refund was made again, or had left


class RefundWaiver(Public, Model):
    """OPEN → APPROVED, or RETURNED with a reason: then the refund is to be made."""

    __tablename__ = "refund_waiver"
    __table_args__ = (
        CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name="state"),
        CheckConstraint("decided_by_id IS NULL OR decided_by_id <> asked_by_id", name="two_people"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(String(300), default="")


def open_of(refund_id: int) -> RefundWaiver | None:
    """What waits for the director, if anything does."""
    return db.session.scalars(select(RefundWaiver).where(RefundWaiver.refund_id == refund_id, RefundWaiver.state == "OPEN")).one_or_none()


def drop(refund_id: int) -> None:
    """The refund was made again, or had left: nobody decides any more whether it shall be."""
    if (row := open_of(refund_id)) is not None:
        row.state, row.answer, row.decided_at = "RETURNED", MADE_AGAIN, clock.now()
        db.session.flush()
