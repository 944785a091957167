"""What becomes of a receipt that pays no order: back to its payer, or no buyer's money at all; and what a debit of the bank was.

The accountant says it, the director agrees; what goes back is transferred in the online banking and recorded here.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.crypto import last_four
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan, parse_yuan
from marketplace.ledger import account
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.actor import scoped
from marketplace.payments import bank_proof, receipt_return, row_decision, row_undo
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.statement_row import StatementRow
from marketplace.settlement import difference, remittance_back, row_payee
from marketplace.settlement.difference import Difference
from marketplace.settlement.remittance import Remittance
from marketplace.web import form_input
from marketplace.web.book_words import entry_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import holds, needs, permission, the_actor
from marketplace.web.shared_desk import names_of, typed_version
from marketplace.web.shown import day, money
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("receipt_ways", __name__, url_prefix="/cooperative/bank")

permission("cooperative.read", COOPERATIVE="*")
permission("bank.match", COOPERATIVE="accountant")
permission("bank.undo", COOPERATIVE="director")

PAGE = 25


def return_words() -> dict[str, tuple[str, str]]:
    """What the state of a return is called, and the kind of its tag."""
    return {"PROPOSED": (_("等理事长同意"), "wait"), "APPROVED": (_("等转账"), "wait"), "PAID": (_("已退回"), ""), "REFUSED": (_("没有同意"), "still"), "WITHDRAWN": (_("不退了"), "still")}


def proof_words() -> dict[str, tuple[str, str]]:
    """What bears out that the bank wrote a receipt, and the kind of the notice that says so."""
    return {
        "CLOSED": (_("余额和前后的流水都接得上。"), ""), "CONFIRMED": (_("流水没有余额，理事长在网银里核对过。"), ""),
        "NOT_YET": (_("余额和以前的流水接得上；还没有更晚的流水来证实。同意以前，请在网银里看一眼有没有这笔到账。"), "wait"),
        "GAP": (_("余额和前后的流水接不上：可能缺了一份，也可能被改过。接得上以前不能退。"), "bad"),
        "DEBITS": (_("余额接得上，但这份流水里没说明的支出够抵这笔到账：先说明那几笔支出，或在网银里核对这笔到账，再确认。"), "bad"),
        "NO_BALANCES": (_("流水没有余额，看不出是不是银行写的。请在网银里核对这笔到账，再确认。"), "bad"),
    }  # fmt: skip


def decision_words() -> dict[str, str]:
    """What a row was said to be."""
    return {
        "UNRELATED": _("和市场无关"), "WITHDRAWAL": _("支付宝提现"), "STRIPE": _("Stripe 打来的款"), "TAKES_BACK": _("退回了一笔到账"), "STANDS": _("账上已经有的一笔"),
        "RECEIPT": _("是买家付的"), "SENT_BACK": _("被银行退回的划款"), "REPAID": _("买家转回来的多退的款"),
    }  # fmt: skip


def word_of(each: RowDecision) -> str:
    """Which of these words a decision has."""
    return "STRIPE" if each.channel == "stripe" else "REPAID" if each.refund_id is not None else each.kind


@bp.get("/receipts/<public_id>")
@needs("bank.match")
def receipt(public_id: str) -> Any:
    return _receipt(_own(public_id), {})


@bp.post("/receipts/<public_id>/return")
@needs("bank.match")
def propose_return(public_id: str) -> Any:
    actor, form, row = the_actor(), request.form, _own(public_id)
    number = row.id
    try:
        try:
            fen = parse_yuan(form.get("amount", ""))
        except ValueError:
            raise InvalidInput("return.fen", N_("请填写要退回的金额。"), field="amount") from None
        transaction(
            lambda: receipt_return.propose(
                number, fen, form.get("reason", ""), payee_name=form.get("payee_name", ""), payee_account=form.get("payee_account", ""), actor=actor
            )
        )
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        return _receipt(_own(public_id), {str(error.data.get("field", "amount")): said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已经交给理事长。同意以后再转账。"), "done")
    return redirect(url_for(".returns"), 303)


@bp.post("/receipts/<public_id>/say")
@needs("bank.match")
def say(public_id: str) -> Any:
    """This credit is no buyer's money."""
    actor, form, row = the_actor(), request.form, _own(public_id)
    its_row = _statement_row(row)
    row_id = its_row.id if its_row else 0
    try:
        kind = form.get("kind", "")
        named = {
            "entry_id": standing_entry(form.get("entry", "")) if kind == "STANDS" else None,
            "remittance_id": _named(Remittance, form.get("remittance", "")) if kind == "SENT_BACK" else None,
            "refund_id": _named(Refund, form.get("refund", "")) if kind == "REPAID" else None,
        }
        transaction(lambda: row_decision.propose(row_id, kind, form.get("why", ""), **named, actor=actor))
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        fields = {"reason.missing": "why", "remittance.unlike": "remittance", "refund.repaid": "refund", "decision.kind": str(error.data.get("field", "kind"))}
        field = fields.get(error.code, "kind")
        return _receipt(_own(public_id), {field: said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已经交给理事长。同意之前，账不变。"), "done")
    return redirect(url_for(".decisions"), 303)


@bp.get("/returns")
@needs("cooperative.read")
def returns() -> Any:
    return _returns({})


@bp.post("/returns/<public_id>/decide")
@needs("bank.undo")
def decide_return(public_id: str) -> Any:
    actor, number, version, reason = the_actor(), _own_return(public_id).id, typed_version(), request.form.get("reason", "")
    approved = form_input.approves()
    try:
        transaction(lambda: receipt_return.decide(number, version=version, approved=approved, reason=reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        if error.code not in ("reason.missing", "statement.gap", "statement.unproven"):
            raise
        return _returns({public_id: said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已同意，请会计转账。") if approved else _("没有同意，钱还在待核销里。"), "done")
    return redirect(url_for(".returns"), 303)


@bp.post("/returns/<public_id>/statement")
@needs("bank.undo")
def confirm_statement(public_id: str) -> Any:
    """The director found the same in the online banking."""
    actor = the_actor()
    number = db.session.get_one(BankReceipt, _own_return(public_id).receipt_id).statement_id
    transaction(lambda: bank_proof.confirm(number, actor=actor))
    flash(_("记下了：这份流水您在网银里核对过。"), "done")
    return redirect(url_for(".returns"), 303)


@bp.post("/returns/<public_id>/paid")
@needs("bank.match")
def return_paid(public_id: str) -> Any:
    actor, number, version, form = the_actor(), _own_return(public_id).id, typed_version(), request.form
    try:
        paid_on = _day(form.get("paid_on", ""))
        transaction(lambda: receipt_return.record_paid(number, reference=form.get("reference", ""), paid_on=paid_on, version=version, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _returns({f"{error.data.get('field')}-{public_id}": said(error)}), 422
    flash(_("已记为退回。"), "done")
    return redirect(url_for(".returns"), 303)


@bp.post("/returns/<public_id>/recall")
@needs("bank.match")
def recall_return(public_id: str) -> Any:
    """It was agreed and not transferred, and should not be."""
    actor, number, version, reason = the_actor(), _own_return(public_id).id, typed_version(), request.form.get("reason", "")
    try:
        transaction(lambda: receipt_return.recall(number, reason, version=version, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _returns({f"recall-{public_id}": said(error)}), 422
    flash(_("已经交给理事长。答复以前请不要转账。"), "done")
    return redirect(url_for(".returns"), 303)


@bp.post("/returns/<public_id>/recall/decide")
@needs("bank.undo")
def decide_recall(public_id: str) -> Any:
    actor, number, version, reason = the_actor(), _own_return(public_id).id, typed_version(), request.form.get("reason", "")
    approved = form_input.approves()
    try:
        transaction(lambda: receipt_return.decide_recall(number, version=version, approved=approved, reason=reason, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _returns({public_id: said(error)}), 422
    flash(_("不退了，钱又在待核销里。") if approved else _("照旧退回，请会计转账。"), "done")
    return redirect(url_for(".returns"), 303)


@bp.get("/decisions")
@needs("cooperative.read")
def decisions() -> Any:
    return _decisions({})


@bp.post("/decisions/<public_id>")
@needs("bank.undo")
def decide(public_id: str) -> Any:
    actor, version, reason, approved = the_actor(), typed_version(), request.form.get("reason", ""), form_input.approves()
    number = by_public_id(RowDecision, public_id, scoped(actor, RowDecision)).id

    def work() -> None:
        row_decision.decide(number, version=version, approved=approved, reason=reason, actor=actor)
        difference.reconcile(actor.organisation_id)

    try:
        transaction(work)
    except InvalidInput as error:
        db.session.rollback()
        return _decisions({public_id: said(error)}), 422
    flash(_("已同意，账记好了。") if approved else _("没有同意，这一行还要说明。"), "done")
    return redirect(url_for(".decisions"), 303)


def stands(organisation_id: int, fen: int, side: str = "bank") -> list[tuple[str, str]]:
    """What a page offers as the entry that a row is, or is a part of: the outside name of its difference, and words."""
    found = difference.standing(organisation_id, fen, side=side)
    kinds = dict(db.session.execute(select(JournalEntry.id, JournalEntry.kind).where(JournalEntry.id.in_([each.entry_id for each in found]))).all())
    told = [(each.public_id, f"{day(each.day)} {entry_words(kinds[each.entry_id or 0])} {money(each.fen)} {each.number}") for each in found]
    return [("", "—"), *told] if told else []


def standing_entry(public_id: str) -> int | None:
    """The entry of an open difference, which a row may be a part of; None where none was chosen."""
    if not public_id:
        return None
    row: Difference = by_public_id(Difference, public_id, scoped(the_actor(), Difference))
    return row.entry_id


def _named(model: Any, public_id: str) -> int | None:
    """Of the cooperative's own; None where none was chosen."""
    return int(by_public_id(model, public_id, scoped(the_actor(), model)).id) if public_id else None


def _own(public_id: str) -> BankReceipt:
    row: BankReceipt = by_public_id(BankReceipt, public_id, scoped(the_actor(), BankReceipt))
    return row


def _own_return(public_id: str) -> ReceiptReturn:
    row: ReceiptReturn = by_public_id(ReceiptReturn, public_id, scoped(the_actor(), ReceiptReturn))
    return row


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise InvalidInput("transfer.day", N_("日期请写成 2026-11-25 这样。"), field="paid_on") from None


def _statement_row(row: BankReceipt) -> StatementRow | None:
    query = select(StatementRow).where(
        StatementRow.organisation_id == row.organisation_id, StatementRow.side == "bank", StatementRow.serial == row.serial
    )
    return db.session.scalars(query).one_or_none()


def _stands_for(decisions: Sequence[RowDecision]) -> dict[int, tuple[str, str]]:
    """Of what waits to be agreed to, which entry a row is said to be, and whom that pays: by entry."""
    found = {}
    for entry in db.session.scalars(select(JournalEntry).where(JournalEntry.id.in_([each.entry_id for each in decisions]))) if decisions else ():
        payees = row_payee.of_entry(entry.source_type, entry.source_id) or []
        said = _("、").join(f"{each.name} {_tail(each.account)}".strip() for each in payees[:3]) + (_("等 %(n)s 人", n=len(payees)) if len(payees) > 3 else "")
        found[entry.id] = (f"{day(clock.business_date(entry.event_at))} {entry_words(entry.kind)}", said)
    return found


def _about(decisions: Sequence[RowDecision]) -> dict[int, tuple[str, str]]:
    """Which remittance came back, or which refund is given back, with the page of each; by decision."""
    found = {}
    remittances, refunds = ({getattr(each, name) for each in decisions} - {None} for name in ("remittance_id", "refund_id"))
    named = {each.id: each for each in db.session.scalars(select(Remittance).where(Remittance.id.in_(remittances)))} if remittances else {}
    left = {each.id: each for each in db.session.scalars(select(Refund).where(Refund.id.in_(refunds)))} if refunds else {}
    for each in decisions:
        if (its := named.get(each.remittance_id or 0)) is not None:
            found[each.id] = (its.number, url_for("remittance.show", public_id=its.public_id))
        if (refund := left.get(each.refund_id or 0)) is not None:
            found[each.id] = (refund.out_request_no, url_for("cooperative_refunds.show", public_id=refund.public_id))
    return found


def _receipt(row: BankReceipt, errors: dict[str, str]) -> str:
    its_row = _statement_row(row)
    waits = row_decision.waiting_on(its_row.id) if its_row else None
    suggested = row_decision.suggested(row.organisation_id, its_row) if its_row else "UNRELATED"
    back = remittance_back.candidates(its_row, row.organisation_id) if its_row else []
    return render_template(
        "bank/receipt.html", row=row, left=format_yuan(row.left_fen), errors=errors, values=request.form, waits=decision_words()[word_of(waits)] if waits else "",
        suggested="SENT_BACK" if suggested == "UNRELATED" and back and back[0].likely else suggested,
        takes_cards=account.existing("stripe", row.organisation_id), stands=stands(row.organisation_id, row.fen) if its_row else [],
        sent_back=[(each.remittance.public_id, f"{each.remittance.number} · {each.payee} · {day(each.remittance.paid_on)}") for each in back],
        repaid=[(each.public_id, f"{each.out_request_no} · {money(left)}") for each, left in row_decision.to_be_repaid(row.organisation_id) if left >= row.fen],
        crumbs=[(_("对公到账"), url_for("unit_seller.bank")), (_("这笔到账"), None)], **desk(the_actor()),
    )  # fmt: skip


def _returns(errors: dict[str, str]) -> Any:
    actor = the_actor()
    query = (
        select(ReceiptReturn, BankReceipt)
        .join(BankReceipt, BankReceipt.id == ReceiptReturn.receipt_id)
        .where(ReceiptReturn.organisation_id == actor.organisation_id)
        .order_by(ReceiptReturn.id.desc())
    )
    words = return_words()
    if "export" in request.args:
        columns = [(_("编号"), "text"), (_("提出"), "moment"), (_("退给"), "text"), (_("金额"), "fen"), (_("理由"), "text"), (_("状态"), "text"), (_("银行流水号"), "text")]
        lines = ((row.number, row.proposed_at, row.payee_name, row.fen, row.reason, words[row.state][0], row.reference) for row, _of in streamed(query))
        return download(_("退回付款人"), columns, lines)
    before = request.args.get("before", "")
    if before:
        query = query.where(ReceiptReturn.id < _own_return(before).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    # The whole number only for whoever decides on it or transfers to it, while they do.
    whole = {"PROPOSED": holds(actor, "bank.undo"), "APPROVED": holds(actor, "bank.match")}
    # Looked up only for what is to be decided: seldom more than a few.
    proofs = {each.id: bank_proof.of_receipt(receipt) for each, receipt in rows[:PAGE] if each.state == "PROPOSED"}
    return render_template(
        "bank/returns.html", rows=rows[:PAGE], words=words, proofs=proofs, proof_words=proof_words(),
        brought=names_of([proof.statement.imported_by_id for proof in proofs.values()]) if proofs else {},
        accounts={each.id: each.payee_account if whole.get(each.state) else _tail(each.payee_account) for each, _of in rows[:PAGE]},
        to_another={each.id: receipt_return.to_another(each, receipt) for each, receipt in rows[:PAGE]},
        tails={receipt.id: _tail(receipt.payer_account) for _each, receipt in rows[:PAGE]}, errors=errors, today=clock.business_date(),
        next_url=url_for(".returns", before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None, export_url=url_for(".returns", export=1),
        crumbs=[(_("对公到账"), url_for("cooperative_bank.matches")), (_("退回付款人"), None)], **desk(actor),
    )  # fmt: skip


def _tail(account: str) -> str:
    return _("尾号 %(last)s", last=last_four(account)) if account else ""


def _decisions(errors: dict[str, str]) -> str:
    actor = the_actor()
    query = (
        select(RowDecision, StatementRow)
        .join(StatementRow, StatementRow.id == RowDecision.row_id)
        .where(RowDecision.organisation_id == actor.organisation_id)
        .order_by(RowDecision.id.desc())
    )
    before = request.args.get("before", "")
    if before:
        query = query.where(RowDecision.id < by_public_id(RowDecision, before, scoped(actor, RowDecision)).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    standing = select(JournalEntry).where(JournalEntry.id.in_([each.entry_id for each, _row in rows if each.entry_id]))
    return render_template(
        "bank/decisions.html", rows=rows[:PAGE], words=decision_words(), word_of=word_of, errors=errors, undos=row_undo.open_of(actor.organisation_id),
        about=_about([each for each, _row in rows[:PAGE]]),
        entries={each.id: f"{day(each.event_at)} · {entry_words(each.kind)} · {money(each.gross)}" for each in db.session.scalars(standing)},
        stands_for=_stands_for([each for each, _row in rows[:PAGE] if each.entry_id is not None and each.state == "PROPOSED"]),
        next_url=url_for(".decisions", before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        crumbs=[(_("对公到账"), url_for("cooperative_bank.matches")), (_("流水说明"), None)], **desk(actor),
    )  # fmt: skip
