"""A bank statement of a cooperative and its receipts; each receipt is posted to ``unapplied`` at once and matched by a person.

A statement imported twice changes nothing: a receipt is known by its bank serial number, or by the hash of its row.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Identified, Model, Public, db, locked
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bank_layout
from marketplace.payments.bank_layout import BadRow, Credit


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
    """A person's decision that a part of a receipt pays a payable: ``payment``, and by it an order."""

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
    undone_at: Mapped[datetime | None]  # a match that was undone counts no more


@dataclass(frozen=True)
class Imported:
    """What came of an import: ``rows`` in the file, ``new`` receipts of ``new_fen``, ``known`` ones, ``debits`` left out, ``bad`` ones."""

    statement_id: int
    rows: int
    new: int
    new_fen: int
    known: int
    debits: int
    bad: list[BadRow] = field(default_factory=list)


def import_csv(content: bytes, *, actor: Actor, name: str = "statement.csv") -> Imported:
    """Take a statement of the actor's cooperative in. Each new credit is posted at once: bank to unapplied.

    The same file, or the same row in another file, changes nothing. Rows that cannot be read are reported, the others taken.
    Raises InvalidInput ``statement.encoding``, ``statement.header``, ``file.large``.
    """
    actor.must_have("COOPERATIVE", "accountant")
    if not content.strip():
        raise InvalidInput("statement.empty", N_("文件是空的。"), field="file")
    reading = bank_layout.read(content)
    # Two imports at once wait for each other here, so that a row of both is new in one of them only.
    locked(Organisation, actor.organisation_id)
    statement = _statement(content, name, reading.rows, actor)
    known = _known(actor.organisation_id, [credit.serial for credit in reading.credits])
    new: list[BankReceipt] = []
    bad = list(reading.bad)
    repeated = 0
    for credit in reading.credits:
        before = known.get(credit.serial)
        if before is None:
            new.append(_receive(statement, credit))
        elif (before.fen, before.received_on) == (credit.fen, credit.received_on):
            repeated += 1
        else:
            bad.append(BadRow(credit.line, "serial.other", f"{credit.serial} {credit.received_on} {credit.fen}"))
    statement.new_rows += len(new)
    db.session.flush()
    if new:
        audit.record("bank_statement.imported", statement, person_id=actor.person_id, new=len(new), bad=len(bad))
    return Imported(
        statement.id, reading.rows, len(new), sum(row.fen for row in new), repeated, reading.debits, sorted(bad, key=lambda b: b.line)
    )


def _statement(content: bytes, name: str, rows: int, actor: Actor) -> BankStatement:
    digest = hashlib.sha256(content).hexdigest()
    query = select(BankStatement).where(BankStatement.organisation_id == actor.organisation_id, BankStatement.sha256 == digest)
    row = db.session.scalars(query).one_or_none()
    if row is None:
        kept = files.store(
            content, name=name[:200], media_type="text/csv", organisation_id=actor.organisation_id, sensitivity="PERSONAL"
        )
        row = BankStatement(
            organisation_id=actor.organisation_id,
            file_id=kept.id,
            sha256=digest,
            imported_at=clock.now(),
            imported_by_id=actor.person_id,
            rows=rows,
            new_rows=0,
        )
        db.session.add(row)
        db.session.flush()
    return row


def _known(organisation_id: int, serials: list[str]) -> dict[str, BankReceipt]:
    known = {}
    for i in range(0, len(serials), 500):
        query = select(BankReceipt).where(
            BankReceipt.organisation_id == organisation_id, BankReceipt.serial.in_(serials[i : i + 500])
        )
        known.update({row.serial: row for row in db.session.scalars(query)})
    return known


def _receive(statement: BankStatement, credit: Credit) -> BankReceipt:
    row = BankReceipt(
        organisation_id=statement.organisation_id,
        statement_id=statement.id,
        serial=credit.serial,
        received_on=credit.received_on,
        fen=credit.fen,
        matched_fen=0,
        payer_name=credit.payer_name,
        remark=credit.remark,
        state="imported",
    )
    row.payer_account = credit.payer_account
    db.session.add(row)
    db.session.flush()
    event.bank_received(
        book=row.organisation_id,
        source=Source("bank_receipt", row.id),
        fen=row.fen,
        at=clock.beijing_midnight(row.received_on),
    )
    return row
