"""Rules between the books and what bank and Alipay say: unapplied is what waits, rows are linked once, and the control total."""

from collections.abc import Callable

from sqlalchemy import func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.payment import Payment
from marketplace.payments.receipt_return import ReceiptReturn
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.reporting.books_posted import by_book, differences, total
from marketplace.reporting.money_health import UNEXPLAINED
from marketplace.settlement import difference, reconciliation


def unapplied_is_what_waits() -> list[str]:
    """unapplied = receipts not matched and not promised back, and payments that came late and are not refunded."""
    receipts = select(BankReceipt.organisation_id, func.sum(BankReceipt.fen - BankReceipt.matched_fen - BankReceipt.returned_fen)).where(
        BankReceipt.state != "unrelated"
    )
    late = select(Payment.organisation_id, func.sum(Payment.amount_fen - Payment.refunded_fen)).where(Payment.state == "late_paid")
    waiting = [
        {book: int(fen) for book, fen in db.session.execute(query)}
        for query in (receipts.group_by(BankReceipt.organisation_id), late.group_by(Payment.organisation_id))
    ]
    return differences("unapplied", by_book("unapplied"), total((1, waiting[0]), (1, waiting[1])))


def returns_are_promised() -> list[str]:
    """What a receipt says goes back is at least what was agreed to."""
    agreed = func.coalesce(func.sum(ReceiptReturn.fen), 0)
    query = (
        select(BankReceipt.id, BankReceipt.returned_fen, agreed)
        .outerjoin(ReceiptReturn, (ReceiptReturn.receipt_id == BankReceipt.id) & ReceiptReturn.state.in_(("APPROVED", "PAID")))
        .group_by(BankReceipt.id, BankReceipt.returned_fen)
        .having(BankReceipt.returned_fen < agreed)
    )
    return [f"receipt {number}: says {said} fen go back, {fen} agreed" for number, said, fen in db.session.execute(query)]


def rows_are_linked_once() -> list[str]:
    """The links of a row never pass its amount, and lie on its side of zero."""
    told = func.sum(StatementLink.fen)
    query = (
        select(StatementRow.id, StatementRow.fen, told)
        .join(StatementLink, StatementLink.row_id == StatementRow.id)
        .group_by(StatementRow.id, StatementRow.fen)
        .having((func.abs(told) > func.abs(StatementRow.fen)) | (func.min(StatementLink.fen * StatementRow.fen) < 0))
    )
    return [f"row {number}: {fen} fen, linked {linked}" for number, fen, linked in db.session.execute(query)]


def bank_and_alipay_are_statement_and_bill() -> list[str]:
    """Where a statement or bill writes balances, the books are its balance and listed items, each explained or younger than a day."""
    breaches = []
    for book in reconciliation.cooperatives_with_statements():
        for side in reconciliation.followed(book):
            where = reconciliation.position(book, side)
            if where.theirs_fen is None:
                continue
            if where.explained_fen != where.ours_fen:
                breaches.append(f"{side} of book {book} on {where.on}: books {where.ours_fen} fen, statement and items {where.explained_fen}")
            breaches += [
                f"{side} of book {book}: {each.kind} {each.item.number if each.item else each.subject} of {each.day}, {each.fen} fen"
                for each in difference.unexplained(where)
            ]
    return breaches


def bill_differences_are_explained() -> list[str]:
    """What Alipay's trade bill and the books do not say alike is explained, or younger than a day."""
    query = (
        select(BillDifference.organisation_id, BillDifference.kind, BillDifference.out_trade_no, BillDifference.ours_fen, BillDifference.theirs_fen)
        .where(BillDifference.explained_at.is_(None), BillDifference.found_at < clock.now() - UNEXPLAINED)
        .order_by(BillDifference.id)
    )
    return [
        f"trade bill of book {book}: {kind} {number}, books {ours} fen, bill {theirs}" for book, kind, number, ours, theirs in db.session.execute(query)
    ]


RULES: tuple[Callable[[], list[str]], ...] = (
    unapplied_is_what_waits,
    returns_are_promised,
    rows_are_linked_once,
    bank_and_alipay_are_statement_and_bill,
    bill_differences_are_explained,
)
