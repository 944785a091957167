"""A parcel at a service station: a shipment to the station's village came in, and was handed out. Each step once, by a named person."""

from datetime import datetime

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, db, get, locked_where, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.orders.order import Order, Purchase
from marketplace.orders.shipment import Shipment
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation, ServiceStation


class Parcel(Identified, Model):
    """That a shipment lies at a station, or lay there. ``organisation_id`` is the station's."""

    __tablename__ = "parcel"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    shipment_id: Mapped[int] = mapped_column(ForeignKey("shipment.id"), unique=True)
    arrived_at: Mapped[datetime]
    arrived_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    handed_at: Mapped[datetime | None]
    handed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


def to_station(organisation_id: int, *, handed: bool = False, limit: int = 100) -> list[tuple[Shipment, Order, Purchase, Organisation, Parcel | None]]:
    """(shipment, order, purchase, cooperative, parcel) of what goes to the station's village, or was ordered there; the latest first."""
    station = db.session.scalars(select(ServiceStation).where(ServiceStation.organisation_id == organisation_id)).one_or_none()
    if station is None:
        return []
    query = (
        select(Shipment, Order, Purchase, Organisation, Parcel)
        .join(Order, Order.id == Shipment.order_id)
        .join(Purchase, Purchase.id == Order.purchase_id)
        .join(Organisation, Organisation.id == Order.organisation_id)
        .outerjoin(Parcel, Parcel.shipment_id == Shipment.id)
        .where(Purchase.region_id == station.region_id)
        .order_by(Shipment.id.desc())
        .limit(limit)
    )
    query = query.where(Parcel.handed_at.is_not(None) if handed else Parcel.handed_at.is_(None))
    if not handed:
        query = query.where(Order.fulfilment.in_(("PARTLY_SHIPPED", "SHIPPED", "RECEIVED")))
    return [(row[0], row[1], row[2], row[3], row[4]) for row in db.session.execute(query)]


def arrive(shipment_id: int, *, actor: Actor) -> Parcel:
    """A parcel came in. NotFound if it does not go to the station's village, Conflict ``parcel.arrived`` the second time."""
    actor.must_have("STATION", "station_clerk")
    shipment = get(Shipment, shipment_id)
    _must_come_here(shipment, actor)
    if db.session.scalars(select(Parcel).where(Parcel.shipment_id == shipment.id)).one_or_none() is not None:
        raise Conflict("parcel.arrived", N_("这个包裹已经登记过到站了。"))
    row = Parcel(organisation_id=actor.organisation_id, shipment_id=shipment.id, arrived_at=clock.now(), arrived_by_id=actor.person_id)
    db.session.add(row)
    db.session.flush()
    audit.record("parcel.arrived", row, person_id=actor.person_id, shipment_id=shipment.id)
    return row


def hand_out(shipment_id: int, *, actor: Actor) -> Parcel:
    """Its receiver took it. NotFound if it never came in here, Conflict ``parcel.handed`` the second time."""
    actor.must_have("STATION", "station_clerk")
    row = locked_where(Parcel, select(Parcel).where(Parcel.shipment_id == shipment_id, Parcel.organisation_id == actor.organisation_id))
    if row.handed_at is not None:
        raise Conflict("parcel.handed", N_("这个包裹已经登记过取走了。"))
    row.handed_at, row.handed_by_id = clock.now(), actor.person_id
    db.session.flush()
    audit.record("parcel.handed", row, person_id=actor.person_id, shipment_id=shipment_id)
    return row


def _must_come_here(shipment: Shipment, actor: Actor) -> None:
    goes_to = (
        select(ServiceStation.organisation_id)
        .join(Purchase, Purchase.region_id == ServiceStation.region_id)
        .join(Order, Order.purchase_id == Purchase.id)
        .where(Order.id == shipment.order_id, ServiceStation.organisation_id == actor.organisation_id)
    )
    if db.session.scalars(goes_to).first() is None:
        raise not_found(Shipment)
