"""What one administrator asked for about somebody's sign-in, for a second one to look at: allowed, or returned with a reason. The second one
then has the link, the first the code: the person needs both."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.organisations import invitation, sign_in_proposal
from marketplace.organisations.region import Region
from marketplace.organisations.sign_in_proposal import SignInProposal
from marketplace.web.operator_desk import desk
from marketplace.web.operator_organisations import handed_over, role_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import names_of, typed_version

bp = Blueprint("sign_in_proposals", __name__, url_prefix="/operator/sign-ins")

permission("people.administer", OPERATOR="administrator")


@bp.get("")
@needs("people.administer")
def index() -> Any:
    return _page({})


@bp.post("/<public_id>")
@needs("people.administer")
def decide(public_id: str) -> Any:
    actor, version, form = the_actor(), typed_version(), request.form
    row = by_public_id(SignInProposal, public_id)
    number, person_id, approved = row.id, row.person_id, form.get("decision") == "approve"
    try:
        token = transaction(lambda: sign_in_proposal.decide(number, version=version, approved=approved, reason=form.get("reason", ""), actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        return _page({public_id: said(error)}), 422
    if token is not None:
        return handed_over(person_id, token, url_for(".index"), in_two=True)
    flash(_("已同意。") if approved else _("已退回，没有改。"), "done")
    return redirect(url_for(".index"), 303)


@bp.post("/<public_id>/code")
@needs("people.administer")
def code(public_id: str) -> Any:
    """The page that shows a code to who asked for the link, this once."""
    actor, number = the_actor(), by_public_id(SignInProposal, public_id).id
    person, shown = transaction(lambda: sign_in_proposal.code(number, actor=actor))
    page = render_template("operator/sign_in_code.html", person=person, code=shown, tries=invitation.MOST_TRIES, back=url_for(".index"), **desk(actor))
    return page, 200, {"Cache-Control": "no-store"}


def _page(errors: dict[str, str]) -> str:
    rows, words = sign_in_proposal.waiting(), role_words()
    codes = {code for row, *_of in rows for each in (row.villages_before, row.villages) for code in each.split()}
    words |= {row.code: text(row, "name") for row in db.session.scalars(select(Region).where(Region.code.in_(codes)))} if codes else {}
    changes = {row.id: [[words.get(name, name) for name in each.split()] for each in row.change] for row, *_of in rows}
    return render_template(
        "operator/sign_ins.html",
        rows=rows,
        handing_over=sign_in_proposal.handing_over(the_actor()),
        changes=changes,
        people=names_of(row.proposed_by_id for row, *_of in rows),
        errors=errors,
        crumbs=[(_("单位和人员"), url_for("operator_organisations.index")), (_("等另一位管理员"), None)],
        **desk(the_actor()),
    )
