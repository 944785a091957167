"""One household's payout, from the batch that it was made in to the bill that shows it: every call, entry and row, in order. It only reads."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.payments.call import PaymentCall
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.payments.transfer_call import ASK, SEND
from marketplace.reporting.payment_story import Step, entries_of
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem


def transfer_of(item: PayoutItem) -> Transfer | None:
    """The transfer of a payout that goes over Alipay, once it was started."""
    query = select(Transfer).where(Transfer.payable_kind == "payout_item", Transfer.payable_id == item.id)
    return db.session.scalars(query).one_or_none()


def story(item: PayoutItem, batch: PayoutBatch, transfer: Transfer | None) -> list[Step]:
    """Every step of one payout, oldest first. Four statements."""
    marks = (("payout_made", batch.made_at), ("payout_approved", batch.approved_at), ("payout_sent", batch.sent_at))
    steps = [Step(at, kind) for kind, at in marks if at is not None]
    steps += entries_of((("payout_item", [item.id]),))
    if transfer is not None:
        steps += [*_calls(transfer), *_billed(transfer)]
    return sorted(steps, key=lambda step: step.at)


def _calls(transfer: Transfer) -> Sequence[Step]:
    query = select(PaymentCall).where(PaymentCall.kind.in_((SEND, ASK)), PaymentCall.subject_id == transfer.id).order_by(PaymentCall.id)
    return [
        Step(each.made_at, f"call_{each.kind}", {"outcome": each.outcome, "code": (each.answer or {}).get("sub_code", ""), "answered_at": each.answered_at})
        for each in db.session.scalars(query)
    ]


def _billed(transfer: Transfer) -> Sequence[Step]:
    """Rows of Alipay's account bill under its number; a bill tells the day, so they stand at its end."""
    query = select(StatementRow).where(
        StatementRow.organisation_id == transfer.organisation_id, StatementRow.side == "alipay", StatementRow.number == transfer.out_biz_no
    )
    return [
        Step(clock.beijing_midnight(each.day + timedelta(days=1)), "payout_billed", {"fen": each.fen, "what": each.remark})
        for each in db.session.scalars(query.order_by(StatementRow.id))
    ]
