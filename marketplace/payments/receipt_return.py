"""Money of a receipt that goes back to its payer: paid too much, too late, or for somebody else. Two people, then a transfer.

The accountant says how much and to whom, the director agrees, the accountant transfers it in the online banking and records the
bank's number. From the agreement on it is promised: unapplied becomes refunds_payable. Until it is transferred, the two may take it back again
(a wrong account, a wrong payer). What the bank sends back after the transfer comes as a receipt of its own, and is returned anew.
"""

from datetime import date

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, db, locked, new_public_id
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import event, posting
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.payments import bank_proof, bank_transfer
from marketplace.payments.bank_statement import BankReceipt


class ReceiptReturn(Proposal, Model):
    """PROPOSED → APPROVED → PAID, or REFUSED, or taken back before it was transferred: WITHDRAWN. ``number`` is ours, for the transfer's remark;
    ``reference`` the bank's. Somebody asked to take it back and waits for the director while ``recalled_by_id`` is on an approved one."""

    __tablename__ = "receipt_return"
    not_now = ("return.state", N_("这笔退回已经办过这一步了。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','PAID','REFUSED','WITHDRAWN')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        CheckConstraint("fen > 0", name="fen"),
        UniqueConstraint("organisation_id", "reference"),
    )

    receipt_id: Mapped[int] = mapped_column(ForeignKey("bank_receipt.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    payee_name: Mapped[str] = mapped_column(String(120))
    payee_account_sealed: Mapped[str] = sealed_column()
    payee_account = Sealed()
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")
    reference: Mapped[str | None] = mapped_column(String(40))
    paid_on: Mapped[date | None]
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    recalled_by_id: Mapped[int | None]  # a person's
    recall_reason: Mapped[str] = mapped_column(String(300), default="", server_default="")


def to_another(row: ReceiptReturn, receipt: BankReceipt) -> bool:
    """Whether the money goes elsewhere than where the bank says it came from, by account or by name, or the bank says no account."""
    bare = [(name.strip(), "".join(account.split()).upper()) for name, account in ((row.payee_name, row.payee_account), (receipt.payer_name, receipt.payer_account))]
    return bare[0] != bare[1] or not bare[1][1]


def propose(receipt_id: int, fen: int, reason: str, *, payee_name: str = "", payee_account: str = "", actor: Actor) -> ReceiptReturn:
    """Ask that ``fen`` of a receipt go back, to the account it came from unless another is named. By the accountant.

    Raises NotFound for another's, InvalidInput ``return.fen``, ``reason.missing``, ``return.payee``; Conflict ``return.left`` beyond what is
    neither matched nor proposed already.
    """
    receipt = own_row(BankReceipt, receipt_id, actor, "accountant")
    if fen <= 0:
        raise InvalidInput("return.fen", N_("请填写要退回的金额。"), field="amount")
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么要退回，300 字以内。"), field="reason")
    name, account = payee_name.strip() or receipt.payer_name, payee_account.strip() or receipt.payer_account
    if not name or not account.replace(" ", "").isalnum() or len(account) > 40 or len(name) > 120:
        raise InvalidInput("return.payee", N_("请填写退给谁：户名和账号。"), field="payee_account")
    waiting = select(func.coalesce(func.sum(ReceiptReturn.fen), 0)).where(ReceiptReturn.receipt_id == receipt.id, ReceiptReturn.state == "PROPOSED")
    _must_be_left(receipt, fen, receipt.left_fen - int(db.session.scalar(waiting) or 0))
    row = ReceiptReturn(
        organisation_id=receipt.organisation_id, receipt_id=receipt.id, number=f"TH{clock.business_date():%Y%m%d}-{new_public_id()[:8].upper()}",
        fen=fen, reason=reason.strip(), payee_name=name,
    )  # fmt: skip
    row.payee_account = account
    return put(row, "receipt_return.proposed", person_id=actor.person_id, receipt_id=receipt.id, fen=fen)


def decide(return_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> ReceiptReturn:
    """The director agrees, and the money is promised; or it stays where it is, with a reason. OwnWork if one person is both.

    Raises Conflict ``return.left`` if it was matched meanwhile, and as ``bank_proof.must_bear_out``: money does not leave upon a text alone.
    """
    row = own_row(ReceiptReturn, return_id, actor, "director")
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state, row.answer = "APPROVED" if approved else "REFUSED", reason.strip()[:300]
    if approved:
        receipt = locked(BankReceipt, row.receipt_id)
        bank_proof.must_bear_out(receipt)
        _must_be_left(receipt, row.fen, receipt.left_fen)
        receipt.returned_fen += row.fen
        receipt.settle_state()
        event.unapplied_refund_approved(book=row.organisation_id, source=Source("receipt_return", row.id), fen=row.fen)
    db.session.flush()
    return row


def recall(return_id: int, reason: str, *, version: int, actor: Actor) -> ReceiptReturn:
    """The accountant asks to take an agreed return back that was not transferred: a wrong account, a wrong payer.

    Raises InvalidInput ``reason.missing``, Conflict ``return.state``.
    """
    row = _agreed(return_id, version, actor)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么不退了，300 字以内。"), field="reason")
    row.recalled_by_id, row.recall_reason = actor.person_id, reason.strip()
    db.session.flush()
    audit.record("receipt_return.recalled", row, person_id=actor.person_id, fen=row.fen)
    return row


def decide_recall(return_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> ReceiptReturn:
    """The director agrees, and the money is the receipt's again, to be matched or returned to somebody else; or the return stands. OwnWork
    if one person is both."""
    row = own_row(ReceiptReturn, return_id, actor, "director")
    row.must_be("APPROVED")
    if row.recalled_by_id is None:
        raise Conflict(*row.not_now, state=row.state)
    row.must_be_version(version)
    approval.decide(row, maker_id=row.recalled_by_id, actor=actor, version=version, approved=approved, reason=reason)
    if approved:
        source = Source("receipt_return", row.id)
        entry_id = db.session.scalars(
            select(JournalEntry.id).where(
                JournalEntry.source_type == source.type, JournalEntry.source_id == row.id, JournalEntry.kind == "unapplied_refund_approved"
            )
        ).one()
        posting.reverse(entry_id, source=source)
        receipt = locked(BankReceipt, row.receipt_id)
        receipt.returned_fen -= row.fen
        receipt.settle_state()
        row.state = "WITHDRAWN"
    else:
        row.recalled_by_id = None
    row.answer = reason.strip()[:300] or row.answer
    db.session.flush()
    return row


def record_paid(return_id: int, *, reference: str, paid_on: date, version: int, actor: Actor) -> ReceiptReturn:
    """The accountant made the transfer: refunds_payable to bank. Raises InvalidInput ``transfer.reference``, ``transfer.day``,
    Conflict ``return.state``, ``transfer.used`` if the bank's number stands on another."""
    row = _agreed(return_id, version, actor)
    reference = bank_transfer.record(reference, paid_on, source=("receipt_return", row.id), agreed_at=row.decided_at, actor=actor)
    row.state, row.reference, row.paid_on, row.recorded_by_id = "PAID", reference, paid_on, actor.person_id
    event.refund_succeeded(
        book=row.organisation_id, source=Source("receipt_return", row.id), fen=row.fen, channel="bank", at=bank_transfer.moment_of(paid_on)
    )
    db.session.flush()
    audit.record("receipt_return.paid", row, person_id=actor.person_id, fen=row.fen)
    return row


def _agreed(return_id: int, version: int, actor: Actor) -> ReceiptReturn:
    """One that may be transferred now, held for the accountant."""
    row = own_row(ReceiptReturn, return_id, actor, "accountant")
    row.must_be("APPROVED")
    if row.recalled_by_id is not None:
        raise Conflict("return.recalled", N_("已经请理事长同意不退了，等答复以后再办。"))
    row.must_be_version(version)
    return row


def _must_be_left(receipt: BankReceipt, fen: int, left: int) -> None:
    if receipt.state == "unrelated" or fen > left:
        raise Conflict("return.left", N_("这笔到账最多还能退 ¥%(left)s。"), left=format_yuan(max(0, left)), left_fen=left)
