"""A shipment: packs of an order that left the cooperative, each from a batch. The batch is fixed here and decides patronage."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, Public, db, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.orders.order import Order, OrderLine, lines_of, locked_order
from marketplace.organisations.actor import Actor
from marketplace.supply import stock
from marketplace.supply.batch import Batch


class Shipment(Public, Model):
    """One parcel or one load."""

    __tablename__ = "shipment"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    carrier: Mapped[str] = mapped_column(String(40))
    tracking_number: Mapped[str] = mapped_column(String(60), default="")
    shipped_at: Mapped[datetime]
    shipped_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class ShipmentLine(Identified, Model):
    """Packs of an order line, taken from a batch."""

    __tablename__ = "shipment_line"
    __table_args__ = (CheckConstraint("quantity > 0", name="quantity"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    shipment_id: Mapped[int] = mapped_column(ForeignKey("shipment.id"), index=True)
    order_line_id: Mapped[int] = mapped_column(ForeignKey("order_line.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    quantity: Mapped[int]
    grams: Mapped[int]


class BatchShort(Conflict):
    """A batch holds less than was to be taken from it. Data: ``batch_id``, ``left_grams``."""


def ship(
    order_id: int, parts: Sequence[tuple[int, int, int]], carrier: str, tracking_number: str = "", *, actor: Actor
) -> Shipment:
    """Send packs of an order: ``parts`` are (order line id, batch id, packs). Several shipments may make up an order.

    Sold never passes packed: raises BatchShort. Raises WrongState unless the order is ready, InvalidInput ``shipment.parts``,
    ``shipment.more`` (more than was ordered and not paid back), ``shipment.batch`` (a batch of another cooperative or linkage group), ``carrier.bad``.
    """
    actor.must_have("COOPERATIVE", "clerk", "director")
    order = locked_order(order_id)
    if order.organisation_id != actor.organisation_id:
        raise not_found(Order)
    order.must_be("READY", "PARTLY_SHIPPED")
    if not 1 <= len(carrier.strip()) <= 40 or len(tracking_number.strip()) > 60:
        raise InvalidInput("carrier.bad", N_("请写上快递公司和单号。"), field="carrier")
    if not parts or any(quantity <= 0 for _, _, quantity in parts):
        raise InvalidInput("shipment.parts", N_("请选择要发的货和批次。"), field="parts")
    lines = {line.id: line for line in lines_of(order.id)}
    packs = _count(lines, parts)
    stock.ship(packs, source_type="order", source_id=order.id)
    shipment = Shipment(
        organisation_id=order.organisation_id,
        order_id=order.id,
        carrier=carrier.strip(),
        tracking_number=tracking_number.strip(),
        shipped_at=clock.now(),
        shipped_by_id=actor.person_id,
    )
    db.session.add(shipment)
    db.session.flush()
    _take_from_batches(shipment, lines, parts)
    whole = not any(line.to_ship for line in lines.values())
    order.fulfilment = "SHIPPED" if whole else "PARTLY_SHIPPED"
    order.shipped_at = shipment.shipped_at
    order.version += 1
    db.session.flush()
    audit.record("order.shipped", shipment, person_id=actor.person_id, order_id=order.id, whole=whole)
    return shipment


def _count(lines: dict[int, OrderLine], parts: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    packs: dict[int, int] = {}
    for line_id, _, quantity in parts:
        line = lines.get(line_id)
        if line is None:
            raise not_found(OrderLine)
        if quantity > line.to_ship and line.taken_off:
            raise InvalidInput(
                "shipment.more", N_("“%(name)s”有 %(off)s 件已经退款，不发了，最多再发 %(left)s 件。"), field="parts",
                name=line.name_zh, off=line.taken_off, left=line.to_ship, order_line_id=line_id,
            )  # fmt: skip
        if quantity > line.to_ship:
            raise InvalidInput("shipment.more", N_("发的比订的多，请核对数量。"), field="parts", order_line_id=line_id)
        line.shipped += quantity
        packs[line.pack_id] = packs.get(line.pack_id, 0) + quantity
    return packs


def _take_from_batches(shipment: Shipment, lines: dict[int, OrderLine], parts: Sequence[tuple[int, int, int]]) -> None:
    query = select(Batch).where(Batch.id.in_({batch_id for _, batch_id, _ in parts})).order_by(Batch.id)
    query = query.with_for_update().execution_options(populate_existing=True)
    batches = {batch.id: batch for batch in db.session.scalars(query)}
    for line_id, batch_id, quantity in parts:
        line, batch = lines[line_id], batches.get(batch_id)
        # The batch decides whose deliveries earn from this sale, so it must be of the group that the buyer was shown.
        if batch is None or batch.organisation_id != line.organisation_id or batch.linkage_group_id != line.linkage_group_id:
            raise InvalidInput("shipment.batch", N_("这个批次不属于这件商品的联农组。"), field="parts", batch_id=batch_id)
        grams = quantity * line.net_grams
        if batch.grams_sold + grams > batch.grams_packed:
            left = batch.grams_packed - batch.grams_sold
            raise BatchShort("batch.short", N_("这个批次只剩 %(left_grams)s 克。"), batch_id=batch_id, left_grams=left)
        batch.grams_sold += grams
        db.session.add(
            ShipmentLine(
                organisation_id=shipment.organisation_id,
                shipment_id=shipment.id,
                order_line_id=line_id,
                batch_id=batch_id,
                quantity=quantity,
                grams=grams,
            )
        )
    db.session.flush()


def from_batch(batch_id: int, limit: int) -> list[tuple[Order, datetime, int]]:
    """(order, shipped at, grams) of what was taken from a batch, the latest first."""
    query = (
        select(Order, Shipment.shipped_at, func.sum(ShipmentLine.grams))
        .join(Shipment, Shipment.order_id == Order.id)
        .join(ShipmentLine, ShipmentLine.shipment_id == Shipment.id)
        .where(ShipmentLine.batch_id == batch_id)
        .group_by(Order.id, Shipment.id)
        .order_by(Shipment.id.desc())
        .limit(limit)
    )
    return [(row[0], row[1], int(row[2])) for row in db.session.execute(query)]
