"""One household's payout, from the batch that it was made in to the bill that shows it: every call, word, entry and row, in order. It only reads."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger.entry import JournalEntry
from marketplace.payments import transfer_ending
from marketplace.payments.call import PaymentCall
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_call import ASK, INCONSISTENT, SEND
from marketplace.payments.transfer_ending import TransferEnding
from marketplace.reporting.payment_story import Step, entries_of
from marketplace.settlement import payout_found, payout_reversal, payout_word
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_reversal import PayoutReversal


def transfer_of(item: PayoutItem) -> Transfer | None:
    """The transfer of a payout that goes over Alipay, once it was started."""
    query = select(Transfer).where(Transfer.payable_kind == "payout_item", Transfer.payable_id == item.id)
    return db.session.scalars(query).one_or_none()


def story(item: PayoutItem, batch: PayoutBatch, transfer: Transfer | None) -> list[Step]:
    """Every step of one payout, oldest first: what was done, what was heard, and who said what. Six statements."""
    marks = (("payout_made", batch.made_at), ("payout_approved", batch.approved_at), ("payout_sent", batch.sent_at))
    steps = [Step(at, kind) for kind, at in marks if at is not None]
    if transfer is not None:
        steps += [*entries_of((("payout_item", [item.id]),)), *_calls(transfer), *_billed(transfer), *_ended(transfer)]
    elif batch.channel == "bank":
        steps += _at_the_bank(item, batch)
    return sorted(steps, key=lambda step: step.at)


def _at_the_bank(item: PayoutItem, batch: PayoutBatch) -> list[Step]:
    """What the bank's results, its statement and people said. A payment that was reversed keeps the day on which it was recorded."""
    words, reversals, finds = payout_word.words_of(item.id), payout_reversal.of_item(item.id), payout_found.of_item(item.id)
    posted = (("payout_reversal", [each.id for each in reversals if each.entry_id]), ("payout_found", [one.id for one in finds if one.entry_id]))
    steps = entries_of((("payout_item", [item.id]), *posted))
    if item.unknown_since:
        steps.append(Step(item.unknown_since, "payout_unknown", {"why": item.reason}))
    steps += [Step(each.said_at, f"word_{each.outcome}", {"by": each.said_by_id, "statement": each.row_id is not None, "why": each.reason}) for each in words]
    paid_at = item.paid_at or _debited_at(item, batch)
    if paid_at and not words and not any(one.state == "DONE" for one in finds):
        steps.append(Step(paid_at, "payout_paid"))
    for each in reversals:
        noun = "back" if each.kind == "BACK" else "reversal"
        steps += [Step(each.proposed_at, f"{noun}_proposed", {"by": each.proposed_by_id, "why": each.reason}), *_decided(each, noun)]
    for one in finds:
        steps += [Step(one.proposed_at, "found_proposed", {"by": one.proposed_by_id, "why": one.reason}), *_decided(one, "found")]
        if one.beyond_fen and one.ended_at is not None:
            steps.append(Step(one.ended_at, "twice_ended", {"by": one.ended_by_id, "why": one.ending, "fen": one.beyond_fen}))
    if item.state in ("returned", "reissued") and not words and "DONE" not in {*(each.state for each in reversals), *(one.state for one in finds)}:
        steps.append(Step(batch.done_at or clock.now(), "payout_back", {"why": item.reason}))
    return steps


def _debited_at(item: PayoutItem, batch: PayoutBatch) -> datetime | None:
    if item.debited is None:
        return None
    its = select(JournalEntry.posted_at).where(JournalEntry.source_type == "payout_batch", JournalEntry.source_id == batch.id)
    return db.session.scalar(its.where(JournalEntry.kind == "payout_debited", JournalEntry.source_seq == item.debited))


def _ended(transfer: Transfer) -> list[Step]:
    """What two people said of a transfer whose answers contradict each other."""
    steps: list[Step] = []
    for each in transfer_ending.of_transfer(transfer.id):
        said = {"by": each.proposed_by_id, "why": each.reason, "number": each.order_id}
        steps += [Step(each.proposed_at, f"ending_{each.outcome.lower()}", said), *_decided(each, "ending")]
    return steps


def _decided(row: PayoutReversal | PayoutFound | TransferEnding, noun: str) -> list[Step]:
    if row.decided_at is None:
        return []
    kind = f"{noun}_{row.state.lower()}" if row.decided_by_id else f"{noun}_told"
    return [Step(row.decided_at, kind, {"by": row.decided_by_id, "why": row.answer})]


def _calls(transfer: Transfer) -> Sequence[Step]:
    query = select(PaymentCall).where(PaymentCall.kind.in_((SEND, ASK)), PaymentCall.subject_id == transfer.id).order_by(PaymentCall.id)
    steps, anothers = [], False
    for each in db.session.scalars(query):
        code, outcome = (each.answer or {}).get("sub_code", ""), each.outcome
        anothers = code == INCONSISTENT if each.kind == SEND else anothers
        if anothers and outcome == "succeeded":
            outcome = "another"  # Alipay has a transfer under this number, and had said that it is not this one
        steps.append(Step(each.made_at, f"call_{each.kind}", {"outcome": outcome, "code": code, "answered_at": each.answered_at}))
    return steps


def _billed(transfer: Transfer) -> Sequence[Step]:
    """Rows of Alipay's account bill under its number; a bill tells the day, so they stand at its end."""
    query = select(StatementRow).where(
        StatementRow.organisation_id == transfer.organisation_id, StatementRow.side == "alipay", StatementRow.number == transfer.out_biz_no
    )
    return [
        Step(clock.beijing_midnight(each.day + timedelta(days=1)), "payout_billed", {"fen": each.fen, "what": each.remark})
        for each in db.session.scalars(query.order_by(StatementRow.id))
    ]
