"""The operator's side of how pools are divided: proposals that wait for the administrator, one beside what it would change."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, get, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations import approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.settlement import distribution_rule, rule_proposal
from marketplace.settlement.rule_proposal import RuleProposal
from marketplace.web import form_input
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_rules", __name__, url_prefix="/operator/rules")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("rule.approve", OPERATOR="administrator")

PAGE = 25
VIEWS = {"waiting": "SUBMITTED", "approved": "APPROVED", "returned": "RETURNED"}


@bp.get("")
@needs("operator.read")
def index() -> Any:
    """Proposals in one state: the longest waiting first, others latest first."""
    view = request.args.get("view", "waiting")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    rising = view == "waiting"
    query = (
        select(RuleProposal, LinkageGroup, Organisation)
        .join(LinkageGroup, LinkageGroup.id == RuleProposal.linkage_group_id)
        .join(Organisation, Organisation.id == RuleProposal.organisation_id)
        .where(RuleProposal.state == VIEWS[view])
        .order_by(RuleProposal.id if rising else RuleProposal.id.desc())
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after:
        last = by_public_id(RuleProposal, after)
        query = query.where(RuleProposal.id > last.id if rising else RuleProposal.id < last.id)
    rows = db.session.execute(query).all()
    return render_template(
        "operator/rules.html",
        rows=rows[:PAGE],
        view=view,
        next_url=url_for(".index", view=view, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(the_actor()),
    )


@bp.get("/<public_id>")
@needs("operator.read")
def show(public_id: str) -> Any:
    return _page(by_public_id(RuleProposal, public_id), {})


@bp.post("/<public_id>/decide")
@needs("rule.approve")
def decide(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(RuleProposal, public_id).id
    approved, reason, version = form_input.approves(), form_input.given("reason"), form_input.version()
    try:
        transaction(lambda: rule_proposal.decide(row_id, version=version, approved=approved, reason=reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        if error.code not in ("reason.missing", "rule.late"):
            raise
        return _page(by_public_id(RuleProposal, public_id), {"reason": said(error)}), 422
    flash(_("已批准，从起用的月份开始，公开页上看得到。") if approved else _("已退回，合作社看得到理由。"), "done")
    return redirect(url_for(".index"))


def _page(row: RuleProposal, errors: dict[str, str]) -> str:
    owner, group = get(Organisation, row.organisation_id), get(LinkageGroup, row.linkage_group_id)
    versions = distribution_rule.history(row.organisation_id).get(row.linkage_group_id, [])
    earlier = next((each for each in versions if row.rule_id is None or each.id < row.rule_id), None)
    return render_template(
        "operator/rule.html",
        row=row,
        owner=owner,
        group=group,
        maker=get(Person, row.made_by_id),
        before=distribution_rule.terms_of(group, earlier),
        versions=versions,
        month=clock.period_of(clock.business_date()),
        word=approval.last_word(RuleProposal.__tablename__, row.id),
        reason=request.form.get("reason", ""),
        errors=errors,
        crumbs=[(_("分配规则审批"), url_for(".index")), (text(owner, "name"), None)],
        **desk(the_actor()),
    )
