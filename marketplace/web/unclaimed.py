"""Unclaimed money: what could be listed, the lists on their way to the relief fund with their steps, and giving back to who turns up."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.foundation.config import settings
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households.household import Household
from marketplace.notices import objection
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.settlement import unclaimed, unclaimed_return
from marketplace.settlement.household_credit import CreditMove
from marketplace.settlement.unclaimed import Unclaimed, UnclaimedLine
from marketplace.settlement.unclaimed_return import UnclaimedReturn
from marketplace.web import asked_step, form_input, state_filter
from marketplace.web.asked_step import Places, Step
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, money_home, names_of
from marketplace.web.shown import money

bp = Blueprint("unclaimed", __name__, url_prefix="/unclaimed")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("unclaimed.draft", COOPERATIVE="accountant")
permission("unclaimed.approve", COOPERATIVE="director")
permission("unclaimed.announce", COOPERATIVE="accountant director")
permission("unclaimed.step", COOPERATIVE="accountant director", OPERATOR="administrator reviewer treasurer")
permission("objection.answer", COOPERATIVE="director", OPERATOR="administrator reviewer treasurer")

PAGE = 50

STEPS: dict[str, Step[Unclaimed]] = {
    "approve": Step(
        "unclaimed.approve", ("DRAFTED",), N_("同意这份清单？"),
        lambda row: _("%(n)s 户的 %(fen)s，到期还没人领取。同意以后公示，期满没有异议才转入防贫基金。", n=row.households, fen=money(row.total_fen)),
        lambda row: _("同意 %(fen)s", fen=money(row.total_fen)), N_("已同意，可以公示了。"),
        lambda number, actor, version, reason: unclaimed.approve(number, actor=actor, version=version),
    ),
    "return": Step(
        "unclaimed.approve", ("DRAFTED",), N_("退回这份清单？"), lambda row: _("退回以后这份作废，会计看得到理由。钱留在各户名下。"),
        lambda row: _("退回"), N_("已退回，会计看得到理由。"),
        lambda number, actor, version, reason: unclaimed.approve(number, actor=actor, version=version, approved=False, reason=reason),
        reason=N_("退回的理由"), danger=True,
    ),
    "publish": Step(
        "unclaimed.announce", ("APPROVED",), N_("公示这份清单？"),
        lambda row: _("公示 %(n)s 个工作日。公示期里来领的照样发给他们；只写合计，不足 5 户不写金额。", n=settings().notice_workdays),
        lambda row: _("公示 %(fen)s", fen=money(row.total_fen)), N_("已公示，任何人都可以看，也可以提出异议。"),
        lambda number, actor, version, reason: unclaimed.publish(number, actor=actor, version=version),
    ),
    "post": Step(
        "unclaimed.announce", ("PUBLISHED",), N_("转入防贫基金？"),
        lambda row: _("还没人领取的转入防贫基金；公示期里发过的不动。以后这户来了，两个人同意就退还。"),
        lambda row: _("转入防贫基金"), N_("已转入防贫基金。"),
        lambda number, actor, version, reason: unclaimed.post(number, actor=actor, version=version),
    ),
    "withdraw": Step(
        "unclaimed.step", unclaimed.OPEN, N_("撤回这份清单？"), lambda row: _("撤回以后这份作废，公示也撤下，钱留在各户名下。"),
        lambda row: _("撤回"), N_("已撤回。"),
        lambda number, actor, version, reason: unclaimed.withdraw(number, actor=actor, version=version, reason=reason),
        reason=N_("撤回的理由"), danger=True,
    ),
}  # fmt: skip


def state_words() -> dict[str, str]:
    """What the state of a list is called."""
    return {"DRAFTED": _("等审批"), "APPROVED": _("等公示"), "PUBLISHED": _("公示中"), "POSTED": _("已转入基金"), "WITHDRAWN": _("已撤回")}


def own(public_id: str, actor: Actor) -> Unclaimed:
    """The list with this outside name, of one's cooperative; the operator's staff may see all."""
    row: Unclaimed = by_public_id(Unclaimed, public_id, scoped(actor, Unclaimed))
    return row


@bp.get("")
@needs("money.read")
def index() -> Any:
    actor = the_actor()
    query = select(Unclaimed, Organisation).join(Organisation, Organisation.id == Unclaimed.organisation_id).order_by(Unclaimed.id.desc())
    if not actor.is_operator:
        query = query.where(Unclaimed.organisation_id == actor.organisation_id)
    state = state_filter.chosen(state_words())
    if state:
        query = query.where(Unclaimed.state == state)
    going = select(Unclaimed.id).where(Unclaimed.organisation_id == actor.organisation_id, Unclaimed.state.in_(unclaimed.OPEN)).limit(1)
    before = request.args.get("before", "")
    if before:
        query = query.where(Unclaimed.id < own(before, actor).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "unclaimed/index.html",
        rows=rows[:PAGE],
        state=state,
        chips=state_filter.chips(state_words(), ".index"),
        next_url=url_for(".index", state=state or None, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        now=None if actor.is_operator else unclaimed.counted(actor.organisation_id),
        going=not actor.is_operator and db.session.scalar(going) is not None,
        days=settings().unclaimed_days,
        states=state_words(),
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("无人领取的钱"), None)],
        **desk(actor),
    )


@bp.post("")
@needs("unclaimed.draft")
def draft() -> Any:
    actor = the_actor()
    public_id: str = transaction(lambda: unclaimed.draft(actor=actor).public_id)
    flash(_("清单列好了，等理事长审批。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    return _page(own(public_id, the_actor()), {})


@bp.get("/<public_id>/step/<step>")
@needs("unclaimed.step")
def ask(public_id: str, step: str) -> Any:
    actor = the_actor()
    row = own(public_id, actor)
    return asked_step.ask(row, asked_step.chosen(STEPS, step, actor), _places(row, step), actor)


@bp.post("/<public_id>/step/<step>")
@needs("unclaimed.step")
def take(public_id: str, step: str) -> Any:
    actor = the_actor()
    chosen = asked_step.chosen(STEPS, step, actor)
    return asked_step.take(own(public_id, actor).id, chosen, actor, again=lambda: own(public_id, actor), places=lambda row: _places(row, step))


@bp.post("/<public_id>/objections/<objection_id>")
@needs("objection.answer")
def answer(public_id: str, objection_id: str) -> Any:
    actor, outcome = the_actor(), form_input.given("outcome")
    row = own(public_id, actor)
    raised = by_public_id(Objection, objection_id, select(Objection).where(Objection.notice_id == row.notice_id)).id
    text = form_input.given("text")
    try:
        if outcome not in ("UPHELD", "REJECTED"):
            raise InvalidInput("outcome.bad", N_("请选择异议成立还是不成立。"), field="outcome")
        transaction(lambda: objection.answer(raised, text=text, upheld=outcome == "UPHELD", alike="alike" in request.form, actor=actor))
    except InvalidInput as error:
        return _page(own(public_id, actor), {"text": said(error)}), 422
    flash(_("已答复，答复和异议一起公开。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/households/<household_id>")
@needs("unclaimed.draft")
def turned_up(public_id: str, household_id: str) -> Any:
    """The household is there: propose to give it back."""
    actor, reason = the_actor(), form_input.given("reason")
    number, home = own(public_id, actor).id, by_public_id(Household, household_id).id
    try:
        transaction(lambda: unclaimed_return.propose(number, home, reason, actor=actor))
    except InvalidInput as error:
        return _page(own(public_id, actor), {household_id: said(error)}), 422
    flash(_("已提出，等理事长同意。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/returns/<return_id>")
@needs("unclaimed.approve")
def decide(public_id: str, return_id: str) -> Any:
    actor, approved, reason, version = the_actor(), form_input.approves(), form_input.given("reason"), form_input.version()
    row = own(public_id, actor)
    number = by_public_id(UnclaimedReturn, return_id, select(UnclaimedReturn).where(UnclaimedReturn.unclaimed_id == row.id)).id
    try:
        transaction(lambda: unclaimed_return.decide(number, actor=actor, version=version, approved=approved, reason=reason))
    except InvalidInput as error:
        return _page(own(public_id, actor), {return_id: said(error)}), 422
    flash(_("已退还到这一户名下，下次代发时发给他们。") if approved else _("已退回，会计看得到理由。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _places(row: Unclaimed, step: str) -> Places:
    show = url_for("unclaimed.show", public_id=row.public_id)
    return Places(show, url_for(".take", public_id=row.public_id, step=step), [(_("无人领取的钱"), url_for(".index")), (row.number, show)])


def _page(row: Unclaimed, errors: dict[str, str]) -> str:
    actor = the_actor()
    lines = (
        select(Household, Region, func.sum(UnclaimedLine.fen))
        .join(UnclaimedLine, UnclaimedLine.household_id == Household.id)
        .join(Region, Region.id == Household.village_id)
        .where(UnclaimedLine.unclaimed_id == row.id)
        .group_by(Household.id, Region.id)
        .order_by(Household.code)
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after:
        lines = lines.where(Household.code > by_public_id(Household, after).code)
    found = db.session.execute(lines).all()
    shown = [home.id for home, _village, _fen in found[:PAGE]]
    moved = {
        home: -int(fen)
        for home, fen in db.session.execute(
            unclaimed.moves_of(row.id)
            .where(CreditMove.household_id.in_(shown))
            .order_by(None)
            .with_only_columns(CreditMove.household_id, func.sum(CreditMove.fen))
            .group_by(CreditMove.household_id)
        )
    }
    returns = select(UnclaimedReturn).where(UnclaimedReturn.unclaimed_id == row.id, UnclaimedReturn.household_id.in_(shown)).order_by(UnclaimedReturn.id)
    return render_template(
        "unclaimed/show.html",
        row=row,
        owner=db.session.get_one(Organisation, row.organisation_id),
        notice=db.session.get(PublicNotice, row.notice_id) if row.notice_id else None,
        objections=objection.at_desk(row.notice_id),
        lines=[(home, village, int(fen), masked_name(home.name), moved.get(home.id, 0)) for home, village, fen in found[:PAGE]],
        returns={each.household_id: each for each in db.session.scalars(returns)},
        next_url=url_for("unclaimed.show", public_id=row.public_id, after=found[PAGE - 1][0].public_id) if len(found) > PAGE else None,
        people=names_of((row.drafted_by_id, row.approved_by_id)),
        mine=actor.person_id == row.drafted_by_id,
        me=actor.person_id,
        states=state_words(),
        errors=errors,
        values=request.form,
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("无人领取的钱"), url_for("unclaimed.index")), (row.number, None)],
        **desk(actor),
    )
