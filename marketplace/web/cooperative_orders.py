"""The cooperative's orders: what waits to be shipped, one order with its way, shipping from batches, answering returns."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders import return_request, shipment
from marketplace.orders.order import Order, OrderLine, Purchase, lines_of
from marketplace.orders.return_choice import SHIPS_STILL
from marketplace.orders.return_request import ReturnRequest
from marketplace.orders.shipment import Shipment
from marketplace.organisations.actor import Actor, scoped
from marketplace.settlement.settlement import in_words, why_not_due, window_ends
from marketplace.supply.batch import Batch
from marketplace.web import form_input, key_page, return_form, spreadsheet
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import day

bp = Blueprint("cooperative_orders", __name__, url_prefix="/cooperative/orders")

permission("cooperative.read", COOPERATIVE="*")
permission("order.ship", COOPERATIVE="clerk director")
permission("return.answer", COOPERATIVE="accountant director")
permission("return.propose", COOPERATIVE="clerk accountant director")

PAGE = 25
VIEWS: dict[str, tuple[str, ...]] = {
    "ship": ("READY", "PARTLY_SHIPPED"),
    "way": ("SHIPPED",),
    "received": ("RECEIVED",),
    "waiting": ("WAITING",),
    "cancelled": ("CANCELLED",),
}


def own_order(public_id: str, actor: Actor) -> Order:
    """The cooperative's order with this outside name; NotFound for anybody else's."""
    order: Order = by_public_id(Order, public_id, scoped(actor, Order, "organisation_id"))
    return order


SORTS: key_page.Sorts = {"new": (Order.id, True), "old": (Order.id, False), "amount": (Order.total_fen, True)}


def _wanted(actor: Actor) -> tuple[Any, dict[str, Any]]:
    """The orders that the address asks for (view, kind, words, days of placing), and what it asks."""
    view, kind = key_page.chosen("view", (*VIEWS, "returns", "all"), "ship"), key_page.chosen("kind", ("", "PUBLIC", "DIRECTED"), "")
    words = request.args.get("q", "").strip()[:40]
    days = {name: form_input.day_of(request.args[name], name) for name in ("from", "to") if request.args.get(name)}
    query = (
        select(Order, Purchase.place, func.sum(OrderLine.quantity - OrderLine.taken_off), func.min(OrderLine.name_zh))
        .join(Purchase, Purchase.id == Order.purchase_id)
        .join(OrderLine, OrderLine.order_id == Order.id)
        .where(Order.organisation_id == actor.organisation_id)
        .group_by(Order.id, Purchase.place)
    )
    if view in VIEWS:
        query = query.where(Order.fulfilment.in_(VIEWS[view]))
    elif view == "returns":
        query = query.where(Order.id.in_(select(ReturnRequest.order_id).where(ReturnRequest.state == "OPEN")))
    if kind:
        query = query.where(Order.kind == kind)
    if words:
        query = query.where(Order.id.in_(select(OrderLine.order_id).where(OrderLine.name_zh.contains(words, autoescape=True))))
    if "from" in days:
        query = query.where(Order.placed_on >= days["from"])
    if "to" in days:
        query = query.where(Order.placed_on <= days["to"])
    asked = {"view": view, "kind": kind, "q": words, **{name: f"{day}" for name, day in days.items()}}
    return query, {name: value for name, value in asked.items() if value}


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    query, asked = _wanted(actor)
    sort = key_page.chosen("sort", SORTS, "new")
    before = request.args.get("before", "")
    last = own_order(before, actor).id if before else None
    rows = db.session.execute(key_page.after(query, Order, SORTS, sort, last).limit(PAGE + 1)).all()
    asked |= {"sort": sort} if sort != "new" else {}
    return render_template(
        "cooperative/orders.html",
        rows=rows[:PAGE],
        view=asked["view"],
        asked=asked,
        next_url=url_for(".index", **asked, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".export", **asked),
        **desk(actor),
    )


@bp.get("/export.xlsx")
@needs("cooperative.read")
def export() -> Any:
    """The orders of the list as it is filtered. Buyers' names and telephones are not in it."""
    query, _asked = _wanted(the_actor())
    columns = [
        (_("订单号"), "text"), (_("下单日"), "day"), (_("货"), "text"), (_("件数"), "whole"), (_("买家"), "text"), (_("送到"), "text"), (_("货款（元）"), "fen"),
        (_("运费（元）"), "fen"), (_("已付（元）"), "fen"), (_("已退（元）"), "fen"), (_("发货"), "moment"), (_("收货"), "moment"), (_("结算"), "moment"),
    ]  # fmt: skip
    kinds = {"PUBLIC": _("个人"), "DIRECTED": _("单位")}
    rows = (
        (
            order.public_id, order.placed_on, name, int(packs), kinds[order.kind], place, order.goods_fen, order.freight_fen, order.paid_fen,
            order.refunded_fen, order.shipped_at, order.received_at, order.settled_at,
        )
        for order, place, packs, name in db.session.execute(query.order_by(Order.id.desc()))
    )  # fmt: skip
    return spreadsheet.download(_("订单"), columns, rows)


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return _page(own_order(public_id, the_actor()), {})


