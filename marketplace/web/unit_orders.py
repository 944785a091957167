"""A unit's orders: choose goods at tier prices, approve, accept what came; each step shows what follows."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders.destination import Destination
from marketplace.orders.order import Order, Purchase, lines_of
from marketplace.orders.shipment import Shipment
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.person import Person
from marketplace.procurement import acceptance, directed_order, late_interest, pay_deadline
from marketplace.procurement.acceptance import Arrived, due_fen
from marketplace.procurement.directed_order import Acceptance, DirectedOrder
from marketplace.procurement.target import Commitment
from marketplace.supply.stock import Stock
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money
from marketplace.web.unit_desk import desk, recent

bp = Blueprint("unit_orders", __name__, url_prefix="/unit/orders")

permission("unit.read", UNIT="*")
permission("unit.buy", UNIT="buyer")
permission("unit.approve", UNIT="approver")
permission("unit.accept", UNIT="buyer approver")
permission("unit.extend", UNIT="buyer accountant")


@bp.get("")
@needs("unit.read")
def index() -> Any:
    actor = the_actor()
    view = request.args.get("view", "")
    approval = view if view in directed_order.APPROVAL else ""
    return render_template("unit/orders.html", orders=recent(actor, 100, approval), view=approval, **desk(actor))


@bp.get("/new")
@needs("unit.read")
def choose() -> Any:
    """Which cooperative to buy from: an order is of one, since it is paid to one."""
    query = (
        select(Organisation, func.count(Product.id))
        .join(Product, Product.organisation_id == Organisation.id)
        .where(Product.state == "ON_SALE", Organisation.suspended_at.is_(None))
        .group_by(Organisation.id)
        .order_by(Organisation.name_zh)
    )
    return render_template("unit/choose.html", cooperatives=list(db.session.execute(query)), **desk(the_actor()))


@bp.get("/new/<cooperative_id>")
@needs("unit.read")
def new(cooperative_id: str) -> Any:
    return _form(_cooperative(cooperative_id), {})


@bp.post("/new/<cooperative_id>")
@needs("unit.buy")
def submit(cooperative_id: str) -> Any:
    actor = the_actor()
    seller = _cooperative(cooperative_id)
    seller_id, form = seller.id, request.form
    try:
        packs = _packs(seller_id)
        pledge = _pledge(actor)
        destination = Destination(
            recipient=form.get("recipient", ""), phone=form.get("phone", ""), street=form.get("street", ""),
            province=form.get("province", ""), city=form.get("city", ""), note=form.get("note", ""),
        )  # fmt: skip
        made = transaction(
            lambda: directed_order.submit(
                packs, cooperative_id=seller_id, destination=destination, terms=form.get("terms", ""), actor=actor,
                key=form.get("idempotency_key", ""), commitment_id=pledge, is_trade_union=bool(form.get("is_trade_union")),
            )
        )
    except MarketError as error:
        db.session.rollback()
        return _form(_cooperative(cooperative_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已提交，等本单位审批人审批。货已经留好。"), "done")
    return redirect(url_for(".show", public_id=db.session.get_one(DirectedOrder, made).public_id))


@bp.get("/<public_id>")
@needs("unit.read")
def show(public_id: str) -> Any:
    return _page(_own(public_id, the_actor()), {})


@bp.post("/<public_id>/approve")
@needs("unit.approve")
def approve(public_id: str) -> Any:
    actor = the_actor()
    row_id, reason = _own(public_id, actor).id, request.form.get("reason", "")
    if request.form.get("decision") == "return":
        return _done(public_id, lambda: directed_order.give_back(row_id, reason, actor=actor), _("已退回，货放回了货架。"))
    return _done(public_id, lambda: directed_order.approve(row_id, actor=actor), _("已同意，等合作社接单。"))


@bp.post("/<public_id>/withdraw")
@needs("unit.buy")
def withdraw(public_id: str) -> Any:
    actor = the_actor()
    row_id = _own(public_id, actor).id
    return _done(public_id, lambda: directed_order.withdraw(row_id, actor=actor), _("已撤回，货放回了货架。"))


@bp.post("/<public_id>/extend")
@needs("unit.extend")
def extend(public_id: str) -> Any:
    actor = the_actor()
    row_id, reason = _own(public_id, actor).id, request.form.get("reason", "")
    return _done(public_id, lambda: pay_deadline.extend(row_id, reason, actor=actor), _("付款期限延了 15 天。"))


@bp.post("/<public_id>/accept")
@needs("unit.accept")
def accept(public_id: str) -> Any:
    actor = the_actor()
    order_id, form = _own(public_id, actor).order_id, request.form
    lines = [(line.id, line.quantity) for line in lines_of(order_id)]

    def work() -> Acceptance:
        arrived = []
        for line_id, ordered in lines:
            accepted = _number(form.get(f"accepted-{line_id}", ""), "lines")
            arrived.append(Arrived(line_id, accepted, ordered - accepted, form.get(f"reason-{line_id}", "")))
        return acceptance.accept(order_id, arrived, actor=actor, note=form.get("note", ""))

    return _done(public_id, work, _("验收已记下。"))


def _done(public_id: str, work: Any, sentence: str) -> Any:
    try:
        transaction(work)
    except InvalidInput as error:
        db.session.rollback()
        return _page(_own(public_id, the_actor()), {str(error.data.get("field", "")): said(error)}), 422
    flash(sentence, "done")
    return redirect(url_for(".show", public_id=public_id))


def _own(public_id: str, actor: Actor) -> DirectedOrder:
    row: DirectedOrder = by_public_id(DirectedOrder, public_id, scoped(actor, DirectedOrder, "organisation_id"))
    return row


def _cooperative(public_id: str) -> Organisation:
    return by_public_id(Organisation, public_id, select(Organisation).where(Organisation.kind == "COOPERATIVE"))


def _number(typed: str, field: str) -> int:
    typed = typed.strip() or "0"
    if not (typed.isascii() and typed.isdigit() and len(typed) < 7):
        raise InvalidInput("quantity.bad", N_("数量不对，请填写件数。"), field=field)
    return int(typed)


def _packs(cooperative_id: int) -> dict[int, int]:
    ids = db.session.scalars(select(Pack.id).where(Pack.organisation_id == cooperative_id))
    typed = {pack_id: _number(request.form.get(f"quantity-{pack_id}", ""), "packs") for pack_id in ids}
    return {pack_id: quantity for pack_id, quantity in typed.items() if quantity}


def _pledge(actor: Actor) -> int | None:
    chosen = request.form.get("commitment", "")
    return by_public_id(Commitment, chosen, scoped(actor, Commitment)).id if chosen else None


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
    pledges = scoped(actor, Commitment).where(Commitment.state == "OPEN", Commitment.year == clock.business_date().year)
    return render_template(
        "unit/new.html",
        seller=seller,
        goods=list(db.session.execute(query)),
        tiers=tiers,
        pledges=[(each.public_id, f"{money(each.fen)} {each.note}".strip()) for each in db.session.scalars(pledges)],
        errors=errors,
        values=request.form,
        key=request.form.get("idempotency_key") or new_public_id(),
        **desk(actor),
    )


def _page(row: DirectedOrder, errors: dict[str, str]) -> str:
    actor = the_actor()
    order = db.session.get_one(Order, row.order_id)
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == row.cooperative_id)).one_or_none()
    return render_template(
        "unit/order.html",
        row=row,
        order=order,
        lines=lines_of(order.id),
        purchase=db.session.get_one(Purchase, order.purchase_id),
        cooperative=db.session.get_one(Organisation, row.cooperative_id),
        seller=seller,
        placed_by=db.session.get_one(Person, order.placed_by_id),
        own=order.placed_by_id == actor.person_id,
        shipments=list(db.session.scalars(select(Shipment).where(Shipment.order_id == order.id).order_by(Shipment.id))),
        accepted=db.session.scalars(select(Acceptance).where(Acceptance.order_id == order.id)).one_or_none(),
        owed_fen=due_fen(order),
        claims=[each for each in late_interest.claims_of(order.id) if each.state != "WAIVED"] if order.received_at else [],
        late_days=max(0, (clock.business_date() - row.pay_by).days) if row.pay_by and order.payment in ("UNPAID", "PARTLY_PAID") else 0,
        may_extend=row.terms == "PREPAY" and order.fulfilment == "WAITING" and row.extended_at is None and row.pay_by is not None and row.pay_by >= clock.business_date(),
        errors=errors,
        values=request.form,
        **desk(actor),
    )
