"""What caused an entry: the papers behind its source, each with a page on which the story goes on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, literal, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household_change import HouseholdChange
from marketplace.ledger.entry import JournalEntry
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.bill_import import ImportedRow
from marketplace.payments.match_undo import MatchUndo
from marketplace.payments.notice_inbox import AlipayNotice
from marketplace.payments.payment import Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.refund import Refund
from marketplace.payments.refund_loss import RefundLoss
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.row_undo import RowUndo
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.withdrawal import Withdrawal
from marketplace.procurement.directed_order import Acceptance
from marketplace.procurement.late_interest import LateInterest
from marketplace.procurement.price_cut import PriceCut
from marketplace.settlement.distribution_share import Distribution, DistributionGroup
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.payout_found import PayoutFound
from marketplace.settlement.payout_reversal import PayoutReversal
from marketplace.settlement.remittance import Remittance
from marketplace.settlement.settlement import Settlement
from marketplace.settlement.unclaimed import Unclaimed
from marketplace.settlement.unclaimed_return import UnclaimedReturn


@dataclass(frozen=True)
class Cause:
    """``page`` is what there is to read, ``key`` the outside name of it: a receipt's token, a ``public_id``; of an ``account`` of
    a cooperative its owner, whose side ("bank", "alipay") and day (ISO) are beside it."""

    page: str
    key: str
    side: str = ""
    day: str = ""


def causes(entry: JournalEntry) -> list[Cause]:
    """Where the entry's story goes on, the nearest first. One statement for each page."""
    found = ((page, db.session.execute(query(entry.source_id)).first()) for page, query in CAUSES.get(entry.source_type, {}).items())
    return [Cause(page, *(_written(part) for part in row)) for page, row in found if row is not None]


def _written(part: Any) -> str:
    if isinstance(part, datetime):
        part = clock.business_date(part)
    return part.isoformat() if isinstance(part, date) else str(part)


Query = Callable[[int], Select[*tuple[Any, ...]]]


def _itself(model: Any) -> Query:
    return lambda number: select(model.public_id).where(model.id == number)


def _order(model: Any) -> Query:
    return lambda number: select(Order.receipt_token).join(model, model.order_id == Order.id).where(model.id == number)


def _payment_of(model: Any) -> Query:
    return lambda number: select(Payment.public_id).join(model, model.payment_id == Payment.id).where(model.id == number)


def _account(model: Any, side: Any, day: Any) -> Any:
    """A query of the account that a row of the model moved, on the day on which it moved it; narrowed by the caller."""
    return select(Organisation.public_id, side, day).select_from(model).join(Organisation, Organisation.id == model.organisation_id)


