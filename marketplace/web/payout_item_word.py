"""What people say of one payout: what became of it where the bank gave no result; that it was never made, or made after all; how a transfer
ended of which Alipay says now this and now that. All but the first take a second person."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, not_found, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, OutsideFailure
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.payments import transfer_ending
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.reporting import payout_story
from marketplace.settlement import payout_found, payout_reversal, payout_word
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutItem
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.web import form_input
from marketplace.web.payout_item import own_item, page
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("payout_item_word", __name__, url_prefix="/payouts/items")

permission("payout.step", COOPERATIVE="accountant director")
permission("payout.approve", COOPERATIVE="director")


@bp.post("/<public_id>/word")
@needs("payout.step")
def say(public_id: str) -> Any:
    """What became of it, as somebody found out."""
    actor, outcome, reason = the_actor(), form_input.given("outcome"), form_input.given("reason")
    done = _("记下了。退回的和没付的，钱回到这一户名下，可以补发。") if outcome != "paid" else _("记下了，这一笔已到账。")
    return _taken(public_id, lambda item_id: payout_word.say(item_id, outcome, reason, actor=actor), done)


@bp.post("/<public_id>/reversal")
@needs("payout.step")
def propose_reversal(public_id: str) -> Any:
    """It is recorded as paid, and was never made; or two people found it made, and it came back."""
    actor, reason, kind = the_actor(), form_input.given("reason"), "BACK" if form_input.given("kind") == "BACK" else "UNMADE"
    done = _("已提出，等另一位（理事长）核对。核对以前，账没有动。")
    return _taken(public_id, lambda item_id: payout_reversal.propose(item_id, reason, kind=kind, actor=actor), done)


@bp.post("/<public_id>/reversal/<reversal_id>")
@needs("payout.approve")
def decide_reversal(public_id: str, reversal_id: str) -> Any:
    """The other person's word."""
    actor, approved, version, answer = the_actor(), form_input.approves(), form_input.version(), form_input.given("answer")
    item = own_item(public_id, actor)
    number = by_public_id(PayoutReversal, reversal_id, select(PayoutReversal).where(PayoutReversal.item_id == item.id)).id
    done = _("已冲回：钱回到这一户名下，可以补发。") if approved else _("已退回，这一笔仍记为到账。")
    return _taken(
        public_id, lambda _item_id: payout_reversal.decide(number, approved=approved, version=version, answer=answer, actor=actor), done, field="answer"
    )


@bp.post("/<public_id>/found")
@needs("payout.step")
def propose_found(public_id: str) -> Any:
    """It is recorded as not made, and the bank made it."""
    actor, reason = the_actor(), form_input.given("found")
    done = _("已提出，等另一位（理事长）核对。核对以前，账没有动。")
    return _taken(public_id, lambda item_id: payout_found.propose(item_id, reason, actor=actor), done)


@bp.post("/<public_id>/found/<found_id>")
@needs("payout.approve")
def decide_found(public_id: str, found_id: str) -> Any:
    """The other person's word."""
    actor, approved, version, answer = the_actor(), form_input.approves(), form_input.version(), form_input.given("answer")
    number = _found(public_id, found_id)
    done = _("已更正，这一笔记为到账。") if approved else _("已退回，这一笔照旧。")
    return _taken(public_id, lambda _item_id: payout_found.decide(number, approved=approved, version=version, answer=answer, actor=actor), done, field="answer")


@bp.post("/<public_id>/found/<found_id>/end")
@needs("payout.step")
def end_found(public_id: str, found_id: str) -> Any:
    """How what was paid twice ended."""
    actor, version, ending = the_actor(), form_input.version(), form_input.given("ending")
    number = _found(public_id, found_id)
    return _taken(public_id, lambda _item_id: payout_found.end(number, ending, version=version, actor=actor), _("已记下怎么了结的。"))


@bp.post("/<public_id>/ending")
@needs("payout.step")
def propose_ending(public_id: str) -> Any:
    """How a transfer without a result ended, as Alipay's own pages show it."""
    actor, transfer_id = the_actor(), _transfer(own_item(public_id, the_actor())).id
    outcome, reason, order_id = form_input.given("outcome"), form_input.given("reason"), form_input.given("order_id")

    def work(_item_id: int) -> TransferEnding:
        paid_on = form_input.day("paid_on") if outcome == "PAID" else None
        return transfer_ending.propose(transfer_id, outcome, reason, order_id=order_id, paid_on=paid_on, actor=actor)

    return _taken(public_id, work, _("已提出，等另一位（理事长）核对。核对以前，账没有动。"))


@bp.post("/<public_id>/ending/<ending_id>")
@needs("payout.approve")
def decide_ending(public_id: str, ending_id: str) -> Any:
    """The other person's word; approved, Alipay is asked once more before anything is recorded."""
    actor, approved, version, answer = the_actor(), form_input.approves(), form_input.version(), form_input.given("answer")
    its = select(TransferEnding).where(TransferEnding.transfer_id == _transfer(own_item(public_id, actor)).id)
    number = by_public_id(TransferEnding, ending_id, its).id
    db.session.rollback()
    try:
        state = transfer_ending.decide(number, approved=approved, version=version, answer=answer, actor=actor)
    except InvalidInput as error:
        db.session.rollback()
        return page(own_item(public_id, actor), {"answer": said(error)}), 422
    except (Conflict, OutsideFailure) as error:
        db.session.rollback()
        flash(said(error), "bad")
    else:
        flash(_("核对过，照此记下了。") if state == "DONE" else _("没有照此记，账没有动。"), "done")
    return redirect(url_for("payout_item.show", public_id=public_id), 303)


def _found(public_id: str, found_id: str) -> int:
    item = own_item(public_id, the_actor())
    return by_public_id(PayoutFound, found_id, select(PayoutFound).where(PayoutFound.item_id == item.id)).id


def _transfer(item: PayoutItem) -> Transfer:
    """The transfer by which it goes over Alipay. NotFound before it was started, and of the bank's."""
    row = payout_story.transfer_of(item)
    if row is None:
        raise not_found(Transfer)
    return row


def _taken(public_id: str, work: Callable[[int], Any], done: str, *, field: str = "") -> Any:
    """Do it to one's own payout, and go back to its page; what is missing is told at its field."""
    actor = the_actor()
    number = own_item(public_id, actor).id
    try:
        transaction(lambda: work(number))
    except InvalidInput as error:
        db.session.rollback()
        return page(own_item(public_id, actor), {field or str(error.data.get("field", "")): said(error)}), 422
    flash(done, "done")
    return redirect(url_for("payout_item.show", public_id=public_id), 303)
