"""The cart: anybody's, by a random token in the session; a buyer's own once signed in. The count in the header is kept in the session."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, session, url_for

from marketplace.catalogue.product import Pack
from marketplace.foundation.database import by_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders import cart
from marketplace.orders.cart import LARGEST, Cart, CartItem
from marketplace.orders.freight import FREE_FROM_FEN, freight_fen
from marketplace.web import csrf
from marketplace.web.account import safe_next
from marketplace.web.limits import limiter
from marketplace.web.permission import current_actor, holds, public
from marketplace.web.same_origin import own_forms_only

bp = Blueprint("cart", __name__)


@bp.app_context_processor
def _count_in_header() -> dict[str, Any]:
    # A reader without a cookie gets no session by being looked at.
    return {"cart_count": session.get("cart_count") if request.cookies else None}


@bp.get("/cart")
@public
def show() -> Any:
    own = present()
    items = cart.lines(own.id) if own else []
    if request.cookies:
        remember(sum(item.quantity for item in items))
    return render_template("shop/cart.html", sellers=by_seller(items), total_fen=total_of(items), any_short=any(item.short for item in items), free_from=FREE_FROM_FEN)


def _is_known() -> bool:
    """Whether there is a cart already, or a buyer, who has one: each new one is rows that we keep for a month. A cookie may name one that is gone."""
    return bool(request.cookies) and (_buyer_id() is not None or cart.found(session.get("cart")) is not None)


@bp.post("/cart/add")
@limiter.limit("120 per minute; 1000 per hour", exempt_when=_is_known)  # one address may be a whole office's
@public
@own_forms_only
def add() -> Any:
    pack_id, quantity = _pack(), _typed_quantity()
    count = transaction(lambda: _add(pack_id, quantity))
    remember(count)
    flash(_("已放进购物车。"), "done")
    return redirect(safe_next(request.form.get("next") or "/cart"), 303)


csrf.exempt(add)  # it has another guard


@bp.post("/cart/change")
@public
def change() -> Any:
    pack_id = _pack()
    quantity = 0 if "remove" in request.form else _typed_quantity(least=0)
    try:
        count = transaction(lambda: _change(pack_id, quantity))
    except MarketError as error:
        flash(said(error), "bad")
    else:
        remember(count)
    return redirect(url_for("cart.show"), 303)


def present() -> Cart | None:
    """The cart of this visitor, if there is one; a buyer who has just signed in takes over what they chose before."""
    buyer_id, token = _buyer_id(), session.get("cart") if request.cookies else None
    if buyer_id is not None and token:
        transaction(lambda: cart.claim(token, buyer_id).id)
        session.pop("cart", None)
    return cart.found(token, buyer_id)


def remember(count: int) -> None:
    """Keep the number in the header."""
    if count or "cart_count" in session:
        session["cart_count"] = count


def by_seller(items: list[CartItem]) -> list[tuple[Any, list[CartItem], int, int]]:
    """(cooperative, its items, goods in fen, freight in fen), one parcel each."""
    groups: dict[int, list[CartItem]] = {}
    for item in items:
        groups.setdefault(item.cooperative.id, []).append(item)
    parcels = []
    for group in groups.values():
        goods_fen = sum(item.sum_fen for item in group)
        parcels.append((group[0].cooperative, group, goods_fen, freight_fen(goods_fen)))
    return parcels


def total_of(items: list[CartItem]) -> int:
    """Goods and freight of everything, in fen."""
    return sum(goods + freight for _seller, _items, goods, freight in by_seller(items))


def _add(pack_id: int, quantity: int) -> int:
    own = _opened()
    cart.add(own.id, pack_id, quantity)
    return cart.count(own.id)


def _change(pack_id: int, quantity: int) -> int:
    own = _opened()
    cart.change(own.id, pack_id, quantity)
    return cart.count(own.id)


def _opened() -> Cart:
    buyer_id = _buyer_id()
    if buyer_id is not None:
        return cart.claim(session.get("cart"), buyer_id)
    own = cart.opened(session.get("cart"))
    session["cart"] = own.token
    return own


def _buyer_id() -> int | None:
    actor = current_actor()
    return actor.organisation_id if actor is not None and holds(actor, "buy") else None


def _pack() -> int:
    return by_public_id(Pack, request.form.get("pack", "")[:16]).id


def _typed_quantity(least: int = 1) -> int:
    typed = request.form.get("quantity", "1").strip()
    if not (typed.isascii() and typed.isdigit() and len(typed) <= 5 and least <= int(typed) <= LARGEST):
        raise InvalidInput("cart.quantity", N_("数量请填 1 到 %(most)s 之间的整数。"), field="quantity", most=LARGEST)
    return int(typed)
