"""The bank's results file of a payout batch (回盘): kept as it came, read once, looked at line by line, and only then applied.

One file of a batch is one row, however often it is sent; what it says is applied at most once. A long one is kept first (``keep``) and
read by a worker; a short one is read as it is received.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.errands import errand
from marketplace.errands.step import Tell, silent
from marketplace.foundation import audit, clock, files
from marketplace.foundation.database import Model, Public, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.settlement import (
    payout_answer,
    payout_answer_lines,
    payout_batch,
    payout_import,
    payout_layout,
    payout_recall,
    payout_results_line,
)
from marketplace.settlement.payout_answer import Result, UnknownHeading, UnknownWords
from marketplace.settlement.payout_import import Changed
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem

NAMED = 20  # payments that are not in the file, by name


class PayoutResults(Public, Model):
    """A results file that was received; ``applied_at`` is None while nobody has applied it.

    ``read_at`` is None until it was read. Read, it has ``lines``, or none while a person is to say something first: what ``words`` mean
    (with how often they stand there), or where there are no words, which column is what.
    """

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
    read_at: Mapped[datetime | None]
    words: Mapped[dict[str, Any] | None]
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
    """A results file as it is looked at: number and fen of lines by what they change, a page of them, those that change first, and
    what waits for an answer and is not in the file: how many, and the first of them."""

    total: int
    counts: dict[str, tuple[int, int]]
    lines: list[Line]
    missing: int
    first_missing: list[PayoutItem]
    following: tuple[int, int] | None  # after which the next page begins


@dataclass(frozen=True)
class Asked:
    """What the accountant is asked before a file can be read: ``top`` is its beginning, ``heading`` the line of its heading (0: none),
    ``places`` what its columns seem to be, ``words`` the bank's words that nobody explained, with how often they stand there."""

    top: list[tuple[int, list[str]]]
    heading: int
    places: dict[str, int]
    words: dict[str, int]


@dataclass(frozen=True)
class Understood:
    """What reading a file came to: what it says; or the words that nobody explained; or neither, where the columns are not known."""

    results: list[Result]
    words: dict[str, int]


def takes_long(content: bytes, payments: int) -> bool:
    """Whether a worker reads the file (from ERRAND_HOUSEHOLDS lines on) while the page goes on; ``payments``: of its batch."""
    return errand.takes_long(payout_answer_lines.number_of(content, payments))


def known(batch_id: int, content: bytes) -> PayoutResults | None:
    """The row of this very file, if the batch has it already."""
    its = PayoutResults.batch_id == batch_id, PayoutResults.sha256 == hashlib.sha256(content).hexdigest()
    return db.session.scalars(select(PayoutResults).where(*its)).one_or_none()


def receive(batch_id: int, content: bytes, *, name: str, actor: Actor) -> PayoutResults:
    """Keep a results file after reading every line of it; nothing is applied. The same file again is the same row.

    A file of which nobody knows the columns, or whose words nobody explained yet, is kept too: its ``lines`` are 0 until ``asked`` was
    answered. Raises InvalidInput as ``payout_answer.read``, Conflict ``payout.state``, ``results.elsewhere`` for another batch's file.
    """
    batch = _batch_of(batch_id, actor)
    payout_recall.must_be_out(batch)
    _must_be_nobody_elses(batch, hashlib.sha256(content).hexdigest())
    row = known(batch_id, content)
    if row is not None and row.lines and row.read_at is not None:
        return row
    found = _understood(batch, content)
    return _write(row or _kept(batch, content, name, actor), found)


def keep(batch_id: int, content: bytes, *, name: str, actor: Actor) -> PayoutResults:
    """Keep a results file as it came, to be read later (``understood``, ``take_in``). The same file again is the same row.

    Raises InvalidInput ``results.large``, else as ``receive`` where that does not depend on what the file says.
    """
    batch = _batch_of(batch_id, actor)
    payout_recall.must_be_out(batch)
    payout_answer_lines.must_not_be_large(content)
    _must_be_nobody_elses(batch, hashlib.sha256(content).hexdigest())
    return known(batch_id, content) or _kept(batch, content, name, actor)


def understood(results_id: int, *, actor: Actor, tell: Tell = silent) -> Understood:
    """What a kept file says, without writing anything; ``tell`` hears how far the reading is. Raises as ``receive``."""
    row = get(PayoutResults, results_id)
    batch = get(PayoutBatch, row.batch_id)
    _must_be_theirs(batch, actor)
    return _understood(batch, content_of(row), tell)


def take_in(results_id: int, found: Understood, *, actor: Actor) -> PayoutResults:
    """Write down what a kept file says. Raises as ``receive``."""
    row = get(PayoutResults, results_id)
    batch = _batch_of(row.batch_id, actor)
    payout_recall.must_be_out(batch)
    _must_be_nobody_elses(batch, row.sha256)
    return _write(locked(PayoutResults, results_id), found)


def asked(row: PayoutResults, heading: int | None = None) -> Asked:
    """What a person has to say before the file can be read; ``heading``: the line that they take for it."""
    batch = db.session.get_one(PayoutBatch, row.batch_id)
    content, answer = content_of(row), payout_layout.answer_of(batch)
    top, places, found = payout_answer.looked_over(content, answer)
    if heading is not None or not payout_answer.enough(places):
        found = heading if heading is not None else payout_answer.likely_heading(top)
        places = payout_answer.guess(dict(top).get(found, []))
        return Asked(top, found, places, {})
    return Asked(top, found, places, {word: often for word, often in (row.words or {}).items() if answer.outcome(word) is None})


