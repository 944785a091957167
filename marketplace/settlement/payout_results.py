"""The bank's results file of a payout batch (回盘): kept as it came, looked at line by line, and only then applied.

One file of a batch is one row, however often it is sent; what it says is applied at most once.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.database import Model, Public, db, locked, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.settlement import payout_batch, payout_import
from marketplace.settlement.payout_import import Changed
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem


class PayoutResults(Public, Model):
    """A results file that was received; ``applied_at`` is None while nobody has applied it."""

    __tablename__ = "payout_results"
    __table_args__ = (
        UniqueConstraint("batch_id", "sha256"),
        CheckConstraint("(applied_at IS NULL) = (applied_by_id IS NULL)", name="applied"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"), index=True)
    file_id: Mapped[int] = mapped_column(ForeignKey("stored_file.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    lines: Mapped[int]
    received_at: Mapped[datetime]
    received_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    applied_at: Mapped[datetime | None]
    applied_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


@dataclass(frozen=True)
class Line:
    """One line and what it would change: "paid", "returned", "refused", "" (known already) or "contradiction"."""

    item: PayoutItem
    outcome: str
    reason: str
    change: str


@dataclass(frozen=True)
class Looked:
    """A results file as it is looked at: number and fen of lines by what they change, and the first lines, those that change first."""

    total: int
    counts: dict[str, tuple[int, int]]
    lines: list[Line]


def receive(batch_id: int, content: bytes, *, name: str, actor: Actor) -> PayoutResults:
    """Keep a results file after reading every line of it; nothing is applied. The same file again is the same row.

    Raises InvalidInput as ``payout_file.read_results``, Conflict ``payout.state``.
    """
    batch = _batch_of(batch_id, actor)
    batch.must_be("SENT", "DONE")
    _standing, results = payout_import.read(batch, content)
    file = files.store(content, name=name or f"{batch.number}.csv", media_type="text/csv", organisation_id=batch.organisation_id)
    known = select(PayoutResults).where(PayoutResults.batch_id == batch.id, PayoutResults.sha256 == file.sha256)
    row = db.session.scalars(known).one_or_none()
    if row is None:
        row = PayoutResults(
            organisation_id=batch.organisation_id, batch_id=batch.id, file_id=file.id, sha256=file.sha256, lines=len(results),
            received_at=clock.now(), received_by_id=actor.person_id,
        )  # fmt: skip
        db.session.add(row)
        db.session.flush()
        audit.record("payout.results_received", row, person_id=actor.person_id, sha256=row.sha256, lines=row.lines)
        db.session.flush()
    return row


def looked_at(row: PayoutResults, most: int) -> Looked:
    """What each line of the file would change now; at most ``most`` lines with their items."""
    batch = db.session.get_one(PayoutBatch, row.batch_id)
    standing, results = payout_import.read(batch, _content(row))
    first = sorted(results, key=lambda each: not standing.change(each))[:most]
    query = select(PayoutItem).where(PayoutItem.batch_id == batch.id, PayoutItem.sequence.in_([each.sequence for each in first]))
    items = {item.sequence: item for item in db.session.scalars(query)}
    lines = [Line(items[each.sequence], each.outcome, each.reason, standing.change(each)) for each in first]
    return Looked(len(results), payout_import.counted(standing, results), lines)


def apply(results_id: int, *, actor: Actor) -> Changed:
    """Apply a received file; how many items changed. Raises Conflict ``results.applied``, else as ``payout_batch.import_results``."""
    row = db.session.get(PayoutResults, results_id)
    if row is None:
        raise not_found(PayoutResults)
    _batch_of(row.batch_id, actor)
    row = locked(PayoutResults, results_id)
    if row.applied_at is not None:
        raise Conflict("results.applied", N_("这份回盘已经导入过了，没有再记一次。"))
    changed = payout_batch.import_results(row.batch_id, _content(row), actor=actor)
    row.applied_at, row.applied_by_id = clock.now(), actor.person_id
    db.session.flush()
    return changed


def _batch_of(batch_id: int, actor: Actor) -> PayoutBatch:
    batch = locked(PayoutBatch, batch_id)
    actor.must_have("COOPERATIVE", "accountant", "director")
    if actor.organisation_id != batch.organisation_id:
        raise not_found(PayoutBatch)
    return batch


def _content(row: PayoutResults) -> bytes:
    return db.session.get_one(files.StoredFile, row.file_id).read()
