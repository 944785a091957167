"""Linkage (利益联结): the group of households that shares in what a cooperative sells of one kind of goods, with dated shares."""

from datetime import date
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, String, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public, Versioned

# An equity share says what was appraised into it, and at how much; one recorded before that was asked says neither.
APPRAISED = (
    "asset_kind IS NULL AND appraised_fen IS NULL OR kind = 'EQUITY' AND asset_kind IS NOT NULL AND appraised_fen IS NOT NULL "
    "AND asset_kind IN ('LAND','FOREST','FUNDS','CASH','EQUIPMENT','OTHER') AND appraised_fen > 0"
)


class LinkageGroup(Public, Versioned, Model):
    """A group of a cooperative. At least 60 % of its pool goes by patronage, the rest by equity."""

    __tablename__ = "linkage_group"
    __table_args__ = (CheckConstraint("patronage_bp BETWEEN 6000 AND 10000", name="patronage_bp"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    code: Mapped[str] = mapped_column(String(40), unique=True)
    category: Mapped[str] = mapped_column(String(30))
    region_id: Mapped[int] = mapped_column(ForeignKey("region.id"))  # the village (or township) it is named after
    name_zh: Mapped[str] = mapped_column(String(120))
    name_en: Mapped[str | None] = mapped_column(String(160))
    patronage_bp: Mapped[int] = mapped_column(default=6000)
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]


class LinkageShare(Identified, Model):
    """A household's part in a group while it is in force. Leaving sets ``ends_on`` (the last day); history is never rewritten."""

    __tablename__ = "linkage_share"
    __table_args__ = (
        CheckConstraint("shares >= 0", name="shares"),
        CheckConstraint("kind IN ('EQUITY','SUPPLY','WAGE','LEASE','RELIEF')", name="kind"),
        CheckConstraint("ends_on IS NULL OR ends_on >= starts_on", name="dates"),
        CheckConstraint(APPRAISED, name="appraised"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    shares: Mapped[int]
    asset_kind: Mapped[str | None] = mapped_column(String(10))
    appraised_fen: Mapped[int | None]  # what all the shares of this row stand for
    starts_on: Mapped[date]
    ends_on: Mapped[date | None]
    basis_zh: Mapped[str] = mapped_column(String(200), default="")
    recorded_by_id: Mapped[int | None]
    ended_by_id: Mapped[int | None]
    end_reason: Mapped[str] = mapped_column(String(200), default="", server_default="")

    def in_force(self, day: date) -> bool:
        """Whether it holds on this day (Beijing)."""
        return self.starts_on <= day <= (self.ends_on or day)


def shares_in_pool(shares: Any, day: Any) -> ColumnElement[bool]:
    """That a row of ``shares`` (the class, or its table's columns) is in force on a day and gets something of the group's pool.

    Wages, leases and relief are paid outside it: whoever counts a group's households in public counts without them, or a pool
    of one household would be shown as that of five.
    """
    return and_(shares.kind.in_(("EQUITY", "SUPPLY")), shares.starts_on <= day, or_(shares.ends_on.is_(None), shares.ends_on >= day))
