"""Invoices as their buyer sees them: what may still be invoiced, asking for one, where it is, and its file."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.files import StoredFile
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders import invoice, invoice_choice, red_invoice
from marketplace.orders.invoice import Invoice
from marketplace.orders.invoice_title import InvoiceTitle
from marketplace.orders.order import Order
from marketplace.orders.red_invoice import RedInvoice
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.unit_desk import desk

bp = Blueprint("invoices", __name__, url_prefix="/invoices")

permission("invoice.see", PERSON="customer", UNIT="*")
permission("invoice.ask", PERSON="customer", UNIT="buyer accountant")

PAGE = 25
VIEWS: dict[str, tuple[str, ...]] = {
    "": invoice.STATES,
    "waiting": ("REQUESTED",),
    "issued": ("ISSUED",),
    "closed": ("REFUSED", "WITHDRAWN", "REVERSED"),
}
TITLE = ("kind", "name", "tax_number", "address", "phone", "bank_name", "bank_account")


def frame(actor: Actor) -> dict[str, Any]:
    """A unit sees these pages at its desk, a private buyer in the shop."""
    return {"frame": "base_work.html", **desk(actor)} if actor.kind == "UNIT" else {"frame": "base.html"}


@bp.get("")
@needs("invoice.see")
def index() -> Any:
    actor = the_actor()
    view = request.args.get("view", "")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    query = (
        select(Invoice, Organisation)
        .join(Organisation, Organisation.id == Invoice.organisation_id)
        .where(Invoice.buyer_id == actor.organisation_id, Invoice.state.in_(VIEWS[view]))
        .order_by(Invoice.id.desc())
        .limit(PAGE + 1)
    )
    before = request.args.get("before", "")
    if before:
        query = query.where(Invoice.id < _own(before, actor).id)
    rows = db.session.execute(query).all()
    next_url = url_for(".index", view=view, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None
    open_ = invoice_choice.open_sellers(actor.organisation_id)
    return render_template("invoice/index.html", rows=rows[:PAGE], view=view, next_url=next_url, open=open_, **frame(actor))


@bp.get("/new/<seller_id>")
@needs("invoice.see")
def new(seller_id: str) -> Any:
    return _form(_seller(seller_id), {})


@bp.post("/new/<seller_id>")
@needs("invoice.ask")
def ask(seller_id: str) -> Any:
    actor, form, seller = the_actor(), request.form, _seller(seller_id)
    mine = select(Order).where(Order.buyer_id == actor.organisation_id, Order.organisation_id == seller.id)
    chosen = [by_public_id(Order, each, mine).id for each in form.getlist("orders")[: invoice.MOST_ORDERS + 1]]
    title = InvoiceTitle(**{name: form.get(name, "")[:200] for name in TITLE})
    key, note = form.get("idempotency_key", ""), form.get("note", "")
    try:
        made = transaction(lambda: invoice.request(chosen, title, actor=actor, key=key, note=note))
    except MarketError as error:
        db.session.rollback()
        return _form(_seller(seller_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("开票申请已经交给合作社会计。"), "done")
    return redirect(url_for(".show", public_id=db.session.get_one(Invoice, made).public_id), 303)


@bp.get("/<public_id>")
@needs("invoice.see")
def show(public_id: str) -> Any:
    actor = the_actor()
    row = _own(public_id, actor)
    return render_template(
        "invoice/show.html",
        row=row,
        seller=db.session.get_one(Organisation, row.organisation_id),
        orders=invoice.orders_on(row.id),
        reds=red_invoice.reds_of(row.id),
        crumbs=[(_("发票"), url_for(".index")), (row.name, None)],
        **frame(actor),
    )


@bp.post("/<public_id>/withdraw")
@needs("invoice.ask")
def withdraw(public_id: str) -> Any:
    actor = the_actor()
    number, version = _own(public_id, actor).id, typed_version()
    transaction(lambda: invoice.withdraw(number, version=version, actor=actor))
    flash(_("开票申请已撤回，订单可以重新申请。"), "done")
    return redirect(url_for(".index"), 303)


@bp.get("/<public_id>/file")
@needs("invoice.see")
def file(public_id: str) -> Response:
    row = _own(public_id, the_actor())
    return sent(row.file_id, f"{row.number}")


@bp.get("/<public_id>/red/<red_id>")
@needs("invoice.see")
def red_file(public_id: str, red_id: str) -> Response:
    row = _own(public_id, the_actor())
    red = by_public_id(RedInvoice, red_id, select(RedInvoice).where(RedInvoice.invoice_id == row.id))
    return sent(red.file_id, red.number)


def sent(file_id: int | None, name: str) -> Response:
    """An invoice's file, to be saved and never shown inside the shop's own pages."""
    if file_id is None:
        raise InvalidInput("invoice.no_file", N_("这张发票还没有文件。"))
    kept = db.session.get_one(StoredFile, file_id)
    response = Response(kept.read(), content_type=kept.media_type)
    response.headers["Content-Disposition"] = f"attachment; filename={name}.{kept.media_type.rpartition('/')[2]}"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def typed_version() -> int:
    """The version at which the page was read."""
    typed = request.form.get("version", "")
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 9 else 0


def _own(public_id: str, actor: Actor) -> Invoice:
    row: Invoice = by_public_id(Invoice, public_id, scoped(actor, Invoice, "buyer_id"))
    return row


def _seller(public_id: str) -> Organisation:
    return by_public_id(Organisation, public_id, select(Organisation).where(Organisation.kind == "COOPERATIVE"))


def _form(seller: Organisation, errors: dict[str, str]) -> str:
    actor = the_actor()
    last = invoice.last_title(actor.organisation_id)
    known = last or InvoiceTitle("VAT_GENERAL", actor.organisation_name)
    typed = request.form if request.method == "POST" else {name: getattr(known, name) for name in TITLE}
    wanted = request.args.getlist("order")
    orders = invoice_choice.open_orders(actor.organisation_id, seller.id)
    return render_template(
        "invoice/new.html",
        seller=seller,
        orders=orders,
        chosen=request.form.getlist("orders") if request.method == "POST" else (wanted or [order.public_id for order, _fen in orders]),
        values=typed,
        errors=errors,
        key=request.form.get("idempotency_key") or new_public_id(),
        crumbs=[(_("发票"), url_for(".index")), (_("申请开票"), None)],
        **frame(actor),
    )
