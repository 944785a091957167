"""Checkout: where it goes and what it costs, then straight to the cashier. The browser's return from there proves nothing: it asks."""

import re
import secrets
from typing import Any

import segno
from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.orders import cart, checkout, order_payment
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, orders_of
from marketplace.organisations import address
from marketplace.organisations.address import Address
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.payments import call, channel_key, seller_channel
from marketplace.payments.payment import OPEN, Payment
from marketplace.web.cart import by_seller, present, remember, total_of
from marketplace.web.errors import BUSY
from marketplace.web.limits import limiter, signed_in
from marketplace.web.orders import own_purchase
from marketplace.web.permission import needs, the_actor

bp = Blueprint("checkout", __name__)

TRIES = "30 per minute; 300 per hour"  # of one person's ways to a cashier and back: each is a call of a channel
FIELDS = ("address", "recipient", "phone", "region", "province", "city", "street", "note")


@bp.get("/checkout")
@needs("buy")
def show() -> Any:
    if the_actor().kind == "STATION":
        return redirect(url_for("station_desk.order"), 303)  # a station buys for somebody
    return _page({}, {}, secrets.token_urlsafe(16))


@bp.post("/checkout")
@needs("buy")
def place() -> Any:
    actor, form = the_actor(), request.form
    own = present()
    key = form.get("idempotency_key", "")[:80]
    shown = form.get("shown_fen", "")
    shown_fen = int(shown) if shown.isascii() and shown.isdigit() and len(shown) < 12 else None
    cart_id = own.id if own else 0
    region_id = region_of(form.get("region", ""))
    values = {name: form.get(name, "").strip() for name in FIELDS}
    destination = _chosen(values) or Destination(
        recipient=values["recipient"],
        phone=values["phone"],
        street=values["street"],
        region_id=region_id,
        province=values["province"],
        city=values["city"],
        note=values["note"],
    )
    if values["address"] not in ("", "new") and any(values[name] for name in ("recipient", "phone", "street")):
        # Sending it to the other place would be a nasty surprise.
        return _page({"address": _("您填了新地址，选的却是存好的地址。请再选一次。")}, values, secrets.token_urlsafe(16)), 422
    keep = bool(form.get("keep")) and values["address"] in ("", "new")

    def work() -> int:
        made = checkout.place(cart_id, destination, actor=actor, key=key, shown_fen=shown_fen)
        if keep:
            address.save(
                recipient=destination.recipient, phone=destination.phone, street=destination.street, region_id=destination.region_id,
                province=destination.province, city=destination.city, actor=actor,
            )  # fmt: skip
        return made

    try:
        purchase_id = transaction(work)
    except MarketError as error:
        if error.code == BUSY:
            raise  # nothing of it is wrong: the same is sent again
        # What was short or dearer is shown again as it is now, with a key of its own: it is another request.
        return _page({str(error.data.get("field", "")): said(error)}, values, secrets.token_urlsafe(16)), 422
    remember(0)
    if form.get("pay") == "card":
        return _to_card(purchase_id, f"{key}:card"[:80])
    return _to_cashier(purchase_id, f"{key}:first"[:80])


@bp.post("/orders/<public_id>/pay")
@limiter.limit(TRIES, key_func=signed_in)
@needs("buy")
def pay(public_id: str) -> Any:
    return _to_cashier(own_purchase(public_id, the_actor()).id, request.form.get("idempotency_key", "")[:80])


@bp.get("/orders/<public_id>/returned")
@limiter.limit(TRIES, key_func=signed_in)
@needs("buy")
def returned(public_id: str) -> Any:
    """Back from the cashier: ask the channel about the last attempt of each order that is still open, then show the order as it is. Earlier
    ones are the sweeper's."""
    purchase = own_purchase(public_id, the_actor())
    ids = [order.id for order in orders_of(purchase.id)]
    query = select(func.max(Payment.id)).where(Payment.payable_kind == "order", Payment.payable_id.in_(ids), Payment.state.in_(OPEN))
    for payment_id in list(db.session.scalars(query.group_by(Payment.payable_id))):
        try:
            call.ask(payment_id)
        except MarketError:
            db.session.rollback()  # the sweeper asks again; the page says that the payment is being looked up
    return redirect(url_for("orders.show", public_id=public_id), 303)


