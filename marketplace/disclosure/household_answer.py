"""What a household answered on its statement: received, not received, or an objection."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model


class HouseholdAnswer(Identified, Model):
    """The answer to one payout item; the last one counts, all are kept."""

    __tablename__ = "household_answer"
    __table_args__ = (CheckConstraint("answer IN ('RECEIVED','NOT_RECEIVED','OBJECTION')", name="answer"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the cooperative that paid
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    payout_item_id: Mapped[int] = mapped_column(ForeignKey("payout_item.id"), index=True)
    answer: Mapped[str] = mapped_column(String(14))
    text: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime]
