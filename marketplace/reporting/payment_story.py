"""A payment's whole story: what was asked, what was heard, what was posted, in the order in which it happened. It only reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.person import Person
from marketplace.payments import refund_recall, row_decision
from marketplace.payments.bank_match import CHANNEL
from marketplace.payments.bank_rows import number_of
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.bill_import import ImportedRow
from marketplace.payments.call import OF_PAYMENT, PaymentCall
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.refund import LEFT, Refund
from marketplace.payments.refund_call import ASK, SEND
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.stripe_event import KINDS as EVENTS


@dataclass(frozen=True)
class Step:
    """``kind`` is a code of what happened, ``data`` what a page says of it (fen, numbers, codes); ``lines`` an entry's
    (kind of account, owner, fen with debit positive)."""

    at: datetime
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[tuple[str, str, int]] = ()


def story(payment: Payment) -> list[Step]:
    """Every step of one payment and of its refunds, oldest first. A handful of statements, whatever its length."""
    refunds = list(db.session.scalars(select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.id)))
    recalled = refund_recall.decided([each.id for each in refunds if each.way == "bank"])
    matched, of_match = _matched(payment)
    steps = matched or [Step(payment.created_at, "opened", {"fen": payment.amount_fen})]
    if payment.canceled_at:
        steps.append(Step(payment.canceled_at, "canceled"))
    for refund in refunds:
        if refund.state == "failed" and refund.sub_code == LEFT and refund.elsewhere:
            steps.append(Step(refund.approved_at, "refund_left", _of_refund(refund)))  # nobody here agreed to it, and no book holds it
            continue
        steps.append(Step(refund.approved_at, "refund_approved", _of_refund(refund)))
        if refund.id in recalled:
            steps.append(Step(recalled[refund.id], "refund_recalled", _of_refund(refund)))
        elif refund.state == "failed":
            steps.append(Step(_failed_at(refund), "refund_failed", _of_refund(refund)))
        if refund.succeeded_at:
            steps.append(Step(refund.succeeded_at, "refund_succeeded", _of_refund(refund)))
    back = row_decision.repaid([each.id for each in refunds if each.sub_code == LEFT])
    numbers = {each.id: each.out_request_no for each in refunds}
    steps += [Step(each.decided_at or each.proposed_at, "repaid", {"fen": each.fen, "number": numbers[each.refund_id or 0]}) for each in back]
    told = [*_calls(payment, refunds), *_notices(payment), *_billed(payment), *_entries(payment, refunds, [each.id for each in back], of_match)]
    return sorted([*steps, *told], key=lambda step: step.at)


def _of_refund(refund: Refund) -> dict[str, Any]:
    return {
        "fen": refund.fen, "number": refund.out_request_no, "way": refund.way, "code": refund.sub_code, "elsewhere": refund.elsewhere,
        "public_id": refund.public_id,
    }  # fmt: skip


def _failed_at(refund: Refund) -> datetime:
    query = select(PaymentCall.answered_at).where(
        PaymentCall.kind == "refund", PaymentCall.subject_id == refund.id, PaymentCall.outcome == "refused"
    )
    return db.session.scalar(query.order_by(PaymentCall.id.desc()).limit(1)) or refund.approved_at


def _matched(payment: Payment) -> tuple[list[Step], list[tuple[str, list[int]]]]:
    """Of what was paid over the bank: the receipt, who matched it and what became of a wish to undo that; and the sources of their entries."""
    if payment.channel != CHANNEL:
        return [], []
    query = (
        select(BankMatch, BankReceipt, Person.name_zh)
        .join(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .join(Person, Person.id == BankMatch.confirmed_by_id)
        .where(BankMatch.payable_kind == "payment", BankMatch.payable_id == payment.id)
    )
    found = db.session.execute(query).one_or_none()
    if found is None:
        return [], []
    match, receipt, who = found
    steps = [
        Step(clock.beijing_midnight(receipt.received_on), "received", {"fen": receipt.fen, "who": receipt.payer_name, "number": number_of(receipt.serial)}),
        Step(match.confirmed_at, "matched", {"fen": match.fen, "who": who}),
    ]
    asker, decider = aliased(Person), aliased(Person)
    undos = (
        select(MatchUndo, asker.name_zh, decider.name_zh)
        .join(asker, asker.id == MatchUndo.asked_by_id)
        .outerjoin(decider, decider.id == MatchUndo.decided_by_id)
        .where(MatchUndo.match_id == match.id)
        .order_by(MatchUndo.id)
    )
    numbers = []
    for undo, asked_by, decided_by in db.session.execute(undos):
        numbers.append(undo.id)
        steps.append(Step(undo.asked_at, "undo_asked", {"who": asked_by, "why": undo.reason}))
        if undo.decided_at is not None:
            steps.append(Step(undo.decided_at, "undo_done" if undo.state == "APPROVED" else "undo_refused", {"who": decided_by, "why": undo.answer}))
    return steps, [("bank_receipt", [receipt.id]), ("bank_match", [match.id]), ("match_undo", numbers)]


def _calls(payment: Payment, refunds: Sequence[Refund]) -> list[Step]:
    about = [(PaymentCall.kind.in_(OF_PAYMENT)) & (PaymentCall.subject_id == payment.id)]
    if refunds:
        about.append((PaymentCall.kind.in_((SEND, ASK))) & (PaymentCall.subject_id.in_([each.id for each in refunds])))
    if payment.channel == "stripe":
        told = select(AlipayNotice.id).where(AlipayNotice.out_trade_no.in_([payment.out_trade_no, *(each.out_request_no for each in refunds)]))
        about.append(PaymentCall.kind.in_(EVENTS.values()) & PaymentCall.subject_id.in_(told))
    calls = db.session.scalars(select(PaymentCall).where(or_(*about)).order_by(PaymentCall.id))
    return [
        Step(
            each.made_at,
            "call_event" if each.kind in EVENTS.values() else f"call_{each.kind}",
            {"number": each.request_no, "outcome": each.outcome, "code": (each.answer or {}).get("sub_code", ""), "answered_at": each.answered_at},
        )
        for each in calls
    ]


def _notices(payment: Payment) -> list[Step]:
    query = select(AlipayNotice).where(AlipayNotice.out_trade_no == payment.out_trade_no).order_by(AlipayNotice.id)
    return [
        Step(each.received_at, "notice", {"status": each.trade_status, "fen": each.total_fen, "outcome": each.outcome})
        for each in db.session.scalars(query)
    ]


def _billed(payment: Payment) -> list[Step]:
    query = select(ImportedRow).where(
        ImportedRow.organisation_id == payment.organisation_id, ImportedRow.out_trade_no == payment.out_trade_no
    )
    return [
        Step(each.finished_at, f"billed_{each.kind}", {"fen": each.fen, "fee_fen": each.fee_fen, "number": each.out_request_no})
        for each in db.session.scalars(query.order_by(ImportedRow.id))
    ]


def _entries(payment: Payment, refunds: Sequence[Refund], decisions: Sequence[int], of_match: Sequence[tuple[str, list[int]]]) -> list[Step]:
    rows_ = select(ImportedRow.id).where(
        ImportedRow.organisation_id == payment.organisation_id, ImportedRow.out_trade_no == payment.out_trade_no
    )
    told = select(AlipayNotice.id).where(AlipayNotice.out_trade_no == payment.out_trade_no, AlipayNotice.outcome == "disputed")
    lost = select(RefundLoss.id).where(RefundLoss.refund_id.in_([each.id for each in refunds]))
    return entries_of((("payment", [payment.id]), ("refund", [each.id for each in refunds]), ("refund_loss", lost), ("row_decision", list(decisions)), ("alipay_notice", told), ("alipay_bill_row", rows_), *of_match))


def entries_of(sources: Sequence[tuple[str, Select[int] | Sequence[int]]]) -> list[Step]:
    """The entries that these sources (type, ids) caused, each a step with its lines, in one statement."""
    its = [(JournalEntry.source_type == kind) & (JournalEntry.source_id.in_(ids)) for kind, ids in sources if not isinstance(ids, list) or ids]
    query = (
        select(JournalEntry.id, JournalEntry.kind, JournalEntry.posted_at, Account.kind, Account.owner_ref, JournalLine.fen)
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(or_(*its))
        .order_by(JournalEntry.id, JournalLine.line_no)
    )
    entries: dict[int, Step] = {}
    for entry_id, kind, at, account, owner, fen in db.session.execute(query):
        known = entries.get(entry_id)
        lines = [*(known.lines if known else ()), (account, owner, fen)]
        entries[entry_id] = Step(at, "entry", {"kind": kind}, lines)
    return list(entries.values())
