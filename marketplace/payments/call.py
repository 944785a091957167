"""A call to a payment channel. Its row, with the request's number, is committed before anything is sent.

``carry_out`` is the one place that brackets the network with two transactions of its own; it refuses to run inside one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model


class PaymentCall(Identified, Model):
    """One request to the channel and what came of it. Holds no key and no card; ``outcome`` is succeeded, refused or unknown."""

    __tablename__ = "payment_call"
    __table_args__ = (Index("ix_payment_call_subject", "kind", "subject_id"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))  # query, close, refund, refund_query
    subject_id: Mapped[int]  # a payment's or a refund's id
    request_no: Mapped[str] = mapped_column(String(64))
    made_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(12))
    answer: Mapped[dict[str, Any] | None]
