"""A household's bank account: shown masked, corrected with a reason, every opening and every correction written down."""

from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.crypto import last_four
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households import account_correction
from marketplace.households.household import Household
from marketplace.organisations.region import Region
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.web.payout import item_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of, typed_version

bp = Blueprint("household_account", __name__, url_prefix="/households")

permission("household.account", COOPERATIVE="accountant director", OPERATOR="administrator treasurer")
permission("household.correct", COOPERATIVE="accountant", OPERATOR="administrator treasurer")

LATEST = 20


@bp.get("/<public_id>/account")
@needs("household.account")
def show(public_id: str) -> Any:
    return _page(public_id, {})


@bp.post("/<public_id>/account")
@needs("household.correct")
def correct(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    number, version = by_public_id(Household, public_id).id, typed_version()
    try:
        transaction(
            lambda: account_correction.correct(
                number, bank_name=form.get("bank_name", ""), account=form.get("account", ""), again=form.get("again", ""),
                reason=form.get("reason", ""), actor=actor, version=version,
            )
        )
    except InvalidInput as error:
        return _page(public_id, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("账户已改。以前做的批次仍用旧账户，之后做的用新账户。"), "done")
    return redirect(url_for(".show", public_id=public_id), 303)


def _page(public_id: str, errors: dict[str, str]) -> Any:
    actor = the_actor()
    number = by_public_id(Household, public_id).id
    row: Household = transaction(lambda: account_correction.opened(number, actor=actor))
    corrections = account_correction.corrections_of(row.id)
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
            village=db.session.get_one(Region, row.village_id),
            corrections=corrections,
            people=names_of(each.by_id for each in corrections),
            items=db.session.execute(items).all(),
            states=item_words(),
            errors=errors,
            values=request.form,
            **desk(actor),
        )
    )
    answer.headers["Cache-Control"] = "private, no-store"
    return answer
