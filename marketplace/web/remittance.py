"""Remittances: to village collectives, to the relief fund's holder, and the cooperative's own revenue; proposed, approved, recorded."""

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed, NotFound
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import parse_yuan
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.settlement import remittance
from marketplace.settlement.remittance import Remittance
from marketplace.web import state_filter
from marketplace.web.permission import holds, needs, permission, the_actor
from marketplace.web.shared_desk import desk, money_home, names_of, typed_version
from marketplace.web.shown import money

bp = Blueprint("remittance", __name__, url_prefix="/remittances")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("remittance.propose", COOPERATIVE="accountant")
permission("remittance.approve", COOPERATIVE="director")
permission("remittance.step", COOPERATIVE="accountant director")

PAGE = 50
# Each step: who takes it, from which states, and whether it asks for a reason.
STEPS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "approve": ("remittance.approve", ("PROPOSED",), False),
    "return": ("remittance.approve", ("PROPOSED",), True),
    "paid": ("remittance.propose", ("APPROVED",), False),
    "withdraw": ("remittance.step", ("PROPOSED", "APPROVED"), True),
}


def state_words() -> dict[str, str]:
    """What the state of a remittance is called."""
    return {"PROPOSED": _("等审批"), "APPROVED": _("等银行办理"), "PAID": _("已划出"), "RETURNED": _("银行退回"), "WITHDRAWN": _("已撤回")}


def kind_words() -> dict[str, str]:
    """Whom a remittance goes to."""
    return {"COLLECTIVE": _("村集体"), "FUND": _("防贫基金"), "REVENUE": _("合作社自己")}


def own(public_id: str, actor: Actor) -> Remittance:
    """The remittance with this outside name, of one's cooperative; the operator's staff may see all."""
    row: Remittance = by_public_id(Remittance, public_id, scoped(actor, Remittance))
    return row


@bp.get("")
@needs("money.read")
def index() -> Any:
    actor = the_actor()
    query = select(Remittance, Organisation, Region).join(Organisation, Organisation.id == Remittance.organisation_id)
    query = query.outerjoin(Region, Region.id == Remittance.village_id).order_by(Remittance.id.desc())
    if not actor.is_operator:
        query = query.where(Remittance.organisation_id == actor.organisation_id)
    state = state_filter.chosen(state_words())
    if state:
        query = query.where(Remittance.state == state)
    before = request.args.get("before", "")
    if before:
        query = query.where(Remittance.id < own(before, actor).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "money/remittances.html",
        rows=rows[:PAGE],
        state=state,
        chips=state_filter.chips(state_words(), ".index"),
        next_url=url_for(".index", state=state or None, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        states=state_words(),
        kinds=kind_words(),
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("划款"), None)],
        **desk(actor),
    )


@bp.get("/new")
@needs("remittance.propose")
def new() -> Any:
    return _form({})


@bp.post("/new")
@needs("remittance.propose")
def propose() -> Any:
    actor, form = the_actor(), request.form
    kind, _colon, village = form.get("to", "").partition(":")
    try:
        try:
            fen = parse_yuan(form.get("amount", ""))
        except ValueError:
            raise InvalidInput("remittance.fen", N_("请填写划款金额，例如 1,234.50。"), field="amount") from None
        village_id = None
        if village:
            village_id = db.session.scalar(select(Region.id).where(Region.code == village, Region.kind == "VILLAGE"))
        key = form.get("idempotency_key", "")
        made: Remittance = transaction(
            lambda: remittance.propose(kind, fen, village_id=village_id, note=form.get("note", ""), actor=actor, key=key)
        )
    except (InvalidInput, Conflict) as error:
        field = str(error.data.get("field", "amount" if error.code == "remittance.short" else ""))
        return _form({"to" if field == "kind" else field: said(error)}), 409 if isinstance(error, Conflict) else 422
    flash(_("已提出，等理事长审批。"), "done")
    return redirect(url_for(".show", public_id=made.public_id), 303)


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    actor = the_actor()
    row = own(public_id, actor)
    people = names_of((row.proposed_by_id, row.approved_by_id))
    reached = {"PROPOSED": 1, "APPROVED": 2, "PAID": 3, "RETURNED": 3, "WITHDRAWN": 0}[row.state]
    way: list[dict[str, Any]] = [
        {"text": _("提出"), "at": row.proposed_at, "note": people.get(row.proposed_by_id, "")},
        {"text": _("理事长审批"), "at": row.approved_at, "note": people.get(row.approved_by_id or 0, "")},
        {"text": _("银行办理"), "at": row.paid_on, "note": row.bank_serial},
    ]
    for place, step in enumerate(way):
        step["state"] = "done" if place < reached or step["at"] else ("now" if place == reached else "next")
    if row.state == "WITHDRAWN":
        way = [*(step for step in way if step["at"]), {"text": _("撤回"), "at": row.withdrawn_at, "state": "bad"}]
    if row.state == "RETURNED":
        way = [*way, {"text": _("银行退回"), "at": row.returned_on, "state": "bad"}]
    return render_template(
        "money/remittance.html",
        row=row,
        whom=_whom(row),
        owner=db.session.get_one(Organisation, row.organisation_id),
        holder=remittance.fund_holder() if row.kind == "FUND" else None,
        states=state_words(),
        kinds=kind_words(),
        steps=way,
        own_work=actor.person_id == row.proposed_by_id,
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("划款"), url_for(".index")), (row.number, None)],
        **desk(actor),
    )


