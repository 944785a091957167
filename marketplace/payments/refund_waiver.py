"""A refund that was refused and shall not be made after all (the buyer keeps the goods, say): one person says why, a director agrees.

Until then the order waits with its split; afterwards its money is divided as though nothing had been asked back (``orders.refund_reissue``).
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Model, db
from marketplace.foundation.language import N_
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal

MADE_AGAIN = "MADE_AGAIN"  # why one is out of it: the refund was made again, or had left
_WAITS = text("state = 'PROPOSED'")


class RefundWaiver(Proposal, Model):
    """PROPOSED → APPROVED, or RETURNED with a reason: then the refund is to be made."""

    __tablename__ = "refund_waiver"
    not_now = ("waiver.decided", N_("这一项已经有人决定了。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index("uq_refund_waiver_waits", "refund_id", unique=True, sqlite_where=_WAITS, postgresql_where=_WAITS),
    )

    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")


def waiting(refund_id: int) -> RefundWaiver | None:
    """What waits for the director, if anything does."""
    return db.session.scalars(select(RefundWaiver).where(RefundWaiver.refund_id == refund_id, RefundWaiver.state == "PROPOSED")).one_or_none()


def drop(refund_id: int) -> None:
    """The refund was made again, or had left: nobody decides any more whether it shall be."""
    if (row := waiting(refund_id)) is not None:
        row.state, row.answer, row.decided_at = "RETURNED", MADE_AGAIN, clock.now()
        db.session.flush()
