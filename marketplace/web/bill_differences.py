"""What the channel's papers and the books do not say alike, for the cooperative: who sees to it, and what it was."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations.actor import scoped
from marketplace.organisations.person import Person
from marketplace.payments import bill_difference
from marketplace.payments.bill_difference import BillDifference
from marketplace.web import payment_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("bill_differences", __name__, url_prefix="/cooperative")

permission("bill_difference.read", COOPERATIVE="accountant director")
permission("bill_difference.explain", COOPERATIVE="accountant director")

PAGE = 50


@bp.get("/differences")
@needs("bill_difference.read")
def index() -> Any:
    actor = the_actor()
    done = request.args.get("view") == "explained"
    query = scoped(actor, BillDifference).outerjoin(Person, Person.id == BillDifference.owner_id).add_columns(Person.name_zh)
    query = query.where(BillDifference.explained_at.is_not(None) if done else BillDifference.explained_at.is_(None))
    before = request.args.get("before", "")
    if before:
        query = query.where(BillDifference.id < by_public_id(BillDifference, before, scoped(actor, BillDifference)).id)
    rows = db.session.execute(query.order_by(BillDifference.id.desc()).limit(PAGE + 1)).all()
    return render_template(
        "payment/differences.html",
        rows=rows[:PAGE],
        done=done,
        chips=[(_("要说明的"), url_for(".index"), not done, None), (_("已说明"), url_for(".index", view="explained"), done, None)],
        next_url=url_for(".index", view="explained" if done else None, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        words=payment_words.DIFFERENCES,
        proposals=payment_words.PROPOSALS,
        **desk(actor),
    )


@bp.post("/differences/<public_id>")
@needs("bill_difference.explain")
def explain(public_id: str) -> Any:
    actor = the_actor()
    number = by_public_id(BillDifference, public_id, scoped(actor, BillDifference)).id
    words, takes_on = request.form.get("explanation", ""), request.form.get("step") == "own"
    try:
        transaction(lambda: bill_difference.own(number, actor=actor) if takes_on else bill_difference.explain(number, words, actor=actor))
        flash(_("您在办这一项。") if takes_on else _("已记下说明。"), "done")
    except InvalidInput as error:
        flash(said(error), "bad")
    return redirect(url_for(".index"), 303)
