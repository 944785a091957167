"""What the relief fund gives back to a cooperative: asked for by its accountant, agreed to by the county, recorded when it is in the bank."""

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.settlement import fund_return
from marketplace.settlement.fund_return import FundReturn
from marketplace.web import asked_step, form_input, state_filter
from marketplace.web.asked_step import Places, Step
from marketplace.web.permission import holds, needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of, typed_version
from marketplace.web.shown import money

bp = Blueprint("fund_return", __name__, url_prefix="/fund-returns")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("fund_return.propose", COOPERATIVE="accountant")
permission("fund_return.decide", OPERATOR="administrator treasurer")
permission("fund_return.step", COOPERATIVE="accountant director", OPERATOR="administrator treasurer")

PAGE = 50


def state_words() -> dict[str, str]:
    """What the state of a return is called."""
    return {"PROPOSED": _("等县里同意"), "APPROVED": _("等到账"), "RECEIVED": _("已到账"), "WITHDRAWN": _("已撤回")}


STEPS: dict[str, Step[FundReturn]] = {
    "approve": Step(
        "fund_return.decide", ("PROPOSED",), N_("同意基金退回这笔钱？"),
        lambda row: _("%(fen)s 从防贫基金退给合作社。同意以后请基金的出纳到银行转账，附言写 %(number)s。", fen=money(row.fen), number=row.number),
        lambda row: _("同意退回 %(fen)s", fen=money(row.fen)), N_("已同意，到账以后自动记账。"),
        lambda number, actor, version, reason: fund_return.decide(number, actor=actor, version=version),
    ),
    "return": Step(
        "fund_return.decide", ("PROPOSED",), N_("不同意退回这笔钱？"),
        lambda row: _("这一笔作废，合作社的会计看得到理由。"), lambda row: _("不同意"), N_("已退给合作社，写明了理由。"),
        lambda number, actor, version, reason: fund_return.decide(number, actor=actor, version=version, approved=False, reason=reason),
        reason=N_("不同意的理由"), danger=True,
    ),
    "withdraw": Step(
        "fund_return.step", fund_return.OPEN, N_("撤回这笔退回？"),
        lambda row: _("已经转账的不能撤回，请先核对银行流水。"), lambda row: _("撤回"), N_("已撤回。"),
        lambda number, actor, version, reason: fund_return.withdraw(number, actor=actor, version=version, reason=reason),
        reason=N_("撤回的理由"), danger=True,
    ),
}  # fmt: skip


def own(public_id: str, actor: Actor) -> FundReturn:
    """The return with this outside name, of one's cooperative; the operator's staff may see all."""
    row: FundReturn = by_public_id(FundReturn, public_id, scoped(actor, FundReturn))
    return row


