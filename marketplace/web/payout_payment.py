"""One payment's story: what became of it and who said so; a word of one's own where the bank gave no result; and the two people's
page on which what was recorded as paid and never made is reversed."""

from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from sqlalchemy import select
from sqlalchemy.orm import aliased

from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households.household import Household
from marketplace.ledger.entry import JournalEntry
from marketplace.organisations.actor import Actor
from marketplace.settlement import payout_reversal, payout_word
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.web import form_input
from marketplace.web.payout import own
from marketplace.web.payout_words import item_words, state_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of

bp = Blueprint("payout_payment", __name__, url_prefix="/payouts")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("payout.step", COOPERATIVE="accountant director")
permission("payout.approve", COOPERATIVE="director")


def word_words() -> dict[str, str]:
    """What somebody may have found out of a payment."""
    return {"paid": _("已到账"), "returned": _("扣了款，又退回来了"), "refused": _("没有付，没扣过款")}


@bp.get("/<public_id>/items/<item_id>")
@needs("money.read")
def show(public_id: str, item_id: str) -> Any:
    row = own(public_id, the_actor())
    return _page(row, _item(row, item_id), {})


@bp.post("/<public_id>/items/<item_id>/word")
@needs("payout.step")
def say(public_id: str, item_id: str) -> Any:
    """What became of it, as somebody found out."""
    actor = the_actor()
    row = own(public_id, actor)
    number, outcome, reason = _item(row, item_id).id, form_input.given("outcome"), form_input.given("reason")
    try:
        transaction(lambda: payout_word.say(number, outcome, reason, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        row = own(public_id, actor)
        return _page(row, _item(row, item_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("记下了。退回的和没付的，钱回到这一户名下，可以补发。") if outcome != "paid" else _("记下了，这一笔已到账。"), "done")
    return redirect(url_for("payout.show", public_id=public_id), 303)


@bp.post("/<public_id>/items/<item_id>/reversal")
@needs("payout.step")
def propose(public_id: str, item_id: str) -> Any:
    """It is recorded as paid, and was never made."""
    actor = the_actor()
    row = own(public_id, actor)
    number, reason = _item(row, item_id).id, form_input.given("reason")
    try:
        transaction(lambda: payout_reversal.propose(number, reason, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        row = own(public_id, actor)
        return _page(row, _item(row, item_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已提出，等另一位（理事长）核对。核对以前，账没有动。"), "done")
    return redirect(url_for(".show", public_id=public_id, item_id=item_id), 303)


@bp.post("/<public_id>/items/<item_id>/reversal/<reversal_id>")
@needs("payout.approve")
def decide(public_id: str, item_id: str, reversal_id: str) -> Any:
    """The other person's word."""
    actor = the_actor()
    row = own(public_id, actor)
    item = _item(row, item_id)
    found = by_public_id(PayoutReversal, reversal_id, select(PayoutReversal).where(PayoutReversal.item_id == item.id))
    number, approved, version, answer = found.id, form_input.approves(), form_input.version(), form_input.given("answer")
    try:
        transaction(lambda: payout_reversal.decide(number, approved=approved, version=version, answer=answer, actor=actor))
    except InvalidInput as error:
        db.session.rollback()
        row = own(public_id, actor)
        return _page(row, _item(row, item_id), {"answer": said(error)}), 422
    flash(_("已冲回：钱回到这一户名下，可以补发。") if approved else _("已退回，这一笔仍记为到账。"), "done")
    return redirect(url_for(".show", public_id=public_id, item_id=item_id), 303)


def _item(row: PayoutBatch, item_id: str) -> PayoutItem:
    found: PayoutItem = by_public_id(PayoutItem, item_id, select(PayoutItem).where(PayoutItem.batch_id == row.id))
    return found


def _page(row: PayoutBatch, item: PayoutItem, errors: dict[str, str]) -> str:
    actor = the_actor()
    home = db.session.get_one(Household, item.household_id)
    words, reversals = payout_word.words_of(item.id), payout_reversal.of_item(item.id)
    people = names_of([*(word.said_by_id for word in words), *(each.proposed_by_id for each in reversals), *(each.decided_by_id for each in reversals)])
    again = db.session.execute(
        select(PayoutItem, PayoutBatch).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id).where(
            (PayoutItem.reissue_of_id == item.id) | (PayoutItem.id == item.reissue_of_id)
        )
    ).all()  # fmt: skip
    entries = _entries(reversals)
    waiting = next((each for each in reversals if each.state == "PROPOSED"), None)
    return render_template(
        "payout/payment.html",
        row=row,
        item=item,
        home=home,
        name=masked_name(home.name),
        state=item_words()[row.channel][item.state],
        story=_story(row, item, words, reversals, people, {number: debited for number, (_period, _entry, debited) in entries.items()}),
        again=again,
        waiting=waiting,
        own_proposal=waiting is not None and waiting.proposed_by_id == actor.person_id,
        may_say=_works_here(actor) and row.channel == "bank" and item.state in payout_word.WAITING and row.state == "SENT",
        may_propose=_works_here(actor) and row.channel == "bank" and item.state == "paid" and waiting is None,
        entries=entries,
        outcomes=word_words(),
        errors=errors,
        crumbs=[
            (_("代发"), url_for("payout.index")), (f"{row.number} · {state_words()[row.channel][row.state]}", url_for("payout.show", public_id=row.public_id)),
            (_("第 %(n)s 笔", n=item.sequence), None),
        ],
        **desk(actor),
    )  # fmt: skip


def _works_here(actor: Actor) -> bool:
    return actor.kind == "COOPERATIVE" and actor.has("accountant", "director")


def _entries(reversals: list[PayoutReversal]) -> dict[int, tuple[str, int, datetime]]:
    """Of each reversal that was posted: the month and the number of its entry, and when what it reverses was posted."""
    debit = aliased(JournalEntry)
    query = select(JournalEntry.id, JournalEntry.period, debit.posted_at).join(debit, debit.id == JournalEntry.reverses_id)
    found = db.session.execute(query.where(JournalEntry.id.in_([each.entry_id for each in reversals if each.entry_id]))).all()
    posted = {number: (period, debited) for number, period, debited in found}
    return {each.id: (posted[each.entry_id][0], each.entry_id, posted[each.entry_id][1]) for each in reversals if each.entry_id}


def _story(
    row: PayoutBatch, item: PayoutItem, words: list[Any], reversals: list[PayoutReversal], people: dict[int, str], debited: dict[int, datetime]
) -> list[dict[str, Any]]:
    """What happened to the payment, as steps."""
    steps: list[dict[str, Any]] = [{"text": _("交给银行"), "at": row.sent_at, "state": "done" if row.sent_at else "next"}]
    outcomes = word_words()
    if item.unknown_since:
        steps.append({"text": _("银行还没有结果"), "at": item.unknown_since, "note": item.reason, "state": "now"})
    for word in words:
        who = people.get(word.said_by_id, "") if word.said_by_id else _("银行流水")
        steps.append({"text": outcomes[word.outcome], "at": word.said_at, "note": f"{who}：{word.reason}", "state": "done"})
    paid_at = item.paid_at or next((debited[each.id] for each in reversals if each.id in debited), None)
    if not words and paid_at:
        steps.append({"text": _("已到账"), "at": paid_at, "state": "done"})
    for each in reversals:
        steps.append({"text": _("说没有付出"), "at": each.proposed_at, "note": f"{people.get(each.proposed_by_id, '')}：{each.reason}", "state": "done"})
        if each.state == "DONE":
            steps.append({"text": _("核对过，已冲回"), "at": each.decided_at, "note": people.get(each.decided_by_id or 0, ""), "state": "bad"})
        elif each.state == "RETURNED":
            steps.append({"text": _("退回：确实付了"), "at": each.decided_at, "note": f"{people.get(each.decided_by_id or 0, '')}：{each.answer}", "state": "done"})
        else:
            steps.append({"text": _("等另一位核对"), "state": "now"})
    if item.state in ("returned", "reissued") and not words and not any(each.state == "DONE" for each in reversals):
        steps.append({"text": _("被退回"), "note": item.reason, "state": "bad"})
    return steps
