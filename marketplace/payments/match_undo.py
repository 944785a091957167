"""Undoing a match: the accountant says which receipt was put to the wrong order and why, the director agrees. Nothing is deleted.

The receipt is open again, the order owes again. Before the settlement, which waits for the director's word, the entry is reversed. What
was divided stays divided, and nobody is asked for a share of it: the unit owes the cooperative, as a receivable that divides nothing any more.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Select, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import event, posting
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.payments.bank_match import desks
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment, cancel


class MatchUndo(Public, Versioned, Model):
    """OPEN → APPROVED (the match is undone) or RETURNED (it stands)."""

    __tablename__ = "match_undo"
    __table_args__ = (
        CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name="state"),
        CheckConstraint("decided_by_id IS NULL OR decided_by_id <> asked_by_id", name="two_people"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    match_id: Mapped[int] = mapped_column(ForeignKey("bank_match.id"), index=True)
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(String(300), default="")


def ask(match_id: int, reason: str, *, actor: Actor) -> MatchUndo:
    """The accountant asks that a match be undone. Raises NotFound for another cooperative's, InvalidInput ``reason.missing``,
    Conflict ``match.undone``, ``undo.open``, and as the order's desk does if it is too late."""
    actor.must_have("COOPERATIVE", "accountant")
    match = _held(match_id, actor)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么要撤销这笔核销，300 字以内。"), field="reason")
    if open_of(match.id) is not None:
        raise Conflict("undo.open", N_("已经有一份撤销申请在等理事长同意。"))
    payment = _payment(match)
    desks[payment.payable_kind].may_give_up(payment)
    row = MatchUndo(
        organisation_id=match.organisation_id,
        match_id=match.id,
        reason=reason.strip(),
        state="OPEN",
        asked_at=clock.now(),
        asked_by_id=actor.person_id,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("match_undo.asked", row, person_id=actor.person_id, match_id=match.id, fen=match.fen)
    return row


def decide(undo_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> MatchUndo:
    """The director agrees, and the match is undone; or it stands, with a reason. OwnWork if one person is both."""
    row = own_row(MatchUndo, undo_id, actor, "director")
    if row.state != "OPEN":
        raise Conflict("undo.state", N_("这份撤销申请已经办过了。"), state=row.state)
    row.must_be_version(version)
    approval.decide(row, maker_id=row.asked_by_id, actor=actor, version=version, approved=approved, reason=reason)
    row.state = "APPROVED" if approved else "RETURNED"
    row.decided_at, row.decided_by_id, row.answer = clock.now(), actor.person_id, reason.strip()[:300]
    if approved:
        _undo(row, actor)
    db.session.flush()
    return row


def asked_of_orders(order_ids: Sequence[int] | None = None) -> Select[int]:
    """Select of the orders (of these, if named) of which a match may be undone: it waits for the director, and the settlement for it."""
    query = (
        select(Payment.payable_id)
        .join(BankMatch, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id))
        .join(MatchUndo, MatchUndo.match_id == BankMatch.id)
        .where(Payment.payable_kind == "order", MatchUndo.state == "OPEN")
    )
    return query if order_ids is None else query.where(Payment.payable_id.in_(order_ids))


def open_of(match_id: int) -> MatchUndo | None:
    """The request that waits for the director, if there is one."""
    return db.session.scalars(select(MatchUndo).where(MatchUndo.match_id == match_id, MatchUndo.state == "OPEN")).one_or_none()


def _undo(row: MatchUndo, actor: Actor) -> None:
    match = _held(row.match_id, actor)
    receipt = locked(BankReceipt, match.receipt_id)
    payment = _payment(match)
    owed = desks[payment.payable_kind].give_up(payment)
    entry = db.session.execute(
        select(JournalEntry.id, JournalEntry.kind).where(
            JournalEntry.source_type == "bank_match", JournalEntry.source_id == match.id, JournalEntry.kind != "reversed"
        )
    ).one()
    if owed == "divided" and entry.kind != "matched_divided":
        event.divided_unpaid(book=match.organisation_id, source=Source("match_undo", row.id), fen=match.fen)
    else:
        posting.reverse(entry.id, source=Source("bank_match", match.id))
    if owed == "on credit" and entry.kind == "matched_prepaid":
        # Paid before the acceptance, which therefore made no receivable of it: now it is one.
        event.accepted_on_credit(book=match.organisation_id, source=Source("match_undo", row.id), fen=match.fen)
    cancel(payment)
    match.undone_at = clock.now()
    receipt.matched_fen -= match.fen
    receipt.settle_state()
    db.session.flush()
    audit.record("bank_receipt.unmatched", match, person_id=actor.person_id, receipt_id=receipt.id, payment_id=payment.id, fen=match.fen)


def _held(match_id: int, actor: Actor) -> BankMatch:
    match = locked(BankMatch, match_id)
    if match.organisation_id != actor.organisation_id:
        raise not_found(BankMatch)
    if match.undone_at is not None:
        raise Conflict("match.undone", N_("这笔核销已经撤销过了。"))
    return match


def _payment(match: BankMatch) -> Payment:
    payment = locked(Payment, match.payable_id)
    if payment.refunded_fen:
        left = payment.amount_fen - payment.refunded_fen
        if not left:
            raise Conflict("match.refunded", N_("这笔钱已经全部退给付款人，不用再撤销核销。"))
        raise Conflict(
            "match.refunded", N_("这笔钱已经退过 %(gone)s 元，不能再撤销核销。核错了的，请把没有退的 %(left)s 元也退给付款人，请对方照对的单再付。"),
            gone=format_yuan(payment.refunded_fen), left=format_yuan(left), left_fen=left,
        )  # fmt: skip
    return payment
