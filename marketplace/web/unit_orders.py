"""A unit's orders: in lists that open behind each figure, and each by itself: whose turn it is, approving, accepting line by line."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan
from marketplace.orders.order import Order, Purchase, lines_of
from marketplace.orders.shipment import Shipment
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.approval import Approval
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.person import Person
from marketplace.procurement import (
    acceptance,
    directed_order,
    late_interest,
    order_end,
    pay_deadline,
    price_cut,
    scorecard,
)
from marketplace.procurement.acceptance import Arrived
from marketplace.procurement.directed_order import Acceptance, DirectedOrder
from marketplace.procurement.order_end import EndRequest
from marketplace.procurement.target import Commitment
from marketplace.web.operator_bulletin import exported_orders, known_orders
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import day, money
from marketplace.web.spreadsheet import download, streamed
from marketplace.web.unit_buy import typed_number
from marketplace.web.unit_desk import desk, states
from marketplace.web.unit_review import asked_year

bp = Blueprint("unit_orders", __name__, url_prefix="/unit/orders")

permission("unit.read", UNIT="*")
permission("unit.buy", UNIT="buyer")
permission("unit.approve", UNIT="approver")
permission("unit.accept", UNIT="buyer approver")
permission("unit.end", UNIT="buyer approver")
permission("unit.extend", UNIT="buyer accountant")

PAGE = 25
FIGURES = {"ordered": "ordered_fen", "accepted": "accepted_fen", "paid": "paid_fen", "counted": "counted_fen"}
# What the chips say: in which state of approval, or what waits for whom.
VIEWS: dict[str, tuple[ColumnElement[bool], ...]] = {
    "": (),
    **{state: (DirectedOrder.approval == state,) for state in directed_order.APPROVAL},
    "to_accept": (Order.fulfilment.in_(("PARTLY_SHIPPED", "SHIPPED")),),
    "to_pay": (DirectedOrder.pay_by.is_not(None), Order.payment.in_(("UNPAID", "PARTLY_PAID")), Order.fulfilment != "CANCELLED"),
}


@bp.get("")
@needs("unit.read")
def index() -> Any:
    """The unit's orders: in one state, of one commitment, or behind one figure of a year."""
    actor = the_actor()
    view, figure, pledge = request.args.get("view", ""), request.args.get("figure", ""), request.args.get("commitment", "")
    if (view and view not in VIEWS) or (figure and figure not in FIGURES):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    if figure:
        return _behind(figure, actor)
    query = _listed(actor).where(*VIEWS[view])
    if pledge:
        query = query.where(DirectedOrder.commitment_id == by_public_id(Commitment, pledge, scoped(actor, Commitment)).id)
    if "export" in request.args:
        return _exported(streamed(query), actor)
    after = request.args.get("after", "")
    if after:
        query = query.where(DirectedOrder.id < _own(after, actor).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    here: dict[str, Any] = {"view": view or None, "commitment": pledge or None}
    return render_template(
        "unit/orders.html",
        orders=rows[:PAGE],
        view=view,
        pledge=pledge,
        next_url=url_for(".index", **here, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".index", **here, export=1),
        **desk(actor),
    )


def _listed(actor: Actor) -> Any:
    """(directed order, order, cooperative) of the actor's unit, newest first."""
    return (
        select(DirectedOrder, Order, Organisation)
        .join(Order, Order.id == DirectedOrder.order_id)
        .join(Organisation, Organisation.id == DirectedOrder.cooperative_id)
        .where(DirectedOrder.organisation_id == actor.organisation_id)
        .order_by(DirectedOrder.id.desc())
    )


def _behind(figure: str, actor: Actor) -> Any:
    """The orders behind one of the four figures of a year; summed they are the figure."""
    year = asked_year()
    rows = [each for each in scorecard.by_order(actor.organisation_id, year) if getattr(each.sums, FIGURES[figure])]
    if "export" in request.args:
        return exported_orders(rows, actor.organisation_name, year)
    return render_template(
        "unit/figure.html", rows=rows, known=known_orders(rows), figure=figure, year=year, export_url=url_for(".index", figure=figure, year=year, export=1),
        **desk(actor),
    )  # fmt: skip


def _exported(rows: Any, actor: Actor) -> Any:
    columns = [
        (_("采购单"), "text"), (_("下单"), "day"), (_("合作社"), "text"), (_("货款"), "fen"), (_("运费"), "fen"), (_("已验收"), "fen"), (_("已付"), "fen"),
        (_("已退"), "fen"), (_("审批"), "text"), (_("发货"), "text"), (_("付款"), "text"), (_("付款方式"), "text"), (_("付款期限"), "day"), (_("工会采购"), "text"),
    ]  # fmt: skip
    words = states()
    lines = (
        (
            row.reference, order.placed_on, seller.name_zh, order.goods_fen, order.freight_fen, order.accepted_fen, order.paid_fen, order.refunded_fen,
            words[row.approval], words.get(order.fulfilment, ""), words[order.payment], words[row.terms], row.pay_by, _("是") if row.is_trade_union else _("否"),
        )
        for row, order, seller in rows
    )  # fmt: skip
    return download(_("%(name)s采购单", name=actor.organisation_name), columns, lines)


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
    return _done(public_id, lambda: directed_order.approve(row_id, actor=actor), _("已同意。"))


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
            accepted = typed_number(form.get(f"accepted-{line_id}", ""), "lines")
            arrived.append(Arrived(line_id, accepted, ordered - accepted, form.get(f"reason-{line_id}", "")))
        return acceptance.accept(order_id, arrived, actor=actor, note=form.get("note", ""))

    return _done(public_id, work, _("验收已记下。"))


@bp.post("/<public_id>/cut")
@needs("unit.accept")
def cut(public_id: str) -> Any:
    """Ask the cooperative to take something off what was accepted and is not paid."""
    actor, form = the_actor(), request.form
    order_id = _own(public_id, actor).order_id
    try:
        fen = parse_yuan(form.get("cut", ""))
    except ValueError:
        return _page(_own(public_id, actor), {"cut": _("请填写要减的金额。")}), 422
    work = lambda: price_cut.ask(order_id, fen, form.get("cut_reason", ""), actor=actor, key=form.get("idempotency_key", ""))  # noqa: E731
    return _done(public_id, work, _("减价申请已经交给合作社。同意之前，应付不变。"))


@bp.post("/<public_id>/end")
@needs("unit.end")
def ask_end(public_id: str) -> Any:
    """The unit wants the order no more, which the cooperative has taken on."""
    actor = the_actor()
    row_id, reason = _own(public_id, actor).id, request.form.get("end_reason", "")
    return _done(public_id, lambda: order_end.ask(row_id, reason, actor=actor), _("已请合作社同意取消。答复之前，这张单照常。"))


@bp.post("/<public_id>/end/<request_id>/withdraw")
@needs("unit.end")
def withdraw_end(public_id: str, request_id: str) -> Any:
    actor = the_actor()
    row = _own(public_id, actor)
    number = by_public_id(EndRequest, request_id, select(EndRequest).where(EndRequest.directed_order_id == row.id)).id
    return _done(public_id, lambda: order_end.withdraw(number, actor=actor), _("取消申请已经撤回，这张单照常。"))


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


def _page(row: DirectedOrder, errors: dict[str, str]) -> str:
    actor = the_actor()
    order, ends = db.session.get_one(Order, row.order_id), order_end.of_order(row.id)
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
        owed_fen=order.due_fen,
        claims=[each for each in late_interest.claims_of(order.id) if each.state != "WAIVED" or each.paid_fen] if order.received_at else [],
        late_days=max(0, (clock.business_date() - row.pay_by).days) if row.pay_by and order.open_fen else 0,
        may_extend=row.terms == "PREPAY" and order.fulfilment == "WAITING" and row.extended_at is None and row.pay_by is not None and row.pay_by >= clock.business_date(),
        ends=ends,
        may_end=order_end.may_end(row, order),
        turn=_turn(row, order, any(each.state == "OPEN" for each in ends)),
        agreed=list(db.session.execute(select(Person.name_zh, Approval.at).join(Approval, Approval.checker_id == Person.id).where(Approval.id.in_([each.id for each in directed_order.approvals(row.id)])))),
        already=any(each.checker_id == actor.person_id for each in directed_order.approvals(row.id)),
        needed=directed_order.needed(row, order),
        cuts=price_cut.of_order_id(order.id),
        may_cut=order.owed_fen > 0 and order.settled_at is None,
        pledge=db.session.get(Commitment, row.commitment_id) if row.commitment_id else None,
        key=request.form.get("idempotency_key") or new_public_id(),
        errors=errors,
        values=request.form,
        **desk(actor),
    )


