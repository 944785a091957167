"""The bank's results applied to a batch: what each line changes, told beforehand; and all of it in a handful of statements."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, and_, func, select, update

from marketplace.errands.step import Tell, silent
from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, one_of
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger import share_event
from marketplace.ledger.posting import Source
from marketplace.settlement import (
    payout_answer,
    payout_found,
    payout_layout,
    payout_part,
    payout_reversal,
    payout_twice,
)
from marketplace.settlement.payout_answer import Result
from marketplace.settlement.payout_item import ITEM_STATES, UNSEEN, PayoutBatch, PayoutItem, seen_anew

CHANGES = ("paid", "returned", "refused", "unknown", "", "contradiction")
# What a file alone does not change, since two people stand against it, or would be paid twice: it is asked. "found": paid after all what
# came back or was cancelled; "back" and "unmade": came back, or was never made, what two people found to be made.
ASKED = ("found", "back", "unmade")


@dataclass(frozen=True)
class Changed:
    """How many items came to be paid, how many came back (returned or refused), of how many the bank does not know yet, and of how many a
    second person is asked."""

    paid: int
    returned: int
    unknown: int = 0
    asked: int = 0

    def __len__(self) -> int:
        return self.paid + self.returned + self.unknown + self.asked


class Standing:
    """How a batch's items stand, by sequence, held in two columns: a million of them take 9 MB."""

    def __init__(self, batch_id: int, sequences: Sequence[int] | None = None, *, spoken: Mapping[int, str] | None = None, cancelled: bool = False) -> None:
        """Of all items, or of these only. ``spoken``: what people said against the bank's results (``payout_reversal.spoken``)."""
        self.spoken, self.cancelled = spoken or {}, cancelled
        its = PayoutItem.batch_id == batch_id
        if sequences is not None:
            its = and_(its, one_of(PayoutItem.sequence, sequences))
        last = db.session.scalar(select(func.max(PayoutItem.sequence)).where(its)) or 0
        self.fen, self.state = array("q", bytes(8 * (last + 1))), array("b", [-1] * (last + 1))
        query = select(PayoutItem.sequence, PayoutItem.fen, PayoutItem.state).where(its)
        for sequence, fen, state in db.session.execute(query.execution_options(yield_per=10_000)):
            self.fen[sequence], self.state[sequence] = fen, ITEM_STATES.index(state)

    def expected(self, sequence: int) -> int | None:
        """Fen that was sent under a sequence, or None if the batch has no such item."""
        return self.fen[sequence] if 0 < sequence < len(self.fen) and self.state[sequence] >= 0 else None

    def change(self, result: Result) -> str:
        """What a result changes: "paid", "returned", "refused" or "unknown"; "" if it was known; "contradiction" if it cannot be; of a file
        also one of ``ASKED``."""
        return change_of(ITEM_STATES[self.state[result.sequence]], result.outcome, spoken=self.spoken.get(result.sequence, ""), cancelled=self.cancelled)


def change_of(state: str, outcome: str, *, spoken: str, cancelled: bool) -> str:
    """What the bank's word ``outcome`` changes of a payment in this state; see ``Standing.change``."""
    if cancelled:
        return "found" if outcome == "paid" and not spoken else ""
    if state in payout_found.BACK and outcome == "paid":
        return "" if spoken == "asked" else "found"
    if state == "paid" and spoken:
        refused = "contradiction" if spoken == "found again" else "unmade"
        return "" if spoken == "asked" else {"returned": "back", "refused": refused}.get(outcome, "")
    # Approved: the bank had the file before anybody said so here.
    if state in ("approved", "sent") or (state == "unknown" and outcome != state) or (state == "paid" and outcome == "returned"):
        return outcome
    # What does not know yet says nothing of what is paid under another number.
    known = state == outcome or (state, outcome) == ("reissued", "unknown") or (state in ("returned", "reissued") and outcome in ("returned", "refused"))
    return "" if known else "contradiction"


def read(batch: PayoutBatch, content: bytes, tell: Tell = silent) -> list[Result]:
    """What a results file says of a batch. InvalidInput as ``payout_answer.read``."""
    return payout_answer.read(
        content, number=batch.number, expected=Standing(batch.id).expected, answer=payout_layout.answer_of(batch),
        payees=lambda: payout_part.payees(batch), tell=tell,
    )  # fmt: skip


def apply(batch: PayoutBatch, results: Sequence[Result], *, person_id: int) -> Changed:
    """Apply what a results file says to a batch that is held; see ``payout_batch.import_results``."""
    standing = Standing(batch.id, spoken=payout_reversal.spoken(batch.id), cancelled=batch.state == "CANCELLED")
    asked: dict[str, list[Result]] = {change: [] for change in ASKED}
    for result in results:
        asked.get(standing.change(result), []).append(result)
    theirs = {result.sequence for some in asked.values() for result in some}
    changed = Changed(0, 0) if standing.cancelled else take(batch, standing, [each for each in results if each.sequence not in theirs], person_id=person_id)
    return replace(changed, asked=_ask(batch, asked, person_id))