@bp.post("/<public_id>/ship")
@needs("order.ship")
def ship(public_id: str) -> Any:
    actor = the_actor()
    order = own_order(public_id, actor)
    order_id = order.id
    try:
        parts = _parts(order_id)
        carrier, number = request.form.get("carrier", ""), request.form.get("tracking_number", "")
        transaction(lambda: shipment.ship(order_id, parts, carrier, number, actor=actor))
    except MarketError as error:
        return _page(own_order(public_id, actor), {str(error.data.get("field", "parts")): said(error)}), 422
    flash(_("发货已记下，买家看得到快递单号了。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/<public_id>/returns/<request_id>")
@needs("return.answer")
def answer(public_id: str, request_id: str) -> Any:
    actor = the_actor()
    order = own_order(public_id, actor)
    asked = by_public_id(ReturnRequest, request_id, select(ReturnRequest).where(ReturnRequest.order_id == order.id))
    row_id, words = asked.id, request.form.get("answer", "")
    if request.form.get("decision") == "approve":
        transaction(lambda: return_request.approve(row_id, actor=actor, answer=words))
        flash(_("已同意，退款会原路退回。"), "done")
    else:
        transaction(lambda: return_request.refuse(row_id, words, actor=actor))
        flash(_("已答复买家。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/<public_id>/returns")
@needs("return.propose")
def propose(public_id: str) -> Any:
    """The cooperative gives money back of its own accord, after the return window too; a director other than the proposer decides."""
    actor = the_actor()
    order_id, reason = own_order(public_id, actor).id, request.form.get("reason", "")
    try:
        packs, unsent = return_form.packs(order_id)
        fen = 0 if packs else return_form.fen()
        transaction(lambda: return_request.propose(order_id, fen, reason, actor=actor, packs=packs, unsent=unsent))
    except InvalidInput as error:
        db.session.rollback()
        return _page(own_order(public_id, actor), {str(error.data.get("field", "reason")): said(error)}), 422
    flash(_("退款已经提出，等理事长审批。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/<public_id>/returns/<request_id>/withdraw")
@needs("return.propose")
def withdraw(public_id: str, request_id: str) -> Any:
    actor = the_actor()
    order = own_order(public_id, actor)
    row_id = by_public_id(ReturnRequest, request_id, select(ReturnRequest).where(ReturnRequest.order_id == order.id)).id
    transaction(lambda: return_request.withdraw(row_id, actor=actor))
    flash(_("退款已经撤回，没有退钱。"), "done")
    return redirect(url_for(".show", public_id=public_id))


def _parts(order_id: int) -> list[tuple[int, int, int]]:
    """(order line, batch, packs) from the form; lines left at nought are not sent."""
    parts = []
    for line in lines_of(order_id):
        typed = request.form.get(f"quantity-{line.id}", "").strip()
        if typed in {"", "0"}:
            continue
        chosen = request.form.get(f"batch-{line.id}", "")
        if not (typed.isascii() and typed.isdigit() and len(typed) < 7 and chosen.isascii() and chosen.isdigit() and len(chosen) < 16):
            raise InvalidInput("shipment.parts", N_("请选择要发的货和批次。"), field="parts")
        parts.append((line.id, int(chosen), int(typed)))
    return parts


def _page(order: Order, errors: dict[str, str]) -> str:
    lines = lines_of(order.id)
    groups = {line.linkage_group_id for line in lines}
    batches: dict[int, list[Batch]] = {group: [] for group in groups}
    if order.fulfilment in VIEWS["ship"]:
        query = select(Batch).where(Batch.linkage_group_id.in_(groups), Batch.grams_sold < Batch.grams_packed).order_by(Batch.harvested_on)
        for batch in db.session.scalars(query):
            batches[batch.linkage_group_id].append(batch)
    shipments = list(db.session.scalars(select(Shipment).where(Shipment.order_id == order.id).order_by(Shipment.id)))
    returns = list(db.session.scalars(select(ReturnRequest).where(ReturnRequest.order_id == order.id).order_by(ReturnRequest.id)))
    why, until = why_not_due(order), window_ends(order)
    return render_template(
        "cooperative/order.html",
        order=order,
        purchase=db.session.get_one(Purchase, order.purchase_id),
        lines=lines,
        batches=batches,
        shipments=shipments,
        returns=returns,
        ships=order.fulfilment in SHIPS_STILL,
        asked_off={int(line_id): int(packs) for each in returns if each.state == "OPEN" for line_id, packs in each.unsent or ()},
        why=_(in_words(why), day=day(until) if until else "") if why and not order.settled_at else None,
        errors=errors,
        values=request.form,
        **desk(the_actor()),
    )
