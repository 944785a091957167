"""A bank's file: looked at row by row before anything is written, read as its header tells or as the accountant says, then taken."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations.actor import scoped
from marketplace.payments import bank_file, bank_layout, bank_proof, bank_statement
from marketplace.payments.bank_reading import UnknownLayout
from marketplace.payments.bank_statement import BankStatement, Look
from marketplace.payments.statement_row import StatementRow
from marketplace.settlement import difference
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money

bp = Blueprint("bank_statements", __name__, url_prefix="/cooperative/bank/statements")

permission("cooperative.read", COOPERATIVE="*")
permission("bank.match", COOPERATIVE="accountant")
permission("bank.undo", COOPERATIVE="director")
permission("bank.statement", COOPERATIVE="accountant director")

PAGE = 25
SHOWN = 200  # rows of a file that a page lists; what needs a person comes first


def bad_words() -> dict[str, str]:
    """Why a row cannot be read."""
    return {
        "amount.bad": _("金额读不出来"), "amount.none": _("没有金额"), "amount.both": _("收入和支出都有"), "day.bad": _("日期不对"),
        "direction.bad": _("收支方向读不出来"), "balance.bad": _("余额读不出来"), "serial.twice": _("流水号重复"), "serial.long": _("流水号太长"),
    }  # fmt: skip


def column_words() -> dict[str, str]:
    """What a column may be."""
    return {
        "day": _("日期"), "income": _("收入金额"), "expense": _("支出金额"), "amount": _("交易金额（收支一列）"), "direction": _("收支方向"),
        "balance": _("余额"), "payer_name": _("对方户名"), "payer_account": _("对方账号"), "remark": _("摘要"), "postscript": _("附言"),
        "serial": _("流水号"), "own_account": _("本方账号"),
    }  # fmt: skip


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    """Every file that was taken, the latest first."""
    actor = the_actor()
    own = BankStatement.organisation_id == actor.organisation_id, BankStatement.taken_at.is_not(None)
    query = select(BankStatement, bank_proof.unproven()).where(*own)
    before = request.args.get("before", "")
    if before:
        query = query.where(BankStatement.id < _own(before).id)
    rows = db.session.execute(query.order_by(BankStatement.id.desc()).limit(PAGE + 1)).all()
    return render_template(
        "bank/statements.html",
        rows=rows[:PAGE],
        next_url=url_for(".index", before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        crumbs=[(_("对公到账"), _home()), (_("流水"), None)],
        **desk(actor),
    )


@bp.get("/<public_id>")
@needs("bank.statement")
def show(public_id: str) -> Any:
    """Each row with what becomes of it; a director holds them against the online banking. A file whose header nobody knows leads to the page on which its columns are named."""
    row = _own(public_id)
    try:
        seen = bank_statement.look(row)
    except UnknownLayout:
        return redirect(url_for(".layout", public_id=public_id), 303)
    except InvalidInput as error:
        return _page(row, None, said(error)), 422
    return _page(row, seen, "")


@bp.post("/<public_id>/take")
@needs("bank.match")
def take(public_id: str) -> Any:
    actor, row = the_actor(), _own(public_id)
    number = row.id

    def work() -> bank_statement.Imported:
        took = bank_statement.take(number, actor=actor)
        difference.reconcile(actor.organisation_id)
        return took

    try:
        took = transaction(work)
    except MarketError as error:
        db.session.rollback()
        return _page(_own(public_id), None, said(error)), 422
    flash(_("共 %(rows)s 行：新到账 %(new)s 笔 %(fen)s，以前导入过 %(known)s 笔，支出 %(debits)s 笔。", rows=took.rows, new=took.new, fen=money(took.new_fen), known=took.known, debits=took.debits), "done")
    return redirect(url_for("unit_seller.bank"), 303)


@bp.post("/<public_id>/confirm")
@needs("bank.undo")
def confirm(public_id: str) -> Any:
    """The director found the same in the online banking."""
    actor, number = the_actor(), _own(public_id).id
    transaction(lambda: bank_proof.confirm(number, actor=actor))
    flash(_("记下了：这份流水您在网银里核对过。"), "done")
    return redirect(url_for(".index"), 303)


@bp.get("/<public_id>/layout")
@needs("bank.match")
def layout(public_id: str) -> Any:
    return _columns(_own(public_id), {})


@bp.post("/<public_id>/layout")
@needs("bank.match")
def choose(public_id: str) -> Any:
    """Say what each column is; the choice is kept for files with this header."""
    actor, row, form = the_actor(), _own(public_id), request.form
    lines = bank_file.lines(bank_statement.content_of(row))
    typed = form.get("header", "")
    header = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else 0
    if "look" in form:
        return redirect(url_for(".layout", public_id=public_id, header=header), 303)
    columns: dict[str, int] = {}
    try:
        for place in range(bank_layout.MOST_COLUMNS):
            name = form.get(f"column-{place}", "")
            if name in columns:
                raise InvalidInput("layout.twice", _("“%(name)s”指定了两列，请只留一列。", name=column_words().get(name, name)), field="columns")
            if name:
                columns[name] = place
        transaction(lambda: bank_layout.keep(lines, header, columns, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _columns(_own(public_id), {str(error.data.get("field", "columns")): said(error)}), 422
    flash(_("记住了，以后这家银行的流水都这样读。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _own(public_id: str) -> BankStatement:
    row: BankStatement = by_public_id(BankStatement, public_id, scoped(the_actor(), BankStatement))
    return row


def _home() -> str:
    return url_for("unit_seller.bank" if the_actor().has("accountant") else "cooperative_bank.matches")


def _page(row: BankStatement, seen: Look | None, error: str) -> str:
    order = {"altered": 0, "receipt": 1, "arrival": 2, "debit": 3, "known": 4}
    only = request.args.get("only", "")
    chosen = [each for each in seen.outcomes if only in ("", each[1])] if seen else []
    rows = sorted(chosen, key=lambda each: order[each[1]])[:SHOWN]
    named = [each.serial for each, what in rows if what == "known"]
    own = StatementRow.organisation_id == row.organisation_id, StatementRow.side == "bank", StatementRow.serial.in_(named)
    return render_template(
        "bank/statement.html",
        row=row,
        known_as=dict(db.session.execute(select(StatementRow.serial, StatementRow.public_id).where(*own)).all()),
        seen=seen,
        error=error,
        rows=sorted(rows, key=lambda each: each[0].line) if len(chosen) <= SHOWN else rows,
        cut=len(chosen) > SHOWN,
        only=only,
        shown=SHOWN,
        counts={name: (len(found), sum(each.fen for each in found)) for name in order for found in [seen.of(name)]} if seen else {},
        why=bad_words(),
        crumbs=[(_("对公到账"), _home()), (_("流水"), url_for(".index")), (_("核对"), None)],
        **desk(the_actor()),
    )


def _columns(row: BankStatement, errors: dict[str, str]) -> str:
    lines = bank_file.lines(bank_statement.content_of(row))
    typed = request.form.get("header") or request.args.get("header", "")
    known = bank_layout.of(lines, row.organisation_id)
    header = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 6 else (known.header if known else bank_layout.likely_header(lines))
    cells = dict(lines).get(header, [])[: bank_layout.MOST_COLUMNS]
    places = known.columns if known and known.header == header else bank_layout.guess(cells)
    guessed = {place: name for name, place in places.items() if name != request.args.get("without")}
    example = next((each for number, each in lines if number > header and sum(bool(cell) for cell in each) > 2), [])
    words = column_words()
    chosen = {place: request.form.get(f"column-{place}", guessed.get(place, "")) for place in range(len(cells))}
    return render_template(
        "bank/layout.html",
        row=row,
        header=header,
        lines=[(number, [cell for cell in each if cell][:8]) for number, each in lines[:15] if any(each)],
        columns=[(place, cell or "—", example[place] if place < len(example) else "", chosen[place]) for place, cell in enumerate(cells)],
        options=[("", _("不读这一列")), *words.items()],
        errors=errors,
        crumbs=[(_("对公到账"), _home()), (_("核对"), url_for(".show", public_id=row.public_id) if known else None), (_("每一列是什么"), None)],
        **desk(the_actor()),
    )