def answer(
    results_id: int, *, actor: Actor, columns: Mapping[str, int] | None = None, heading: int = 0, words: Mapping[str, str] | None = None
) -> PayoutResults:
    """Say which column is what (places, under the heading in that line; 0: there is no heading), or what the bank's words mean.

    It is kept with the batch's layout, for the files that follow. The file is read anew by it, a long one by a worker: it is unread then.
    Raises InvalidInput as ``payout_layout.teach`` and ``receive``.
    """
    row = get(PayoutResults, results_id)
    batch = _batch_of(row.batch_id, actor)
    row = locked(PayoutResults, results_id)
    named: dict[str, str | int] | None = None
    if columns is not None:
        cells = dict(payout_answer.looked_over(content_of(row), payout_answer.PLAIN)[0]).get(heading, [])
        if heading and any(not 0 <= place < len(cells) or not cells[place] for place in columns.values()):
            raise InvalidInput("answer.heading", N_("表头要在文件的前 %(limit)s 行里，指定的列都要有表头。"), field="columns", limit=payout_answer.LOOKED_AT)
        named = {name: cells[place].strip() if heading else place for name, place in columns.items()}
    payout_layout.teach(batch, actor=actor, columns=named, words=words, heading=bool(heading) if columns is not None else None)
    content = content_of(row)
    if takes_long(content, batch.items):
        row.lines, row.read_at, row.words = 0, None, None
        db.session.flush()
        return row
    return _write(row, _understood(batch, content))


def must_be_read(row: PayoutResults) -> None:
    """Raise Conflict ``results.unread`` for a file that nobody has read yet, or that cannot be read before a person has said something."""
    if row.read_at is None or not row.lines:
        raise Conflict("results.unread", N_("这份回盘还没有读完，先不能记入。"))


def looked_at(row: PayoutResults, most: int, *, changes: Collection[str] = (), after: tuple[int, int] = (0, 0)) -> Looked:
    """What each line of a file that was read would change now; at most ``most`` of those that change one of ``changes``, after a place."""
    batch = get(PayoutBatch, row.batch_id)
    weighed = payout_results_line.weigh(row.id, batch)
    found = weighed.page(changes, after, most + 1)
    number, first = payout_results_line.missing(row.id, batch.id, NAMED) if row.applied_at is None else (0, [])
    lines = [Line(item, line.outcome, line.reason, change) for line, item, change in found[:most]]
    following = weighed.place(found[most - 1]) if len(found) > most else None
    return Looked(row.lines, dict(weighed.counts), lines, number, first, following)


def apply(results_id: int, *, actor: Actor) -> Changed:
    """Apply what was read of a file; how many items changed. The file must still be the one that was read.

    Raises Conflict ``results.applied``, ``results.unread``, OutsideFailure ``file.damaged``, else as ``payout_batch.import_results``.
    """
    row = get(PayoutResults, results_id)
    _batch_of(row.batch_id, actor)
    row = locked(PayoutResults, results_id)
    if row.applied_at is not None:
        raise Conflict("results.applied", N_("这份回盘已经导入过了，没有再记一次。"))
    must_be_read(row)
    get(files.StoredFile, row.file_id).checked_path()
    changed = payout_batch.take_results(row.batch_id, payout_results_line.said(row.id, row.batch_id), actor=actor)
    row.applied_at, row.applied_by_id = clock.now(), actor.person_id
    db.session.flush()
    return changed


def content_of(row: PayoutResults) -> bytes:
    """The file as it came. OutsideFailure ``file.damaged`` if it no longer is."""
    return get(files.StoredFile, row.file_id).read()


def _batch_of(batch_id: int, actor: Actor) -> PayoutBatch:
    batch = locked(PayoutBatch, batch_id)
    _must_be_theirs(batch, actor)
    return batch


def _must_be_theirs(batch: PayoutBatch, actor: Actor) -> None:
    actor.must_have("COOPERATIVE", "accountant", "director")
    if actor.organisation_id != batch.organisation_id:
        raise not_found(PayoutBatch)


def _understood(batch: PayoutBatch, content: bytes, tell: Tell = silent) -> Understood:
    try:
        return Understood(payout_import.read(batch, content, tell), {})
    except UnknownHeading:
        return Understood([], {})
    except UnknownWords as error:
        return Understood([], error.data["words"])


def _kept(batch: PayoutBatch, content: bytes, name: str, actor: Actor) -> PayoutResults:
    file = files.store(
        content, name=name or f"{batch.number}.csv", media_type="text/csv", organisation_id=batch.organisation_id, sensitivity="PERSONAL"
    )
    row = PayoutResults(
        organisation_id=batch.organisation_id, batch_id=batch.id, file_id=file.id, sha256=file.sha256, lines=0,
        received_at=clock.now(), received_by_id=actor.person_id,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record("payout.results_received", row, person_id=actor.person_id, sha256=row.sha256, lines=payout_answer_lines.number_of(content, batch.items))
    db.session.flush()
    return row


def _write(row: PayoutResults, found: Understood) -> PayoutResults:
    row.lines, row.read_at, row.words = len(found.results), clock.now(), found.words
    db.session.flush()
    payout_results_line.write(row.id, row.organisation_id, found.results)
    return row


def _must_be_nobody_elses(batch: PayoutBatch, digest: str) -> None:
    query = (
        select(PayoutBatch.number)
        .join(PayoutResults, PayoutResults.batch_id == PayoutBatch.id)
        .where(PayoutResults.sha256 == digest, PayoutResults.organisation_id == batch.organisation_id, PayoutResults.batch_id != batch.id)
        # What nobody read yet, or could not read as the other batch's, says nothing of whose it is.
        .where((PayoutResults.read_at.is_not(None)) | (PayoutResults.lines > 0))
    )
    other = db.session.scalar(query.limit(1))
    if other is not None:
        raise InvalidInput("results.elsewhere", N_("这份文件是另一批 %(number)s 的回盘，没有导入。"), field="file", number=other)
