"""A refund over the bank that was agreed, and that nobody shall transfer after all: one person says why, a director agrees.

Until the director has answered nobody records a transfer of it (``orders.refund_call_off``).
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal

RECALLED = "RECALLED"  # the sub code of a refund that two people called off
_WAITS = text("state = 'PROPOSED'")


class RefundRecall(Proposal, Model):
    """PROPOSED → APPROVED (the refund has failed), or RETURNED with a reason: then it is to be transferred."""

    __tablename__ = "refund_recall"
    not_now = ("recall.decided", N_("这一项已经有人决定了。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index("uq_refund_recall_waits", "refund_id", unique=True, sqlite_where=_WAITS, postgresql_where=_WAITS),
    )

    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")


def waiting(refund_id: int) -> RefundRecall | None:
    """What waits for the director, if anything does."""
    return db.session.scalars(select(RefundRecall).where(RefundRecall.refund_id == refund_id, RefundRecall.state == "PROPOSED")).one_or_none()


def must_be_unasked(refund_id: int) -> None:
    """Raise Conflict ``recall.open`` while somebody asked that the refund be not transferred."""
    if waiting(refund_id) is not None:
        raise Conflict("recall.open", N_("已经有同事请求不转了，等理事长答复以后再办。"))


def decided(refund_ids: Sequence[int]) -> dict[int, datetime]:
    """When two people agreed that these are not transferred, by refund; of others nothing."""
    query = select(RefundRecall.refund_id, RefundRecall.decided_at).where(RefundRecall.refund_id.in_(refund_ids), RefundRecall.state == "APPROVED")
    return {refund_id: at for refund_id, at in db.session.execute(query) if at is not None} if refund_ids else {}
