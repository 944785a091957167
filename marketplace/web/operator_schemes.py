"""The operator's side of split schemes: proposals that wait for the administrator, one beside what it would change."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select

from marketplace.catalogue import scheme_proposal, split_scheme
from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.scheme_proposal import SchemeProposal
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.organisations import approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.web import proposal_desk
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_schemes", __name__, url_prefix="/operator/schemes")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("scheme.approve", OPERATOR="administrator")


@bp.get("")
@needs("operator.read")
def index() -> Any:
    query = select(SchemeProposal, Organisation).join(Organisation, Organisation.id == SchemeProposal.organisation_id)
    names = {code: _(name) for code, (name, _licence) in CATEGORIES.items()}
    return render_template("operator/schemes.html", names=names, **proposal_desk.listed(SchemeProposal, query), **desk(the_actor()))


@bp.get("/<public_id>")
@needs("operator.read")
def show(public_id: str) -> Any:
    return _page(by_public_id(SchemeProposal, public_id), {})


@bp.post("/<public_id>/decide")
@needs("scheme.approve")
def decide(public_id: str) -> Any:
    return proposal_desk.decided(SchemeProposal, public_id, scheme_proposal.decide, _page, late="proposal.late", approved=N_("已批准，从执行日起用于新订单，公开页上看得到。"))


def _page(row: SchemeProposal, errors: dict[str, str]) -> str:
    owner = db.session.get_one(Organisation, row.organisation_id)
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
        word=approval.last_word(SchemeProposal.__tablename__, row.id),
        reason=request.form.get("reason", ""),
        errors=errors,
        crumbs=[(_("分账方案审批"), url_for(".index")), (owner.name_zh, None)],
        **desk(the_actor()),
    )
