"""Payments as the cooperative and the county office see them: the list, and one payment's whole story."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Select, select

from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import text as text_of
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.payments.payment import OPEN, Payment
from marketplace.reporting import payment_story
from marketplace.web import cooperative_desk, operator_desk, payment_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("payments", __name__)

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("payment.read", COOPERATIVE="accountant director")

PAGE = 50
VIEWS: dict[str, tuple[str, ...]] = {
    "all": ("created", "requires_action", "processing", "succeeded", "canceled", "late_paid"),
    "open": OPEN,
    "paid": ("succeeded",),
    "late": ("late_paid",),
    "canceled": ("canceled",),
}


@bp.get("/cooperative/payments")
@needs("payment.read")
def of_cooperative() -> Any:
    actor = the_actor()
    return _index(actor, scoped(actor, Payment), ".of_cooperative", cooperative_desk.desk(actor))


@bp.get("/cooperative/payments/<public_id>")
@needs("payment.read")
def show_to_cooperative(public_id: str) -> Any:
    actor = the_actor()
    return _show(by_public_id(Payment, public_id, scoped(actor, Payment)), ".of_cooperative", cooperative_desk.desk(actor))


@bp.get("/operator/payments")
@needs("operator.read")
def of_operator() -> Any:
    actor = the_actor()
    return _index(actor, select(Payment), ".of_operator", operator_desk.desk(actor))


@bp.get("/operator/payments/<public_id>")
@needs("operator.read")
def show_to_operator(public_id: str) -> Any:
    return _show(by_public_id(Payment, public_id), ".of_operator", operator_desk.desk(the_actor()))


def _index(actor: Actor, allowed: Select[Any], here: str, desk: dict[str, Any]) -> Any:
    view, number = request.args.get("view", "all"), request.args.get("number", "").strip()[:64]
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    query = allowed.add_columns(Organisation).join(Organisation, Organisation.id == Payment.organisation_id).where(Payment.state.in_(VIEWS[view]))
    if number:
        query = query.where((Payment.out_trade_no == number) | (Payment.trade_no == number) | (Payment.merge_no == number))
    if "export" in request.args:
        return _exported(streamed(query.order_by(Payment.id.desc())))
    before = request.args.get("before", "")
    if before:
        query = query.where(Payment.id < by_public_id(Payment, before, allowed).id)
    rows = db.session.execute(query.order_by(Payment.id.desc()).limit(PAGE + 1)).all()
    kept: dict[str, Any] = {"view": view if view != "all" else None, "number": number or None}
    words = {"all": _("全部"), "open": _("等结果"), "paid": _("已到账"), "late": _("付晚或付重"), "canceled": _("没有付")}
    return render_template(
        "payment/list.html",
        rows=rows[:PAGE],
        view=view,
        number=number,
        here=here,
        one=".show_to_operator" if here == ".of_operator" else ".show_to_cooperative",
        chips=[(words[each], url_for(here, view=each), each == view, None) for each in VIEWS],
        next_url=url_for(here, **kept, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(here, **kept, export=1),
        states=payment_words.STATES,
        **desk,
    )


def _show(payment: Payment, back: str, desk: dict[str, Any]) -> Any:
    seller = db.session.get_one(Organisation, payment.organisation_id)
    same = Payment.payable_kind == payment.payable_kind, Payment.payable_id == payment.payable_id, Payment.id != payment.id
    return render_template(
        "payment/story.html",
        payment=payment,
        seller=seller,
        steps=payment_story.story(payment),
        words=payment_words,
        others=list(db.session.scalars(select(Payment).where(*same).order_by(Payment.id.desc()).limit(PAGE))),
        one=".show_to_operator" if back == ".of_operator" else ".show_to_cooperative",
        crumbs=[(_("付款"), url_for(back)), (payment.out_trade_no, None)],
        **desk,
    )


def _exported(rows: Any) -> Any:
    columns = [
        (_("开始"), "moment"), (_("合作社"), "text"), (_("订单号"), "text"), (_("交易号"), "text"), (_("金额"), "fen"), (_("已退"), "fen"), (_("状态"), "text"),
    ]  # fmt: skip
    return download(
        _("付款"),
        columns,
        (
            (each.created_at, text_of(seller, "name"), each.out_trade_no, each.trade_no, each.amount_fen, each.refunded_fen, _(payment_words.STATES[each.state][0]))
            for each, seller in rows
        ),
    )  # fmt: skip