@bp.post("/orders/<public_id>/card/<order_id>")
@limiter.limit(TRIES, key_func=signed_in)
@needs("buy")
def card(public_id: str, order_id: str) -> Any:
    """To the page of the cooperative's own card channel, for its order."""
    purchase = own_purchase(public_id, the_actor())
    order: Order = by_public_id(Order, order_id, select(Order).where(Order.purchase_id == purchase.id))
    return _by_card(order.id, public_id, request.form.get("idempotency_key", "")[:80])


@bp.get("/orders/paid/<payment_id>")
@needs("buy")
def card_returned(payment_id: str) -> Any:
    """Back from a card's page: on to the purchase, which asks. NotFound for another's payment."""
    payment: Payment = by_public_id(Payment, payment_id, select(Payment).where(Payment.payable_kind == "order"))
    order = db.session.get_one(Order, payment.payable_id)
    purchase = own_purchase(_public_id(order.purchase_id), the_actor())
    return redirect(url_for(".returned", public_id=purchase.public_id), 303)


@bp.post("/orders/<public_id>/scan/<order_id>")
@limiter.limit(TRIES, key_func=signed_in)
@needs("buy")
def scan(public_id: str, order_id: str) -> Any:
    """A code for one cooperative's order, to be scanned at the counter of a service station."""
    purchase = own_purchase(public_id, the_actor())
    order: Order = by_public_id(Order, order_id, select(Order).where(Order.purchase_id == purchase.id))
    number, key = order.id, request.form.get("idempotency_key", "")[:80]

    def opened() -> tuple[int, str]:
        (attempt,) = order_payment.open_for_orders([number], key=key)
        return attempt.id, attempt.public_id

    try:
        payment_id, address = transaction(opened)
        call.announce([payment_id], "qr_code")
    except MarketError as error:
        return _not_opened(error, public_id)
    return redirect(url_for(".code", public_id=public_id, payment_id=address), 303)


@bp.get("/orders/<public_id>/code/<payment_id>")
@needs("buy")
def code(public_id: str, payment_id: str) -> Any:
    """The code to be scanned, until it is paid or its time is over: then the order."""
    purchase = own_purchase(public_id, the_actor())
    ids = [order.id for order in orders_of(purchase.id)]
    own = select(Payment).where(Payment.payable_kind == "order", Payment.payable_id.in_(ids))
    payment: Payment = by_public_id(Payment, payment_id, own)
    if payment.state not in OPEN or payment.expires_at <= clock.now() or not payment.precreated:
        return redirect(url_for("orders.show", public_id=public_id), 303)
    seller = db.session.get_one(Organisation, payment.organisation_id)
    picture = segno.make(payment.precreated, error="m").svg_data_uri(scale=6, border=2, dark="#24302b", light="#fffdf8")
    return render_template("shop/code.html", purchase=purchase, payment=payment, seller=seller, picture=picture)


def _to_cashier(purchase_id: int, key: str) -> Any:
    wap = on_phone()

    def open_attempts() -> list[int]:
        waiting = [order.id for order in orders_of(purchase_id) if order.fulfilment == "WAITING" and order.payment == "UNPAID"]
        return [each.id for each in order_payment.open_for_orders(waiting, key=key)]

    public_id = _public_id(purchase_id)
    try:
        ids = transaction(open_attempts)
        call.announce(ids, "merge" if wap and len(ids) > 1 else "")
        payments = list(db.session.scalars(select(Payment).where(Payment.id.in_(ids)).order_by(Payment.id)))
        back = f"{settings().base_url.rstrip('/')}{url_for('checkout.returned', public_id=public_id)}"
        url = seller_channel.cashier_url(payments, return_url=back, wap=wap)
    except MarketError as error:
        return _not_opened(error, public_id)
    return redirect(url, 303)


def _to_card(purchase_id: int, key: str) -> Any:
    """To the card's page if one cooperative sells it all; else to the order, which has a button for each."""
    numbers, public_id = [order.id for order in orders_of(purchase_id)], _public_id(purchase_id)
    return _by_card(numbers[0], public_id, key) if len(numbers) == 1 else redirect(url_for("orders.show", public_id=public_id), 303)


