"""Payout (代发): a distribution's money on its way to households' bank accounts, as a bank's batch file.

Made by the accountant, checked by the director; frozen by hash at approval; results imported; a returned item is issued again
under a new number linked to the old.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, Versioned

BATCH_STATES = ("DRAFT", "APPROVED", "SENT", "DONE", "CANCELLED")
ITEM_STATES = ("draft", "approved", "sent", "unknown", "paid", "returned", "reissued")


class PayoutBatch(Public, Versioned, Model):
    """A file for the bank. ``number`` is ours and unique for ever."""

    __tablename__ = "payout_batch"
    __table_args__ = (
        CheckConstraint("state IN ('DRAFT','APPROVED','SENT','DONE','CANCELLED')", name="state"),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> made_by_id", name="two_people"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    distribution_id: Mapped[int] = mapped_column(ForeignKey("distribution.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    state: Mapped[str] = mapped_column(String(10), default="DRAFT")
    total_fen: Mapped[int]
    items: Mapped[int]
    file_id: Mapped[int | None] = mapped_column(ForeignKey("stored_file.id"))
    sha256: Mapped[str | None] = mapped_column(String(64))
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    sent_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    reissue_of_id: Mapped[int | None] = mapped_column(ForeignKey("payout_batch.id"))


class PayoutItem(Public, Model):
    """One household's money in a batch, to the account it had when the batch was made."""

    __tablename__ = "payout_item"
    __table_args__ = (
        UniqueConstraint("batch_id", "sequence"),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('draft','approved','sent','unknown','paid','returned','reissued')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"), index=True)
    sequence: Mapped[int]
    household_id: Mapped[int] = mapped_column(ForeignKey("household.id"), index=True)
    fen: Mapped[int]
    bank_name: Mapped[str] = mapped_column(String(80))
    bank_account_sealed: Mapped[str] = sealed_column()
    bank_account = Sealed()
    account_last4: Mapped[str] = mapped_column(String(4))
    state: Mapped[str] = mapped_column(String(10), default="draft")
    reason: Mapped[str] = mapped_column(String(120), default="")  # of a return, in the bank's words
    paid_at: Mapped[datetime | None]
    reissue_of_id: Mapped[int | None] = mapped_column(ForeignKey("payout_item.id"))