def _ask(batch: PayoutBatch, asked: Mapping[str, Sequence[Result]], person_id: int) -> int:
    """What of a file waits for the second person's word, payment by payment; how many of it are new."""
    said = {result.sequence: (change, result.reason) for change, results in asked.items() for result in results}
    fresh = 0
    for item in db.session.scalars(select(PayoutItem).where(PayoutItem.batch_id == batch.id, one_of(PayoutItem.sequence, list(said)))).all() if said else ():
        change, reason = said[item.sequence]
        if change == "found":
            fresh += payout_found.say(item, "银行的回盘说已付", person_id=person_id)
        else:
            words = {"back": "银行的回盘说退回来了", "unmade": "银行的回盘说没有付"}[change] + (f"：{reason}" if reason else "")
            fresh += payout_reversal.say(item, words, kind="BACK" if change == "back" else "UNMADE", person_id=person_id)
    return fresh


def take(batch: PayoutBatch, standing: Standing, results: Sequence[Result], *, person_id: int | None) -> Changed:
    """What results change, wherever they come from; by nobody where the bank's statement says it. Conflict ``payout.contradiction``."""
    by_change: dict[str, list[Result]] = {change: [] for change in (*CHANGES, *ASKED)}
    for result in results:
        by_change[standing.change(result)].append(result)
    contradicting = [result for change in ("contradiction", *ASKED) for result in by_change[change]]
    if contradicting:
        first = contradicting[0]
        raise Conflict(
            "payout.contradiction", N_("第 %(sequence)s 笔之前的结果是 %(before)s，文件里却不同。请先和银行核对。"),
            sequence=first.sequence, before=ITEM_STATES[standing.state[first.sequence]],
        )  # fmt: skip
    batch.version += 1
    paid, returned, refused, unknown = (by_change[change] for change in ("paid", "returned", "refused", "unknown"))
    fresh = [result for result in returned if ITEM_STATES[standing.state[result.sequence]] != "paid"]
    _post(batch, sum(result.fen for result in (*paid, *fresh)), returned, refused)
    _write(batch, paid, returned, refused)
    _debited(batch, [*paid, *fresh])
    _not_known(batch, unknown)
    payout_found.came_back(batch, {result.sequence for result in returned})
    payout_twice.one_came_back(batch, {result.sequence for result in (*returned, *refused)})
    changed = Changed(len(paid), len(returned) + len(refused), len(unknown))
    finish(batch)
    audit.record("payout.results", batch, person_id=person_id, paid=changed.paid, returned=changed.returned, unknown=changed.unknown)
    db.session.flush()
    return changed


def finish(batch: PayoutBatch) -> None:
    """The batch is done when no item waits for its answer."""
    waits = select(PayoutItem.id).where(PayoutItem.batch_id == batch.id, PayoutItem.state.in_(("sent", "unknown"))).limit(1)
    if batch.state == "SENT" and db.session.scalar(waits) is None:
        batch.state, batch.done_at = "DONE", clock.now()


def _post(batch: PayoutBatch, debited_fen: int, returned: Sequence[Result], refused: Sequence[Result]) -> None:
    """One entry for what was debited, one for what came back, one for what was refused: of this file, which the edition numbers."""
    source, book = Source("payout_batch", batch.id, batch.version), batch.organisation_id
    if debited_fen:
        share_event.payout_debited(book=book, source=source, fen=debited_fen)
    if refused:
        share_event.payout_refused_by(book=book, source=source, households=select(PayoutItem.household_id, PayoutItem.fen).where(_of(batch, refused)))
    if returned:
        share_event.payout_returned_by(book=book, source=source, households=select(PayoutItem.household_id, PayoutItem.fen).where(_of(batch, returned)))


def _of(batch: PayoutBatch, results: Sequence[Result]) -> ColumnElement[bool]:
    return and_(PayoutItem.batch_id == batch.id, one_of(PayoutItem.sequence, [result.sequence for result in results]))


def _write(batch: PayoutBatch, paid: Sequence[Result], returned: Sequence[Result], refused: Sequence[Result]) -> None:
    """States by what a result says; what came back by its reason, of which banks have few."""
    by_reason: dict[str, list[Result]] = {}
    for result in (*returned, *refused):
        by_reason.setdefault(result.reason, []).append(result)
    if paid:
        db.session.execute(update(PayoutItem).where(_of(batch, paid)).values(state="paid", reason="", paid_at=clock.now(), unknown_since=None), **UNSEEN)
    for reason, results in by_reason.items():
        db.session.execute(update(PayoutItem).where(_of(batch, results)).values(state="returned", reason=reason, paid_at=None, unknown_since=None), **UNSEEN)
    seen_anew()


def _debited(batch: PayoutBatch, results: Sequence[Result]) -> None:
    """Under which number the debit of each was posted, so that it can be found again."""
    if results:
        db.session.execute(update(PayoutItem).where(_of(batch, results)).values(debited=batch.version), **UNSEEN)
    seen_anew()


def _not_known(batch: PayoutBatch, results: Sequence[Result]) -> None:
    """The bank is still at it, or does not know: the money stays in transit, and waits for another word from now on."""
    by_reason: dict[str, list[Result]] = {}
    for result in results:
        by_reason.setdefault(result.reason, []).append(result)
    for reason, some in by_reason.items():
        db.session.execute(update(PayoutItem).where(_of(batch, some)).values(state="unknown", reason=reason, unknown_since=clock.now()), **UNSEEN)
    seen_anew()
