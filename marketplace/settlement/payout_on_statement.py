"""Payments of batches found on the bank's statement: a debit that names one without a result went out, a credit that names one came back.

A row says which payment it is by the batch's number in its remark, the amount, and the account or the name; by the amount alone it says
nothing, and it is heard only where just one payment fits. Of a debit, whose remark the payer writes, the bank's own word on who got it counts. A credit that names a batch is part of what its results said came back, or
waits for them: it is no buyer's money, whatever it is worth.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from typing import Any

from sqlalchemy import ColumnElement, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.ledger.entry import JournalEntry
from marketplace.payments import statement_row
from marketplace.payments.statement_row import Arrived, Seen, StatementLink, StatementRow
from marketplace.settlement import payout_word, row_payee
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem, payee_of
from marketplace.settlement.payout_word import PayoutWord
from marketplace.settlement.reconciliation_link import linked_of_entry, moved, whose

MOST = 5_000  # payments without a result that are looked at: more is no ordinary day
ALIKE = 500  # payments of one amount that are looked at
LATE = timedelta(days=100)  # within which a bank credits back what it paid
_NUMBER = re.compile(r"DF\d{8}[-_][0-9A-Z]{10}")
_BACK = re.compile(r"退票|退汇|代发.*退|退.*代发")


@dataclass(frozen=True)
class _Waiting:
    item: PayoutItem
    number: str
    name: str
    account: str


def settle(organisation_id: int) -> int:
    """Hear what the statement's debits say of payments without a result; how many were settled."""
    waiting = _waiting(organisation_id)
    settled = 0
    for row in _debits(organisation_id) if waiting else []:
        fitting = _fitting(waiting, row, -row.fen)
        if fitting is not None:
            payout_word.shown(fitting.item, "paid", row.remark, row_id=row.id)
            waiting.remove(fitting)
            settled += 1
    return settled


class _ComesBack:
    """What the bank credits back of payouts, all at once or one by one, before or after its results say so."""

    def expecting(self, organisation_id: int) -> Callable[[Seen], Arrived | None]:
        sums = cache(partial(_sums, organisation_id))

        def find(row: Seen) -> Arrived | None:
            batches = _named(organisation_id, row)
            if batches:
                fitting = _fitting(_payments(PayoutItem.batch_id.in_(batches), row.fen, ("sent", "unknown", "paid")), row, row.fen)
                if fitting is not None:
                    return partial(_came_back, fitting)
                entry_id = _credited(organisation_id, batches, row.fen)
                # Nobody said yet that it came back: it waits for the results, or for a person.
                return lambda _row: entry_id
            return (lambda _row: None) if row.fen in sums() and _sounds_like(organisation_id, row) else None

        return find

    def may_part(self, row: StatementRow, entry_id: int) -> None:
        """Not as long as a payment stands as the row said: that is corrected in its batch, by two people."""
        query = (
            select(PayoutWord.outcome, PayoutBatch.number)
            .join(PayoutItem, PayoutItem.id == PayoutWord.item_id)
            .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
            .where(PayoutWord.row_id == row.id, (PayoutItem.state == PayoutWord.outcome) | ((PayoutWord.outcome == "returned") & (PayoutItem.state == "reissued")))
        )
        for outcome, number in db.session.execute(query):
            if outcome == "paid":
                raise Conflict("row.payout", N_("凭这一行，代发 %(number)s 里的一笔记成了已付。先到那一批里冲回那一笔，再来撤销。"), number=number)
            raise Conflict("row.payout", N_("凭这一行，代发 %(number)s 里的一笔记成了退回。先到那一批里更正那一笔（银行其实付了），再来撤销。"), number=number)

    def part(self, row: StatementRow, entry_id: int, reason: str) -> None:
        self.may_part(row, entry_id)


def _came_back(waiting: _Waiting, row: StatementRow) -> int:
    payout_word.shown(waiting.item, "returned", row.remark, row_id=row.id)
    batch = db.session.get_one(PayoutBatch, waiting.item.batch_id)
    query = select(JournalEntry.id).where(
        JournalEntry.kind == "payout_returned", JournalEntry.source_type == "payout_batch", JournalEntry.source_id == batch.id,
        JournalEntry.source_seq == batch.version,
    )  # fmt: skip
    return int(db.session.scalars(query).one())


