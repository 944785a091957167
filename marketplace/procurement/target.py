"""Target (年度任务): a unit's yearly duty, and commitments (认购承诺) towards it. A unit without a canteen has no quota."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, Public, Versioned


class Target(Public, Versioned, Model):
    """reserved = base × percent. FILED by the unit → REVIEWED by its parent → LOCKED by the county's finance office."""

    __tablename__ = "target"
    __table_args__ = (
        UniqueConstraint("organisation_id", "year"),
        CheckConstraint("canteen IN ('OWN','SHARED','OUTSOURCED','NONE')", name="canteen"),
        CheckConstraint("state IN ('DRAFT','FILED','REVIEWED','LOCKED')", name="state"),
        CheckConstraint("base_fen >= 0 AND reserved_fen >= 0", name="positive"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    year: Mapped[int]
    canteen: Mapped[str] = mapped_column(String(12), default="OWN")
    base_fen: Mapped[int]
    percent_bp: Mapped[int]
    reserved_fen: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default="LOCKED")


class Commitment(Public, Versioned, Model):
    """A pledge to buy, without effect on stock or books. An order line draws on at most one."""

    __tablename__ = "commitment"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('OPEN','FULFILLED','WITHDRAWN')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    category: Mapped[str | None] = mapped_column(ForeignKey("category.code"))
    year: Mapped[int]
    fen: Mapped[int]
    note: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
