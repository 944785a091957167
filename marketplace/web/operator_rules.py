"""The operator's side of how pools are divided: proposals that wait for the administrator, one beside what it would change."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, get
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations import approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.settlement import distribution_rule, rule_proposal
from marketplace.settlement.rule_proposal import RuleProposal
from marketplace.web import proposal_desk
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_rules", __name__, url_prefix="/operator/rules")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("rule.approve", OPERATOR="administrator")


@bp.get("")
@needs("operator.read")
def index() -> Any:
    query = (
        select(RuleProposal, LinkageGroup, Organisation)
        .join(LinkageGroup, LinkageGroup.id == RuleProposal.linkage_group_id)
        .join(Organisation, Organisation.id == RuleProposal.organisation_id)
    )
    return render_template("operator/rules.html", **proposal_desk.listed(RuleProposal, query), **desk(the_actor()))


@bp.get("/<public_id>")
@needs("operator.read")
def show(public_id: str) -> Any:
    return _page(by_public_id(RuleProposal, public_id), {})


@bp.post("/<public_id>/decide")
@needs("rule.approve")
def decide(public_id: str) -> Any:
    return proposal_desk.decided(RuleProposal, public_id, rule_proposal.decide, _page, late="rule.late", approved=N_("已批准，从起用的月份开始，公开页上看得到。"))


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
