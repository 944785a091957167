"""A directed order: an order of a unit, with approval, terms and a reference for its bank transfer."""

from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, Public

APPROVAL = ("SUBMITTED", "APPROVED", "RETURNED", "CONFIRMED", "DECLINED", "CANCELLED")


class DirectedOrder(Public, Model):
    """What a unit's order has beyond ``orders.order``. SUBMITTED → APPROVED (second person of the unit) → CONFIRMED (cooperative)."""

    __tablename__ = "directed_order"
    __table_args__ = (
        CheckConstraint("approval IN ('SUBMITTED','APPROVED','RETURNED','CONFIRMED','DECLINED','CANCELLED')", name="approval"),
        CheckConstraint("terms IN ('PREPAY','POSTPAY')", name="terms"),
    )
    owner_columns: ClassVar = ("organisation_id", "cooperative_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the unit
    cooperative_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    commitment_id: Mapped[int | None] = mapped_column(ForeignKey("commitment.id"), index=True)
    approval: Mapped[str] = mapped_column(String(12), default="SUBMITTED")
    terms: Mapped[str] = mapped_column(String(8))
    programme: Mapped[str] = mapped_column(String(8), default="COUNTY")
    is_trade_union: Mapped[bool] = mapped_column(default=False)
    reference: Mapped[str] = mapped_column(String(20), unique=True)  # written in the transfer's remark
    return_days: Mapped[int] = mapped_column(default=7)
    submitted_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_reason: Mapped[str] = mapped_column(String(300), default="")
    confirmed_at: Mapped[datetime | None]
    confirmed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    ship_by: Mapped[date | None]
    pay_by: Mapped[date | None]


class Acceptance(Public, Model):
    """The unit's signature that goods arrived: what was accepted, in fen of goods, and what was short."""

    __tablename__ = "acceptance"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the unit
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), unique=True)
    accepted_fen: Mapped[int]
    short_fen: Mapped[int]
    note: Mapped[str] = mapped_column(String(300), default="")
    accepted_at: Mapped[datetime]
    accepted_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class AcceptanceLine(Identified, Model):
    """Packs of an order line that were accepted and that were short."""

    __tablename__ = "acceptance_line"
    __table_args__ = (CheckConstraint("accepted >= 0 AND short >= 0", name="positive"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    acceptance_id: Mapped[int] = mapped_column(ForeignKey("acceptance.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), unique=True)
    accepted: Mapped[int]
    short: Mapped[int]
    reason: Mapped[str] = mapped_column(String(120), default="")
