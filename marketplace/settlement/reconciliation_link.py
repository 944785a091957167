"""Finding which row of a statement or bill is which entry of the books: by the numbers that both sides name, never by amount alone.

A transfer of the cooperative carries our number in its remark, or the bank's number was recorded with it, and went to whom it pays as far as the
bank tells (``row_payee``); Alipay names our numbers.
What this leaves is for a person to say.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, String, bindparam, case, func, select, union
from sqlalchemy.orm import aliased

from marketplace.foundation.database import db
from marketplace.ledger import account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.payments import row_decision, row_undo, statement_row
from marketplace.payments.bank_refund import BankRefund
from marketplace.payments.bank_rows import name_of
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.bill_import import ImportedRow
from marketplace.payments.payment import Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.payments.transfer import Transfer
from marketplace.payments.withdrawal import Withdrawal
from marketplace.settlement import row_payee
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_item import PayoutBatch, PayoutItem
from marketplace.settlement.remittance import Remittance

_SHORTEST = 6  # a number shorter than this says too little when it stands in a remark
# Made once, as the queries below are: to put one together costs ten times what its rows cost, and all of them are asked every day of every side.
_BOOK, _ACCOUNT, _SIDE = bindparam("book", type_=BigInteger), bindparam("its_account", type_=BigInteger), bindparam("side", type_=String)
_ITS_SIDE = StatementRow.side == _SIDE
_reversal, _part, _part_line = aliased(JournalEntry), aliased(JournalEntry), aliased(JournalLine)
# What Alipay calls a movement, by the kind of our entry.
_ALIPAY = {
    "alipay_paid": "trade", "alipay_unapplied": "trade", "refund_succeeded": "refund", "refund_lost": "refund", "fee": "fee", "fee_reversed": "fee_back",
    "withdrawn": "withdrawal", "payout_debited": "transfer", "payout_returned": "transfer",
}  # fmt: skip


@dataclass
class _Open:
    """An entry with a part that no row is linked to: ``left`` fen of it, and the numbers by which it may be named."""

    id: int
    kind: str
    source_type: str
    source_id: int
    left: int
    numbers: set[str] = field(default_factory=set)


def whose(organisation_id: int, side: str) -> dict[str, Any]:
    """What ``moved`` and all that is made of it are asked with: whose book, which side, which account."""
    return {"book": organisation_id, "side": side, "its_account": account.existing(side, organisation_id) or 0}


@cache
def moved() -> Select[*tuple[Any, ...]]:
    """Select of (entry id, kind, source_type, source_id, event_at, fen) of what moved the account that ``whose`` names; what was reversed, and
    its reversal, are left out, unless a row of the other side shows that the money went and came back.

    Of an entry of many payments a part may have been undone (``payout_unmade``, ``payout_found``): it moved so much less.
    """
    undone = _undone()
    shown = select(StatementLink.id).where(StatementLink.entry_id.in_((JournalEntry.id, undone)), of_link(StatementRow, StatementLink.row_id, _ITS_SIDE))
    return _on_account().where(undone.is_(None) | shown.correlate(JournalEntry).exists())


def _undone() -> ColumnElement[int | None]:
    """The other half of what was reversed as a whole: of an entry its reversal, of a reversal what it reverses; null of all others."""
    reversal = select(func.min(_reversal.id)).where(_reversal.reverses_id == JournalEntry.id, _reversal.kind == "reversed").correlate(JournalEntry)
    return case((JournalEntry.kind == "reversed", JournalEntry.reverses_id), else_=reversal.scalar_subquery())


def _on_account() -> Select[*tuple[Any, ...]]:
    return (
        select(
            JournalEntry.id, JournalEntry.kind, JournalEntry.source_type, JournalEntry.source_id, JournalEntry.event_at, left().label("fen"),
        )
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .where(JournalEntry.book == _BOOK, JournalLine.account_id == _ACCOUNT)
        # What takes back a part of another entry is counted there.
        .where((JournalEntry.kind != "payout_unmade") & ((JournalEntry.kind != "payout_found") | JournalEntry.reverses_id.is_(None)))
    )


def left() -> ColumnElement[int]:
    """Fen of the entry's line on the account that ``whose`` names, less what was reversed of it in part."""
    undone = (
        select(func.coalesce(func.sum(_part_line.fen), 0))
        .join(_part, (_part.period == _part_line.period) & (_part.id == _part_line.entry_id))
        .where(_part.reverses_id == JournalEntry.id, _part.kind.in_(("payout_unmade", "payout_found")), _part_line.account_id == _ACCOUNT)
        .correlate(JournalEntry)
        .scalar_subquery()
    )
    fen: ColumnElement[int] = JournalLine.fen + undone
    return fen


