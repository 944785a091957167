"""The cooperative's side of units' orders: taking them on, importing the bank's statement, deciding what each receipt pays."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, select

from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan
from marketplace.orders.order import Order, lines_by_order
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bank_match, bank_statement, row_decision
from marketplace.payments.bank_match import Proposal
from marketplace.payments.bank_statement import BankReceipt
from marketplace.procurement import directed_order, order_end
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest
from marketplace.procurement.order_end import EndRequest
from marketplace.web import form_input
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money
from marketplace.web.unit_desk import states

bp = Blueprint("unit_seller", __name__, url_prefix="/cooperative")

permission("cooperative.read", COOPERATIVE="*")
permission("unit_order.confirm", COOPERATIVE="director clerk")
permission("bank.match", COOPERATIVE="accountant")

PAGE = 50
# What a receipt may pay, by the word of the form.
PAYABLES: dict[str, tuple[str, Any]] = {"order": ("order", Order), "late_interest": ("late_interest", LateInterest)}


@bp.get("/unit-orders")
@needs("cooperative.read")
def orders() -> Any:
    actor = the_actor()
    query = (
        select(DirectedOrder, Order, Organisation)
        .join(Order, Order.id == DirectedOrder.order_id)
        .join(Organisation, Organisation.id == DirectedOrder.organisation_id)
        .where(DirectedOrder.cooperative_id == actor.organisation_id, _shown_to_seller())
        .order_by(DirectedOrder.id.desc())
    )
    after = request.args.get("after", "")
    if after:
        query = query.where(DirectedOrder.id < by_public_id(DirectedOrder, after, scoped(actor, DirectedOrder, "cooperative_id")).id)
    found = db.session.execute(query.limit(PAGE + 1)).all()
    shown = found[:PAGE]
    lines = lines_by_order([order.id for _row, order, _unit in shown])
    return render_template(
        "unit/seller_orders.html",
        rows=[(row, order, unit, lines[order.id], order_end.may_end(row, order)) for row, order, unit in shown],
        next_url=url_for(".orders", after=shown[-1][0].public_id) if len(found) > PAGE else None,
        asked=order_end.open_at(actor.organisation_id),
        states=states(),
        **desk(actor),
    )


def _shown_to_seller() -> ColumnElement[bool]:
    """What the unit has agreed to: to be taken on, taken on, or ended since."""
    return DirectedOrder.approval.in_(("APPROVED", "CONFIRMED", "DECLINED")) | ((DirectedOrder.approval == "CANCELLED") & DirectedOrder.confirmed_at.is_not(None))


@bp.post("/unit-orders/<public_id>")
@needs("unit_order.confirm")
def decide(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(DirectedOrder, public_id, scoped(actor, DirectedOrder, "cooperative_id")).id
    reason = request.form.get("reason", "")
    if request.form.get("decision") == "decline":
        transaction(lambda: directed_order.decline(row_id, reason, actor=actor))
        flash(_("已告诉采购单位不能接单，货放回了货架。"), "done")
    else:
        transaction(lambda: directed_order.confirm(row_id, actor=actor))
        flash(_("已接单。"), "done")
    return redirect(url_for(".orders"))


@bp.post("/unit-orders/<public_id>/end")
@needs("unit_order.confirm")
def give_up(public_id: str) -> Any:
    """What was taken on cannot be delivered."""
    actor = the_actor()
    row_id, reason = by_public_id(DirectedOrder, public_id, scoped(actor, DirectedOrder, "cooperative_id")).id, request.form.get("end_reason", "")
    transaction(lambda: order_end.give_up(row_id, reason, actor=actor))
    flash(_("已取消，采购单位会收到原因，货放回了货架。"), "done")
    return redirect(url_for(".orders"))


@bp.post("/unit-orders/end/<public_id>")
@needs("unit_order.confirm")
def answer_end(public_id: str) -> Any:
    """The unit wants the order no more."""
    actor, form = the_actor(), request.form
    row_id = by_public_id(EndRequest, public_id, scoped(actor, EndRequest, "organisation_id")).id
    approved, reason, version = form_input.approves(), form.get("answer", ""), form_input.version()
    transaction(lambda: order_end.decide(row_id, approved=approved, version=version, reason=reason, actor=actor))
    flash(_("已同意取消，货放回了货架。") if approved else _("已答复采购单位，这张单照常。"), "done")
    return redirect(url_for(".orders"))


@bp.get("/bank")
@needs("bank.match")
def bank() -> Any:
    return _bank({})


@bp.post("/bank")
@needs("bank.match")
def import_statement() -> Any:
    """Receive the bank's file; what it holds is looked at on a page of its own before anything is written."""
    actor = the_actor()
    sent = request.files.get("file")
    try:
        if sent is None or not sent.filename:
            raise InvalidInput("file.missing", N_("请选择从网银下载的文件。"), field="file")
        content, name = sent.read(), sent.filename
        public_id = transaction(lambda: bank_statement.receive(content, actor=actor, name=name).public_id)
    except MarketError as error:
        db.session.rollback()
        return _bank({"file": said(error)}), 422
    return redirect(url_for("bank_statements.show", public_id=public_id), 303)


