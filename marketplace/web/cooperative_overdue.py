"""What units owe past their day: the list to remind by, a letter to print, and late interest, claimed or let go by a person."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.procurement import late_interest
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest
from marketplace.reporting import overdue
from marketplace.web import spreadsheet
from marketplace.web.cooperative_desk import desk
from marketplace.web.invoices import typed_version
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_overdue", __name__, url_prefix="/cooperative/overdue")

permission("cooperative.read", COOPERATIVE="*")
permission("interest.claim", COOPERATIVE="accountant")
permission("interest.waive", COOPERATIVE="director")

PAGE = 25


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    """What is still owed, or (``view=paid``) what was paid late and of which interest may be claimed."""
    actor, view = the_actor(), _view()
    after = request.args.get("after", "")
    begins = _own(after, actor) if after else None
    if view == "paid":
        rows = overdue.paid_late(actor.organisation_id)
        rows = [each for each in rows if begins is None or (each.directed.pay_by, each.directed.id) < (begins.pay_by, begins.id)]
    else:
        rows = overdue.of_cooperative(actor.organisation_id, after=begins, limit=PAGE + 1)
    return render_template(
        "cooperative/overdue.html",
        rows=rows[:PAGE],
        view=view,
        chips=[(_("还欠的"), url_for(".index"), view != "paid", None), (_("付晚了，利息没计收"), url_for(".index", view="paid"), view == "paid", None)],
        next_url=url_for(".index", view=view or None, after=rows[PAGE - 1].directed.public_id) if len(rows) > PAGE else None,
        **desk(actor),
    )


@bp.get("/export")
@needs("cooperative.read")
def export() -> Any:
    own = the_actor().organisation_id
    rows = overdue.paid_late(own) if _view() == "paid" else overdue.of_cooperative(own, limit=spreadsheet.MOST_ROWS)
    columns = [
        (_("采购单"), "text"), (_("单位"), "text"), (_("付款期限"), "day"), (_("逾期天数"), "whole"), (_("还欠"), "fen"),
        (_("可计利息"), "fen"), (_("已计未付利息"), "fen"),
    ]  # fmt: skip
    cells = [
        (each.directed.reference, text(each.unit, "name"), each.directed.pay_by, each.days, each.open_fen,
         each.accrued.fen if each.accrued else 0, each.claimed_fen)
        for each in rows
    ]  # fmt: skip
    return spreadsheet.download(_("逾期账款"), columns, cells)


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return _page(_own(public_id, the_actor()), {})


@bp.get("/<public_id>/letter")
@needs("cooperative.read")
def letter(public_id: str) -> Any:
    """The reminder, to be printed, stamped and sent."""
    return render_template("cooperative/overdue_letter.html", **_facts(_own(public_id, the_actor())))


@bp.post("/<public_id>/claim")
@needs("interest.claim")
def claim(public_id: str) -> Any:
    actor = the_actor()
    order_id, key = _own(public_id, actor).order_id, request.form.get("idempotency_key", "")
    transaction(lambda: late_interest.claim(order_id, actor=actor, key=key))
    flash(_("逾期利息已记账，单位在采购单上看得到。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/claims/<claim_id>/waive")
@needs("interest.waive")
def waive(public_id: str, claim_id: str) -> Any:
    return _let_go(public_id, claim_id, "waive", late_interest.waive, _("这笔利息免收了。"))


@bp.post("/<public_id>/claims/<claim_id>/withdraw")
@needs("interest.claim")
def withdraw(public_id: str, claim_id: str) -> Any:
    return _let_go(public_id, claim_id, "withdraw", late_interest.withdraw, _("这笔利息撤回了，可以按现在的到账重新计收。"))


def _view() -> str:
    return "paid" if request.args.get("view") == "paid" else ""


def _let_go(public_id: str, claim_id: str, step: str, how: Callable[..., Any], done: str) -> Any:
    actor = the_actor()
    row = _own(public_id, actor)
    found = by_public_id(LateInterest, claim_id, scoped(actor, LateInterest, "organisation_id").where(LateInterest.order_id == row.order_id)).id
    reason, version = request.form.get("reason", ""), typed_version()
    try:
        transaction(lambda: how(found, reason, version=version, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _page(_own(public_id, the_actor()), {f"{step}-{claim_id}": said(error)}), 422
    flash(done, "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _own(public_id: str, actor: Actor) -> DirectedOrder:
    row: DirectedOrder = by_public_id(DirectedOrder, public_id, scoped(actor, DirectedOrder, "cooperative_id"))
    return row


def _facts(row: DirectedOrder) -> dict[str, Any]:
    order = db.session.get_one(Order, row.order_id)
    return {
        "row": row,
        "order": order,
        "unit": db.session.get_one(Organisation, row.organisation_id),
        "cooperative": db.session.get_one(Organisation, row.cooperative_id),
        "seller": db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == row.cooperative_id)).one_or_none(),
        "open_fen": order.open_fen,
        "late_days": max(0, (clock.business_date() - row.pay_by).days) if row.pay_by else 0,
        "rate": late_interest.rate_of(row),
        "accrued": late_interest.accrued(order, row),
        "claims": late_interest.claims_of(order.id),
        "again": late_interest.reckoned_again(order),
        "today": clock.business_date(),
    }


def _page(row: DirectedOrder, errors: dict[str, str]) -> str:
    return render_template(
        "cooperative/overdue_order.html",
        errors=errors,
        values=request.form,
        key=new_public_id(),
        crumbs=[(_("逾期账款"), url_for(".index")), (row.reference, None)],
        **_facts(row),
        **desk(the_actor()),
    )
