"""A distribution as it is kept, and its parts: what each linkage group's pool gives, and what each household gets of it, with its reasons."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, Text, UniqueConstraint, select
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public, Staged, Versioned, db
from marketplace.foundation.language import N_

STATES = ("DRAFTED", "APPROVED", "PUBLISHED", "POSTED", "WITHDRAWN")


class Distribution(Public, Versioned, Staged, Model):
    """One cooperative, one period. ``total_fen`` is exactly what its households get."""

    __tablename__ = "distribution"
    not_now = ("distribution.state", N_("这份分配现在的状态不能办这一步，请刷新页面看看。"))
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
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by_id: Mapped[int | None]
    withdrawn_reason: Mapped[str] = mapped_column(Text, default="", server_default="")


class DistributionGroup(Identified, Model):
    """One linkage group's part: the pool, divided by the rule that was in force. ``basis`` says where the weights came from.

    ``guaranteed_fen`` is less than ``guaranteed_due_fen`` where the pool did not reach: then each had its part of it, in proportion.
    """

    __tablename__ = "distribution_group"
    __table_args__ = (
        UniqueConstraint("distribution_id", "linkage_group_id"),
        CheckConstraint("basis IN ('BATCHES','TWELVE_MONTHS','EQUITY_ONLY')", name="basis"),
        CheckConstraint("relief_fen + guaranteed_fen + patronage_fen + equity_fen = pool_fen - recovered_fen", name="whole"),
        CheckConstraint("guaranteed_fen BETWEEN 0 AND guaranteed_due_fen AND relief_fen >= 0", name="options"),
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
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("distribution_rule.id"))  # none: as the group was founded
    relief_units: Mapped[int] = mapped_column(default=0, server_default="0")  # people, or households, as the rule counts them
    relief_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    guaranteed_due_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    guaranteed_fen: Mapped[int] = mapped_column(default=0, server_default="0")

    @hybrid_property
    def fen(self) -> int:
        """What its households get."""
        return self.pool_fen - self.recovered_fen


class DistributionShare(Identified, Model):
    """One household's part and its reasons: grams of all grams, share-days of all share-days."""

    __tablename__ = "distribution_share"
    __table_args__ = (
        UniqueConstraint("distribution_id", "linkage_group_id", "household_id"),
        CheckConstraint("fen = relief_fen + guaranteed_fen + patronage_fen + equity_fen AND fen >= 0", name="fen"),
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
    relief_units: Mapped[int] = mapped_column(default=0, server_default="0")
    relief_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    guaranteed_due_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    guaranteed_fen: Mapped[int] = mapped_column(default=0, server_default="0")


def groups_of(distribution_id: int) -> list[DistributionGroup]:
    """Its groups, in order."""
    query = select(DistributionGroup).where(DistributionGroup.distribution_id == distribution_id)
    return list(db.session.scalars(query.order_by(DistributionGroup.linkage_group_id)))


def shares_of(distribution_id: int, group_id: int | None = None) -> list[DistributionShare]:
    """Its households' shares, of one group if named, in the order of households' ids."""
    query = select(DistributionShare).where(DistributionShare.distribution_id == distribution_id)
    if group_id is not None:
        query = query.where(DistributionShare.linkage_group_id == group_id)
    return list(db.session.scalars(query.order_by(DistributionShare.household_id, DistributionShare.linkage_group_id)))
