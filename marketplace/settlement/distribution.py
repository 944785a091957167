"""Distribution (收益分配): a cooperative's household pools of one period, divided among the households.

Drafted by the accountant → approved by the director → published for 7 working days → objections answered → posted → paid.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public, Versioned

STATES = ("DRAFTED", "APPROVED", "PUBLISHED", "POSTED", "WITHDRAWN")


class Distribution(Public, Versioned, Model):
    """One cooperative, one period. ``total_fen`` is exactly what its households get."""

    __tablename__ = "distribution"
    __table_args__ = (
        UniqueConstraint("organisation_id", "period", "number"),
        CheckConstraint("state IN ('DRAFTED','APPROVED','PUBLISHED','POSTED','WITHDRAWN')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    period: Mapped[str] = mapped_column(String(7))
    number: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(10), default="DRAFTED")
    total_fen: Mapped[int]
    drafted_at: Mapped[datetime]
    drafted_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    published_at: Mapped[datetime | None]
    notice_id: Mapped[int | None] = mapped_column(ForeignKey("public_notice.id"))
    posted_at: Mapped[datetime | None]


class DistributionGroup(Identified, Model):
    """One linkage group's part: the pool, divided by patronage and equity. ``basis`` says where the weights came from."""

    __tablename__ = "distribution_group"
    __table_args__ = (
        UniqueConstraint("distribution_id", "linkage_group_id"),
        CheckConstraint("basis IN ('BATCHES','TWELVE_MONTHS','EQUITY_ONLY')", name="basis"),
        CheckConstraint("patronage_fen + equity_fen = pool_fen - recovered_fen", name="whole"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    distribution_id: Mapped[int] = mapped_column(ForeignKey("distribution.id"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    pool_fen: Mapped[int]  # of the period's settlements, refunds off
    recovered_fen: Mapped[int] = mapped_column(default=0)
    patronage_fen: Mapped[int]
    equity_fen: Mapped[int]
    basis: Mapped[str] = mapped_column(String(16))
    households: Mapped[int]
    entry_id: Mapped[int | None]


class DistributionShare(Identified, Model):
    """One household's part and its reasons: grams of all grams, share-days of all share-days."""

    __tablename__ = "distribution_share"
    __table_args__ = (
        UniqueConstraint("distribution_id", "linkage_group_id", "household_id"),
        CheckConstraint("fen = patronage_fen + equity_fen AND fen >= 0", name="fen"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    distribution_id: Mapped[int] = mapped_column(ForeignKey("distribution.id"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"))
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    grams: Mapped[int]
    total_grams: Mapped[int]
    patronage_fen: Mapped[int]
    share_days: Mapped[int]
    total_share_days: Mapped[int]
    equity_fen: Mapped[int]
    fen: Mapped[int]
