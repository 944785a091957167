"""How the cooperative's groups divide their pools: what is in force for each, the history, and the director's proposal of a change."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.actor import scoped
from marketplace.organisations.approval import Approval
from marketplace.settlement import distribution_rule, rule_proposal
from marketplace.settlement.distribution_rule import Terms
from marketplace.settlement.rule_proposal import RuleProposal
from marketplace.web import form_input
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_rules", __name__, url_prefix="/cooperative/rules")

permission("cooperative.read", COOPERATIVE="*")
permission("rule.propose", COOPERATIVE="director")

SHOWN = 30  # proposals of the past


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    versions = distribution_rule.history(actor.organisation_id)
    groups = select(LinkageGroup).where(LinkageGroup.organisation_id == actor.organisation_id).order_by(LinkageGroup.id)
    proposals = db.session.execute(
        select(RuleProposal, LinkageGroup, Approval.reason)
        .join(LinkageGroup, LinkageGroup.id == RuleProposal.linkage_group_id)
        .outerjoin(Approval, (Approval.subject_type == RuleProposal.__tablename__) & (Approval.subject_id == RuleProposal.id))
        .where(RuleProposal.organisation_id == actor.organisation_id)
        .order_by(RuleProposal.id.desc())
        .limit(SHOWN)
    ).all()
    return render_template(
        "cooperative/rules.html",
        groups=[(group, versions.get(group.id, [])) for group in db.session.scalars(groups)],
        proposals=proposals,
        reasons=rule_proposal.reasons(actor.organisation_id),
        month=clock.period_of(clock.business_date()),
        **desk(actor),
    )


@bp.get("/new/<public_id>")
@needs("rule.propose")
def new(public_id: str) -> Any:
    return _page(_own(public_id), {})


@bp.post("/new/<public_id>")
@needs("rule.propose")
def propose(public_id: str) -> Any:
    actor = the_actor()
    group_id = _own(public_id).id
    try:
        terms = Terms(
            patronage_bp=form_input.percent("patronage_bp"),
            guaranteed_fen=form_input.fen("guaranteed_fen"),
            relief_bp=form_input.percent("relief_bp"),
            relief_by=form_input.given("relief_by"),
            relief_most_fen=form_input.fen("relief_most_fen"),
        )
        first, reason, key = (form_input.given(name) for name in ("from_period", "reason", "idempotency_key"))
        transaction(lambda: rule_proposal.propose(group_id, terms, first, reason, actor=actor, key=key))
    except InvalidInput as error:
        return _page(_own(public_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已送县运营方审批。批准后从起用的月份开始，以前的月份照旧。"), "done")
    return redirect(url_for(".index"))


@bp.post("/<public_id>/withdraw")
@needs("rule.propose")
def withdraw(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(RuleProposal, public_id, scoped(actor, RuleProposal)).id
    version = form_input.version()
    transaction(lambda: rule_proposal.withdraw(row_id, version=version, actor=actor))
    flash(_("已撤回。现在的规则继续有效。"), "done")
    return redirect(url_for(".index"))


def _own(public_id: str) -> LinkageGroup:
    row: LinkageGroup = by_public_id(LinkageGroup, public_id, scoped(the_actor(), LinkageGroup))
    return row


def _page(group: LinkageGroup, errors: dict[str, str]) -> str:
    before = distribution_rule.terms_of(group, distribution_rule.latest(group.id))
    kept = {
        "patronage_bp": f"{before.patronage_bp / 100:g}", "guaranteed_fen": f"{before.guaranteed_fen / 100:.2f}",
        "relief_bp": f"{before.relief_bp / 100:g}", "relief_by": before.relief_by, "relief_most_fen": f"{before.relief_most_fen / 100:.2f}",
    }  # fmt: skip
    return render_template(
        "cooperative/rule_new.html",
        group=group,
        before=before,
        waiting=rule_proposal.of_group(group.id),
        values={**kept, "idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("分配规则"), url_for(".index")), (text(group, "name"), None)],
        **desk(the_actor()),
    )