@bp.post("/bank/<public_id>")
@needs("bank.match")
def match(public_id: str) -> Any:
    actor = the_actor()
    receipt_id = by_public_id(BankReceipt, public_id, scoped(actor, BankReceipt)).id
    try:
        match_chosen(receipt_id, actor)
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        return _bank({f"amount-{public_id}-{form_input.given('order')}": said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已核销。"), "done")
    return redirect(url_for(".bank", after=request.args.get("after") or None))


def match_chosen(receipt_id: int, actor: Actor) -> int:
    """Match a receipt to what the form names: ``kind``, ``order``, ``amount``; how many fen. Raises as ``bank_match.match``."""
    kind, model = PAYABLES.get(form_input.given("kind"), PAYABLES["order"])
    payable_id, key = by_public_id(model, form_input.given("order"), scoped(actor, model, "organisation_id")).id, form_input.given("idempotency_key")
    fen = form_input.fen("amount")
    transaction(lambda: bank_match.match(receipt_id, kind, payable_id, fen, actor=actor, key=key))
    return fen


def _to_check(receipt: BankReceipt, proposal: Proposal) -> list[str]:
    """What a person should look at before matching: money that is more or less than owed, and a payer of another name."""
    rest, notes = receipt.left_fen, []
    if rest > proposal.payable.open_fen:
        notes.append(_("比应付多 %(fen)s，多的先留着，可以核销到别的单。", fen=money(rest - proposal.payable.open_fen)))
    if rest < proposal.payable.open_fen:
        notes.append(_("只付了一部分，还差 %(fen)s。", fen=money(proposal.payable.open_fen - rest)))
    if receipt.matched_fen:
        notes.append(_("这笔钱分几张单核销，前面已经核销 %(fen)s。", fen=money(receipt.matched_fen)))
    if receipt.payer_name and not {"PAYER", "PAYER_SIMILAR"} & set(proposal.reasons):
        notes.append(_("付款户名和采购单位不一样，常见的是财政代付，请核对。"))
    return notes


def _bank(errors: dict[str, str]) -> str:
    actor = the_actor()
    after = request.args.get("after", "")
    begins = by_public_id(BankReceipt, after, scoped(actor, BankReceipt)) if after else None
    found = bank_match.unmatched(actor, after=begins, limit=PAGE + 1)
    waiting = found[:PAGE]
    proposed = bank_match.proposals(waiting, actor=actor, limit=3)
    taken_back = row_decision.taken_back(waiting)
    rows = [(receipt, [(each, _to_check(receipt, each)) for each in proposed[receipt.id]], new_public_id(), receipt.id in taken_back) for receipt in waiting]
    reasons = {
        "REFERENCE": _("附言里有编号"), "AMOUNT": _("金额相同"), "PAYER": _("户名相同"), "PAYER_SIMILAR": _("户名相近"), "PART": _("付一部分"),
    }  # fmt: skip
    return render_template(
        "unit/bank.html", rows=rows, reasons=reasons, errors=errors, typed=request.form.get("amount", ""), plain=format_yuan,
        after=after or None, next_url=url_for(".bank", after=waiting[-1].public_id) if len(found) > PAGE else None, **desk(actor),
    )  # fmt: skip
