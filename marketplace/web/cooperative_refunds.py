"""The cooperative's refunds: what waits for a person, what is on its way, what arrived."""

from collections.abc import Callable
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import ColumnElement, select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.orders import refund_call_off, refund_reissue
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.person import Person
from marketplace.payments import (
    bank_refund,
    call,
    refund_call,
    refund_loss,
    refund_news,
    refund_recall,
    refund_waiver,
    row_decision,
)
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.payments.refund import (
    DOUBTED,
    GIVEN_UP,
    LEFT,
    NOT_AGAIN,
    RECOUNTED,
    REPLACED_LEFT,
    Refund,
    refused,
)
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.refund_recall import RefundRecall
from marketplace.payments.refund_waiver import RefundWaiver
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.statement_row import StatementRow
from marketplace.web import payment_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_refunds", __name__, url_prefix="/cooperative")

permission("payment.read", COOPERATIVE="accountant director")
permission("refund.again", COOPERATIVE="accountant director")
permission("refund.payee", COOPERATIVE="director")
permission("refund.transfer", COOPERATIVE="accountant")

PAGE = 50
VIEWS: dict[str, Any] = {
    "todo": refund_loss.open_ones() | refused() | ((Refund.state == "approved") & (Refund.way == "bank")),
    "going": Refund.state.in_(("submitting", "unknown")) | ((Refund.state == "approved") & (Refund.way != "bank")),
    "done": Refund.state == "succeeded",
    "failed": (Refund.state == "failed") & ~refused(),
}


