"""What a results file says of each payment, as it was read: kept, so that a file of any size is read once and looked at a page at a time.

A line says what the bank says, and never changes. What it would change is told by how its payment stands when somebody looks.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Select,
    String,
    UniqueConstraint,
    and_,
    case,
    delete,
    false,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Identified, Model, db, insert_many, one_of
from marketplace.settlement import payout_import, payout_reversal
from marketplace.settlement.payout_answer import Result
from marketplace.settlement.payout_import import ASKED, CHANGES
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from marketplace.settlement.payout_part import PayoutPart

WAITING = ("sent", "unknown")


class PayoutResultsLine(Identified, Model):
    """The bank's word on one payment; see ``payout_answer.Result``. Its amount is the payment's, or the file was refused."""

    __tablename__ = "payout_results_line"
    __table_args__ = (
        UniqueConstraint("results_id", "sequence"),
        CheckConstraint("outcome IN ('paid','returned','refused','unknown')", name="outcome"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    results_id: Mapped[int] = mapped_column(ForeignKey("payout_results.id"))
    sequence: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str] = mapped_column(String(120))


Its = tuple[PayoutResultsLine, PayoutItem, str]  # a line, its payment, and what it would change


def write(results_id: int, organisation_id: int, results: Sequence[Result]) -> None:
    """Keep what a file says, instead of what it was read to say before."""
    db.session.execute(delete(PayoutResultsLine).where(PayoutResultsLine.results_id == results_id))
    columns = ("organisation_id", "results_id", "sequence", "outcome", "reason")
    insert_many("payout_results_line", columns, ((organisation_id, results_id, each.sequence, each.outcome, each.reason) for each in results))


def said(results_id: int, batch_id: int) -> list[Result]:
    """What a file says, in the order of the batch."""
    query = select(PayoutResultsLine.sequence, PayoutItem.fen, PayoutResultsLine.outcome, PayoutResultsLine.reason)
    return [Result(*row) for row in db.session.execute(_of(query, results_id, batch_id).order_by(PayoutResultsLine.sequence))]


@dataclass(frozen=True)
class Weighed:
    """A file's lines beside their payments: what each pair of the bank's word and the payment's state changes (``pairs``), what the lines
    change of which people said something against the bank (``spoken``, by sequence), and number and fen by what changes (``counts``)."""

    results_id: int
    batch_id: int
    pairs: Mapping[tuple[str, str], str]
    spoken: Mapping[int, str]
    counts: Mapping[str, tuple[int, int]]

    def page(self, changes: Collection[str] = (), after: tuple[int, int] = (0, 0), most: int = 50) -> list[Its]:
        """Lines that change one of these (or all of them), those that change nothing last; after the last one of the page before (see ``place``)."""
        query = _of(select(PayoutResultsLine, PayoutItem), self.results_id, self.batch_id)
        rank = case((self._changing(("",)), 1), else_=0)
        if changes:
            query = query.where(self._changing(changes))
        query = query.where(tuple_(rank, PayoutResultsLine.sequence) > tuple_(*after)).order_by(rank, PayoutResultsLine.sequence)
        return [(line, item, self._change(line, item)) for line, item in db.session.execute(query.limit(most))]

    def place(self, its: Its) -> tuple[int, int]:
        """Where a line stands in the order of pages."""
        return int(its[2] == ""), its[0].sequence

    def _change(self, line: PayoutResultsLine, item: PayoutItem) -> str:
        return self.spoken.get(line.sequence, self.pairs[line.outcome, item.state])

    def _changing(self, changes: Collection[str]) -> ColumnElement[bool]:
        pairs = [pair for pair, change in self.pairs.items() if change in changes]
        among = or_(false(), *(and_(PayoutResultsLine.outcome == outcome, PayoutItem.state == state) for outcome, state in pairs))
        if not self.spoken:
            return among
        its = [sequence for sequence, change in self.spoken.items() if change in changes]
        return or_(and_(among, ~one_of(PayoutResultsLine.sequence, list(self.spoken))), one_of(PayoutResultsLine.sequence, its))


def weigh(results_id: int, batch: PayoutBatch) -> Weighed:
    """What a file's lines would change now. By the database, whatever their number, but for those of which people said something."""
    said_by_people, cancelled = payout_reversal.spoken(batch.id), batch.state == "CANCELLED"

    def change(outcome: str, state: str, spoken: str = "") -> str:
        return payout_import.change_of(state, outcome, spoken=spoken, cancelled=cancelled)

    fen = func.coalesce(func.sum(PayoutItem.fen), 0)
    grouped = _of(select(PayoutResultsLine.outcome, PayoutItem.state, func.count(), fen), results_id, batch.id)
    numbers, sums, pairs = Counter[str](), Counter[str](), {}
    for outcome, state, number, its_fen in db.session.execute(grouped.group_by(PayoutResultsLine.outcome, PayoutItem.state)):
        pairs[outcome, state] = its = change(outcome, state)
        numbers[its] += number
        sums[its] += int(its_fen)
    spoken: dict[int, str] = {}
    if said_by_people:
        query = _of(select(PayoutResultsLine.sequence, PayoutResultsLine.outcome, PayoutItem.state, PayoutItem.fen), results_id, batch.id)
        for sequence, outcome, state, its_fen in db.session.execute(query.where(one_of(PayoutResultsLine.sequence, list(said_by_people)))):
            spoken[sequence] = its = change(outcome, state, said_by_people[sequence])
            for each, sign in ((pairs[outcome, state], -1), (its, 1)):
                numbers[each] += sign
                sums[each] += sign * its_fen
    counts = {each: (numbers[each], sums[each]) for each in (*CHANGES, *ASKED)}
    return Weighed(results_id, batch.id, pairs, spoken, counts)


def missing(results_id: int, batch_id: int, most: int) -> tuple[int, list[PayoutItem]]:
    """Payments that wait for an answer and stand in a file of the batch of which the results speak, but not in the results: how many, and the first."""
    line = PayoutResultsLine
    told = select(PayoutPart.id).where(
        PayoutPart.batch_id == batch_id, PayoutItem.sequence.between(PayoutPart.first, PayoutPart.last),
        select(line.id).where(line.results_id == results_id, line.sequence.between(PayoutPart.first, PayoutPart.last)).exists(),
    )  # fmt: skip
    its = select(line.id).where(line.results_id == results_id, line.sequence == PayoutItem.sequence)
    query = select(PayoutItem, func.count().over()).where(PayoutItem.batch_id == batch_id, PayoutItem.state.in_(WAITING), ~its.exists(), told.exists())
    found = db.session.execute(query.order_by(PayoutItem.sequence).limit(most)).all()
    return (found[0][1] if found else 0), [item for item, _number in found]


def _of(query: Select[*tuple[Any, ...]], results_id: int, batch_id: int) -> Select[*tuple[Any, ...]]:
    its = and_(PayoutItem.batch_id == batch_id, PayoutItem.sequence == PayoutResultsLine.sequence)
    return query.select_from(PayoutResultsLine).join(PayoutItem, its).where(PayoutResultsLine.results_id == results_id)
