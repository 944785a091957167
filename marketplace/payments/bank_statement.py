"""A bank statement of a cooperative: received as a file, looked at row by row, and only then taken into the books.

Each credit that nobody waited for is a receipt, posted to ``unapplied`` at once and matched by a person. A statement taken twice, or
one that overlaps another, changes nothing: a row is known again by what ``bank_known`` says.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Identified, Model, Public, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.payments import bank_file, bank_known, bank_reading, statement_row
from marketplace.payments.bank_known import Recognised
from marketplace.payments.bank_rows import BadRow, Reading, Row, number_of
from marketplace.payments.statement_row import Arrived, Seen, StatementRow


class BankStatement(Public, Model):
    """One file. ``taken_at`` is None while somebody only looks at it; days and balances are the bank's, as far as the file tells."""

    __tablename__ = "bank_statement"
    __table_args__ = (UniqueConstraint("organisation_id", "sha256"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    imported_at: Mapped[datetime]
    imported_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    rows: Mapped[int]
    new_rows: Mapped[int]
    taken_at: Mapped[datetime | None]
    first_day: Mapped[date | None]
    last_day: Mapped[date | None]
    opening_fen: Mapped[int | None]
    closing_fen: Mapped[int | None]
    confirmed_at: Mapped[datetime | None]  # a second person found the same in the online banking (``bank_proof``)
    confirmed_by_id: Mapped[int | None]  # a person's


class BankReceipt(Public, Model):
    """A credit on the cooperative's account. What is matched, and what goes back to its payer, never passes what came."""

    __tablename__ = "bank_receipt"
    __table_args__ = (
        UniqueConstraint("organisation_id", "serial"),
        CheckConstraint("fen > 0 AND matched_fen >= 0 AND matched_fen <= fen", name="fen"),
        CheckConstraint("returned_fen >= 0 AND matched_fen + returned_fen <= fen", name="returned"),
        CheckConstraint("state IN ('imported','partial','matched','returned','unrelated')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("bank_statement.id"), index=True)
    serial: Mapped[str] = mapped_column(String(80))
    received_on: Mapped[date]
    fen: Mapped[int]
    matched_fen: Mapped[int] = mapped_column(default=0)
    returned_fen: Mapped[int] = mapped_column(default=0, server_default="0")  # agreed to go back to its payer
    payer_name: Mapped[str] = mapped_column(String(120))
    payer_account_sealed: Mapped[str] = sealed_column(default="")
    payer_account = Sealed()
    remark: Mapped[str] = mapped_column(String(300), default="")
    state: Mapped[str] = mapped_column(String(12), default="imported")

    @property
    def left_fen(self) -> int:
        """What waits to be matched or given back."""
        return self.fen - self.matched_fen - self.returned_fen

    def settle_state(self) -> None:
        """The state that follows from what is matched and given back."""
        if self.left_fen:
            self.state = "partial" if self.matched_fen or self.returned_fen else "imported"
        else:
            self.state = "matched" if self.matched_fen else "returned"


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
    """What came of taking a file: ``rows`` in it, ``new`` receipts of ``new_fen``, ``known`` rows, new ``debits``, ``arrivals`` of
    the cooperative's own money, and ``bad`` ones that were left out."""

    statement_id: int
    rows: int
    new: int
    new_fen: int
    known: int
    debits: int
    arrivals: int = 0
    bad: list[BadRow] = field(default_factory=list)


@dataclass(frozen=True)
class Look:
    """A file as it would be taken now: each row with what becomes of it (receipt, arrival, debit, known, altered), and ``gap_fen``
    by which it does not follow the statement before it (None: it does, or nobody can tell)."""

    reading: Reading
    outcomes: Sequence[tuple[Row, str]]
    gap_fen: int | None = None

    def of(self, outcome: str) -> list[Row]:
        return [row for row, what in self.outcomes if what == outcome]

    @property
    def altered(self) -> list[Row]:
        return self.of("altered")


class Altered(Conflict):
    """A row that is known stands in this file with another amount or day: the file, or the one before, is not what the bank wrote."""


def import_csv(content: bytes, *, actor: Actor, name: str = "statement.csv") -> Imported:
    """Receive a file and take it at once, as a program does. Raises as ``receive`` and ``take``."""
    return take(receive(content, actor=actor, name=name).id, actor=actor)


def receive(content: bytes, *, actor: Actor, name: str = "statement.csv") -> BankStatement:
    """Keep a file of the bank; nothing is posted. The same file again is the same row. Raises InvalidInput as ``bank_file.lines``."""
    actor.must_have("COOPERATIVE", "accountant")
    lines = bank_file.lines(content)
    digest = hashlib.sha256(content).hexdigest()
    query = select(BankStatement).where(BankStatement.organisation_id == actor.organisation_id, BankStatement.sha256 == digest)
    row = db.session.scalars(query).one_or_none()
    if row is not None:
        return row
    # Pressed twice, the second waits here until the first one's file is there.
    locked(Organisation, actor.organisation_id)
    row = db.session.scalars(query).one_or_none()
    if row is not None:
        return row
    kept = files.store(content, name=name, media_type=bank_file.media_type(content), organisation_id=actor.organisation_id, sensitivity="PERSONAL")
    row = BankStatement(
        organisation_id=actor.organisation_id, file_id=kept.id, sha256=digest, imported_at=clock.now(), imported_by_id=actor.person_id,
        rows=len(lines), new_rows=0,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    return row


def content_of(statement: BankStatement) -> bytes:
    """The file as it came. OutsideFailure ``file.damaged`` if it is not what was received."""
    return db.session.get_one(files.StoredFile, statement.file_id).read()


def look(statement: BankStatement) -> Look:
    """What taking the file would do, row by row; changes nothing.

    Raises UnknownLayout, InvalidInput ``statement.chain``, ``statement.account`` if it is another account's.
    """
    reading = bank_reading.read(content_of(statement), statement.organisation_id)
    _must_be_ours(reading, statement.organisation_id)
    seen = bank_known.recognise(statement.organisation_id, reading.rows)
    expecting = [each.expecting(statement.organisation_id) for each in statement_row.arrivals]
    outcomes = [(each.row, _outcome(each, expecting)) for each in seen]
    return Look(reading, outcomes, _gap(statement.organisation_id, seen[0]) if seen else None)


def take(statement_id: int, *, actor: Actor) -> Imported:
    """Take a received file into the books: every row is kept, each credit that nobody waited for is posted, bank to unapplied.

    Rows that cannot be read are reported, the others taken. Raises as ``look``, NotFound for another's, Altered if a known row changed.
    """
    statement = own_row(BankStatement, statement_id, actor, "accountant")
    # Two imports at once wait for each other here, so that a row of both is new in one of them only.
    locked(Organisation, actor.organisation_id)
    seen = look(statement)
    if seen.altered:
        first = seen.altered[0]
        raise Altered(
            "statement.altered",
            N_(
                "第 %(line)s 行（流水号 %(serial)s）以前导入过，金额或日期却不一样，没有导入。"
                "请从网银重新下载，不要改动文件；如果这家银行的流水号会重复使用，可以不读流水号这一列。"
            ),
            field="file", line=first.line, serial=number_of(first.serial)[:30],
        )  # fmt: skip
    new = [(row, what) for row, what in seen.outcomes if what != "known"]
    receipts = [_take_row(statement, row, what) for row, what in new]
    reading = seen.reading
    if statement.taken_at is None:
        statement.taken_at, statement.rows = clock.now(), reading.count
        statement.opening_fen, statement.closing_fen = reading.opening_fen, reading.closing_fen
        if reading.rows:
            statement.first_day, statement.last_day = reading.rows[0].day, reading.rows[-1].day
    statement.new_rows += len(new)
    db.session.flush()
    if new:
        audit.record("bank_statement.imported", statement, person_id=actor.person_id, new=len(new), bad=len(reading.bad))
    made = [row for row in receipts if row is not None]
    arrivals = sum(row.fen > 0 for row, _what in new) - len(made)
    return Imported(
        statement.id, reading.count, len(made), sum(row.fen for row in made), len(seen.of("known")), len(seen.of("debit")), arrivals, reading.bad
    )


def _must_be_ours(reading: Reading, organisation_id: int) -> None:
    ours = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == organisation_id)).one().bank_account
    ours = re.sub(r"[^0-9]", "", ours or "")
    for account in (reading.account, *sorted(reading.others)):
        told = re.sub(r"[^0-9*]", "", account.replace("＊", "*"))
        begin, _stars, end = told.partition("*")
        end = end.rpartition("*")[2]
        fits = ours == told if "*" not in told else ours.startswith(begin) and ours.endswith(end)
        if ours and told.strip("*") and not fits:
            raise InvalidInput(
                "statement.account", N_("这份流水是尾号 %(told)s 的账户的，合作社的收款账户尾号是 %(ours)s。没有导入。"),
                field="file", told=told[-4:], ours=ours[-4:],
            )  # fmt: skip


def _outcome(seen: Recognised, expecting: Sequence[Callable[[Seen], Arrived | None]]) -> str:
    if seen.known or seen.altered:
        return "known" if seen.known else "altered"
    if seen.row.fen < 0:
        return "debit"
    return "arrival" if any(find(seen.row) is not None for find in expecting) else "receipt"


def _gap(organisation_id: int, seen: Recognised) -> int | None:
    first = seen.row
    if first.balance_fen is None or seen.known or seen.altered:
        return None
    query = select(StatementRow.balance_fen).where(
        StatementRow.organisation_id == organisation_id, StatementRow.side == "bank", StatementRow.day <= first.day
    )
    before = db.session.scalar(query.order_by(StatementRow.day.desc(), StatementRow.id.desc()).limit(1))
    return None if before is None or before == first.balance_fen - first.fen else first.balance_fen - first.fen - before


def _take_row(statement: BankStatement, row: Row, what: str) -> BankReceipt | None:
    kept = StatementRow(
        organisation_id=statement.organisation_id, side="bank", statement_id=statement.id, serial=row.serial, day=row.day, fen=row.fen,
        balance_fen=row.balance_fen, name=row.name, remark=row.remark,
    )  # fmt: skip
    kept.account = row.account
    db.session.add(kept)
    db.session.flush()
    if what == "debit":
        return None
    for each in statement_row.arrivals if what == "arrival" else ():
        # Asked again: of two alike rows of one file only the first may be the one that was waited for.
        arrived = each.expecting(kept.organisation_id)(kept)
        if arrived is not None:
            entry_id = arrived(kept)
            if entry_id is not None:
                statement_row.link(kept, entry_id, kept.fen)
            return None
    receipt = _receive(statement, row)
    entry_id = event.bank_received(
        book=receipt.organisation_id, source=Source("bank_receipt", receipt.id), fen=receipt.fen, at=clock.beijing_midnight(receipt.received_on)
    )
    statement_row.link(kept, entry_id, kept.fen)
    return receipt


def received_after_all(row: StatementRow) -> int:
    """A credit that was held to be somebody else's is a buyer's: it becomes a receipt (again); the entry that it is posted by."""
    query = select(BankReceipt).where(BankReceipt.organisation_id == row.organisation_id, BankReceipt.serial == row.serial)
    receipt = db.session.scalars(query).one_or_none()
    if receipt is None:
        receipt = _receive(db.session.get_one(BankStatement, row.statement_id), row)
    receipt.state = "imported"
    seq = len(of_source("bank_receipt", receipt.id, "bank_received"))
    at = clock.beijing_midnight(receipt.received_on)
    return event.bank_received(book=receipt.organisation_id, source=Source("bank_receipt", receipt.id, seq), fen=receipt.fen, at=at)


def _receive(statement: BankStatement, row: Row | StatementRow) -> BankReceipt:
    made = BankReceipt(
        organisation_id=statement.organisation_id,
        statement_id=statement.id,
        serial=row.serial,
        received_on=row.day,
        fen=row.fen,
        matched_fen=0,
        returned_fen=0,
        payer_name=row.name,
        remark=row.remark,
        state="imported",
    )
    made.payer_account = row.account
    db.session.add(made)
    db.session.flush()
    return made
