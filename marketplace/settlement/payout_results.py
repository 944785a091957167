"""The bank's results file of a payout batch (回盘): kept as it came, looked at line by line, and only then applied.

One file of a batch is one row, however often it is sent; what it says is applied at most once.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, files
from marketplace.foundation.database import Model, Public, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.settlement import (
    payout_answer,
    payout_batch,
    payout_import,
    payout_layout,
    payout_part,
    payout_recall,
)
from marketplace.settlement.payout_answer import UnknownHeading, UnknownWords
from marketplace.settlement.payout_import import Changed
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

NAMED = 20  # payments that are not in the file, by name


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
    """One line and what it would change: one of ``payout_import.CHANGES`` ("" is known already), or ``ASKED`` of a second person."""

    item: PayoutItem
    outcome: str
    reason: str
    change: str


@dataclass(frozen=True)
class Looked:
    """A results file as it is looked at: number and fen of lines by what they change, the first lines, those that change first, and
    what waits for an answer and is not in the file: how many, and the first of them."""

    total: int
    counts: dict[str, tuple[int, int]]
    lines: list[Line]
    missing: int
    first_missing: list[PayoutItem]


@dataclass(frozen=True)
class Asked:
    """What the accountant is asked before a file can be read: ``top`` is its beginning, ``heading`` the line of its heading (0: none),
    ``places`` what its columns seem to be, ``words`` the bank's words that nobody explained, with how often they stand there."""

    top: list[tuple[int, list[str]]]
    heading: int
    places: dict[str, int]
    words: dict[str, int]


def receive(batch_id: int, content: bytes, *, name: str, actor: Actor) -> PayoutResults:
    """Keep a results file after reading every line of it; nothing is applied. The same file again is the same row.

    A file of which nobody knows the columns, or whose words nobody explained yet, is kept too: its ``lines`` are 0 until ``asked`` was
    answered. Raises InvalidInput as ``payout_answer.read``, Conflict ``payout.state``, ``results.elsewhere`` for another batch's file.
    """
    batch = _batch_of(batch_id, actor)
    payout_recall.must_be_out(batch)
    digest = hashlib.sha256(content).hexdigest()
    _must_be_nobody_elses(batch, digest)
    try:
        lines = len(payout_import.read(batch, content)[1])
    except (UnknownHeading, UnknownWords):
        lines = 0
    known = select(PayoutResults).where(PayoutResults.batch_id == batch.id, PayoutResults.sha256 == digest)
    row = db.session.scalars(known).one_or_none()
    if row is not None:
        row.lines = lines or row.lines
        return row
    file = files.store(
        content, name=name or f"{batch.number}.csv", media_type="text/csv", organisation_id=batch.organisation_id, sensitivity="PERSONAL"
    )
    row = PayoutResults(
        organisation_id=batch.organisation_id, batch_id=batch.id, file_id=file.id, sha256=file.sha256, lines=lines,
        received_at=clock.now(), received_by_id=actor.person_id,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record("payout.results_received", row, person_id=actor.person_id, sha256=row.sha256, lines=row.lines)
    db.session.flush()
    return row


def asked(row: PayoutResults, heading: int | None = None) -> Asked:
    """What a person has to say before the file can be read; ``heading``: the line that they take for it."""
    batch = db.session.get_one(PayoutBatch, row.batch_id)
    content, answer = _content(row), payout_layout.answer_of(batch)
    top, places, found = payout_answer.looked_over(content, answer)
    if heading is not None or not payout_answer.enough(places):
        found = heading if heading is not None else payout_answer.likely_heading(top)
        places = payout_answer.guess(dict(top).get(found, []))
        return Asked(top, found, places, {})
    words: dict[str, int] = {}
    try:
        payout_import.read(batch, content)
    except UnknownWords as error:
        words = error.data["words"]
    return Asked(top, found, places, words)


def answer(
    results_id: int, *, actor: Actor, columns: Mapping[str, int] | None = None, heading: int = 0, words: Mapping[str, str] | None = None
) -> PayoutResults:
    """Say which column is what (places, under the heading in that line; 0: there is no heading), or what the bank's words mean.

    It is kept with the batch's layout, for the files that follow. Raises InvalidInput as ``payout_layout.teach`` and ``receive``.
    """
    row = db.session.get(PayoutResults, results_id)
    if row is None:
        raise not_found(PayoutResults)
    batch = _batch_of(row.batch_id, actor)
    row = locked(PayoutResults, results_id)
    named: dict[str, str | int] | None = None
    if columns is not None:
        cells = dict(payout_answer.looked_over(_content(row), payout_answer.PLAIN)[0]).get(heading, [])
        if heading and any(not 0 <= place < len(cells) or not cells[place] for place in columns.values()):
            raise InvalidInput("answer.heading", N_("表头要在文件的前 %(limit)s 行里，指定的列都要有表头。"), field="columns", limit=payout_answer.LOOKED_AT)
        named = {name: cells[place].strip() if heading else place for name, place in columns.items()}
    payout_layout.teach(batch, actor=actor, columns=named, words=words, heading=bool(heading) if columns is not None else None)
    try:
        row.lines = len(payout_import.read(batch, _content(row))[1])
    except UnknownWords:
        row.lines = 0
    db.session.flush()
    return row


def looked_at(row: PayoutResults, most: int) -> Looked:
    """What each line of the file would change now; at most ``most`` lines with their items. Raises as ``payout_answer.read``."""
    batch = db.session.get_one(PayoutBatch, row.batch_id)
    standing, results = payout_import.read(batch, _content(row))
    first = sorted(results, key=lambda each: not standing.change(each))[:most]
    missing = payout_import.missing(standing, results, payout_part.parts_of(batch.id)) if row.applied_at is None else []
    wanted = [each.sequence for each in first] + missing[:NAMED]
    query = select(PayoutItem).where(PayoutItem.batch_id == batch.id, PayoutItem.sequence.in_(wanted))
    items = {item.sequence: item for item in db.session.scalars(query)}
    lines = [Line(items[each.sequence], each.outcome, each.reason, standing.change(each)) for each in first]
    return Looked(len(results), payout_import.counted(standing, results), lines, len(missing), [items[sequence] for sequence in missing[:NAMED]])


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


def _must_be_nobody_elses(batch: PayoutBatch, digest: str) -> None:
    query = (
        select(PayoutBatch.number)
        .join(PayoutResults, PayoutResults.batch_id == PayoutBatch.id)
        .where(PayoutResults.sha256 == digest, PayoutResults.organisation_id == batch.organisation_id, PayoutResults.batch_id != batch.id)
    )
    other = db.session.scalar(query.limit(1))
    if other is not None:
        raise InvalidInput("results.elsewhere", N_("这份文件是另一批 %(number)s 的回盘，没有导入。"), field="file", number=other)


def _content(row: PayoutResults) -> bytes:
    return db.session.get_one(files.StoredFile, row.file_id).read()
