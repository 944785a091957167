"""One household's payout: to which account, where it stands, and its story, for the cooperative and for whoever audits it."""

from typing import Any

from flask import Blueprint, render_template, url_for
from sqlalchemy import select

from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.language import gettext as _
from marketplace.households.household import Household
from marketplace.organisations.actor import scoped
from marketplace.organisations.region import Region
from marketplace.reporting import payout_story
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_item import number_of
from marketplace.settlement.payout_transfer import reason_of
from marketplace.web import payment_words
from marketplace.web.payout_words import channel_words, item_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk

bp = Blueprint("payout_item", __name__, url_prefix="/payouts/items")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    actor = the_actor()
    item: PayoutItem = by_public_id(PayoutItem, public_id, scoped(actor, PayoutItem))
    batch, house, village = db.session.execute(
        select(PayoutBatch, Household, Region)
        .select_from(PayoutBatch)
        .join(Household, Household.id == item.household_id)
        .join(Region, Region.id == Household.village_id)
        .where(PayoutBatch.id == item.batch_id)
    ).one()
    related = select(PayoutItem, PayoutBatch).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
    transfer = payout_story.transfer_of(item)
    show_batch = url_for("payout.show", public_id=batch.public_id)
    return render_template(
        "payout/item.html",
        item=item,
        batch=batch,
        house=house,
        name=masked_name(house.name),
        village=village,
        number=number_of(batch, item.sequence) if batch.channel == "alipay" else batch.number,
        transfer=transfer,
        why=reason_of(transfer.sub_code) if transfer is not None else "",
        steps=payout_story.story(item, batch, transfer),
        related=db.session.execute(related.where((PayoutItem.reissue_of_id == item.id) | (PayoutItem.id == item.reissue_of_id)).order_by(PayoutItem.id)).all(),
        channel=channel_words()[batch.channel],
        state=item_words()[batch.channel][item.state],
        words=payment_words,
        crumbs=[(_("代发"), url_for("payout.index")), (batch.number, show_batch), (_("第 %(n)s 笔", n=item.sequence), None)],
        **desk(actor),
    )
