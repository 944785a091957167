"""Bills of Alipay that did not come, as the cooperative sees them; and those of which two of its people say that they never come."""

from itertools import pairwise
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations.actor import scoped
from marketplace.payments import bill_closure, bill_day
from marketplace.payments.bill_closure import BillClosure
from marketplace.payments.bill_day import SILENT, MissingBill
from marketplace.web import form_input, payment_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import names_of

bp = Blueprint("alipay_bills", __name__, url_prefix="/cooperative/bills")

permission("cooperative.read", COOPERATIVE="*")
permission("difference.work", COOPERATIVE="accountant director")
permission("bank.undo", COOPERATIVE="director")

PAGE = 25


def state_words() -> dict[str, tuple[str, str]]:
    """What the state of a closure is called, and the kind of its tag."""
    return {"PROPOSED": (_("等理事长同意"), "wait"), "APPROVED": (_("不再等了"), ""), "RETURNED": (_("退回，接着取"), "bad")}


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    return _page({})


@bp.post("")
@needs("difference.work")
def propose() -> Any:
    actor = the_actor()
    try:
        first, last, reason = form_input.day("first_day"), form_input.day("last_day"), form_input.given("reason")
        transaction(lambda: bill_closure.propose(first, last, reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        return _page({str(error.data.get("field", "reason")): said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已经交给理事长。同意之前，系统照样每天去取。"), "done")
    return redirect(url_for(".index"), 303)


@bp.post("/<public_id>")
@needs("bank.undo")
def decide(public_id: str) -> Any:
    own: BillClosure = by_public_id(BillClosure, public_id, scoped(the_actor(), BillClosure))
    actor, number = the_actor(), own.id
    agreed, reason, version = form_input.approves(), form_input.given("reason"), form_input.version()
    try:
        transaction(lambda: bill_closure.decide(number, version=version, approved=agreed, reason=reason, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _page({f"answer-{public_id}": said(error)}), 422
    flash(_("这些天不再等了，后面的天接着对账；账上那几天有进出的，会列成差异。") if agreed else _("已退回，系统接着取。"), "done")
    return redirect(url_for(".index"), 303)


def _page(errors: dict[str, str]) -> str:
    actor = the_actor()
    query = select(BillClosure).where(BillClosure.organisation_id == actor.organisation_id).order_by(BillClosure.id.desc())
    before = request.args.get("before", "")
    if before:
        query = query.where(BillClosure.id < by_public_id(BillClosure, before, scoped(actor, BillClosure)).id)
    past = list(db.session.scalars(query.limit(PAGE + 2)))
    waiting = past.pop(0) if past and past[0].state == "PROPOSED" else None  # nothing is proposed beside it
    missing, last = bill_closure.missing(actor.organisation_id), bill_day.ends().get(actor.organisation_id)
    until = clock.business_date() - SILENT
    closable = [each.day for each in missing if each.day <= until and each.asked >= bill_closure.ASKED]
    return render_template(
        "bank/bills.html", spans=_spans(missing), waiting=waiting, past=past[:PAGE], states=state_words(), kinds=payment_words.BILLS, reasons=payment_words.UNFETCHED,
        last=last, closable=(min(closable), max(closable)) if closable else None, errors=errors, values=request.form,
        people=names_of([each for row in [waiting, *past] if row for each in (row.proposed_by_id, row.decided_by_id)]),
        next_url=url_for(".index", before=past[PAGE - 1].public_id) if len(past) > PAGE else None,
        crumbs=[(_("对账"), url_for("reconciliation.index")), (_("没取到的支付宝账单"), None)], **desk(actor),
    )  # fmt: skip


def _spans(missing: Any) -> list[tuple[MissingBill, MissingBill, int]]:
    """Days on end of one kind that did not come for one reason: the first, the last, and how many they are."""
    spans: list[list[MissingBill]] = []
    rows = sorted(missing, key=lambda each: (each.kind != "trade", each.day))
    for before, row in pairwise([None, *rows]):
        goes_on = before is not None and before.kind == row.kind and before.reason == row.reason and (row.day - before.day).days == 1
        spans = [*spans[:-1], [*spans[-1], row]] if goes_on else [*spans, [row]]
    return [(each[0], each[-1], len(each)) for each in spans]