@bp.get("/refunds")
@needs("payment.read")
def index() -> Any:
    actor = the_actor()
    view = request.args.get("view", "todo")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    query = scoped(actor, Refund).add_columns(Payment.out_trade_no).join(Payment, Payment.id == Refund.payment_id).where(VIEWS[view])
    before = request.args.get("before", "")
    if before:
        query = query.where(Refund.id < by_public_id(Refund, before, scoped(actor, Refund)).id)
    rows = db.session.execute(query.order_by(Refund.id.desc()).limit(PAGE + 1)).all()
    words = {"todo": _("要人办的"), "going": _("在路上"), "done": _("已退"), "failed": _("没退成、已重办")}
    return render_template(
        "payment/refunds.html",
        rows=rows[:PAGE],
        view=view,
        chips=[(words[each], url_for(".index", view=each), each == view, None) for each in VIEWS],
        next_url=url_for(".index", view=view, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        states=payment_words.REFUND_STATES,
        ways=payment_words.WAYS,
        **desk(actor),
    )


@bp.get("/refunds/<public_id>")
@needs("payment.read")
def show(public_id: str) -> Any:
    return _page(_own(public_id, the_actor()), {})


@bp.post("/refunds/<public_id>/again")
@needs("refund.again")
def again(public_id: str) -> Any:
    """The same way once more, or proposed over the bank."""
    actor = the_actor()
    row = _own(public_id, actor)
    number, form = row.id, request.form
    try:
        if form.get("way") == "bank":
            payee = [form.get(name, "") for name in ("payee_name", "payee_account", "payee_bank")]
            transaction(lambda: refund_reissue.propose(number, *payee, actor=actor))
            flash(_("已提请理事长审。同意以后由会计转账。"), "done")
            return redirect(url_for(".show", public_id=public_id), 303)
        made = transaction(lambda: refund_reissue.resend(number, actor=actor).public_id)
    except InvalidInput as error:
        return _page(_own(public_id, actor), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已用新的号码重新交给支付宝，通常几分钟有结果。"), "done")
    return redirect(url_for(".show", public_id=made), 303)


@bp.post("/refunds/<public_id>/stop")
@needs("refund.again")
def stop(public_id: str) -> Any:
    """Ask about a refund without an outcome; if it did not happen it ends here, and can be made again another way."""
    number = _own(public_id, the_actor()).id
    db.session.rollback()
    try:
        outcome = refund_call.stop(number)
    except MarketError as error:
        db.session.rollback()
        flash(said(error), "bad")
        return redirect(url_for(".show", public_id=public_id), 303)
    words = {
        "succeeded": (_("渠道说已经退了，记好了。"), "done"),
        "refused": (_("渠道说没有退。这笔已经停下，请在下面重办。"), "done"),
        "unknown": (_("渠道还是没有明确的结果。系统会继续问，也可以过一会儿再试。"), "bad"),
    }
    flash(*words[outcome])
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/refunds/<public_id>/correct")
@needs("refund.again")
def correct(public_id: str) -> Any:
    """The account was wrong, and nothing was transferred yet."""
    actor, form = the_actor(), request.form
    row = _own(public_id, actor)
    agreed = by_public_id(BankRefund, form.get("agreed", ""), select(BankRefund).where(BankRefund.refund_id == row.id)).id
    payee = [form.get(name, "") for name in ("payee_name", "payee_account", "payee_bank")]
    return _done(public_id, lambda: refund_reissue.correct(agreed, *payee, actor=actor), _("已提请理事长审新的收款人。同意之前请不要转账。"))


@bp.post("/refunds/<public_id>/payee")
@needs("refund.payee")
def decide(public_id: str) -> Any:
    """The director's word on a payee."""
    actor = the_actor()
    row = _own(public_id, actor)
    proposed = by_public_id(BankRefund, request.form.get("proposal", ""), select(BankRefund).where(_payees(row)))
    # A correction names another payee for what goes over the bank already, as does what replaces a transfer: there is nothing to ask the channel.
    failed = row.id if proposed.corrects_id is None and row.way != "bank" else None
    number, approved, reason = proposed.id, request.form.get("decision") == "approve", request.form.get("reason", "")
    db.session.rollback()
    if approved and failed is not None:
        refund_call.ask_again(failed)
    try:
        refund_id = transaction(lambda: refund_reissue.decide(number, approved=approved, reason=reason, actor=actor).refund_id)
    except InvalidInput as error:
        return _page(_own(public_id, actor), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已同意，请会计转账后记下流水号。") if approved else _("已退回。"), "done")
    after = db.session.get_one(Refund, refund_id).public_id if refund_id else public_id
    return redirect(url_for(".show", public_id=after), 303)


@bp.post("/refunds/<public_id>/waiver")
@needs("refund.again")
def waive(public_id: str) -> Any:
    """Asked not to be made any more."""
    actor, reason = the_actor(), request.form.get("waiver_reason", "")
    number = _own(public_id, actor).id
    return _done(public_id, lambda: refund_reissue.waive(number, reason, actor=actor), _("已提请理事长决定。同意以前，这张订单先不分账。"))


@bp.post("/refunds/<public_id>/waiver/decision")
@needs("refund.payee")
def decide_waiver(public_id: str) -> Any:
    """The director's word on that."""
    actor, form = the_actor(), request.form
    row = _own(public_id, actor)
    asked = by_public_id(RefundWaiver, form.get("waiver", ""), select(RefundWaiver).where(RefundWaiver.refund_id == row.id)).id
    approved, reason, version = form.get("decision") == "approve", form.get("reason", ""), _whole(form.get("version", ""))
    db.session.rollback()
    told = _("已同意不再退，订单到期就分账。") if approved else _("已退回，请会计重办这笔退款。")
    return _done(public_id, lambda: refund_reissue.decide_waiver(asked, version=version, approved=approved, reason=reason, actor=actor), told, within="waiver_")


@bp.post("/refunds/<public_id>/transfer")
@needs("refund.transfer")
def transfer(public_id: str) -> Any:
    """The accountant made the transfer."""
    actor = the_actor()
    number, reference = _own(public_id, actor).id, request.form.get("reference", "")
    try:
        try:
            paid_on = date.fromisoformat(request.form.get("paid_on", ""))
        except ValueError:
            raise InvalidInput("transfer.day", N_("转账日期要在同意退款之后，不晚于今天。"), field="paid_on") from None
        transaction(lambda: bank_refund.record(number, reference, paid_on, actor=actor))
    except MarketError as error:
        db.session.rollback()
        return _page(_own(public_id, actor), {str(error.data.get("field", "reference")): said(error)}), 422
    flash(_("已记下转账，这笔退款办完了。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/refunds/<public_id>/loss")
@needs("refund.again")
def lose(public_id: str) -> Any:
    """What left twice, and no order holds money for, shall be the cooperative's own loss."""
    actor = the_actor()
    number, reason = _own(public_id, actor).id, request.form.get("loss", "")
    return _done(public_id, lambda: refund_loss.propose(number, reason, actor=actor), _("已提请理事长定。"))


@bp.post("/refunds/<public_id>/loss/decide")
@needs("refund.payee")
def decide_loss(public_id: str) -> Any:
    """The director's word on it."""
    actor, form = the_actor(), request.form
    row = by_public_id(RefundLoss, form.get("proposal", ""), select(RefundLoss).where(RefundLoss.refund_id == _own(public_id, actor).id))
    number, approved, version = row.id, form.get("decision") == "approve", _whole(form.get("version", ""))
    told = _("已定为合作社承担，账上记好了。") if approved else _("已退回。")
    return _done(public_id, lambda: refund_loss.decide(number, actor=actor, version=version, approved=approved, answer=form.get("reason", "")), told)


@bp.post("/refunds/<public_id>/recall")
@needs("refund.again")
def recall(public_id: str) -> Any:
    """Asked not to be transferred."""
    actor, reason = the_actor(), request.form.get("recall_reason", "")
    number = _own(public_id, actor).id
    return _done(public_id, lambda: refund_call_off.ask(number, reason, actor=actor), _("已提请理事长决定。答复以前请不要转账。"))


@bp.post("/refunds/<public_id>/recall/decision")
@needs("refund.payee")
def decide_recall(public_id: str) -> Any:
    """The director's word on that."""
    actor, form = the_actor(), request.form
    asked = by_public_id(RefundRecall, form.get("recall", ""), select(RefundRecall).where(RefundRecall.refund_id == _own(public_id, actor).id))
    number, approved, version = asked.id, form.get("decision") == "approve", _whole(form.get("version", ""))
    told = _("已作废，请不要再转。这笔退款要重办，或由两个人同意不再退。") if approved else _("已退回，照原来的转账。")
    return _done(public_id, lambda: refund_call_off.decide(number, version=version, approved=approved, reason=form.get("reason", ""), actor=actor), told, within="recall_decision_")


@bp.post("/refunds/<public_id>/untransferred")
@needs("refund.again")
def untransferred(public_id: str) -> Any:
    """The transfer was not made, and is not wanted any more."""
    actor = the_actor()
    number = _own(public_id, actor).id
    transaction(lambda: refund_news.not_transferred(number, actor=actor))
    flash(_("已作废，请不要再转。原来那笔已经记为退到。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _done(public_id: str, work: Callable[[], Any], told: str, *, within: str = "") -> Any:
    """A step of a refund, and back to its page; what was filled in wrongly is said at its field, or at that of its name ``within`` a form of its own."""
    try:
        transaction(work)
    except InvalidInput as error:
        db.session.rollback()
        return _page(_own(public_id, the_actor()), {f"{within}{error.data.get('field', '')}": said(error)}), 422
    flash(told, "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _own(public_id: str, actor: Actor) -> Refund:
    found: Refund = by_public_id(Refund, public_id, scoped(actor, Refund))
    return found


def _page(refund: Refund, errors: dict[str, str]) -> Any:
    actor = the_actor()
    payment = db.session.get_one(Payment, refund.payment_id)
    order = db.session.get(Order, refund.order_id) if refund.order_id else None
    proposals = db.session.execute(
        select(BankRefund, Person.name_zh)
        .join(Person, Person.id == BankRefund.proposed_by_id)
        .where(_payees(refund))
        .order_by(BankRefund.id)
    ).all()
    loss = refund_loss.of_refund(refund.id) if refund.sub_code == LEFT else None
    asked = select(RefundWaiver, Person.name_zh).join(Person, Person.id == RefundWaiver.proposed_by_id).where(RefundWaiver.refund_id == refund.id)
    waivers = db.session.execute(asked.order_by(RefundWaiver.id)).all()
    back = select(RefundRecall, Person.name_zh).join(Person, Person.id == RefundRecall.proposed_by_id).where(RefundRecall.refund_id == refund.id)
    recalls = db.session.execute(back.order_by(RefundRecall.id)).all()
    before = db.session.get(Refund, refund.reissues_id) if refund.reissues_id else None
    holds = payment.refunded_fen < payment.amount_fen
    after = db.session.scalars(select(Refund).where(Refund.reissues_id == refund.id)).one_or_none()
    return render_template(
        "payment/refund.html",
        refund=refund,
        payment=payment,
        order=order,
        proposals=proposals,
        before=before,
        after=after,
        payers=_payers(payment) if refund.way == "bank" and not proposals else [],
        again=refund.sub_code not in NOT_AGAIN and holds,
        loss=loss,
        repaid=_repaid(refund),
        doubted=refund.state == "approved" and refund.sub_code == DOUBTED,
        loss_by=db.session.get_one(Person, loss.proposed_by_id).name_zh if loss else "",
        losable=refund.state == "failed" and refund.sub_code == LEFT and refund.way != "bank",
        again_fen=refund_reissue.again_fen(refund) if refund.state == "failed" else refund.fen,
        may_waive=refund.state == "failed" and refund_reissue.may_be_waived(refund),
        waivers=waivers,
        waiver_open=any(row.state == "PROPOSED" for row, _name in waivers),
        recalls=recalls,
        may_recall=refund_call_off.may_be_called_off(refund),
        recall_open=any(row.state == "PROPOSED" for row, _name in recalls),
        recalled=refund_recall.RECALLED,
        made_again=refund_waiver.MADE_AGAIN,
        why_not=_why_not().get(refund.sub_code, _all_gone() if refund.state == "failed" and not holds and after is None else None),
        unsure=refund.way != "bank" and refund.state in ("submitting", "unknown"),
        tried=call.last_of(refund_call.SEND, refund.id),
        corrected=refund_reissue.CORRECTED,
        open_=next((row for row, _name in proposals if row.state == "PROPOSED"), None),
        states=payment_words.REFUND_STATES,
        ways=payment_words.WAYS,
        values=request.form,
        today=clock.business_date(),
        errors=errors,
        crumbs=[(_("退款"), url_for(".index")), (refund.out_request_no, None)],
        **desk(actor),
    )


def _repaid(refund: Refund) -> list[tuple[RowDecision, StatementRow]]:
    """What the buyer gave back of one that left twice, each with the bank's row."""
    query = select(RowDecision, StatementRow).join(StatementRow, StatementRow.id == RowDecision.row_id)
    its = [each.id for each in row_decision.repaid([refund.id])] if refund.sub_code == LEFT else []
    return [(each, row) for each, row in db.session.execute(query.where(RowDecision.id.in_(its)).order_by(RowDecision.id))] if its else []


def _why_not() -> dict[str, str]:
    """Why a refund that was not made is not made again."""
    return {
        REPLACED_LEFT: _("不用再退：它要重办的那一笔已经退到了。"),
        LEFT: _("不能再退：这笔其实已经退到了，是多退的一份，没有从订单的钱里扣。钱要回来，或由合作社承担，在下面了结。"),
        RECOUNTED: _("这一笔是几笔合在一起记的，其中有的被买家的银行退了回来，已经分开重记：看这笔付款的全部经过。"),
        GIVEN_UP: _("两个人同意了不再退，这笔钱跟着订单分账。又要退的话，请在订单上重新提出。"),
    }


def _all_gone() -> str:
    """Why one that was refused needs nobody any more."""
    return _("不用再办：这笔付款的钱已经全部退给了买家，是在支付渠道那边退的，或跟着别的退款退的。")


def _payees(refund: Refund) -> ColumnElement[bool]:
    """Everybody to whom a refund should go over the bank: those proposed in the place of a failed one, and those of what replaces it."""
    failed = [refund.id, refund.reissues_id] if refund.way == "bank" and refund.reissues_id else [refund.id]
    return BankRefund.replaces_id.in_(failed) | (BankRefund.refund_id == refund.id)


def _payers(payment: Payment) -> list[BankReceipt]:
    """The transfers that paid it, whose payer is who gets the money back."""
    matched = select(BankMatch.receipt_id).where(BankMatch.payable_kind == "payment", BankMatch.payable_id == payment.id)
    return list(db.session.scalars(select(BankReceipt).where(BankReceipt.id.in_(matched)).order_by(BankReceipt.id)))