def _by_card(order_id: int, public_id: str, key: str) -> Any:
    try:
        payment_id = transaction(lambda: order_payment.open_for_orders([order_id], key=key, channel="stripe")[0].id)
        call.announce([payment_id], "checkout")
        return redirect(call.page_of(payment_id), 303)
    except MarketError as error:
        return _not_opened(error, public_id)


def _not_opened(error: MarketError, public_id: str) -> Any:
    """Why there is no page to pay on, said on the order, which has the button again. A busy database is a trouble of its own, but not to
    whoever has placed the order just now: that it stands is the news."""
    if error.code == BUSY and request.endpoint != "checkout.place":
        raise error
    flash(said(error), "bad")
    return redirect(url_for("orders.show", public_id=public_id), 303)


def on_phone() -> bool:
    """Whether the browser says that it is a phone's: Alipay has pages of their own for those."""
    return re.search(r"Mobile|Android|iPhone|HarmonyOS", request.user_agent.string) is not None


def _public_id(purchase_id: int) -> str:
    from marketplace.orders.order import Purchase

    return db.session.get_one(Purchase, purchase_id).public_id


def _page(errors: dict[str, str], values: dict[str, str], key: str) -> Any:
    own = present()
    items = cart.lines(own.id) if own else []
    if not items and not errors:
        return redirect(url_for("cart.show"), 303)
    session["cart_count"] = sum(item.quantity for item in items)
    return render_template(
        "shop/checkout.html",
        sellers=by_seller(items),
        total_fen=total_of(items),
        by_card=_takes_cards(items),
        regions=regions(),
        addresses=[
            (row.public_id, f"{row.recipient} {row.phone}", f"{place} {row.street}") for row, place in places(address.of(the_actor().organisation_id))
        ],
        errors=errors,
        values=values,
        key=key,
        minutes=settings().payment_minutes,
    )


def _takes_cards(items: Any) -> bool:
    """Whether everything in the cart is of cooperatives that take cards."""
    sellers = {item.product.organisation_id for item in items}
    return bool(sellers) and channel_key.with_channel("stripe", sorted(sellers)) == sellers


def places(rows: list[Address]) -> list[tuple[Address, str]]:
    """Saved addresses with the place of each in words; one statement for all of them."""
    known = {row.id: row for row in db.session.scalars(select(Region))} if any(row.region_id for row in rows) else {}

    def place(row: Address) -> str:
        names: list[str] = []
        region = known.get(row.region_id or 0)
        while region is not None:
            names.insert(0, text(region, "name"))
            region = known.get(region.parent_id or 0)
        return "".join(names) or f"{row.province}{row.city}"

    return [(row, place(row)) for row in rows]


def _chosen(values: dict[str, str]) -> Destination | None:
    """The saved address that the buyer chose; none if they typed one. NotFound for another's."""
    if values["address"] in ("", "new"):
        return None
    own = select(Address).where(Address.organisation_id == the_actor().organisation_id, Address.retired_at.is_(None))
    row = by_public_id(Address, values["address"], own)
    return Destination(
        recipient=row.recipient, phone=row.phone, street=row.street, region_id=row.region_id, province=row.province, city=row.city, note=values["note"]
    )


def region_of(code: str) -> int | None:
    """The place with this code; none if none was chosen, and 0, which is nowhere, for a code that there is not: that is said, not passed over."""
    return (db.session.scalar(select(Region.id).where(Region.code == code)) or 0) if code else None


def regions() -> list[tuple[str, list[tuple[str, str]]]]:
    """Townships with their villages, for a select."""
    regions = list(db.session.scalars(select(Region).where(Region.kind.in_(("TOWNSHIP", "VILLAGE"))).order_by(Region.code)))
    villages: dict[int, list[tuple[str, str]]] = {}
    for region in regions:
        if region.kind == "VILLAGE" and region.parent_id:
            villages.setdefault(region.parent_id, []).append((region.code, text(region, "name")))
    return [(text(each, "name"), villages[each.id]) for each in regions if each.kind == "TOWNSHIP" and each.id in villages]


