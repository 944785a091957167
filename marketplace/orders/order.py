"""A purchase and its orders: one order a cooperative, since each cooperative is merchant of record of its own goods.

Prices, scheme version, linkage group and the number of households shown are frozen when the order is placed. Approval,
fulfilment, invoice and payment are states side by side; "completed" is derived.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, and_, case
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Identified, Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor

FULFILMENT = ("WAITING", "READY", "PARTLY_SHIPPED", "SHIPPED", "RECEIVED", "CANCELLED")
PAYMENT = ("UNPAID", "PARTLY_PAID", "PAID", "REFUNDED")


class WrongState(Conflict):
    """The order is in another state than the action needs."""


class Purchase(Public, Model):
    """What one buyer placed at once: where it goes and who placed it. It has no payment state; its orders have."""

    __tablename__ = "purchase"
    owner_columns: ClassVar = ("organisation_id",)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the buyer
    placed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    station_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"), index=True)  # at which it was placed for somebody else
    placed_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]  # public purchases only
    # The address as it was when placing.
    region_id: Mapped[int | None] = mapped_column(ForeignKey("region.id"))
    place: Mapped[str] = mapped_column(String(200), default="")  # province, city or township and village: not personal
    street_sealed: Mapped[str] = sealed_column(900)
    street = Sealed()
    recipient_sealed: Mapped[str] = sealed_column()
    recipient = Sealed()
    phone_sealed: Mapped[str] = sealed_column()
    phone = Sealed()
    note: Mapped[str] = mapped_column(String(300), default="")


class Order(Public, Versioned, Model):
    """One cooperative's part of a purchase. ``organisation_id`` is the cooperative; the buyer is ``buyer_id``.

    total = goods + freight. Paid, refunded and accepted are sums in fen of what payment and acceptance records say.
    """

    __tablename__ = "order"
    __table_args__ = (
        CheckConstraint("kind IN ('PUBLIC','DIRECTED')", name="kind"),
        CheckConstraint("fulfilment IN ('WAITING','READY','PARTLY_SHIPPED','SHIPPED','RECEIVED','CANCELLED')", name="fulfilment"),
        CheckConstraint("payment IN ('UNPAID','PARTLY_PAID','PAID','REFUNDED')", name="payment"),
        CheckConstraint("total_fen = goods_fen + freight_fen AND goods_fen >= 0 AND freight_fen >= 0", name="total"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= paid_fen", name="refunded"),
        Index("ix_order_due", "settled_at", "return_until"),
        Index("ix_order_seller", "organisation_id", "fulfilment", "id"),
        Index("ix_order_buyer", "buyer_id", "id"),
    )
    owner_columns: ClassVar = ("organisation_id", "buyer_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    purchase_id: Mapped[int] = mapped_column(ForeignKey("purchase.id"), index=True)
    buyer_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    placed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str] = mapped_column(String(10))
    fulfilment: Mapped[str] = mapped_column(String(16), default="WAITING")
    payment: Mapped[str] = mapped_column(String(12), default="UNPAID")
    goods_fen: Mapped[int]
    freight_fen: Mapped[int] = mapped_column(default=0)
    total_fen: Mapped[int]
    paid_fen: Mapped[int] = mapped_column(default=0)
    refunded_fen: Mapped[int] = mapped_column(default=0)  # approved refunds, whether or not they have arrived yet
    accepted_fen: Mapped[int] = mapped_column(default=0)  # a unit's acceptance: goods only
    cut_fen: Mapped[int] = mapped_column(default=0)  # of what was accepted: what the unit need not pay
    short_fen: Mapped[int] = mapped_column(default=0, server_default="0")  # of what was refunded: paid for goods that a unit did not accept
    placed_at: Mapped[datetime]
    placed_on: Mapped[date]
    paid_at: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]  # the last shipment
    received_at: Mapped[datetime | None]
    return_until: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    cancel_reason: Mapped[str] = mapped_column(String(40), default="")
    # The benefit receipt's address. Names no buyer and no household.
    receipt_token: Mapped[str] = mapped_column(String(32), unique=True)

    def must_be(self, *fulfilments: str) -> None:
        """Raise WrongState unless the fulfilment state is one of these."""
        if self.fulfilment not in fulfilments:
            raise WrongState("order.state", N_("订单现在的状态不能办这一步，请刷新页面看看。"), state=self.fulfilment)

    @property
    def due_fen(self) -> int:
        """What it costs in all: goods as ordered, of a unit after acceptance as accepted and less what was cut, and the freight."""
        accepted = self.kind == "DIRECTED" and self.received_at is not None
        return (self.accepted_fen - self.cut_fen if accepted else self.goods_fen) + self.freight_fen

    @property
    def open_fen(self) -> int:
        """What is still to be paid. What was paid for goods that are short pays for the others; what went back of goods that came is
        not to be paid again."""
        return max(0, self.due_fen - (self.paid_fen - self.short_fen))

    @property
    def owed_fen(self) -> int:
        """What is still to be paid of goods that a unit accepted: just what stands in the books as a receivable."""
        return self.open_fen if self.kind == "DIRECTED" and self.received_at is not None else 0

    @property
    def completed(self) -> bool:
        return self.fulfilment == "RECEIVED" and self.settled_at is not None


class OrderLine(Identified, Model):
    """Packs of one kind at a frozen price. ``goods_fen`` = quantity × price − discount."""

    __tablename__ = "order_line"
    __table_args__ = (
        CheckConstraint("goods_fen = quantity * price_fen - discount_fen AND goods_fen >= 0", name="goods"),
        CheckConstraint("quantity > 0 AND shipped >= 0 AND shipped <= quantity", name="quantity"),
        CheckConstraint("taken_off >= 0 AND shipped + taken_off <= quantity", name="taken_off"),
        CheckConstraint("refunded_fen >= 0 AND refunded_fen <= goods_fen", name="refunded"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), index=True)
    pack_id: Mapped[int] = mapped_column(ForeignKey("pack.id"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"))
    scheme_id: Mapped[int] = mapped_column(ForeignKey("split_scheme.id"))
    village_id: Mapped[int] = mapped_column(ForeignKey("region.id"))  # whose collective shares
    households_shown: Mapped[int]
    name_zh: Mapped[str] = mapped_column(String(240))  # product and pack as they were called
    name_en: Mapped[str | None] = mapped_column(String(300))
    quantity: Mapped[int]
    price_fen: Mapped[int]
    list_price_fen: Mapped[int]  # the public price of the day: the unit price guard
    discount_fen: Mapped[int] = mapped_column(default=0)
    goods_fen: Mapped[int]
    net_grams: Mapped[int]  # of one pack
    shipped: Mapped[int] = mapped_column(default=0)
    taken_off: Mapped[int] = mapped_column(default=0, server_default="0")  # packs that were paid back before they left: they never will
    accepted: Mapped[int | None]  # packs a unit accepted
    refunded_fen: Mapped[int] = mapped_column(default=0)
    unpaid_fen: Mapped[int] = mapped_column(default=0, server_default="0")  # of packs that a unit did not accept: what it had not paid for
    cut_fen: Mapped[int] = mapped_column(default=0, server_default="0")  # its part of what the unit need not pay

    @property
    def left_fen(self) -> int:
        """What the buyer has paid for it, or will, less what went back: what it settles at, and what can still go back of it."""
        return max(0, self.goods_fen - self.unpaid_fen - self.cut_fen - self.refunded_fen)

    def worth_of(self, packs: int) -> int:
        """What so many of its packs cost the buyer in the end; all of those that came bring whatever is left of it."""
        came = self.wanted if self.accepted is None else self.accepted
        if packs >= came:
            return self.left_fen
        return min(self.left_fen, self.goods_fen * packs // self.quantity - (self.cut_fen * packs + came - 1) // came)

    @property
    def wanted(self) -> int:
        """Packs that the buyer has or is to get."""
        return self.quantity - self.taken_off

    @property
    def to_ship(self) -> int:
        """Packs that have still to leave, as long as the order lives: they are what is set aside for it."""
        return self.wanted - self.shipped


def packs_to_ship() -> ColumnElement[int]:
    """``OrderLine.to_ship`` as a column."""
    return OrderLine.quantity - OrderLine.taken_off - OrderLine.shipped


def owed() -> ColumnElement[int]:
    """``Order.owed_fen`` as a column."""
    left = Order.accepted_fen - Order.cut_fen + Order.freight_fen - (Order.paid_fen - Order.short_fen)
    return case((and_(Order.kind == "DIRECTED", Order.received_at.is_not(None), left > 0), left), else_=0)


def locked_order(order_id: int) -> Order:
    """The order, fresh and locked. NotFound if there is none."""
    return locked(Order, order_id)


def lines_of(order_id: int) -> list[OrderLine]:
    """Its lines, in the order in which they were placed."""
    return lines_by_order([order_id])[order_id]


def waiting_packs(lines: Sequence[OrderLine]) -> dict[int, int]:
    """Pack → packs that these lines have still to ship."""
    packs: dict[int, int] = {}
    for line in lines:
        if line.to_ship:
            packs[line.pack_id] = packs.get(line.pack_id, 0) + line.to_ship
    return packs


def freight_back(order: Order, lines: Sequence[OrderLine]) -> int:
    """What of the freight went back: what was refunded beyond the goods, in fen."""
    return order.refunded_fen - sum(line.refunded_fen for line in lines)


def lines_by_order(order_ids: Sequence[int]) -> dict[int, list[OrderLine]]:
    """The lines of several orders, by order: one query, however many there are."""
    found: dict[int, list[OrderLine]] = {order_id: [] for order_id in order_ids}
    for line in db.session.scalars(db.select(OrderLine).where(OrderLine.order_id.in_(order_ids)).order_by(OrderLine.id)):
        found[line.order_id].append(line)
    return found


def must_concern(order: Order, actor: Actor) -> None:
    """Raise NotFound unless the actor bought it, placed it at a station, sells it or runs the market."""
    if actor.organisation_id != order.organisation_id and not is_buyers(order, actor) and not actor.is_operator:
        raise not_found(Order)


def is_buyers(order: Order, actor: Actor) -> bool:
    """Whether the actor bought it, or works at the station that placed it for the buyer: what its clerks buy for themselves is not its own."""
    placed_here = actor.kind == "STATION" and db.session.get_one(Purchase, order.purchase_id).station_id == actor.organisation_id
    return placed_here or actor.organisation_id == order.buyer_id


def orders_of(purchase_id: int) -> list[Order]:
    """The orders of a purchase, one a cooperative."""
    return list(db.session.scalars(db.select(Order).where(Order.purchase_id == purchase_id).order_by(Order.id)))
