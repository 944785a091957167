"""A batch that was called off here and that the bank paid: what one says of all its payments, and another decides on, on one page."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.errands import errand
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, NotAllowed
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households.household import Household
from marketplace.settlement import payout_errand, payout_found_batch
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from marketplace.web import form_input
from marketplace.web.errand import Wanted, handed_over
from marketplace.web.payout import own
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of

bp = Blueprint("payout_found", __name__, url_prefix="/payouts")

permission("payout.step", COOPERATIVE="accountant director")
permission("payout.approve", COOPERATIVE="director")

PAGE = 100


@bp.get("/<public_id>/found")
@needs("payout.step")
def show(public_id: str) -> Any:
    """The payments that one person says the bank made, and what to do about them."""
    return _page(own(public_id, the_actor()), {})


@bp.post("/<public_id>/found")
@needs("payout.step")
def propose(public_id: str) -> Any:
    """The bank paid the batch: all its payments wait for the second person. Of very many, a worker says so."""
    actor, reason = the_actor(), form_input.given("found")
    row = own(public_id, actor)
    number = row.id
    try:
        if row.items > payout_found_batch.MOST:
            payout_found_batch.must_be_sayable(row, reason)
            return handed_over(_wanted(row, "say", row.items, reason=reason), actor)
        errand.must_be_free(payout_errand.of(number))
        count = transaction(lambda: payout_found_batch.propose(number, reason, actor=actor)).done
    except InvalidInput as error:
        db.session.rollback()
        return _page(own(public_id, actor), {"found": said(error)}), 422
    if count:
        flash(_("已提出 %(n)s 笔，等另一位（理事长）核对。核对以前，账没有动。", n=count), "done")
    else:
        flash(_("这些笔别人已经提出过了，没有再提一遍。"), "wait")
    return redirect(url_for(".show", public_id=public_id), 303)


@bp.post("/<public_id>/found/decision")
@needs("payout.approve")
def decide(public_id: str) -> Any:
    """The other person's word on all of them. Of very many, a worker takes them in turn."""
    actor, approved, answer = the_actor(), form_input.approves(), form_input.given("answer")
    count, last_id = form_input.whole("count"), form_input.whole("last", most=10**12)
    number = own(public_id, actor).id

    def looked_at() -> PayoutBatch:
        return payout_found_batch.must_be_decidable(number, count=count, last_id=last_id, approved=approved, answer=answer, actor=actor)

    def at_once() -> tuple[int, int]:
        looked_at()
        go = payout_found_batch.decide(number, last_id=last_id, approved=approved, answer=answer, actor=actor)
        return go.done, payout_found_batch.waiting(number).count

    try:
        if count > payout_found_batch.MOST:
            return handed_over(_wanted(looked_at(), "approve" if approved else "return", count, last_id=last_id, answer=answer), actor)
        errand.must_be_free(payout_errand.of(number))
        done, left = transaction(at_once)
    except (InvalidInput, NotAllowed) as error:
        db.session.rollback()
        return _page(own(public_id, actor), {"answer": said(error)}), 422 if isinstance(error, InvalidInput) else 403
    flash(_("已更正，%(n)s 笔记为到账。", n=done) if approved else _("已退回 %(n)s 笔，账照旧。", n=done), "done")
    if left:
        flash(_("还有 %(n)s 笔等核对：又做进了另一批、还没有结果的，等那一批有了结果再办。", n=left), "wait")
        return redirect(url_for(".show", public_id=public_id), 303)
    return redirect(url_for("payout.show", public_id=public_id), 303)


def _wanted(row: PayoutBatch, what: str, count: int, **given: Any) -> Wanted:
    then = url_for(".show", public_id=row.public_id)
    return Wanted(f"payout.found-{what}", payout_errand.of(row.id), row.organisation_id, row.number, count, then, {"id": row.id, "then": then, **given})


def _page(row: PayoutBatch, errors: dict[str, str]) -> str:
    actor, after = the_actor(), request.args.get("after", "")
    query = (
        select(PayoutFound, PayoutItem, Household)
        .join(PayoutItem, PayoutItem.id == PayoutFound.item_id)
        .join(Household, Household.id == PayoutItem.household_id)
        .where(PayoutItem.batch_id == row.id, PayoutFound.state == "PROPOSED")
        .order_by(PayoutFound.id)
    )
    if after:
        query = query.where(PayoutFound.id > by_public_id(PayoutFound, after, query.with_only_columns(PayoutFound)).id)
    found = db.session.execute(query.limit(PAGE + 1)).all()
    return render_template(
        "payout/found.html",
        row=row,
        found=[(each, item, house, masked_name(house.name)) for each, item, house in found[:PAGE]],
        people=names_of([each.proposed_by_id for each, _item, _house in found[:PAGE]]),
        waiting=payout_found_batch.waiting(row.id),
        under_way=errand.under_way(payout_errand.of(row.id)),
        may_say=payout_found_batch.may_be_said(row),
        all_own=all(each.proposed_by_id == actor.person_id for each, _item, _house in found),
        next_url=url_for(".show", public_id=row.public_id, after=found[PAGE - 1][0].public_id) if len(found) > PAGE else None,
        errors=errors,
        crumbs=[(_("代发"), url_for("payout.index")), (row.number, url_for("payout.show", public_id=row.public_id)), (_("银行其实付了"), None)],
        **desk(actor),
    )