def linked_of_entry(*only: ColumnElement[bool]) -> Any:
    """Fen that rows name of an entry; of ``only`` such rows."""
    query = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.entry_id == JournalEntry.id)
    return query.where(of_link(StatementRow, StatementLink.row_id, _ITS_SIDE, *only)).correlate(JournalEntry).scalar_subquery()


def of_link(table: type[StatementRow] | type[JournalEntry], number: Any, *such: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the row, or the entry, that a link names is ``such``.

    Asked of each link and never joined: of what was written a moment ago PostgreSQL knows nothing, and joined it went through all rows of the side
    for each entry (six thousand payments of one day took it minutes).
    """
    return select(func.count()).select_from(table).where(table.id == number, *such).correlate(StatementLink).scalar_subquery() == 1


def left_open(organisation_id: int, entry_id: int, side: str = "bank") -> int:
    """Fen of an entry that no row is linked to, signed as it moved the account; 0 if it did not move it."""
    query = moved().add_columns(linked_of_entry()).where(JournalEntry.id == entry_id)
    row = db.session.execute(query, whose(organisation_id, side)).first()
    return int(row[5]) - int(row[6]) if row is not None else 0


def link(organisation_id: int, side: str) -> int:
    """Link what can be told by its number on one side of a cooperative; how many links were made."""
    rows = _open_rows(organisation_id, side)
    entries = _open_entries(organisation_id, side) if rows else []
    if not entries:
        return 0
    _tell_numbers(entries, side)
    made, apart = 0, row_undo.apart(organisation_id)
    for row, left in rows:
        fitting = [
            each for each in entries
            if each.left and (each.left > 0) == (left > 0) and _names(row, each, side) and (row.id, each.id) not in apart
            and (side != "bank" or left > 0 or row_payee.pays(row, each.source_type, each.source_id))
        ]  # fmt: skip
        for entry, fen in _shared(left, fitting):
            statement_row.link(row, entry.id, fen)
            entry.left -= fen
            made += 1
    return made


def numbers_of(entries: Iterable[tuple[int, str, str, int]], side: str) -> dict[int, str]:
    """A number by which people know each of these (entry id, kind, source_type, source_id); empty where there is none."""
    asked = [_Open(number, kind, source_type, source_id, 0) for number, kind, source_type, source_id in entries]
    _tell_numbers(asked, side)
    return {each.id: min(each.numbers, default="") for each in asked}


def _open_rows(organisation_id: int, side: str) -> list[tuple[StatementRow, int]]:
    told = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == StatementRow.id).correlate(StatementRow).scalar_subquery()
    query = select(StatementRow, StatementRow.fen - told).where(
        StatementRow.organisation_id == organisation_id, StatementRow.side == side, StatementRow.fen != told
    )
    return [(row, int(left)) for row, left in db.session.execute(query.order_by(StatementRow.day, StatementRow.id))]


def _open_entries(organisation_id: int, side: str) -> list[_Open]:
    found = db.session.execute(_unlinked(), whose(organisation_id, side))
    return [_Open(row[0], row[1], row[2], row[3], int(row[5]) - int(row[6])) for row in found]


@cache
def _unlinked() -> Any:
    told = linked_of_entry()
    # A withdrawal that failed is looked for as well: Alipay's bill may yet show how it went and came back.
    failed = _on_account().where(JournalEntry.source_type == "alipay_withdrawal", _undone().is_not(None))
    return union(*(each.add_columns(told).where(left() != told) for each in (moved(), failed))).order_by("id")


def _tell_numbers(entries: list[_Open], side: str) -> None:
    by_source: dict[str, dict[int, list[_Open]]] = defaultdict(lambda: defaultdict(list))
    for each in entries:
        by_source[each.source_type][each.source_id].append(each)
    for source_type, query in _NUMBERS.items() if side == "bank" else _ALIPAY_NUMBERS.items():
        asked = by_source.get(source_type, {})
        for ids in _some(sorted(asked)):
            for source_id, *numbers in db.session.execute(query(ids)):
                for each in asked[source_id]:
                    each.numbers |= {number for number in numbers if number}


_NUMBERS: dict[str, Any] = {
    "bank_receipt": lambda ids: select(BankReceipt.id, BankReceipt.serial).where(BankReceipt.id.in_(ids)),
    "refund": lambda ids: (
        select(Refund.id, Refund.out_request_no, BankRefund.reference)
        .outerjoin(BankRefund, BankRefund.refund_id == Refund.id)
        .where(Refund.id.in_(ids))
    ),
    "receipt_return": lambda ids: select(ReceiptReturn.id, ReceiptReturn.number, ReceiptReturn.reference).where(ReceiptReturn.id.in_(ids)),
    "remittance": lambda ids: select(Remittance.id, Remittance.number, Remittance.bank_serial).where(Remittance.id.in_(ids)),
    "fund_return": lambda ids: select(FundReturn.id, FundReturn.number, FundReturn.bank_serial).where(FundReturn.id.in_(ids)),
    "payout_batch": lambda ids: select(PayoutBatch.id, PayoutBatch.number).where(PayoutBatch.id.in_(ids)),
    # As entries of results were written once, one a household.
    "payout_item": lambda ids: (
        select(PayoutItem.id, PayoutBatch.number).join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id).where(PayoutItem.id.in_(ids))
    ),
    "payout_found": lambda ids: (
        select(PayoutFound.id, PayoutBatch.number)
        .join(PayoutItem, PayoutItem.id == PayoutFound.item_id)
        .join(PayoutBatch, PayoutBatch.id == PayoutItem.batch_id)
        .where(PayoutFound.id.in_(ids))
    ),
    "alipay_withdrawal": lambda ids: select(Withdrawal.id, Withdrawal.number, Withdrawal.serial).where(Withdrawal.id.in_(ids)),
}
_ALIPAY_NUMBERS: dict[str, Any] = {
    "bank_receipt": lambda ids: select(BankReceipt.id, BankReceipt.serial).where(BankReceipt.id.in_(ids)),
    "payment": lambda ids: select(Payment.id, Payment.out_trade_no).where(Payment.id.in_(ids)),
    "refund": lambda ids: select(Refund.id, Payment.out_trade_no).join(Payment, Payment.id == Refund.payment_id).where(Refund.id.in_(ids)),
    "refund_loss": lambda ids: (
        select(RefundLoss.id, Payment.out_trade_no)
        .join(Refund, Refund.id == RefundLoss.refund_id)
        .join(Payment, Payment.id == Refund.payment_id)
        .where(RefundLoss.id.in_(ids))
    ),
    "alipay_bill_row": lambda ids: select(ImportedRow.id, ImportedRow.out_trade_no).where(ImportedRow.id.in_(ids)),
    "alipay_withdrawal": lambda ids: select(Withdrawal.id, Withdrawal.serial).where(Withdrawal.id.in_(ids)),
    "payout_item": lambda ids: (
        select(Transfer.payable_id, Transfer.out_biz_no).where(Transfer.payable_kind == "payout_item", Transfer.payable_id.in_(ids))
    ),
}


def _some(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + 500] for start in range(0, len(ids), 500))


def _names(row: StatementRow, entry: _Open, side: str) -> bool:
    if side == "alipay":
        # In whatever words Alipay tells that a withdrawal came back, under its number.
        return row.number in entry.numbers and (row.kind == _ALIPAY.get(entry.kind, "") or entry.kind == "reversed")
    own = name_of(row.serial).number
    return any(number == own or (len(number) >= _SHORTEST and number in row.remark) for number in entry.numbers)


def _shared(left: int, fitting: list[_Open]) -> list[tuple[_Open, int]]:
    """How a row is shared among the entries that it may be: one of just its amount, else all in their order as far as it reaches."""
    exact = next((each for each in fitting if each.left == left), None)
    if exact is not None:
        return [(exact, left)]
    shared = []
    for each in fitting:
        fen = each.left if abs(each.left) <= abs(left) else left
        if not fen:
            break
        shared.append((each, fen))
        left -= fen
    return shared


row_decision.left_open.append(left_open)
