"""Buying for a unit: which cooperative, which packs at which tier, where to, how to pay. A unit never pays above the public price."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan
from marketplace.orders import cart
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, Purchase
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import approval_rule, commitment, directed_order
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.target import Commitment
from marketplace.supply.stock import Stock
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money
from marketplace.web.unit_desk import desk

bp = Blueprint("unit_buy", __name__, url_prefix="/unit/orders/new")

permission("unit.read", UNIT="*")
permission("unit.buy", UNIT="buyer")


@bp.get("")
@needs("unit.read")
def choose() -> Any:
    """Which cooperative to buy from: an order is of one, since it is paid to one. Pledged and not yet bought comes first."""
    actor, year = the_actor(), clock.business_date().year
    bought = (
        select(func.coalesce(func.sum(Order.goods_fen), 0))
        .where(Order.organisation_id == Organisation.id, Order.buyer_id == actor.organisation_id, Order.fulfilment != "CANCELLED", Order.placed_on >= clock.business_date().replace(month=1, day=1))
        .correlate(Organisation)
        .scalar_subquery()
    )  # fmt: skip
    query = (
        select(Organisation, func.count(Product.id), bought)
        .join(Product, Product.organisation_id == Organisation.id)
        .where(Product.state == "ON_SALE", Organisation.suspended_at.is_(None))
        .group_by(Organisation.id)
        .order_by(Organisation.name_zh)
    )
    pledged: dict[int, int] = {}
    for each in commitment.of_unit(actor.organisation_id):
        if each.state == "OPEN" and each.row.year == year and each.row.cooperative_id:
            pledged[each.row.cooperative_id] = pledged.get(each.row.cooperative_id, 0) + each.left_fen
    rows = [(own, count, int(fen), pledged.get(own.id, 0)) for own, count, fen in db.session.execute(query)]
    rows.sort(key=lambda row: -row[3])
    return render_template("unit/choose.html", rows=rows, **desk(actor))


@bp.get("/<cooperative_id>")
@needs("unit.read")
def new(cooperative_id: str) -> Any:
    return _form(_cooperative(cooperative_id), {})


@bp.post("/<cooperative_id>")
@needs("unit.buy")
def submit(cooperative_id: str) -> Any:
    actor = the_actor()
    seller = _cooperative(cooperative_id)
    seller_id, form = seller.id, request.form
    try:
        packs = _packs(seller_id)
        pledge = _pledge(actor)
        late_rate = _late_rate(form.get("late_rate", ""))
        destination = Destination(
            recipient=form.get("recipient", ""), phone=form.get("phone", ""), street=form.get("street", ""),
            province=form.get("province", ""), city=form.get("city", ""), note=form.get("note", ""),
        )  # fmt: skip
        made = transaction(
            lambda: directed_order.submit(
                packs, cooperative_id=seller_id, destination=destination, terms=form.get("terms", ""), actor=actor,
                key=form.get("idempotency_key", ""), commitment_id=pledge, is_trade_union=bool(form.get("is_trade_union")), late_rate=late_rate,
            )
        )
    except MarketError as error:
        db.session.rollback()
        return _form(_cooperative(cooperative_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已提交，等本单位审批人审批。货已经留好。"), "done")
    return redirect(url_for("unit_orders.show", public_id=db.session.get_one(DirectedOrder, made).public_id))


def _cooperative(public_id: str) -> Organisation:
    row = by_public_id(Organisation, public_id, select(Organisation).where(Organisation.kind == "COOPERATIVE"))
    cart.must_sell(row)
    return row


def _packs(cooperative_id: int) -> dict[int, int]:
    ids = db.session.scalars(select(Pack.id).where(Pack.organisation_id == cooperative_id))
    typed = {pack_id: typed_number(request.form.get(f"quantity-{pack_id}", ""), "packs") for pack_id in ids}
    return {pack_id: quantity for pack_id, quantity in typed.items() if quantity}


def _pledge(actor: Actor) -> int | None:
    chosen = request.form.get("commitment", "")
    return by_public_id(Commitment, chosen, scoped(actor, Commitment)).id if chosen else None


def _late_rate(typed: str) -> int | None:
    """Millionths a day of what is typed in ten-thousandths, with two places at most; None if nothing is."""
    if not typed.strip():
        return None
    try:
        return parse_yuan(typed)
    except ValueError as error:
        raise InvalidInput("late_rate.bad", N_("请填一个数，例如 3 或 3.65。"), field="late_rate") from error


def _form(seller: Organisation, errors: dict[str, str]) -> str:
    actor = the_actor()
    query = (
        select(Product, Pack, Stock.on_hand - Stock.reserved)
        .join(Pack, Pack.product_id == Product.id)
        .join(Stock, Stock.pack_id == Pack.id)
        .where(Product.organisation_id == seller.id, Product.state == "ON_SALE", Pack.withdrawn_at.is_(None))
        .order_by(Product.category, Product.id, Pack.position, Pack.id)
    )
    tiers: dict[int, list[PriceTier]] = {}
    for tier in db.session.scalars(
        select(PriceTier).where(PriceTier.organisation_id == seller.id).order_by(PriceTier.pack_id, PriceTier.min_quantity)
    ):
        tiers.setdefault(tier.pack_id, []).append(tier)
    year = clock.business_date().year
    pledges = [
        each for each in commitment.of_unit(actor.organisation_id)
        if each.state == "OPEN" and each.row.year == year and each.row.cooperative_id in (None, seller.id)
    ]  # fmt: skip
    return render_template(
        "unit/new.html",
        seller=seller,
        goods=list(db.session.execute(query)),
        tiers=tiers,
        pledges=[(each.row.public_id, _("还剩 %(fen)s", fen=money(each.left_fen)) + f" {each.row.note}".rstrip()) for each in pledges],
        errors=errors,
        values=request.form or _last_destination(actor),
        market_rate=settings().late_interest_rate / 100,
        rule=approval_rule.of(actor.organisation_id),
        key=request.form.get("idempotency_key") or new_public_id(),
        **desk(actor),
    )




def _last_destination(actor: Actor) -> dict[str, str]:
    """Where the unit's last order went: nobody types an address twice."""
    query = (
        select(Purchase)
        .join(Order, Order.purchase_id == Purchase.id)
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .where(DirectedOrder.organisation_id == actor.organisation_id)
        .order_by(DirectedOrder.id.desc())
        .limit(1)
    )
    last = db.session.scalars(query).first()
    return {} if last is None else {"recipient": last.recipient, "phone": last.phone, "street": last.street}


def typed_number(typed: str, field: str) -> int:
    """Packs as typed; nothing typed is none. InvalidInput ``quantity.bad``."""
    typed = typed.strip() or "0"
    if not (typed.isascii() and typed.isdigit() and len(typed) < 7):
        raise InvalidInput("quantity.bad", N_("数量不对，请填写件数。"), field=field)
    return int(typed)
