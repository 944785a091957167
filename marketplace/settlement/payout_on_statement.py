"""Payments of which the bank gave no result, found on its statement: a credit that names one came back, a debit that names one went out.

A row says which payment it is by the batch's number in its remark, the amount, and the account or the name; by the amount alone it says
nothing. It is heard only where just one payment fits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.ledger.entry import JournalEntry
from marketplace.payments import statement_row
from marketplace.payments.statement_row import Seen, StatementLink, StatementRow
from marketplace.settlement import payout_word
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem, payee_of

MOST = 5_000  # payments without a result that are looked at: more is no ordinary day


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
    """A payment without a result that the statement shows as credited back."""

    def expecting(self, organisation_id: int) -> Callable[[Seen], Callable[[StatementRow], int] | None]:
        waiting = _waiting(organisation_id)

        def find(row: Seen) -> Callable[[StatementRow], int] | None:
            fitting = _fitting(waiting, row, row.fen)
            return None if fitting is None else lambda kept: _came_back(fitting, kept)

        return find


def _came_back(waiting: _Waiting, row: StatementRow) -> int:
    payout_word.shown(waiting.item, "returned", row.remark, row_id=row.id)
    batch = db.session.get_one(PayoutBatch, waiting.item.batch_id)
    query = select(JournalEntry.id).where(
        JournalEntry.kind == "payout_returned", JournalEntry.source_type == "payout_batch", JournalEntry.source_id == batch.id,
        JournalEntry.source_seq == batch.version,
    )  # fmt: skip
    return int(db.session.scalars(query).one())


def _waiting(organisation_id: int) -> list[_Waiting]:
    query = (
        select(PayoutItem, PayoutBatch.number, Household)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .join(Household, Household.id == PayoutItem.household_id)
        .where(PayoutItem.organisation_id == organisation_id, PayoutItem.state == "unknown", PayoutBatch.channel == "bank")
        .order_by(PayoutItem.id)
        .limit(MOST)
    )
    return [_Waiting(item, number, payee_of(home)[0], item.bank_account) for item, number, home in db.session.execute(query)]


def _fitting(waiting: Sequence[_Waiting], row: Seen, fen: int) -> _Waiting | None:
    """The one payment that a row names; None if there is none, or more than one."""
    account = getattr(row, "account", "")
    fitting = [
        each for each in waiting
        if each.item.fen == fen and each.number in row.remark and (each.account in (account, row.remark) or each.account in row.remark or each.name in (row.name, *row.remark.split()))
    ]  # fmt: skip
    return fitting[0] if len(fitting) == 1 else None


def _debits(organisation_id: int) -> list[StatementRow]:
    told = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == StatementRow.id).correlate(StatementRow).scalar_subquery()
    query = select(StatementRow).where(
        StatementRow.organisation_id == organisation_id, StatementRow.side == "bank", StatementRow.fen < 0, told == 0
    )
    return list(db.session.scalars(query.order_by(StatementRow.day, StatementRow.id)))


statement_row.arrivals.append(_ComesBack())
