"""Settlement: an order's money is divided once it can no longer come back. One order never twice.

Due: paid, received, the return window over, no return open.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public


class Settlement(Public, Model):
    """What was divided: base = goods after discounts and refunds, tax included, without freight."""

    __tablename__ = "settlement"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    period: Mapped[str] = mapped_column(String(7), index=True)
    base_fen: Mapped[int]
    freight_fen: Mapped[int]
    cooperative_fen: Mapped[int]
    pool_fen: Mapped[int]
    village_fen: Mapped[int]
    fund_fen: Mapped[int]
    entry_id: Mapped[int | None]  # none: a zero order settles without an entry
    settled_at: Mapped[datetime]


class SettlementLine(Identified, Model):
    """One order line's part of a settlement, by its own scheme; ``*_reversed_fen`` is what refunds after settlement took back."""

    __tablename__ = "settlement_line"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    settlement_id: Mapped[int] = mapped_column(ForeignKey("settlement.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), unique=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    village_id: Mapped[int] = mapped_column(ForeignKey("region.id"))
    period: Mapped[str] = mapped_column(String(7), index=True)
    base_fen: Mapped[int]
    cooperative_fen: Mapped[int]
    pool_fen: Mapped[int]
    village_fen: Mapped[int]
    fund_fen: Mapped[int]
    distribution_id: Mapped[int | None] = mapped_column(ForeignKey("distribution.id"), index=True)
