"""The steps of a distribution, each a page that asks first: approve or return, recompute, publish, credit, withdraw; and answers to objections."""

from typing import Any

from flask import Blueprint, flash, redirect, request, url_for
from sqlalchemy import func, select

from marketplace.foundation import clock, workdays
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.notices import objection
from marketplace.notices.public_notice import Objection
from marketplace.settlement import distribution, distribution_errand
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.web import asked_step
from marketplace.web.asked_step import Places, Step
from marketplace.web.distribution import own, page, state_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money

bp = Blueprint("distribution_step", __name__, url_prefix="/distributions")

# Who may open some step; which, each step says for itself.
permission("distribution.step", COOPERATIVE="accountant director", OPERATOR="administrator reviewer treasurer")
permission("distribution.draft", COOPERATIVE="accountant")
permission("distribution.approve", COOPERATIVE="director")
permission("distribution.announce", COOPERATIVE="accountant director")
permission("objection.answer", COOPERATIVE="director", OPERATOR="administrator reviewer treasurer")


def _approve_words(row: Distribution) -> str:
    return _("%(period)s 的 %(fen)s 分给 %(n)s 户。同意以后不能再改，只能撤回重来。", period=row.period, fen=money(row.total_fen), n=_households(row))


def _publish_words(row: Distribution) -> str:
    ends_on = workdays.after_workdays(clock.business_date(), settings().notice_workdays)
    sentence = _(
        "从现在公示到 %(day)s（今天之后的 %(n)s 个工作日）。公示只写合计，不足 5 户的组合并；各户的金额印在村务公示栏。",
        day=f"{ends_on:%Y-%m-%d}", n=settings().notice_workdays,
    )  # fmt: skip
    return sentence if not workdays.is_provisional(ends_on) else sentence + _("明年的放假安排还没有公布，这个日期是暂定的。")


def _post_words(row: Distribution) -> str:
    return _("%(fen)s 记到 %(n)s 户名下，记账以后不能撤回。之后由会计做代发批次。", fen=money(row.total_fen), n=_households(row))


STEPS: dict[str, Step[Distribution]] = {
    "approve": Step(
        "distribution.approve", ("DRAFTED",), N_("同意这份分配？"), _approve_words,
        lambda row: _("同意分配 %(fen)s", fen=money(row.total_fen)), N_("已同意，可以公示了。"),
        lambda number, actor, version, reason: distribution.approve(number, actor=actor, version=version),
    ),
    "return": Step(
        "distribution.approve", ("DRAFTED",), N_("退回这份分配？"), lambda row: _("退回以后这份作废，会计看得到理由，改正后重新拟定。"),
        lambda row: _("退回"), N_("已退回，会计看得到理由。"),
        lambda number, actor, version, reason: distribution.approve(number, actor=actor, version=version, approved=False, reason=reason),
        reason=N_("退回的理由"), danger=True,
    ),
    "recompute": Step(
        "distribution.draft", ("DRAFTED",), N_("按现在的记录重算？"),
        lambda row: _("按现在的交货、股份和结算重新算一遍。记录没有变，算出来一分不差；有变的，按新的算。"), lambda row: _("重算"), N_("已重算。"),
        lambda number, actor, version, reason: distribution.recompute(number, actor=actor, version=version), errand="distribution.recompute",
    ),
    "publish": Step(
        "distribution.announce", ("APPROVED",), N_("公示这份分配？"), _publish_words,
        lambda row: _("公示 %(fen)s", fen=money(row.total_fen)), N_("已公示，任何人都可以看，也可以提出异议。"),
        lambda number, actor, version, reason: distribution.publish(number, actor=actor, version=version),
    ),
    "post": Step(
        "distribution.announce", ("PUBLISHED",), N_("记到各户？"), _post_words,
        lambda row: _("把 %(fen)s 记到各户", fen=money(row.total_fen)), N_("已记到各户，会计可以做代发批次了。"),
        lambda number, actor, version, reason: distribution.post(number, actor=actor, version=version), errand="distribution.post",
    ),
    "withdraw": Step(
        "distribution.step", ("DRAFTED", "APPROVED", "PUBLISHED"), N_("撤回这份分配？"),
        lambda row: _("撤回以后这份作废，公示也撤下；它的结算可以重新拟定。合作社和县运营方都看得到理由。"), lambda row: _("撤回"), N_("已撤回。"),
        lambda number, actor, version, reason: distribution.withdraw(number, actor=actor, version=version, reason=reason),
        reason=N_("撤回的理由"), danger=True,
    ),
}  # fmt: skip


@bp.get("/<public_id>/step/<step>")
@needs("distribution.step")
def ask(public_id: str, step: str) -> Any:
    actor = the_actor()
    row = own(public_id, actor)
    return asked_step.ask(row, asked_step.chosen(STEPS, step, actor), _places(row, step), actor)


@bp.post("/<public_id>/step/<step>")
@needs("distribution.step")
def take(public_id: str, step: str) -> Any:
    actor = the_actor()
    chosen = asked_step.chosen(STEPS, step, actor)
    return asked_step.take(
        own(public_id, actor).id, chosen, actor, again=lambda: own(public_id, actor), places=lambda row: _places(row, step)
    )


@bp.post("/<public_id>/objections/<objection_id>")
@needs("objection.answer")
def answer(public_id: str, objection_id: str) -> Any:
    actor, form = the_actor(), request.form
    row = own(public_id, actor)
    raised = by_public_id(Objection, objection_id, select(Objection).where(Objection.notice_id == row.notice_id)).id
    outcome = form.get("outcome", "")
    try:
        if outcome not in ("UPHELD", "REJECTED"):
            raise InvalidInput("outcome.bad", N_("请选择异议成立还是不成立。"), field="outcome")
        transaction(lambda: objection.answer(raised, text=form.get("text", ""), upheld=outcome == "UPHELD", alike="alike" in form, actor=actor))
    except InvalidInput as error:
        return page(own(public_id, actor), {f"{error.data.get('field', '')}-{objection_id}": said(error)}), 422
    flash(_("已答复，答复和异议一起公开。"), "done")
    return redirect(url_for("distribution.show", public_id=public_id) + "#objections", 303)


def _places(row: Distribution, step: str) -> Places:
    show = url_for("distribution.show", public_id=row.public_id)
    crumbs = [(_("收益分配"), url_for("distribution.index")), (f"{row.period} · {state_words()[row.state]}", show)]
    post = url_for(".take", public_id=row.public_id, step=step)
    return Places(show, post, crumbs, distribution_errand.of(row.id), row.period, lambda: distribution_errand.households(row))


def _households(row: Distribution) -> int:
    """How many households get something."""
    query = select(func.count(DistributionShare.household_id.distinct()))
    return db.session.scalar(query.where(DistributionShare.distribution_id == row.id, DistributionShare.fen > 0)) or 0
