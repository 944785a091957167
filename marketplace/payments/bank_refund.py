"""A refund that leaves over the bank: to whom, who said so, and the transfer that a person made for it.

The market moves no money at a bank: it names the payee, two people agree (``orders.refund_reissue``), the accountant transfers in
the cooperative's own online banking and records the bank's number here. The statement's row proves it later.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor, own_row
from marketplace.payments import bank_transfer, bill_difference, refund_recall
from marketplace.payments import refund as refunds
from marketplace.payments.payment import Payment
from marketplace.payments.refund import DOUBTED, Refund
from marketplace.payments.refund_waiver import MADE_AGAIN


class BankRefund(Public, Model):
    """PROPOSED → APPROVED (the refund exists and waits for its transfer) → PAID, or RETURNED. No payee where the bank knows who paid.

    A wrong account is corrected by another row (``corrects_id``), until the transfer is made. What the bank sends back later comes as a
    receipt, and is returned from there.
    """

    __tablename__ = "bank_refund"
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED','PAID')", name="state"),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> proposed_by_id", name="two_people"),
        UniqueConstraint("organisation_id", "reference"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    refund_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"), unique=True)  # what the transfer pays
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("refund.id"), index=True)  # what the channel refused
    corrects_id: Mapped[int | None] = mapped_column(ForeignKey("bank_refund.id"), index=True)
    state: Mapped[str] = mapped_column(String(10))
    payee_name_sealed: Mapped[str] = sealed_column(default="")
    payee_name = Sealed()
    payee_account_sealed: Mapped[str] = sealed_column(default="")
    payee_account = Sealed()
    payee_bank: Mapped[str] = mapped_column(String(80), default="")
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(200), default="")  # why it was returned
    reference: Mapped[str | None] = mapped_column(String(40))  # the bank's number of the transfer
    paid_on: Mapped[date | None]
    recorded_at: Mapped[datetime | None]
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


def record(refund_id: int, reference: str, paid_on: date, *, actor: Actor) -> BankRefund:
    """The accountant made the transfer of an approved refund: refunds_payable to bank, once. The same reference again: the same row.

    Raises InvalidInput ``transfer.reference``, ``transfer.day``; Conflict ``transfer.other`` if it was recorded otherwise,
    ``transfer.way`` if it goes back over the channel, ``transfer.used`` if the bank's number stands for another thing, ``recall.open``.
    """
    refund = own_row(Refund, refund_id, actor, "accountant")
    if refund.way != "bank":
        raise Conflict("transfer.way", N_("这笔退款由支付宝原路退回，不用转账。"))
    row = db.session.scalars(select(BankRefund).where(BankRefund.refund_id == refund.id)).one_or_none()
    if row is not None and row.state == "PAID":
        if row.reference == reference.strip():
            return row
        raise Conflict("transfer.other", N_("这笔退款已经记过另一个流水号。"), reference=row.reference)
    refund_recall.must_be_unasked(refund.id)
    reference = bank_transfer.record(reference, paid_on, source=("refund", refund.id), agreed_at=refund.approved_at, actor=actor)
    if row is None:
        row = BankRefund(
            organisation_id=refund.organisation_id, refund_id=refund.id, proposed_at=clock.now(), proposed_by_id=actor.person_id
        )
        db.session.add(row)
    row.state, row.reference, row.paid_on = "PAID", reference, paid_on
    if refund.sub_code == DOUBTED:
        _went_twice(refund)
    row.recorded_at, row.recorded_by_id = clock.now(), actor.person_id
    db.session.flush()
    refunds.succeed(refund.id, at=bank_transfer.moment_of(paid_on))
    audit.record("refund.transferred", refund, person_id=actor.person_id, fen=refund.fen, bank_refund_id=row.id)
    return row


def drop(refund_id: int) -> None:
    """The refund was made again: nobody decides any more on a payee who was proposed for it."""
    for row in db.session.scalars(select(BankRefund).where(BankRefund.replaces_id == refund_id, BankRefund.state == "PROPOSED")):
        row.state, row.reason = "RETURNED", MADE_AGAIN
    db.session.flush()


def is_corrected(refund_id: int) -> bool:
    """Whether another payee is proposed for an agreed refund."""
    first = select(BankRefund.id).where(BankRefund.refund_id == refund_id)
    return db.session.scalar(select(BankRefund.id).where(BankRefund.corrects_id.in_(first), BankRefund.state == "PROPOSED").limit(1)) is not None


def call_off(refund_id: int, why: str) -> None:
    """The refund is not transferred after all: its payee is out of it."""
    for row in db.session.scalars(select(BankRefund).where(BankRefund.refund_id == refund_id, BankRefund.state == "APPROVED")):
        row.state, row.reason = "RETURNED", why
    db.session.flush()


def _went_twice(refund: Refund) -> None:
    """What it was to replace had left: the buyer has the money twice."""
    refund.sub_code, replaced = "", refund
    while replaced.reissues_id is not None:
        replaced = db.session.get_one(Refund, replaced.reissues_id)
    payment = db.session.get_one(Payment, refund.payment_id)
    bill_difference.found(refund.organisation_id, "TWICE", payment.out_trade_no, replaced.out_request_no, ours_fen=0, theirs_fen=-replaced.fen)