def _named(organisation_id: int, row: Seen) -> list[int]:
    """The batches whose numbers stand in a row."""
    numbers = {each.replace("_", "-") for each in _NUMBER.findall(row.remark.upper())}
    if not numbers:
        return []
    query = select(PayoutBatch.id).where(PayoutBatch.organisation_id == organisation_id, PayoutBatch.number.in_(numbers), PayoutBatch.channel == "bank")
    return list(db.session.scalars(query))


def _credited(organisation_id: int, batches: Sequence[int], fen: int) -> int | None:
    """The entry of which a credit may be a part: by which results said that so much, or more, came back; first the one of just that."""
    query = moved().add_columns(linked_of_entry()).where(
        JournalEntry.kind == "payout_returned", JournalEntry.source_type == "payout_batch", JournalEntry.source_id.in_(batches)
    )
    found = [(int(row[5]) - int(row[6]), int(row[0])) for row in db.session.execute(query, whose(organisation_id, "bank"))]
    return min(((left - fen, entry_id) for left, entry_id in found if left >= fen), default=(0, None))[1]


def _sums(organisation_id: int) -> set[int]:
    """What households were paid one by one of late: looked up only once a file has a credit that names no batch."""
    return set(db.session.scalars(select(PayoutItem.fen).where(PayoutItem.batch_id.in_(_late(organisation_id))).distinct()))


def _late(organisation_id: int) -> Any:
    return select(PayoutBatch.id).where(
        PayoutBatch.organisation_id == organisation_id, PayoutBatch.channel == "bank", PayoutBatch.state.in_(("SENT", "DONE")),
        PayoutBatch.sent_at > clock.now() - LATE,
    )  # fmt: skip


def _sounds_like(organisation_id: int, row: Seen) -> bool:
    """A credit of just what a household was paid of late, in words of a payout that came back, or from the household's own account."""
    if _BACK.search(f"{row.name} {row.remark}"):
        return True
    account = getattr(row, "account", "")
    payments = _payments(PayoutItem.batch_id.in_(_late(organisation_id)), row.fen, ("sent", "unknown", "paid", "returned"))
    return any(each.account and (each.account == account or each.account in row.remark) for each in payments)


def _payments(which: ColumnElement[bool], fen: int, states: Sequence[str]) -> list[_Waiting]:
    return _of(which, PayoutItem.fen == fen, PayoutItem.state.in_(states), most=ALIKE)


def _waiting(organisation_id: int) -> list[_Waiting]:
    return _of(PayoutItem.organisation_id == organisation_id, PayoutItem.state == "unknown", PayoutBatch.channel == "bank", most=MOST)


def _of(*which: ColumnElement[bool], most: int) -> list[_Waiting]:
    query = (
        select(PayoutItem, PayoutBatch.number, Household)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .join(Household, Household.id == PayoutItem.household_id)
        .where(*which)
        .order_by(PayoutItem.id)
        .limit(most)
    )
    return [_Waiting(item, number, payee_of(home)[0], item.bank_account) for item, number, home in db.session.execute(query)]


def _fitting(waiting: Sequence[_Waiting], row: Seen, fen: int) -> _Waiting | None:
    """The one payment that a row names; None if there is none, or more than one."""
    named = [each for each in waiting if each.item.fen == fen and each.number in row.remark.upper().replace("_", "-")]
    fitting = [each for each in named if (_got_it if row.fen < 0 else _sent_it)(each, row)]
    return fitting[0] if len(fitting) == 1 else None


def _got_it(each: _Waiting, row: Seen) -> bool:
    if row_payee.tells(row):
        return row_payee.fits(row, [row_payee.Payee(each.name, each.account)])
    return each.account in row.remark or each.name in row.remark.split()


def _sent_it(each: _Waiting, row: Seen) -> bool:
    return each.account == getattr(row, "account", "") or each.account in row.remark or each.name in (row.name, *row.remark.split())


def _debits(organisation_id: int) -> list[StatementRow]:
    told = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == StatementRow.id).correlate(StatementRow).scalar_subquery()
    query = select(StatementRow).where(
        StatementRow.organisation_id == organisation_id, StatementRow.side == "bank", StatementRow.fen < 0, told == 0
    )
    return list(db.session.scalars(query.order_by(StatementRow.day, StatementRow.id)))


statement_row.arrivals.append(_ComesBack())
