"""The operator's side of split schemes: proposals that wait for the administrator, one beside what it would change."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.catalogue import scheme_proposal, split_scheme
from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.scheme_proposal import SchemeProposal
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.approval import Approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.web import form_input
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_schemes", __name__, url_prefix="/operator/schemes")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("scheme.approve", OPERATOR="administrator")

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
        select(SchemeProposal, Organisation)
        .join(Organisation, Organisation.id == SchemeProposal.organisation_id)
        .where(SchemeProposal.state == VIEWS[view])
        .order_by(SchemeProposal.id if rising else SchemeProposal.id.desc())
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after:
        last = by_public_id(SchemeProposal, after)
        query = query.where(SchemeProposal.id > last.id if rising else SchemeProposal.id < last.id)
    rows = db.session.execute(query).all()
    return render_template(
        "operator/schemes.html",
        rows=rows[:PAGE],
        view=view,
        names={code: _(name) for code, (name, _licence) in CATEGORIES.items()},
        next_url=url_for(".index", view=view, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(the_actor()),
    )


@bp.get("/<public_id>")
@needs("operator.read")
def show(public_id: str) -> Any:
    return _page(by_public_id(SchemeProposal, public_id), {})


@bp.post("/<public_id>/decide")
@needs("scheme.approve")
def decide(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(SchemeProposal, public_id).id
    approved, reason, version = form_input.approves(), form_input.given("reason"), form_input.version()
    try:
        transaction(lambda: scheme_proposal.decide(row_id, version=version, approved=approved, reason=reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        if error.code not in ("reason.missing", "proposal.late"):
            raise
        return _page(by_public_id(SchemeProposal, public_id), {"reason": said(error)}), 422
    flash(_("已批准，从执行日起用于新订单，公开页上看得到。") if approved else _("已退回，合作社看得到理由。"), "done")
    return redirect(url_for(".index"))


def _page(row: SchemeProposal, errors: dict[str, str]) -> str:
    owner = db.session.get_one(Organisation, row.organisation_id)
    query = select(Approval).where(Approval.subject_type == SchemeProposal.__tablename__, Approval.subject_id == row.id)
    versions = split_scheme.history(row.organisation_id).get(row.category, [])
    earlier = [each for each in versions if each.id != row.scheme_id]
    return render_template(
        "operator/scheme.html",
        row=row,
        owner=owner,
        maker=db.session.get_one(Person, row.made_by_id),
        name=_(CATEGORIES[row.category][0]),
        before=earlier[0] if earlier else None,
        versions=versions,
        word=db.session.scalars(query.order_by(Approval.id.desc()).limit(1)).one_or_none(),
        reason=request.form.get("reason", ""),
        errors=errors,
        crumbs=[(_("分账方案审批"), url_for(".index")), (owner.name_zh, None)],
        **desk(the_actor()),
    )
