"""What was matched, and undoing it by two people; what goes back to a buyer over the bank; price cuts that units ask for."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import case, select
from sqlalchemy.orm import aliased

from marketplace.foundation.database import by_public_id, db, not_found, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.orders.order import Order
from marketplace.organisations.actor import scoped
from marketplace.organisations.organisation import Organisation
from marketplace.payments import match_undo
from marketplace.payments.bank_match import CHANNEL
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.payment import Payment
from marketplace.payments.refund import GOING, Refund
from marketplace.procurement import price_cut
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.late_interest import LateInterest
from marketplace.procurement.price_cut import PriceCut
from marketplace.web import form_input, payment_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("cooperative_bank", __name__, url_prefix="/cooperative/bank")

permission("cooperative.read", COOPERATIVE="*")
permission("bank.match", COOPERATIVE="accountant")
permission("bank.undo", COOPERATIVE="director")
permission("unit_order.cut", COOPERATIVE="director accountant")

PAGE = 25


@bp.get("/matches")
@needs("cooperative.read")
def matches() -> Any:
    """Every match, the latest first, with who asked to undo it and what became of that."""
    return _matches({})


@bp.post("/matches/<public_id>/undo")
@needs("bank.match")
def ask_undo(public_id: str) -> Any:
    """A match is named outside by the payment it made."""
    actor = the_actor()
    match_id = _match(public_id).id
    try:
        transaction(lambda: match_undo.ask(match_id, request.form.get("reason", ""), actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _matches({public_id: said(error)}), 422
    flash(_("已经交给理事长。同意之前，核销不变。"), "done")
    return redirect(url_for(".matches"))


@bp.post("/undos/<public_id>")
@needs("bank.undo")
def decide_undo(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    row_id = by_public_id(MatchUndo, public_id, scoped(actor, MatchUndo)).id
    approved, version = form_input.approves(), form_input.version()
    try:
        transaction(lambda: match_undo.decide(row_id, version=version, approved=approved, reason=form.get("reason", ""), actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _matches({public_id: said(error)}), 422
    flash(_("核销已撤销：这笔到账重新等着核销，订单重新欠款。") if approved else _("没有撤销，核销照旧。"), "done")
    return redirect(url_for(".matches"))


@bp.get("/refunds")
@needs("cooperative.read")
def refunds() -> Any:
    """What goes back to buyers over the bank: to be transferred by a person, then marked."""
    actor, done = the_actor(), request.args.get("view") == "done"
    query = (
        select(Refund, Order, DirectedOrder, Organisation)
        .join(Payment, Payment.id == Refund.payment_id)
        .outerjoin(Order, Order.id == Refund.order_id)
        .outerjoin(DirectedOrder, DirectedOrder.order_id == Order.id)
        .outerjoin(Organisation, Organisation.id == Order.buyer_id)
        .where(Refund.organisation_id == actor.organisation_id, Payment.channel == CHANNEL)
        .order_by(Refund.id.desc())
    )
    query = query.where(Refund.state == "succeeded" if done else Refund.state.in_(GOING))
    after = request.args.get("after", "")
    if after:
        query = query.where(Refund.id < by_public_id(Refund, after, scoped(actor, Refund)).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "unit/bank_refunds.html",
        rows=rows[:PAGE],
        done=done,
        reasons=payment_words.REFUND_REASONS,
        next_url=url_for(".refunds", view="done" if done else None, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(actor),
    )


@bp.get("/cuts")
@needs("cooperative.read")
def cuts() -> Any:
    return _cuts({})


@bp.post("/cuts/<public_id>")
@needs("unit_order.cut")
def decide_cut(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    row_id = by_public_id(PriceCut, public_id, scoped(actor, PriceCut, "organisation_id")).id
    approved, version = form_input.approves(), form_input.version()
    try:
        transaction(lambda: price_cut.decide(row_id, version=version, approved=approved, reason=form.get("reason", ""), actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _cuts({public_id: said(error)}), 422
    flash(_("已同意减价，应收少了。") if approved else _("已答复不同意。"), "done")
    return redirect(url_for(".cuts"))


def _match(public_id: str) -> BankMatch:
    """The match that made this payment of the actor's cooperative."""
    payment = by_public_id(Payment, public_id, scoped(the_actor(), Payment))
    query = select(BankMatch).where(BankMatch.payable_kind == "payment", BankMatch.payable_id == payment.id)
    found = db.session.scalars(query).one_or_none()
    if found is None:
        raise not_found(BankMatch)
    return found


def _matches(errors: dict[str, str]) -> Any:
    actor = the_actor()
    unit = aliased(Organisation)
    query = (
        select(BankMatch, BankReceipt, Payment, Order, DirectedOrder, unit)
        .join(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .join(Payment, Payment.id == BankMatch.payable_id)
        .outerjoin(LateInterest, (Payment.payable_kind == "late_interest") & (LateInterest.id == Payment.payable_id))
        .join(Order, Order.id == case((Payment.payable_kind == "late_interest", LateInterest.order_id), else_=Payment.payable_id))
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .join(unit, unit.id == Order.buyer_id)
        .where(BankMatch.organisation_id == actor.organisation_id, BankMatch.payable_kind == "payment")
        .order_by(BankMatch.id.desc())
    )
    if "export" in request.args:
        columns = [
            (_("核销"), "moment"), (_("到账"), "day"), (_("付款户名"), "text"), (_("单位"), "text"), (_("采购单"), "text"), (_("金额"), "fen"), (_("撤销"), "moment"),
        ]  # fmt: skip
        lines = (
            (row.confirmed_at, receipt.received_on, receipt.payer_name, own.name_zh, directed.reference, row.fen, row.undone_at)
            for row, receipt, _payment, _order, directed, own in streamed(query)
        )
        return download(_("核销记录"), columns, lines)
    after = request.args.get("after", "")
    if after:
        query = query.where(BankMatch.id < _match(after).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    undos: dict[int, MatchUndo] = {}
    for undo in db.session.scalars(select(MatchUndo).where(MatchUndo.match_id.in_([row[0].id for row in rows])).order_by(MatchUndo.id)):
        undos[undo.match_id] = undo
    return render_template(
        "unit/bank_matches.html",
        rows=[(*row, undos.get(row[0].id)) for row in rows[:PAGE]],
        errors=errors,
        next_url=url_for(".matches", after=rows[PAGE - 1][2].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".matches", export=1),
        **desk(actor),
    )


def _cuts(errors: dict[str, str]) -> Any:
    actor = the_actor()
    query = (
        select(PriceCut, Order, DirectedOrder, Organisation)
        .join(Order, Order.id == PriceCut.order_id)
        .join(DirectedOrder, DirectedOrder.order_id == Order.id)
        .join(Organisation, Organisation.id == PriceCut.unit_id)
        .where(PriceCut.organisation_id == actor.organisation_id)
        .order_by(PriceCut.state != "OPEN", PriceCut.id.desc())  # what waits for an answer comes first
    )
    after = request.args.get("after", "")
    if after:
        last = by_public_id(PriceCut, after, scoped(actor, PriceCut, "organisation_id"))
        behind, answered = PriceCut.id < last.id, PriceCut.state != "OPEN"
        query = query.where(answered & behind if last.state != "OPEN" else answered | behind)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "unit/bank_cuts.html",
        rows=rows[:PAGE],
        errors=errors,
        next_url=url_for(".cuts", after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(actor),
    )
