"""The buyer's orders: where each one is, what to do next, and what to do if something is wrong."""

import secrets
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders import cancellation, order_payment, received, return_request
from marketplace.orders.order import Order, OrderLine, Purchase
from marketplace.orders.return_choice import SHIPS_STILL
from marketplace.orders.return_request import ReturnRequest
from marketplace.orders.shipment import Shipment
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.payments import channel_key
from marketplace.payments.refund import Refund
from marketplace.web import return_form
from marketplace.web.permission import needs, the_actor
from marketplace.web.shown import day

bp = Blueprint("orders", __name__, url_prefix="/orders")

PAGE = 20
# What the chips say → the states of an order in it.
VIEWS: dict[str, tuple[str, ...]] = {
    "": (), "pay": ("WAITING",), "ship": ("READY", "PARTLY_SHIPPED"), "way": ("SHIPPED",), "done": ("RECEIVED",), "cancelled": ("CANCELLED",),
}  # fmt: skip


def own_purchase(public_id: str, actor: Actor) -> Purchase:
    """The buyer's purchase with this outside name, or one that the actor's station placed for somebody; NotFound for anybody else's."""
    query = scoped(actor, Purchase)
    if actor.kind == "STATION":
        query = select(Purchase).where((Purchase.organisation_id == actor.organisation_id) | (Purchase.station_id == actor.organisation_id))
    found: Purchase = by_public_id(Purchase, public_id, query)
    return found


@bp.get("")
@needs("buy")
def index() -> Any:
    actor = the_actor()
    view = request.args.get("view", "")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    query = scoped(actor, Purchase).order_by(Purchase.id.desc()).limit(PAGE + 1)
    if VIEWS[view]:
        query = query.where(select(Order.id).where(Order.purchase_id == Purchase.id, Order.fulfilment.in_(VIEWS[view])).exists())
    before = request.args.get("before", "")
    if before:
        query = query.where(Purchase.id < own_purchase(before, actor).id)
    purchases: list[Purchase] = list(db.session.scalars(query))
    next_url = url_for(".index", view=view or None, before=purchases[PAGE - 1].public_id) if len(purchases) > PAGE else None
    shown = purchases[:PAGE]
    by_purchase: dict[int, list[Order]] = {}
    for order in db.session.scalars(select(Order).where(Order.purchase_id.in_([each.id for each in shown])).order_by(Order.id)):
        by_purchase.setdefault(order.purchase_id, []).append(order)
    rows = [(each, by_purchase.get(each.id, [])) for each in shown]
    return render_template("shop/orders.html", rows=rows, view=view, next_url=next_url)


@bp.get("/<public_id>")
@needs("buy")
def show(public_id: str) -> Any:
    return _page(own_purchase(public_id, the_actor()), "", {})


def _page(purchase: Purchase, wrong: str, errors: dict[str, str]) -> str:
    """The purchase; ``errors`` are those of the form that asks for money back on the order with the outside name ``wrong``."""
    orders = _orders(purchase.id)
    payable = [order for order, _seller, _refunds in orders if order.fulfilment == "WAITING" and order.payment == "UNPAID"]
    in_time = purchase.expires_at is not None and purchase.expires_at > clock.now()
    takes_cards = channel_key.with_channel("stripe", [order.organisation_id for order in payable]) if payable and in_time else set()
    return render_template(
        "shop/order.html",
        purchase=purchase,
        by_card={order.id for order in payable if order.organisation_id in takes_cards and order_payment.may_pay_over("stripe", order.total_fen)},
        parts=_parts(orders),
        to_pay_fen=sum(order.total_fen for order in payable) if in_time else 0,
        too_late=bool(payable) and not in_time,
        key=secrets.token_urlsafe(16),
        wrong=wrong,
        errors=errors,
        values=request.form,
    )


