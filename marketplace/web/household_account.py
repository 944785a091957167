"""A household's bank account, and its Alipay account if it has one: shown masked, corrected by two people with a reason, every opening and every correction written down."""

from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.crypto import last_four
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households import account_correction, account_proposal
from marketplace.households.account_proposal import AccountProposal
from marketplace.households.alipay_account import masked
from marketplace.households.household import Household
from marketplace.organisations.region import Region
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.web.payout_words import channel_words, item_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of, typed_version

bp = Blueprint("household_account", __name__, url_prefix="/households")

permission("household.account", COOPERATIVE="accountant director", OPERATOR="administrator treasurer")
permission("household.correct", COOPERATIVE="accountant", OPERATOR="administrator treasurer")
permission("household.decide", COOPERATIVE="director", OPERATOR="administrator treasurer")

LATEST = 20


@bp.get("/<public_id>/account")
@needs("household.account")
def show(public_id: str) -> Any:
    return _page(public_id, {})


@bp.post("/<public_id>/account")
@needs("household.correct")
def propose(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    number, version = by_public_id(Household, public_id).id, typed_version()
    try:
        transaction(
            lambda: account_proposal.propose(
                number, kind=form.get("kind", "bank"), bank_name=form.get("bank_name", ""), account=form.get("account", ""),
                again=form.get("again", ""), payee_name=form.get("payee_name", ""), reason=form.get("reason", ""), actor=actor, version=version,
            )
        )
    except InvalidInput as error:
        return _page(public_id, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已提出，等另一个人同意。同意以前，发钱仍用现在的账户。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/account/alipay/remove")
@needs("household.correct")
def propose_removal(public_id: str) -> Any:
    """It shall be paid over Alipay no more."""
    actor, reason = the_actor(), request.form.get("removal_reason", "")
    number, version = by_public_id(Household, public_id).id, typed_version()
    try:
        transaction(lambda: account_proposal.propose_removal(number, reason, actor=actor, version=version))
    except InvalidInput as error:
        return _page(public_id, {"removal_reason": said(error)}), 422
    flash(_("已提出取消支付宝，等另一个人同意。同意以前，支付宝代发仍用它。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/account/<proposal_id>")
@needs("household.decide")
def decide(public_id: str, proposal_id: str) -> Any:
    actor, form = the_actor(), request.form
    household = by_public_id(Household, public_id)
    own = select(AccountProposal).where(AccountProposal.household_id == household.id, AccountProposal.organisation_id == actor.organisation_id)
    proposal = by_public_id(AccountProposal, proposal_id, own)
    number, removes, version, decision = proposal.id, proposal.removes, typed_version(), form.get("decision", "")
    try:
        if decision not in ("approve", "return"):
            raise InvalidInput("decision.missing", N_("请选同意还是退回。"), field="decision")
        transaction(
            lambda: account_proposal.decide(
                number, actor=actor, version=version, approved=decision == "approve", reason=form.get("returned_reason", "")
            )
        )
    except InvalidInput as error:
        field = str(error.data.get("field", ""))
        return _page(public_id, {"returned_reason" if field == "reason" else field: said(error)}), 422
    if decision == "approve" and removes:
        flash(_("已同意，支付宝取消了。已经审批的批次不变，之后做的支付宝代发不再有这一户。"), "done")
    elif decision == "approve":
        flash(_("已同意，账户改好了。以前做的批次仍用旧账户，之后做的用新账户。"), "done")
    else:
        flash(_("已退回，提出的人看得到理由。账户没有改。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _page(public_id: str, errors: dict[str, str]) -> Any:
    actor = the_actor()
    number = by_public_id(Household, public_id).id
    row: Household = transaction(lambda: account_correction.opened(number, actor=actor))
    corrections = account_correction.corrections_of(row.id)
    proposal = account_proposal.of_household(row.id, actor.organisation_id)
    items = (
        select(PayoutItem, PayoutBatch)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutItem.household_id == row.id, PayoutBatch.state != "CANCELLED")
        .order_by(PayoutItem.id.desc())
        .limit(LATEST)
    )
    if not actor.is_operator:
        items = items.where(PayoutItem.organisation_id == actor.organisation_id)
    answer = make_response(
        render_template(
            "money/household.html",
            row=row,
            last4=last_four(row.bank_account),
            alipay=masked(row.alipay_account),
            proposed=masked(proposal.account) if proposal and proposal.kind == "alipay" else "",
            kind="alipay" if (request.form or request.args).get("kind") == "alipay" or "removal_reason" in errors else "bank",
            village=db.session.get_one(Region, row.village_id),
            corrections=corrections,
            people=names_of(
                [person for each in corrections for person in (each.by_id, each.approved_by_id)]
                + ([proposal.proposed_by_id, proposal.decided_by_id] if proposal else [])
            ),
            proposal=proposal,
            actor_is_operator=actor.is_operator,
            mine=proposal is not None and proposal.proposed_by_id == actor.person_id,
            items=db.session.execute(items).all(),
            states=item_words(),
            channels=channel_words(),
            errors=errors,
            values=request.form,
            **desk(actor),
        )
    )
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