def _turn(row: DirectedOrder, order: Order, asked: bool) -> tuple[str, str]:
    """Whose turn it is, in a sentence, and whether that is ours: ``ours``, ``theirs`` or ``over``."""
    if row.approval in ("RETURNED", "DECLINED", "CANCELLED"):
        return _("这张单结束了。"), "over"
    if asked and order.fulfilment in ("WAITING", "READY"):
        return _("已请合作社同意取消，等合作社答复。"), "theirs"
    if row.approval == "SUBMITTED":
        return _("等本单位的审批人同意。"), "ours"
    if row.approval == "APPROVED":
        return _("等合作社接单，一般一两天。"), "theirs"
    owed = order.open_fen
    if order.fulfilment in ("PARTLY_SHIPPED", "SHIPPED"):
        return _("货在路上或已送到，等本单位验收。"), "ours"
    if order.fulfilment == "READY":
        return _("等合作社发货，最晚 %(day)s。", day=day(row.ship_by)), "theirs"
    if owed:
        return _("等本单位付款 %(fen)s，最晚 %(day)s。", fen=money(owed), day=day(row.pay_by)), "ours"
    if order.settled_at is None:
        return _("货和钱都齐了，退货期过后分账。"), "theirs"
    return _("办完了，货款已经分账。"), "over"
