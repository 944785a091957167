"""A payment: one attempt to pay one payable (an order) over one channel. ``apply`` is the one door for outcomes.

States: created → requires_action → processing → succeeded | canceled; succeeded never goes back. Paid after cancel or paid
twice goes to ``unapplied`` and is refunded. The payable is known only by kind and id: create_app registers who handles it.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, Public

STATES = ("created", "requires_action", "processing", "succeeded", "canceled", "late_paid")


class Payment(Public, Model):
    """``organisation_id`` is the merchant of record. ``out_trade_no`` is our number at the channel, unique for ever."""

    __tablename__ = "payment"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= amount_fen", name="refunded"),
        CheckConstraint("state IN ('created','requires_action','processing','succeeded','canceled','late_paid')", name="state"),
        Index("ix_payment_payable", "payable_kind", "payable_id"),
        Index("ix_payment_open", "state", "ask_at"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    payable_kind: Mapped[str] = mapped_column(String(20))
    payable_id: Mapped[int]
    channel: Mapped[str] = mapped_column(String(16))
    out_trade_no: Mapped[str] = mapped_column(String(64), unique=True)
    merge_no: Mapped[str | None] = mapped_column(String(64), index=True)  # one cashier page for several payments
    amount_fen: Mapped[int]
    refunded_fen: Mapped[int] = mapped_column(default=0)  # locked sum, unknown outcomes included
    state: Mapped[str] = mapped_column(String(16), default="created")
    trade_no: Mapped[str | None] = mapped_column(String(64), unique=True)
    app_id: Mapped[str] = mapped_column(String(32))
    seller_id: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    canceled_at: Mapped[datetime | None]
    ask_at: Mapped[datetime | None]  # when the sweeper asks the channel next
    asked: Mapped[int] = mapped_column(default=0)


class AlipayNotice(Public, Model):
    """The inbox: every notice whose signature was right, stored before it is applied."""

    __tablename__ = "alipay_notice"

    notify_id: Mapped[str] = mapped_column(String(128), index=True)
    out_trade_no: Mapped[str] = mapped_column(String(64), index=True)
    trade_status: Mapped[str] = mapped_column(String(32))
    total_fen: Mapped[int | None]
    received_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(40))
