"""One household's payout, over the bank or over Alipay: to which account, where it stands, its story, and what people may say of it."""

from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from sqlalchemy import select

from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.language import gettext as _
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.region import Region
from marketplace.payments import transfer_ending
from marketplace.payments.transfer import GOING
from marketplace.reporting import payout_story
from marketplace.settlement import payout_found, payout_reversal, payout_word
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_item import number_of
from marketplace.settlement.payout_transfer import CONTRADICTIONS, reason_of
from marketplace.web import payment_words
from marketplace.web.payout import own
from marketplace.web.payout_words import channel_words, ending_words, item_word, state_words, word_words
from marketplace.web.permission import holds, needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of

bp = Blueprint("payout_item", __name__, url_prefix="/payouts")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")


@bp.get("/items/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    return page(own_item(public_id, the_actor()), {})


@bp.get("/<batch_id>/items/<public_id>")
@needs("money.read")
def moved(batch_id: str, public_id: str) -> Any:
    """Where payments over the bank had their page once."""
    batch = own(batch_id, the_actor())
    item = by_public_id(PayoutItem, public_id, select(PayoutItem).where(PayoutItem.batch_id == batch.id))
    return redirect(url_for(".show", public_id=item.public_id), 301)


def own_item(public_id: str, actor: Actor) -> PayoutItem:
    """The payout with this outside name, of one's cooperative; the operator's staff may see all."""
    row: PayoutItem = by_public_id(PayoutItem, public_id, scoped(actor, PayoutItem))
    return row


def page(item: PayoutItem, errors: dict[str, str]) -> str:
    """One payout as its reader may see it and say what became of it."""
    actor = the_actor()
    batch, house, village = db.session.execute(
        select(PayoutBatch, Household, Region)
        .select_from(PayoutBatch)
        .join(Household, Household.id == item.household_id)
        .join(Region, Region.id == Household.village_id)
        .where(PayoutBatch.id == item.batch_id)
    ).one()
    related = select(PayoutItem, PayoutBatch).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
    transfer = payout_story.transfer_of(item) if batch.channel == "alipay" else None
    steps = payout_story.story(item, batch, transfer)
    said = transfer_ending.of_transfer(transfer.id) if transfer and transfer.state in GOING else payout_reversal.of_item(item.id)
    waiting = next((each for each in said if each.state == "PROPOSED"), None)
    finds = payout_found.of_item(item.id) if batch.channel == "bank" else []
    looked_for = next((each for each in finds if each.state == "PROPOSED"), None)
    over_bank, may_step = batch.channel == "bank", holds(actor, "payout.step")
    return render_template(
        "payout/item.html",
        item=item,
        batch=batch,
        house=house,
        name=masked_name(house.name),
        village=village,
        number=batch.number if over_bank else number_of(batch, item.sequence),
        transfer=transfer,
        why=reason_of(transfer.sub_code) if transfer is not None else "",
        contradictory=transfer is not None and transfer.state in GOING and transfer.sub_code in CONTRADICTIONS,
        steps=steps,
        people=names_of([each.data.get("by") for each in steps]),
        related=db.session.execute(related.where((PayoutItem.reissue_of_id == item.id) | (PayoutItem.id == item.reissue_of_id)).order_by(PayoutItem.id)).all(),
        channel=channel_words()[batch.channel],
        state=item_word(item, batch),
        waiting=waiting,
        own_proposal=waiting is not None and waiting.proposed_by_id == actor.person_id,
        may_say=may_step and over_bank and item.state in payout_word.WAITING and batch.state == "SENT",
        may_reverse=may_step and over_bank and item.state == "paid" and waiting is None,
        may_end=may_step and transfer is not None and transfer.state == "unknown" and waiting is None,
        may_say_back=may_step and over_bank and batch.state in ("SENT", "DONE") and payout_word.may_say_back(item),
        may_ask_back=may_step and over_bank and item.state == "paid" and waiting is None and any(each.stands for each in finds),
        looked_for=looked_for,
        own_find=looked_for is not None and looked_for.proposed_by_id == actor.person_id,
        may_find=may_step and looked_for is None and not any(each.stands for each in finds) and payout_found.may_be(batch, item),
        twice=next((each for each in finds if each.state == "DONE" and each.beyond_fen and each.ended_at is None), None) if may_step else None,
        outcomes=word_words(),
        endings=ending_words(),
        errors=errors,
        words=payment_words,
        crumbs=[
            (_("代发"), url_for("payout.index")),
            (f"{batch.number} · {state_words()[batch.channel][batch.state]}", url_for("payout.show", public_id=batch.public_id)),
            (_("第 %(n)s 笔", n=item.sequence), None),
        ],
        **desk(actor),
    )