@bp.get("/<public_id>/step/<step>")
@needs("remittance.step")
def ask(public_id: str, step: str) -> Any:
    actor = the_actor()
    _must_hold(step, actor)
    return _ask(own(public_id, actor), step, {})


@bp.post("/<public_id>/step/<step>")
@needs("remittance.step")
def take(public_id: str, step: str) -> Any:
    actor, form = the_actor(), request.form
    _must_hold(step, actor)
    number, version, reason = own(public_id, actor).id, typed_version(), form.get("reason", "")

    def work() -> Any:
        if step == "approve":
            return remittance.approve(number, actor=actor, version=version)
        if step == "return":
            return remittance.approve(number, actor=actor, version=version, approved=False, reason=reason)
        if step == "withdraw":
            return remittance.withdraw(number, actor=actor, version=version, reason=reason)
        return remittance.record_paid(number, paid_on=_day(form.get("paid_on", "")), bank_serial=form.get("bank_serial", ""), actor=actor, version=version)

    try:
        transaction(work)
    except (InvalidInput, Conflict) as error:
        if isinstance(error, Conflict) and "field" not in error.data:
            raise
        return _ask(own(public_id, actor), step, {str(error.data.get("field", "")): said(error)}), 422
    done = {"approve": _("已同意，请会计到银行办理。"), "return": _("已退回。"), "withdraw": _("已撤回。"), "paid": _("已记账。")}
    flash(done[step], "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _must_hold(step: str, actor: Actor) -> None:
    if step not in STEPS:
        raise NotFound("step.missing", N_("没有这一步。"))
    if not holds(actor, STEPS[step][0]):
        raise NotAllowed("permission.missing", N_("您现在的岗位不能办这件事。可以换一个岗位，或请同事来办。"))


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise InvalidInput("remittance.paid_on", N_("日期请写成 2026-11-25 这样。"), field="paid_on") from None


def _whom(row: Remittance) -> str:
    if row.village_id is not None:
        return db.session.get_one(Region, row.village_id).name_zh
    return remittance.fund_holder().name_zh if row.kind == "FUND" else db.session.get_one(Organisation, row.organisation_id).name_zh


def _ask(row: Remittance, step: str, errors: dict[str, str]) -> str:
    row.must_be(*STEPS[step][1])
    amount, whom = money(row.fen), _whom(row)
    leaves = _("%(fen)s 从合作社的银行账户划给%(whom)s。同意后由会计到银行办理。", fen=amount, whom=whom)
    if row.recovered_fen:
        back = _("另从同一份额里收回 %(fen)s：以前划款以后有退款，合作社已经退给买家。", fen=money(row.recovered_fen))
        leaves = f"{leaves} {back}"
    words = {
        "approve": (_("同意这笔划款？"), leaves, _("同意划款 %(fen)s", fen=amount)),
        "return": (_("退回这笔划款？"), _("退回以后这笔作废，会计看得到理由。"), _("退回")),
        "withdraw": (_("撤回这笔划款？"), _("银行已经办了的不能撤回，请先核对回单。"), _("撤回")),
        "paid": (_("银行办好了吗？"), _("照银行回单填写。记账以后不能改。"), _("记为已划出 %(fen)s", fen=amount)),
    }  # fmt: skip
    question, sentence, button = words[step]
    return render_template(
        "money/remittance_step.html",
        row=row, step=step, question=question, sentence=sentence, button=button, errors=errors, values=request.form,
        needs_reason=STEPS[step][2], today=clock.business_date(),
        crumbs=[(_("划款"), url_for(".index")), (row.number, url_for(".show", public_id=row.public_id)), (question, None)],
        **desk(the_actor()),
    )  # fmt: skip


def _form(errors: dict[str, str]) -> str:
    actor = the_actor()
    available = remittance.available(actor.organisation_id)
    villages = select(Region).where(Region.id.in_(available.collectives)).order_by(Region.code)
    return render_template(
        "money/remittance_new.html",
        available=available,
        villages=list(db.session.scalars(villages)),
        key=new_public_id(),
        errors=errors,
        values=request.form,
        crumbs=[(_("钱"), money_home(actor)), (_("划款"), url_for(".index")), (_("提出划款"), None)],
        **desk(actor),
    )
