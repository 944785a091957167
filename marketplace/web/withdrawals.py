"""Withdrawals from Alipay to the bank: what lies there, by books and bill, what is under way, and a form to record one."""

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan
from marketplace.organisations.actor import scoped
from marketplace.payments import withdrawal
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.payments.withdrawal import Withdrawal
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import typed_version
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("withdrawals", __name__, url_prefix="/cooperative/withdrawals")

permission("cooperative.read", COOPERATIVE="*")
permission("bank.match", COOPERATIVE="accountant")

PAGE = 25


def state_words() -> dict[str, tuple[str, str]]:
    """What the state of a withdrawal is called, and the kind of its tag."""
    return {"SENT": (_("在途"), "wait"), "ARRIVED": (_("已到账"), ""), "FAILED": (_("没提成"), "bad")}


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    return _page({})


@bp.post("")
@needs("bank.match")
def record() -> Any:
    actor, form = the_actor(), request.form
    try:
        try:
            fen = parse_yuan(form.get("amount", ""))
        except ValueError:
            raise InvalidInput("withdrawal.fen", N_("请填写提现金额，例如 1,234.50。"), field="amount") from None
        day, serial, key = _day(form.get("ordered_on", "")), form.get("serial", ""), form.get("idempotency_key", "")
        transaction(lambda: withdrawal.record(fen, serial, ordered_on=day, actor=actor, key=key))
    except (InvalidInput, Conflict) as error:
        db.session.rollback()
        field = {"withdrawal.short": "amount", "withdrawal.used": "serial"}.get(error.code, str(error.data.get("field", "amount")))
        return _page({field: said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("记好了。钱到银行以后，导入流水会自动对上。"), "done")
    return redirect(url_for(".index"), 303)


@bp.get("/<public_id>/failed")
@needs("bank.match")
def ask(public_id: str) -> Any:
    return _ask(_own(public_id), {})


@bp.post("/<public_id>/failed")
@needs("bank.match")
def failed(public_id: str) -> Any:
    actor, number, version, reason = the_actor(), _own(public_id).id, typed_version(), request.form.get("reason", "")
    try:
        transaction(lambda: withdrawal.failed(number, reason, version=version, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _ask(_own(public_id), {"reason": said(error)}), 422
    flash(_("已退回支付宝余额。"), "done")
    return redirect(url_for(".index"), 303)


def _own(public_id: str) -> Withdrawal:
    row: Withdrawal = by_public_id(Withdrawal, public_id, scoped(the_actor(), Withdrawal))
    return row


def _day(typed: str) -> date | None:
    try:
        return date.fromisoformat(typed) if typed else None
    except ValueError:
        raise InvalidInput("withdrawal.day", N_("日期请写成 2026-11-25 这样。"), field="ordered_on") from None


def _ask(row: Withdrawal, errors: dict[str, str]) -> str:
    if row.state != "SENT":
        raise Conflict("withdrawal.state", N_("这笔提现已经有结果了。"), state=row.state)
    return render_template("bank/withdrawal_failed.html", row=row, errors=errors, crumbs=[(_("支付宝提现"), url_for(".index")), (row.number, None)], **desk(the_actor()))


def _page(errors: dict[str, str]) -> Any:
    actor = the_actor()
    query = withdrawal.listed(actor.organisation_id)
    if "export" in request.args:
        columns = [(_("日期"), "day"), (_("编号"), "text"), (_("支付宝单号"), "text"), (_("金额"), "fen"), (_("状态"), "text"), (_("理由"), "text")]
        words = state_words()
        lines = ((row.ordered_on, row.number, row.serial, row.fen, words[row.state][0], row.reason) for (row,) in streamed(query))
        return download(_("支付宝提现"), columns, lines)
    before = request.args.get("before", "")
    if before:
        query = query.where(Withdrawal.id < _own(before).id)
    arrival = (
        select(StatementRow.public_id)
        .join(StatementLink, StatementLink.row_id == StatementRow.id)
        .where(StatementLink.entry_id == Withdrawal.entry_id, StatementRow.side == "bank")
        .limit(1)
        .correlate(Withdrawal)
        .scalar_subquery()
    )
    found = db.session.execute(query.add_columns(arrival).limit(PAGE + 1)).all()
    rows = [row for row, _arrival in found]
    return render_template(
        "bank/withdrawals.html",
        rows=rows[:PAGE],
        arrived={row.entry_id: shown for row, shown in found[:PAGE]},
        words=state_words(),
        standing=withdrawal.standing(actor.organisation_id),
        today=clock.business_date(),
        key=new_public_id(),
        errors=errors,
        values=request.form,
        next_url=url_for(".index", before=rows[PAGE - 1].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".index", export=1),
        crumbs=[(_("钱"), url_for("cooperative_money.show")), (_("支付宝提现"), None)],
        **desk(actor),
    )
