"""The households are paid: whom Alipay reaches there, the others by the bank, whose answer comes the day after, or later."""

import random
from collections import Counter
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import Conflict
from marketplace.ledger.entry import of_source
from marketplace.settlement import difference, payout_batch, payout_found
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_import import Changed
from marketplace.settlement.reconciliation_link import left_open
from marketplace.simulation import bank_answer, transfers, treasury
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
    """The bank's files of the day are taken in: the day after nearly all is paid, and what is left, or was said wrongly, days later. What a file says
    against the books the director looks at, and what came back is issued again."""
    for batch in _with_the_bank():
        items = payout_batch.items_of(batch.id)
        if any(item.state == "sent" for item in items):
            if batch.sent_at is None or batch.sent_at >= clock.now() - timedelta(hours=12):
                continue
            back = chance.randrange(len(items)) if batch.reissue_of_id is None and chance.random() < 0.5 else -1
            changed = _take(batch, bank_answer.first(batch, items, back), people)
            done["payouts"] += changed.paid
            done["still processing"] += changed.unknown
        elif content := bank_answer.later(batch, items):
            changed = _take(batch, content, people)
            done["payouts"] += changed.paid
            done["processing ended"] += changed.paid + changed.returned
            done["said against the books"] += changed.asked
    _look_at_what_was_asked(people, done)
    again("bank", people, opened, done)


def _with_the_bank() -> list[PayoutBatch]:
    """The batches of which the bank may have something to say."""
    of_late = PayoutBatch.sent_at > clock.now() - timedelta(days=bank_answer.FORGETS)
    query = select(PayoutBatch).where(PayoutBatch.channel == "bank", (PayoutBatch.state == "SENT") | ((PayoutBatch.state == "DONE") & of_late))
    return list(db.session.scalars(query.order_by(PayoutBatch.id)))


def _take(batch: PayoutBatch, content: bytes, people: People) -> Changed:
    number, accountant = batch.id, people.staff[batch.organisation_id]["accountant"]
    return transaction(lambda: payout_batch.import_results(number, content, actor=accountant))


def _look_at_what_was_asked(people: People, done: Counter[str]) -> None:
    """The bank says that it paid what it had called returned, and its statement shows nothing that came back: the director agrees."""
    query = select(PayoutFound.id, PayoutFound.version, PayoutFound.organisation_id).where(PayoutFound.state == "PROPOSED")
    for found_id, version, cooperative_id in db.session.execute(query.order_by(PayoutFound.id)).all():
        director = people.staff[cooperative_id]["director"]
        transaction(lambda f=found_id, v=version, d=director: payout_found.decide(f, actor=d, version=v, approved=True))  # type: ignore[misc]
        transaction(lambda c=cooperative_id: difference.reconcile(c, ["bank"]))  # type: ignore[misc]
        done["set right"] += 1


def again(channel: str, people: People, opened: Gateway, done: Counter[str]) -> None:
    """What came back over a channel is issued again over the bank; of the bank's own, once its statement shows all of it."""
    back = select(PayoutItem.id).where(PayoutItem.batch_id == PayoutBatch.id, PayoutItem.state == "returned")
    query = select(PayoutBatch.id, PayoutBatch.organisation_id).where(PayoutBatch.channel == channel, PayoutBatch.state.in_(("SENT", "DONE")), back.exists())
    for batch_id, cooperative_id in db.session.execute(query.order_by(PayoutBatch.id)).all():
        accountant = people.staff[cooperative_id]["accountant"]
        if channel == "bank" and any(left_open(cooperative_id, entry.id) for entry in of_source("payout_batch", batch_id, "payout_returned")):
            done["returns not on the statement"] += 1
            continue
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
