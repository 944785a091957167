"""The parts of a distribution: what each linkage group's pool gives, and what each household gets of it, with its reasons."""

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, db


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