@bp.post("/<public_id>/cancel/<order_id>")
@needs("buy")
def cancel(public_id: str, order_id: str) -> Any:
    actor = the_actor()
    order = _order(public_id, order_id, actor)
    number = order.id
    transaction(lambda: cancellation.cancel(number, actor=actor, reason="buyer"))
    flash(_("订单已取消。付过的钱会原路退回。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/received/<order_id>")
@needs("buy")
def confirm(public_id: str, order_id: str) -> Any:
    actor = the_actor()
    number = _order(public_id, order_id, actor).id
    transaction(lambda: received.confirm(number, actor=actor))
    flash(_("已确认收货。退货期过后，这笔钱就按公示的比例分账。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/return/<order_id>")
@needs("buy")
def ask_back(public_id: str, order_id: str) -> Any:
    actor = the_actor()
    number, reason = _order(public_id, order_id, actor).id, request.form.get("reason", "")
    try:
        packs, unsent = return_form.packs(number)
        fen = 0 if packs else return_form.fen()
        transaction(lambda: return_request.raise_request(number, fen, reason, actor=actor, packs=packs, unsent=unsent))
    except InvalidInput as error:
        db.session.rollback()
        return _page(own_purchase(public_id, actor), order_id, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("退货申请已经交给合作社。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _order(public_id: str, order_id: str, actor: Actor) -> Order:
    purchase = own_purchase(public_id, actor)
    found: Order = by_public_id(Order, order_id, select(Order).where(Order.purchase_id == purchase.id))
    return found


def _orders(purchase_id: int) -> list[tuple[Order, Organisation, list[Refund]]]:
    """The orders of a purchase, one a cooperative, each with its seller and its refunds."""
    query = (
        select(Order, Organisation, Refund)
        .join(Organisation, Organisation.id == Order.organisation_id)
        .outerjoin(Refund, Refund.order_id == Order.id)
        .where(Order.purchase_id == purchase_id)
        .order_by(Order.id, Refund.id)
    )
    found: dict[int, tuple[Order, Organisation, list[Refund]]] = {}
    for order, seller, refund in db.session.execute(query):
        found.setdefault(order.id, (order, seller, []))[2].extend([refund] if refund else [])
    return list(found.values())


def _parts(orders: list[tuple[Order, Organisation, list[Refund]]]) -> list[dict[str, Any]]:
    """The orders as the page shows them, and what their buyer can do now: three statements, however many there are."""
    ids = [order.id for order, _seller, _refunds in orders]
    lines, sent, asked = _by_order(OrderLine, ids), _by_order(Shipment, ids), _by_order(ReturnRequest, ids)
    words = _refund_words()
    return [
        _part(order, seller, lines[order.id], sent[order.id], asked[order.id]) | {"refunds": refunds, "refund_words": words}
        for order, seller, refunds in orders
    ]


def _refund_words() -> dict[str, str]:
    """What a refund's state means to who waits for the money."""
    on_the_way = _("正在退回，支付宝通常几分钟到账")
    return {
        "approved": on_the_way, "submitting": on_the_way, "unknown": on_the_way, "succeeded": _("已经退回"),
        "failed": _("支付宝没有退成，合作社会再办"), "bank": _("合作社会转账退给您，通常三个工作日内"),
        "given_up": _("没有退成，合作社两个人同意不再退；有疑问请联系合作社"),
    }  # fmt: skip


def _by_order(model: Any, order_ids: list[int]) -> dict[int, list[Any]]:
    """The rows of a table that hang on these orders, oldest first."""
    found: dict[int, list[Any]] = {order_id: [] for order_id in order_ids}
    for row in db.session.scalars(select(model).where(model.order_id.in_(order_ids)).order_by(model.id)):
        found[row.order_id].append(row)
    return found


def _part(order: Order, seller: Organisation, lines: list[OrderLine], sent: list[Shipment], asked: list[ReturnRequest]) -> dict[str, Any]:
    left = order.paid_fen - order.refunded_fen
    in_window = order.return_until is None or order.return_until >= clock.now()
    public = order.kind == "PUBLIC"
    return {
        "order": order,
        "seller": seller,
        "lines": lines,
        "returns": asked,
        "steps": _steps(order, sent),
        "may_cancel": public and order.fulfilment in ("WAITING", "READY"),
        "may_confirm": public and order.fulfilment == "SHIPPED",
        "ships": order.fulfilment in SHIPS_STILL,
        "may_return": left > 0 and in_window and order.fulfilment not in ("WAITING", "CANCELLED") and all(each.state != "OPEN" for each in asked),
        "left_fen": left,
    }


def _steps(order: Order, sent: list[Shipment]) -> list[dict[str, Any]]:
    """The order's way, with what its buyer must know at each step: the parcel's number, and until when what can be done."""
    if order.fulfilment == "CANCELLED":
        note = {"expired": _("超过付款时间，货已放回货架。"), "returned": _("货没有发，付的钱全部退回。")}.get(order.cancel_reason, "")
        return [{"text": _("已下单"), "at": order.placed_at}, {"text": _("已取消"), "at": order.cancelled_at, "state": "bad", "note": note}]
    parcels = "；".join(f"{each.carrier} {each.tracking_number}".strip() for each in sent)
    way = [
        (_("已下单"), order.placed_at, ""),
        (_("已付款"), order.paid_at, ""),
        (_("发了一部分") if order.fulfilment == "PARTLY_SHIPPED" else _("已发货"), order.shipped_at, parcels),
        (_("已收货"), order.received_at, _until(order)),
        (_("已分账"), order.settled_at, ""),
    ]
    steps: list[dict[str, Any]] = []
    for words, at, note in way:
        state = "done" if at else ("now" if not any(step["state"] == "now" for step in steps) else "next")
        steps.append({"text": words, "at": at, "state": state, "note": note})
    return steps


def _until(order: Order) -> str:
    """Until when the buyer can send something back, or says that it came."""
    if order.fulfilment == "SHIPPED" and order.shipped_at is not None and order.kind == "PUBLIC":
        last = order.shipped_at + timedelta(days=settings().confirm_days)
        return _("到 %(day)s 没有确认，就算收到了", day=day(last))
    if order.return_until is not None and order.settled_at is None and order.return_until >= clock.now():
        return _("%(day)s 之前可以退货", day=day(order.return_until))
    return ""
