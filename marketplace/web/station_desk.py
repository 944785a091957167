"""The service station's desk: parcels in and out, orders placed for villagers, slips. Who placed an order and who bought it are two people."""

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.foundation.config import settings
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households.household_reading import village_of
from marketplace.orders import cart, checkout, parcel
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, Purchase
from marketplace.orders.shipment import Shipment
from marketplace.organisations import assisted_buyer, invitation
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role
from marketplace.organisations.region import Region
from marketplace.web.cart import by_seller, present, remember, total_of
from marketplace.web.orders import own_purchase
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("station_desk", __name__, url_prefix="/station")

permission("station.work", STATION="station_clerk")

PAGE = 30
FIELDS = ("name", "phone", "street", "note")


def desk() -> dict[str, Any]:
    """What every page of a station needs: its roads."""
    return {
        "nav_items": [
            (_("包裹"), "station_desk.today"),
            (_("代下单"), "station_desk.order"),
            (_("代下的单"), "station_desk.orders"),
            (_("明白卡"), "slip.station"),
        ]
    }


@bp.get("")
@needs("station.work")
def today() -> Any:
    actor, handed = the_actor(), request.args.get("view") == "handed"
    rows = parcel.to_station(actor.organisation_id, handed=handed)
    return render_template(
        "station/parcels.html",
        rows=[(shipment, order, masked_name(purchase.recipient), purchase.phone[-4:], seller, lying) for shipment, order, purchase, seller, lying in rows],
        handed=handed,
        **desk(),
    )


@bp.post("/parcels/<public_id>")
@needs("station.work")
def book(public_id: str) -> Any:
    """A parcel came in, or was handed out."""
    actor, shipment_id = the_actor(), by_public_id(Shipment, public_id).id
    if request.form.get("step") == "out":
        transaction(lambda: parcel.hand_out(shipment_id, actor=actor))
        flash(_("已登记取走。"), "done")
    else:
        transaction(lambda: parcel.arrive(shipment_id, actor=actor))
        flash(_("已登记到站，可以通知村民来取。"), "done")
    return redirect(url_for(".today"))


@bp.get("/order")
@needs("station.work")
def order() -> Any:
    return _form({}, {}, secrets.token_urlsafe(16))


@bp.post("/order")
@needs("station.work")
def place() -> Any:
    """Buy what is in the station's cart for a villager, who is the buyer; it goes to the station's village."""
    actor, form = the_actor(), request.form
    own, key, shown = present(), form.get("idempotency_key", "")[:80], form.get("shown_fen", "")
    cart_id = own.id if own else 0
    shown_fen = int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 12 else None
    values = {name: form.get(name, "").strip() for name in FIELDS}
    region_id = village_of(actor)
    destination = Destination(recipient=values["name"], phone=values["phone"], street=values["street"], region_id=region_id, note=values["note"])

    def work() -> str:
        destination.check()
        buyer = assisted_buyer.found_or_made(phone=values["phone"], name=values["name"], actor=actor)
        made = checkout.place(cart_id, destination, actor=actor, key=key, buyer_id=buyer, shown_fen=shown_fen)
        return db.session.get_one(Purchase, made).public_id

    try:
        public_id = transaction(work)
    except MarketError as error:
        db.session.rollback()
        field = {"recipient": "name"}.get(str(error.data.get("field", "")), str(error.data.get("field", "")))
        return _form({field: said(error)}, values, secrets.token_urlsafe(16)), 422
    remember(0)
    flash(_("单下好了，买家是这位村民。请收款或让村民扫码付。"), "done")
    return redirect(url_for("orders.show", public_id=public_id), 303)


@bp.get("/orders")
@needs("station.work")
def orders() -> Any:
    actor = the_actor()
    query = (
        select(Purchase, Organisation, func.sum(Order.total_fen), func.min(Order.fulfilment), func.min(Order.payment))
        .join(Organisation, Organisation.id == Purchase.organisation_id)
        .join(Order, Order.purchase_id == Purchase.id)
        .where(Purchase.station_id == actor.organisation_id)
        .group_by(Purchase.id, Organisation.id)
        .order_by(Purchase.id.desc())
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after:
        query = query.where(Purchase.id < own_purchase(after, actor).id)
    rows = db.session.execute(query).all()
    return render_template(
        "station/orders.html",
        rows=[(purchase, masked_name(buyer.name_zh), total, fulfilment, payment) for purchase, buyer, total, fulfilment, payment in rows[:PAGE]],
        next_url=url_for(".orders", after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(),
    )


@bp.post("/orders/<public_id>/link")
@needs("station.work")
def link(public_id: str) -> Any:
    """A link with which the buyer of an order that was placed here chooses a password; shown this once."""
    actor = the_actor()
    buyer = own_purchase(public_id, actor).organisation_id
    person_id = db.session.scalars(select(Role.person_id).where(Role.organisation_id == buyer, Role.name == "customer")).first() or 0
    token = transaction(lambda: invitation.make_for_served(person_id, actor=actor))
    url = settings().base_url.rstrip("/") + url_for("invitation.show", token=token)
    page = render_template(
        "operator/invited.html", person=db.session.get_one(Person, person_id), url=url, days=invitation.DAYS, back=url_for(".orders"), **desk()
    )
    return page, 200, {"Cache-Control": "no-store"}


def _form(errors: dict[str, str], values: dict[str, str], key: str) -> str:
    own = present()
    items = cart.lines(own.id) if own else []
    return render_template(
        "station/new_order.html",
        sellers=by_seller(items),
        total_fen=total_of(items),
        place=db.session.get_one(Region, village_of(the_actor())),
        errors=errors,
        values=values,
        key=key,
        **desk(),
    )
