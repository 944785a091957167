"""Checkout: where it goes and what it costs, then straight to the cashier. The browser's return from there proves nothing: it asks."""

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from sqlalchemy import select

from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import MarketError
from marketplace.foundation.language import said, text
from marketplace.orders import cart, checkout, order_payment
from marketplace.orders.destination import Destination
from marketplace.orders.order import orders_of
from marketplace.organisations.region import Region
from marketplace.payments import call, seller_channel
from marketplace.payments.payment import OPEN, Payment
from marketplace.web.cart import by_seller, present, remember, total_of
from marketplace.web.orders import own_purchase
from marketplace.web.permission import needs, the_actor

bp = Blueprint("checkout", __name__)

FIELDS = ("recipient", "phone", "region", "province", "city", "street", "note")


@bp.get("/checkout")
@needs("buy")
def show() -> Any:
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
    region_id = db.session.scalar(select(Region.id).where(Region.code == form.get("region", ""))) if form.get("region") else None
    values = {name: form.get(name, "").strip() for name in FIELDS}
    destination = Destination(
        recipient=values["recipient"],
        phone=values["phone"],
        street=values["street"],
        region_id=region_id,
        province=values["province"],
        city=values["city"],
        note=values["note"],
    )
    try:
        purchase_id = transaction(lambda: checkout.place(cart_id, destination, actor=actor, key=key, shown_fen=shown_fen))
    except MarketError as error:
        # What was short or dearer is shown again as it is now, with a key of its own: it is another request.
        return _page({str(error.data.get("field", "")): said(error)}, values, secrets.token_urlsafe(16)), 422
    remember(0)
    return _to_cashier(purchase_id, f"{key}:first"[:80])


@bp.post("/orders/<public_id>/pay")
@needs("buy")
def pay(public_id: str) -> Any:
    return _to_cashier(own_purchase(public_id, the_actor()).id, request.form.get("idempotency_key", "")[:80])


@bp.get("/orders/<public_id>/returned")
@needs("buy")
def returned(public_id: str) -> Any:
    """Back from the cashier: ask Alipay about each attempt that is still open, then show the order as it is."""
    purchase = own_purchase(public_id, the_actor())
    ids = [order.id for order in orders_of(purchase.id)]
    query = select(Payment.id).where(Payment.payable_kind == "order", Payment.payable_id.in_(ids), Payment.state.in_(OPEN))
    for payment_id in list(db.session.scalars(query)):
        try:
            call.ask(payment_id)
        except MarketError:
            db.session.rollback()  # the sweeper asks again; the page says that the payment is being looked up
    return redirect(url_for("orders.show", public_id=public_id), 303)


def _to_cashier(purchase_id: int, key: str) -> Any:
    def open_attempt() -> tuple[str, str]:
        orders = orders_of(purchase_id)
        waiting = [order.id for order in orders if order.fulfilment == "WAITING" and order.payment == "UNPAID"]
        payments = order_payment.open_for_orders(waiting, key=key)
        public_id = _public_id(purchase_id)
        base = settings().base_url.rstrip("/")
        back = f"{base}{url_for('checkout.returned', public_id=public_id)}"
        return public_id, seller_channel.cashier_url(payments, notify_url=f"{base}/alipay/notice", return_url=back)

    try:
        _public, url = transaction(open_attempt)
    except MarketError as error:
        flash(said(error), "bad")
        return redirect(url_for("orders.show", public_id=_public_id(purchase_id)), 303)
    return redirect(url, 303)


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
        regions=_regions(),
        errors=errors,
        values=values,
        key=key,
        minutes=settings().payment_minutes,
    )


def _regions() -> list[tuple[str, list[tuple[str, str]]]]:
    """Townships with their villages, for a select."""
    regions = list(db.session.scalars(select(Region).where(Region.kind.in_(("TOWNSHIP", "VILLAGE"))).order_by(Region.code)))
    villages: dict[int, list[tuple[str, str]]] = {}
    for region in regions:
        if region.kind == "VILLAGE" and region.parent_id:
            villages.setdefault(region.parent_id, []).append((region.code, text(region, "name")))
    return [(text(each, "name"), villages[each.id]) for each in regions if each.kind == "TOWNSHIP" and each.id in villages]