_BANK, _ALIPAY = literal("bank"), literal("alipay")
# What each kind of source leads to. A source that ``Source`` names and that is not here stands on the list of tests/house/test_sources.py.
CAUSES: Mapping[str, Mapping[str, Query]] = {
    "settlement": {"receipt": _order(Settlement)},
    "refund": {"receipt": _order(Refund), "payment": _payment_of(Refund)},
    "refund_loss": {
        "payment": lambda number: (
            select(Payment.public_id)
            .join(Refund, Refund.payment_id == Payment.id)
            .join(RefundLoss, RefundLoss.refund_id == Refund.id)
            .where(RefundLoss.id == number)
        ),
    },
    "payment": {
        "receipt": lambda number: (
            select(Order.receipt_token)
            .join(Payment, Payment.payable_id == Order.id)
            .where(Payment.id == number, Payment.payable_kind.in_(("order", "directed_order")))
        ),
        "payment": _itself(Payment),
    },
    "acceptance": {"receipt": _order(Acceptance)},
    "price_cut": {"receipt": _order(PriceCut)},
    "late_interest": {"receipt": _order(LateInterest)},
    "distribution_group": {
        "distribution": lambda number: (
            select(Distribution.public_id)
            .join(DistributionGroup, DistributionGroup.distribution_id == Distribution.id)
            .where(DistributionGroup.id == number)
        ),
    },
    "payout_batch": {"payout": _itself(PayoutBatch)},
    "payout_item": {
        "payout_item": _itself(PayoutItem),
        "payout": lambda number: select(PayoutBatch.public_id).join(PayoutItem, PayoutItem.batch_id == PayoutBatch.id).where(PayoutItem.id == number),
    },
    "payout_reversal": {
        "payout": lambda number: (
            select(PayoutBatch.public_id)
            .join(PayoutItem, PayoutItem.batch_id == PayoutBatch.id)
            .join(PayoutReversal, PayoutReversal.item_id == PayoutItem.id)
            .where(PayoutReversal.id == number)
        ),
    },
    "payout_found": {
        "payout": lambda number: (
            select(PayoutBatch.public_id)
            .join(PayoutItem, PayoutItem.batch_id == PayoutBatch.id)
            .join(PayoutFound, PayoutFound.item_id == PayoutItem.id)
            .where(PayoutFound.id == number)
        ),
    },
    "remittance": {"remittance": _itself(Remittance)},
    "fund_return": {"fund_return": _itself(FundReturn)},
    "unclaimed": {"unclaimed": _itself(Unclaimed)},
    "unclaimed_return": {
        "unclaimed": lambda number: (
            select(Unclaimed.public_id)
            .join(UnclaimedReturn, UnclaimedReturn.unclaimed_id == Unclaimed.id)
            .where(UnclaimedReturn.id == number)
        ),
    },
    "household_change": {"household_change": _itself(HouseholdChange)},
    "bank_receipt": {"account": lambda number: _account(BankReceipt, _BANK, BankReceipt.received_on).where(BankReceipt.id == number)},
    "bank_match": {
        "receipt": lambda number: _matched(Order.receipt_token).where(BankMatch.id == number),
        "account": lambda number: _receipt_of(BankMatch).where(BankMatch.id == number),
    },
    "match_undo": {
        "receipt": lambda number: _matched(Order.receipt_token).join(MatchUndo, MatchUndo.match_id == BankMatch.id).where(MatchUndo.id == number),
        "account": lambda number: _receipt_of(BankMatch).join(MatchUndo, MatchUndo.match_id == BankMatch.id).where(MatchUndo.id == number),
    },
    "receipt_return": {"account": lambda number: _receipt_of(ReceiptReturn).where(ReceiptReturn.id == number)},
    "row_decision": {
        "account": lambda number: (
            _account(StatementRow, StatementRow.side, StatementRow.day)
            .join(RowDecision, RowDecision.row_id == StatementRow.id)
            .where(RowDecision.id == number)
        ),
    },
    "row_undo": {
        "account": lambda number: (
            _account(StatementRow, StatementRow.side, StatementRow.day)
            .join(RowUndo, RowUndo.row_id == StatementRow.id)
            .where(RowUndo.id == number)
        ),
    },
    "alipay_withdrawal": {"account": lambda number: _account(Withdrawal, _ALIPAY, Withdrawal.ordered_on).where(Withdrawal.id == number)},
    "alipay_notice": {
        "payment": lambda number: (
            select(Payment.public_id).join(AlipayNotice, AlipayNotice.out_trade_no == Payment.out_trade_no).where(AlipayNotice.id == number)
        ),
    },
    "alipay_bill_row": {
        "payment": lambda number: (
            select(Payment.public_id).join(ImportedRow, ImportedRow.out_trade_no == Payment.out_trade_no).where(ImportedRow.id == number)
        ),
        "account": lambda number: _account(ImportedRow, _ALIPAY, ImportedRow.finished_at).where(ImportedRow.id == number),
    },
}


def _matched(column: Any) -> Any:
    return select(column).select_from(BankMatch).join(Order, (Order.id == BankMatch.payable_id) & (BankMatch.payable_kind == "order"))


def _receipt_of(model: Any) -> Any:
    return _account(BankReceipt, _BANK, BankReceipt.received_on).join(model, model.receipt_id == BankReceipt.id)
