"""The cooperative's invoices: what is asked for, what must be reversed, recording what the tax software issued, and its sheet."""

from datetime import date
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.catalogue.category import Category
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders import invoice, invoice_choice, invoice_sheet, invoice_tax, red_invoice
from marketplace.orders.invoice import Invoice
from marketplace.orders.invoice_sheet import SheetRow
from marketplace.orders.red_invoice import RedInvoice
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.web import spreadsheet
from marketplace.web.cooperative_desk import desk
from marketplace.web.invoices import sent, typed_version
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_invoices", __name__, url_prefix="/cooperative/invoices")

permission("cooperative.read", COOPERATIVE="*")
permission("invoice.issue", COOPERATIVE="accountant")

PAGE = 25
VIEWS: dict[str, tuple[str, ...]] = {
    "waiting": ("REQUESTED",),
    "reverse": ("ISSUED",),
    "issued": ("ISSUED", "REVERSED"),
    "closed": ("REFUSED", "WITHDRAWN"),
}
SHEET = (
    (N_("申请编号"), "text"), (N_("发票种类"), "text"), (N_("抬头"), "text"), (N_("税号"), "text"), (N_("地址、电话"), "text"),
    (N_("开户行及账号"), "text"), (N_("货"), "text"), (N_("税收分类编码"), "text"), (N_("数量"), "whole"), (N_("含税金额"), "fen"),
    (N_("税率"), "bp"), (N_("免税"), "text"), (N_("备注"), "text"), (N_("冲红的发票号码"), "text"),
)  # fmt: skip


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    view = request.args.get("view", "waiting")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    red = invoice_choice.to_reverse(actor.organisation_id).subquery()
    query = (
        select(Invoice, Organisation, red.c.due_fen)
        .join(Organisation, Organisation.id == Invoice.buyer_id)
        .join(red, red.c.id == Invoice.id, isouter=view != "reverse")
        .where(Invoice.organisation_id == actor.organisation_id, Invoice.state.in_(VIEWS[view]))
        .order_by(Invoice.id.desc())
        .limit(PAGE + 1)
    )
    before = request.args.get("before", "")
    if before:
        query = query.where(Invoice.id < _own(before, actor).id)
    rows = db.session.execute(query).all()
    waiting = db.session.scalar(
        select(func.count()).where(Invoice.organisation_id == actor.organisation_id, Invoice.state == "REQUESTED")
    )
    return render_template(
        "cooperative/invoices.html",
        rows=rows[:PAGE],
        view=view,
        waiting=waiting,
        to_reverse=db.session.scalar(select(func.count()).select_from(red)),
        next_url=url_for(".index", view=view, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(actor),
    )


@bp.get("/sheet")
@needs("invoice.issue")
def sheet() -> Response:
    """What waits, as a sheet for the tax software: black ones, and below them red letters with the number that they reverse."""
    own = the_actor().organisation_id
    rows = [_sheet_row(row, row.quantity, row.fen, "") for row in invoice_sheet.waiting(own)]
    rows += [_sheet_row(row, None, -row.fen, row.invoice.number or "") for row in red_invoice.waiting(own)]
    return spreadsheet.download(_("待开发票"), [(_(label), kind) for label, kind in SHEET], rows)


def _sheet_row(row: SheetRow, quantity: int | None, fen: int, reverses: str) -> tuple[Any, ...]:
    kinds = {"VAT_GENERAL": _("普票"), "VAT_SPECIAL": _("专票")}
    title, tax = row.invoice.title, row.tax
    return (
        row.invoice.public_id, kinds[title.kind], title.name, title.tax_number, f"{title.address} {title.phone}".strip(),
        f"{title.bank_name} {title.bank_account}".strip(), row.goods, tax.class_code if tax else "", quantity, fen,
        tax.rate_bp if tax and not tax.exempt else None, _("免税") if tax and tax.exempt else "", row.invoice.note, reverses,
    )  # fmt: skip


@bp.get("/taxes")
@needs("invoice.issue")
def taxes() -> Any:
    return _taxes({})


@bp.post("/taxes")
@needs("invoice.issue")
def save_taxes() -> Any:
    actor, form = the_actor(), request.form

    def work() -> None:
        for code in db.session.scalars(select(Category.code)).all():
            if form.get(f"code-{code}", "").strip():
                invoice_tax.save(
                    code, class_code=form[f"code-{code}"].strip(), rate_bp=_percent(form.get(f"rate-{code}", ""), f"rate-{code}"),
                    exempt=bool(form.get(f"exempt-{code}")), actor=actor,
                )  # fmt: skip

    try:
        transaction(work)
    except InvalidInput as error:
        db.session.rollback()
        return _taxes({str(error.data["field"]): said(error)}), 422
    flash(_("开票设置已保存。"), "done")
    return redirect(url_for(".index"), 303)


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return _page(_own(public_id, the_actor()), {})


@bp.post("/<public_id>/issue")
@needs("invoice.issue")
def issue(public_id: str) -> Any:
    actor = the_actor()
    row_id, number, version, content = _own(public_id, actor).id, request.form.get("number", ""), typed_version(), _sent_file()
    return _done(
        public_id, lambda: invoice.issue(row_id, number=number, issued_on=_day(), file=content, version=version, actor=actor),
        _("发票已登记，申请人可以下载。"),
    )  # fmt: skip


@bp.post("/<public_id>/refuse")
@needs("invoice.issue")
def refuse(public_id: str) -> Any:
    actor = the_actor()
    row_id, reason, version = _own(public_id, actor).id, request.form.get("reason", ""), typed_version()
    return _done(public_id, lambda: invoice.refuse(row_id, reason=reason, version=version, actor=actor), _("已退回申请人。"))


@bp.post("/<public_id>/reverse")
@needs("invoice.issue")
def reverse(public_id: str) -> Any:
    actor = the_actor()
    row = _own(public_id, actor)
    row_id, version, content, number = row.id, typed_version(), _sent_file(), request.form.get("number", "")
    fen = row.fen - row.red_fen if request.form.get("whole") else red_invoice.red_due_fen(row)
    return _done(
        public_id,
        lambda: red_invoice.reverse(row_id, fen=fen, number=number, issued_on=_day(), file=content, version=version, actor=actor),
        _("红字发票已登记。"),
    )


@bp.get("/<public_id>/file")
@needs("cooperative.read")
def file(public_id: str) -> Response:
    row = _own(public_id, the_actor())
    return sent(row.file_id, f"{row.number}")


@bp.get("/<public_id>/red/<red_id>")
@needs("cooperative.read")
def red_file(public_id: str, red_id: str) -> Response:
    row = _own(public_id, the_actor())
    red = by_public_id(RedInvoice, red_id, select(RedInvoice).where(RedInvoice.invoice_id == row.id))
    return sent(red.file_id, red.number)


def _own(public_id: str, actor: Actor) -> Invoice:
    row: Invoice = by_public_id(Invoice, public_id, scoped(actor, Invoice, "organisation_id"))
    return row


def _done(public_id: str, work: Any, sentence: str) -> Any:
    try:
        transaction(work)
    except MarketError as error:
        db.session.rollback()
        return _page(_own(public_id, the_actor()), {str(error.data.get("field", "")): said(error)}), 422
    flash(sentence, "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _sent_file() -> bytes:
    found = request.files.get("file")
    return found.read() if found else b""


def _day() -> date:
    try:
        return date.fromisoformat(request.form.get("issued_on", ""))
    except ValueError:
        raise InvalidInput("invoice.day", N_("请填写开票日期。"), field="issued_on") from None


def _percent(typed: str, field: str) -> int:
    """Basis points of a percentage such as 9 or 0.5; empty is none."""
    whole, _dot, part = (typed.strip().removesuffix("%") or "0").partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 3 and (part + "0").isascii() and (part + "0").isdigit() and len(part) <= 2):
        raise InvalidInput("tax.rate", N_("税率在 0 到 20% 之间。"), field=field)
    return int(whole) * 100 + int(part.ljust(2, "0"))


def _taxes(errors: dict[str, str]) -> str:
    actor = the_actor()
    return render_template(
        "cooperative/invoice_taxes.html",
        categories=list(db.session.scalars(select(Category).order_by(Category.code))),
        taxes=invoice_tax.of(actor.organisation_id),
        errors=errors,
        values=request.form,
        crumbs=[(_("发票"), url_for(".index")), (_("开票设置"), None)],
        **desk(actor),
    )


def _page(row: Invoice, errors: dict[str, str]) -> str:
    actor, red_due_fen = the_actor(), red_invoice.red_due_fen(row)
    return render_template(
        "cooperative/invoice.html",
        row=row,
        buyer=db.session.get_one(Organisation, row.buyer_id),
        goods=invoice_sheet.rows_of(row, invoice_tax.of(row.organisation_id)),
        orders=invoice.orders_on(row.id),
        reds=red_invoice.reds_of(row.id),
        red_due_fen=red_due_fen,
        red_rows=red_invoice.rows_due(row, red_due_fen) if red_due_fen else [],
        short_fen=red_invoice.short_fen(row),
        now_fen=invoice.still_due_fen(row),
        errors=errors,
        values=request.form,
        crumbs=[(_("发票"), url_for(".index")), (row.name, None)],
        **desk(actor),
    )
