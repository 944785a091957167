"""A bank statement of a cooperative and its receipts; each receipt is posted to ``unapplied`` at once and matched by a person.

A statement imported twice changes nothing: a receipt is known by its bank serial number, or by the hash of its row.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Identified, Model, Public


class BankStatement(Public, Model):
    """One imported file."""

    __tablename__ = "bank_statement"
    __table_args__ = (UniqueConstraint("organisation_id", "sha256"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    imported_at: Mapped[datetime]
    imported_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    rows: Mapped[int]
    new_rows: Mapped[int]


class BankReceipt(Public, Model):
    """A credit on the cooperative's account. What is matched never passes what came."""

    __tablename__ = "bank_receipt"
    __table_args__ = (
        UniqueConstraint("organisation_id", "serial"),
        CheckConstraint("fen > 0 AND matched_fen >= 0 AND matched_fen <= fen", name="fen"),
        CheckConstraint("state IN ('imported','partial','matched','over','unmatched','returned','unrelated')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("bank_statement.id"), index=True)
    serial: Mapped[str] = mapped_column(String(80))
    received_on: Mapped[date]
    fen: Mapped[int]
    matched_fen: Mapped[int] = mapped_column(default=0)
    payer_name: Mapped[str] = mapped_column(String(120))
    payer_account_sealed: Mapped[str] = sealed_column(default="")
    payer_account = Sealed()
    remark: Mapped[str] = mapped_column(String(300), default="")
    state: Mapped[str] = mapped_column(String(12), default="imported")


class BankMatch(Identified, Model):
    """A person's decision that a part of a receipt pays a payable (an order)."""

    __tablename__ = "bank_match"
    __table_args__ = (CheckConstraint("fen > 0", name="fen"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    receipt_id: Mapped[int] = mapped_column(ForeignKey("bank_receipt.id"), index=True)
    payable_kind: Mapped[str] = mapped_column(String(20))
    payable_id: Mapped[int] = mapped_column(index=True)
    fen: Mapped[int]
    confirmed_at: Mapped[datetime]
    confirmed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    proposal: Mapped[str] = mapped_column(String(200), default="")  # codes of why it was proposed
