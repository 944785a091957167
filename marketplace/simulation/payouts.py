"""The households are paid: whom Alipay reaches there, the others by the bank, whose answer comes the day after."""

import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.settlement import payout_batch
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_answer import RESULT_HEADER
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_file import yuan
from marketplace.simulation import transfers, treasury
from marketplace.simulation.gateway import Gateway
from marketplace.simulation.people import People


def pay(chance: random.Random, people: People, opened: Gateway, done: Counter[str]) -> None:
    """Every distribution that was credited is paid, over Alipay first; what came back of a transfer is issued again over the bank, which holds
    what is paid out. A batch that somebody left on the table goes on first."""
    _go_on(people, opened, done)
    paid = select(PayoutBatch.id).where(PayoutBatch.distribution_id == Distribution.id, PayoutBatch.state != "CANCELLED", PayoutBatch.channel == "bank")
    query = select(Distribution.id, Distribution.organisation_id).where(Distribution.state == "POSTED", ~paid.where(PayoutBatch.reissue_of_id.is_(None)).exists())
    for row_id, cooperative_id in db.session.execute(query.order_by(Distribution.id)).all():
        accountant = people.staff[cooperative_id]["accountant"]
        transfers.pay(row_id, people.staff[cooperative_id], opened, chance, done)
        again("alipay", people, opened, done)
        try:
            transaction(lambda r=row_id, a=accountant: payout_batch.make(r, actor=a))  # type: ignore[misc]
        except Conflict:
            done["nothing for the bank"] += 1
            continue
        _go_on(people, opened, done)


def answer(chance: random.Random, people: People, opened: Gateway, done: Counter[str]) -> None:
    """The bank answers the day after: nearly all paid; what came back is issued again."""
    query = select(PayoutBatch.id, PayoutBatch.organisation_id, PayoutBatch.number, PayoutBatch.reissue_of_id).where(
        PayoutBatch.state == "SENT", PayoutBatch.channel == "bank", PayoutBatch.sent_at < clock.now() - timedelta(hours=12)
    )
    for batch_id, cooperative_id, number, reissue_of in db.session.execute(query.order_by(PayoutBatch.id)).all():
        staff = people.staff[cooperative_id]
        items = payout_batch.items_of(batch_id)
        back = chance.randrange(len(items)) if reissue_of is None and chance.random() < 0.5 else -1
        lines = [",".join(RESULT_HEADER)]
        for place, item in enumerate(items):
            result = "returned,账号不符" if place == back else "paid,"
            lines.append(f"{number},{item.sequence},{yuan(item.fen)},{result}")
        content = "\n".join(lines).encode()
        transaction(lambda b=batch_id, c=content, s=staff: payout_batch.import_results(b, c, actor=s["accountant"]))  # type: ignore[misc]
        done["payouts"] += len(items) - (back >= 0)
    again("bank", people, opened, done)


def again(channel: str, people: People, opened: Gateway, done: Counter[str]) -> None:
    """What came back over a channel is issued again over the bank."""
    back = select(PayoutItem.id).where(PayoutItem.batch_id == PayoutBatch.id, PayoutItem.state == "returned")
    query = select(PayoutBatch.id, PayoutBatch.organisation_id).where(PayoutBatch.channel == channel, PayoutBatch.state.in_(("SENT", "DONE")), back.exists())
    for batch_id, cooperative_id in db.session.execute(query.order_by(PayoutBatch.id)).all():
        accountant = people.staff[cooperative_id]["accountant"]
        try:
            transaction(lambda b=batch_id, a=accountant: payout_batch.reissue(b, actor=a, channel="bank"))  # type: ignore[misc]
        except Conflict:
            done["reissues that wait"] += 1
            continue
        done["reissued"] += 1
    _go_on(people, opened, done)


def _go_on(people: People, opened: Gateway, done: Counter[str]) -> None:
    """The director agrees to what was made, and it is handed to the bank, or to Alipay; the bank holds what it is to pay."""
    query = select(PayoutBatch.id).where(PayoutBatch.state.in_(("DRAFT", "APPROVED"))).order_by(PayoutBatch.id)
    for batch_id in db.session.scalars(query).all():
        row = db.session.get_one(PayoutBatch, batch_id)
        staff = people.staff[row.organisation_id]
        if row.channel == "bank":
            treasury.cover(row.organisation_id, row.total_fen, people, opened, done)
        if row.state == "DRAFT":
            version = row.version
            transaction(lambda b=batch_id, v=version, s=staff: payout_batch.approve(b, actor=s["director"], version=v))  # type: ignore[misc]
        hand_over = payout_batch.mark_sent if row.channel == "bank" else payout_batch.start
        version = db.session.get_one(PayoutBatch, batch_id).version
        transaction(lambda b=batch_id, v=version, s=staff, h=hand_over: h(b, actor=s["accountant"], version=v))  # type: ignore[misc]
        done["payout batches"] += row.reissue_of_id is None
