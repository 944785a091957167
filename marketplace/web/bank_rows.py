"""A row of the bank's statement (or of Alipay's bill): what it is said to be, by whom, and how to undo that, by the accountant and the director."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, not_found, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.actor import scoped
from marketplace.organisations.person import Person
from marketplace.payments import bank_rows, row_decision, row_undo
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.settlement import difference
from marketplace.settlement.difference import Difference
from marketplace.web import form_input
from marketplace.web.book_words import entry_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import typed_version

bp = Blueprint("bank_rows", __name__, url_prefix="/cooperative/bank/rows")

permission("cooperative.read", COOPERATIVE="*")
permission("bank.match", COOPERATIVE="accountant")
permission("bank.undo", COOPERATIVE="director")


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return _show(_own(public_id), {})


@bp.post("/<public_id>/undo")
@needs("bank.match")
def ask(public_id: str) -> Any:
    """It is not what it is said to be: the director is asked."""
    actor, form, row = the_actor(), request.form, _own(public_id)
    number, entry_id = row.id, _entry_id(row, form.get("entry", ""))
    try:
        transaction(lambda: row_undo.ask(number, entry_id, form.get("reason", ""), actor=actor))
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        return _show(_own(public_id), {form.get("entry", ""): said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已经交给理事长。同意之前，账不变。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/undos/<public_id>")
@needs("bank.undo")
def decide(public_id: str) -> Any:
    actor, version, reason, approved = the_actor(), typed_version(), request.form.get("reason", ""), form_input.approves()
    made: RowUndo = by_public_id(RowUndo, public_id, scoped(actor, RowUndo))
    number, row_id = made.id, made.row_id

    def work() -> None:
        row_undo.decide(number, version=version, approved=approved, reason=reason, actor=actor)
        difference.reconcile(actor.organisation_id)

    try:
        transaction(work)
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        return _show(db.session.get_one(StatementRow, row_id), {public_id: said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("撤销了，账冲回来了。") if approved else _("没有撤销，照旧。"), "done")
    return redirect(url_for(".show", public_id=db.session.get_one(StatementRow, row_id).public_id), 303)


def _own(public_id: str) -> StatementRow:
    row: StatementRow = by_public_id(StatementRow, public_id, scoped(the_actor(), StatementRow))
    return row


def _entry_id(row: StatementRow, typed: str) -> int:
    """The entry that a form names, of those that the row is linked to."""
    its = {f"{each}": each for each in db.session.scalars(select(StatementLink.entry_id).where(StatementLink.row_id == row.id))}
    if typed not in its:
        raise not_found(StatementLink)
    return its[typed]


def _show(row: StatementRow, errors: dict[str, str]) -> str:
    actor = the_actor()
    undos = row_undo.of_row(row.id)
    waiting = {each.entry_id: each for each in undos if each.state == "PROPOSED"}
    links = []
    for link in db.session.scalars(select(StatementLink).where(StatementLink.row_id == row.id).order_by(StatementLink.id)):
        decision = row_decision.of_link(link)
        links.append((link, db.session.get_one(JournalEntry, link.entry_id), decision, row_undo.may_be_undone(link, decision), waiting.get(link.entry_id)))
    own = BankReceipt.organisation_id == row.organisation_id, BankReceipt.serial == row.serial
    receipt = db.session.scalars(select(BankReceipt).where(*own)).one_or_none() if row.side == "bank" else None
    task = db.session.scalars(select(Difference).where(Difference.organisation_id == row.organisation_id, Difference.row_id == row.id)).one_or_none()
    entries = {each.entry_id for each in undos}
    people = {link.linked_by_id for link, *_rest in links} | {each for undo in undos for each in (undo.proposed_by_id, undo.decided_by_id)}
    people |= {each for _link, _entry, decision, *_rest in links if decision is not None for each in (decision.proposed_by_id, decision.decided_by_id)}
    return render_template(
        "bank/row.html", row=row, number=bank_rows.number_of(row.serial), links=links, entry_words=entry_words, errors=errors, values=request.form,
        receipt=receipt if receipt is not None and receipt.state != "unrelated" else None, task=task, left_fen=row.fen - sum(each[0].fen for each in links),
        undos=[each for each in undos if each.state != "PROPOSED"],
        kinds=dict(db.session.execute(select(JournalEntry.id, JournalEntry.kind).where(JournalEntry.id.in_(entries))).all()),
        people=dict(db.session.execute(select(Person.id, Person.name_zh).where(Person.id.in_([each for each in people if each]))).all()),
        crumbs=[(_("对公到账"), url_for("unit_seller.bank" if actor.has("accountant") else "cooperative_bank.matches")), (_("流水的一行"), None)], **desk(actor),
    )  # fmt: skip