@bp.get("")
@needs("money.read")
def index() -> Any:
    actor = the_actor()
    query = select(FundReturn, Organisation).join(Organisation, Organisation.id == FundReturn.organisation_id).order_by(FundReturn.id.desc())
    if not actor.is_operator:
        query = query.where(FundReturn.organisation_id == actor.organisation_id)
    state = state_filter.chosen(state_words())
    if state:
        query = query.where(FundReturn.state == state)
    before = request.args.get("before", "")
    if before:
        query = query.where(FundReturn.id < own(before, actor).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "money/fund_returns.html",
        rows=rows[:PAGE],
        state=state,
        chips=state_filter.chips(state_words(), ".index"),
        next_url=url_for(".index", state=state or None, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        states=state_words(),
        crumbs=[(_("划款"), url_for("remittance.index")), (_("基金退回"), None)],
        **desk(actor),
    )


@bp.get("/new")
@needs("fund_return.propose")
def new() -> Any:
    return _form({})


@bp.post("/new")
@needs("fund_return.propose")
def propose() -> Any:
    actor, reason, key = the_actor(), form_input.given("reason"), form_input.given("idempotency_key")
    try:
        fen = form_input.fen("amount")
        made: FundReturn = transaction(lambda: fund_return.propose(fen, reason, actor=actor, key=key))
    except (InvalidInput, Conflict) as error:
        if "field" not in error.data:
            raise
        db.session.rollback()
        return _form({str(error.data["field"]): said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已提出，等县里同意。"), "done")
    return redirect(url_for(".show", public_id=made.public_id), 303)


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    return _page(own(public_id, the_actor()), {})


@bp.post("/<public_id>/received")
@needs("fund_return.propose")
def record(public_id: str) -> Any:
    """The money is there, as the bank says."""
    actor, serial, version = the_actor(), form_input.given("reference"), typed_version()
    number = own(public_id, actor).id
    try:
        day: date = form_input.day("paid_on")
        transaction(lambda: fund_return.record(number, received_on=day, bank_serial=serial, actor=actor, version=version))
    except (InvalidInput, Conflict) as error:
        if "field" not in error.data:
            raise
        db.session.rollback()
        return _page(own(public_id, actor), {str(error.data["field"]): said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已记账：钱回到合作社账上的防贫基金份额。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.get("/<public_id>/step/<step>")
@needs("fund_return.step")
def ask(public_id: str, step: str) -> Any:
    actor = the_actor()
    row = own(public_id, actor)
    return asked_step.ask(row, asked_step.chosen(STEPS, step, actor), _places(row, step), actor)


@bp.post("/<public_id>/step/<step>")
@needs("fund_return.step")
def take(public_id: str, step: str) -> Any:
    actor = the_actor()
    number = own(public_id, actor).id
    return asked_step.take(
        number, asked_step.chosen(STEPS, step, actor), actor, again=lambda: own(public_id, actor), places=lambda row: _places(row, step)
    )


def _places(row: FundReturn, step: str) -> Places:
    show = url_for(".show", public_id=row.public_id)
    return Places(show, url_for(".take", public_id=row.public_id, step=step), _crumbs(row, show))


def _crumbs(row: FundReturn, show: str | None) -> list[tuple[str, str | None]]:
    return [(_("划款"), url_for("remittance.index")), (_("基金退回"), url_for(".index")), (row.number, show)]


def _form(errors: dict[str, str]) -> str:
    actor = the_actor()
    return render_template(
        "money/fund_return_new.html",
        most_fen=fund_return.returnable(actor.organisation_id),
        key=new_public_id(),
        errors=errors,
        crumbs=[(_("划款"), url_for("remittance.index")), (_("基金退回"), url_for(".index")), (_("请基金退回"), None)],
        **desk(actor),
    )


def _page(row: FundReturn, errors: dict[str, str]) -> str:
    actor = the_actor()
    people = names_of((row.proposed_by_id, row.approved_by_id, row.recorded_by_id))
    reached = {"PROPOSED": 1, "APPROVED": 2, "RECEIVED": 3, "WITHDRAWN": 0}[row.state]
    way: list[dict[str, Any]] = [
        {"text": _("提出"), "at": row.proposed_at, "note": people.get(row.proposed_by_id, "")},
        {"text": _("县里同意"), "at": row.approved_at, "note": people.get(row.approved_by_id or 0, "")},
        {"text": _("到账"), "at": row.received_on, "note": people.get(row.recorded_by_id or 0, "") or (_("银行流水") if row.row_id else "")},
    ]
    for place, step in enumerate(way):
        step["state"] = "done" if step["at"] else ("now" if place == reached else "next")
    if row.state == "WITHDRAWN":
        way = [*(step for step in way if step["at"]), {"text": _("撤回"), "at": row.withdrawn_at, "state": "bad"}]
    return render_template(
        "money/fund_return.html",
        row=row,
        owner=db.session.get_one(Organisation, row.organisation_id),
        holder=fund_return.holder_of(row),
        states=state_words(),
        steps=way,
        may_decide=row.state == "PROPOSED" and holds(actor, "fund_return.decide"),
        may_record=row.state == "APPROVED" and holds(actor, "fund_return.propose"),
        today=clock.business_date(),
        errors=errors,
        crumbs=_crumbs(row, None),
        **desk(actor),
    )
