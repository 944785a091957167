"""A day's bill, imported: each row goes through the one door, fees and fees given back are posted, and what does not fit is a task.

A bill is the channel's last word on a day: what no notice and no query told is learnt from it. The same bill twice changes nothing.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, Public, db, locked_where
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_day, bill_difference, refund_news
from marketplace.payments import payment as payments
from marketplace.payments.alipay_outcome import Bill, BillRow
from marketplace.payments.outcome import Outcome, OutcomeMismatch
from marketplace.payments.payment import Payment
from marketplace.payments.refund import Refund


class ImportedBill(Public, Model):
    """One seller's bill of one Beijing day."""

    __tablename__ = "alipay_bill"
    __table_args__ = (UniqueConstraint("organisation_id", "day"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    day: Mapped[date]
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    imported_at: Mapped[datetime]


class ImportedRow(Identified, Model):
    """One movement of a bill; ``out_request_no`` is empty for a payment. ``fen`` and ``fee_fen`` signed as in the bill."""

    __tablename__ = "alipay_bill_row"
    __table_args__ = (
        UniqueConstraint("organisation_id", "kind", "trade_no", "out_request_no", name="uq_alipay_bill_row_movement"),
        Index("ix_alipay_bill_row_number", "out_trade_no"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    bill_id: Mapped[int] = mapped_column(ForeignKey("alipay_bill.id"), index=True)
    kind: Mapped[str] = mapped_column(String(6))  # trade, refund
    trade_no: Mapped[str] = mapped_column(String(64))
    out_trade_no: Mapped[str] = mapped_column(String(64))
    out_request_no: Mapped[str] = mapped_column(String(64))
    fen: Mapped[int]
    fee_fen: Mapped[int]
    finished_at: Mapped[datetime]


def missing_days(limit: int = 50) -> list[tuple[int, date]]:
    """(cooperative, Beijing day) whose bill is out, not imported, and to be asked for now: see ``bill_day.wanted``."""
    return bill_day.wanted("trade", bill_day.spans(), ImportedBill, limit)


def take_absent(organisation_id: int, day: date) -> bool:
    """Alipay has no bill of this day. Long after, and if our books moved nothing either, that is a bill without rows; else it may come yet."""
    if not bill_day.was_silent(organisation_id, day):
        return False
    take(organisation_id, Bill(day, bill_day.application(organisation_id, day)[1], (), ""))
    return True


def take(organisation_id: int, bill: Bill) -> ImportedBill:
    """Import a bill that was read whole. The same day again changes nothing; with other content it is a Conflict ``bill.changed``."""
    locked_where(Cooperative, select(Cooperative).where(Cooperative.organisation_id == organisation_id))
    if bill_day.application(organisation_id, bill.day)[1] != bill.seller_id:
        raise InvalidInput("bill.seller", N_("这份账单不是这家合作社的。"), field="seller_id")
    known = db.session.scalars(
        select(ImportedBill).where(ImportedBill.organisation_id == organisation_id, ImportedBill.day == bill.day)
    ).one_or_none()
    bill_day.came(organisation_id, "trade", bill.day)
    if known is not None and (known.sha256 or not bill.rows):
        if _content(known) != sorted((each.kind, each.trade_no, each.out_trade_no, _number(each), each.fen, each.fee_fen, each.finished_at) for each in bill.rows):
            raise Conflict("bill.changed", N_("这一天的账单以前导入过，内容不一样。"), day=str(bill.day))
        return known
    imported = known or ImportedBill(organisation_id=organisation_id, day=bill.day)  # known: Alipay had said that it has none
    imported.sha256, imported.rows, imported.imported_at = bill.sha256, len(bill.rows), clock.now()
    db.session.add(imported)
    db.session.flush()
    # Payments first: a refund of the same day needs the payment that it gives back.
    for each in sorted(bill.rows, key=lambda row: (row.kind == "refund", row.finished_at)):
        _take_row(imported, each)
    # A day is looked at when its own bill and the next one are there: clocks and midnights differ by a little.
    for day in (bill.day - timedelta(days=1), bill.day):
        if is_here(organisation_id, day) and is_here(organisation_id, day + timedelta(days=1)):
            _find_only_ours(imported, day)
    audit.record("bill.imported", imported, day=str(bill.day), rows=len(bill.rows))
    return imported


def _content(imported: ImportedBill) -> list[tuple[object, ...]]:
    rows = db.session.scalars(select(ImportedRow).where(ImportedRow.bill_id == imported.id))
    return sorted((row.kind, row.trade_no, row.out_trade_no, row.out_request_no, row.fen, row.fee_fen, row.finished_at) for row in rows)


def _number(each: BillRow) -> str:
    """A row's own number of a refund; a payment has none."""
    return each.out_request_no if each.kind == "refund" else ""


def _take_row(imported: ImportedBill, each: BillRow) -> None:
    row = ImportedRow(
        organisation_id=imported.organisation_id,
        bill_id=imported.id,
        kind=each.kind,
        trade_no=each.trade_no,
        out_trade_no=each.out_trade_no,
        out_request_no=_number(each),
        fen=each.fen,
        fee_fen=each.fee_fen,
        finished_at=each.finished_at,
    )
    db.session.add(row)
    db.session.flush()
    source = Source("alipay_bill_row", row.id)
    if each.fee_fen < 0:
        event.fee(book=row.organisation_id, source=source, fen=-each.fee_fen, at=each.finished_at)
    elif each.fee_fen > 0:
        event.fee_reversed(book=row.organisation_id, source=source, fen=each.fee_fen, at=each.finished_at)
    if each.kind == "trade":
        _take_trade(row)
    else:
        _take_refund(row)


def _is_anothers(row: ImportedRow) -> bool:
    """Whether the row names a payment of another seller: what a seller's account moved says nothing of another's money."""
    owner = db.session.scalar(select(Payment.organisation_id).where(Payment.out_trade_no == row.out_trade_no))
    return owner is not None and owner != row.organisation_id


def _take_trade(row: ImportedRow) -> None:
    if _is_anothers(row):
        _differs(row, "ONLY_THEIRS", 0)
        return
    try:
        payments.apply(
            Outcome(row.out_trade_no, "succeeded", total_fen=row.fen, trade_no=row.trade_no, at=row.finished_at)
        )
    except NotFound:
        _differs(row, "ONLY_THEIRS", 0)
    except OutcomeMismatch:
        _differs(row, "AMOUNT", db.session.scalar(select(Payment.amount_fen).where(Payment.out_trade_no == row.out_trade_no)) or 0)


def _take_refund(row: ImportedRow) -> None:
    refund = db.session.scalars(select(Refund).where(Refund.out_request_no == row.out_request_no)).one_or_none()
    if refund is not None:
        if refund.fen != -row.fen or refund.organisation_id != row.organisation_id:
            _differs(row, "AMOUNT", -refund.fen)
        else:
            refund_news.left(refund.id)  # also if we took it for refused
        return
    payment = db.session.scalars(select(Payment).where(Payment.out_trade_no == row.out_trade_no)).one_or_none()
    if payment is None or _is_anothers(row) or payment.trade_no not in (None, row.trade_no):
        _differs(row, "ONLY_THEIRS", 0)
        return
    # What went back had come: it may be the first that we hear of this payment.
    payments.apply(
        Outcome(
            row.out_trade_no, "succeeded", total_fen=payment.amount_fen, trade_no=row.trade_no,
            refunded_fen=_billed_back(row.out_trade_no, row.organisation_id), refund_no=row.out_request_no, by_number=True,
        )
    )  # fmt: skip


def recount(payment_id: int) -> str:
    """A refund failed: what bills said went back may now be more than we sent. It was one of ours that failed before, if they name it; else it
    was made at the channel."""
    payment = db.session.get_one(Payment, payment_id)
    told = _billed_back(payment.out_trade_no, payment.organisation_id)
    row = (ImportedRow.organisation_id == payment.organisation_id) & (ImportedRow.out_request_no == Refund.out_request_no) & (ImportedRow.fen == -Refund.fen)
    billed = select(Refund.id).join(ImportedRow, row).where(Refund.payment_id == payment_id, Refund.state == "failed")
    for refund_id in db.session.scalars(billed.order_by(Refund.id)).all():
        refund_news.left(refund_id)
    refund_news.count_what_left(payment_id)
    if not told or payment.trade_no is None:
        return ""
    return payments.apply(
        Outcome(payment.out_trade_no, "succeeded", total_fen=payment.amount_fen, trade_no=payment.trade_no, refunded_fen=told, by_number=True)
    )


def _billed_back(out_trade_no: str, organisation_id: int) -> int:
    back = select(func.sum(-ImportedRow.fen)).where(
        ImportedRow.out_trade_no == out_trade_no, ImportedRow.kind == "refund", ImportedRow.organisation_id == organisation_id
    )
    return int(db.session.scalar(back) or 0)


def is_here(organisation_id: int, day: date) -> bool:
    """Whether the bill of a day is imported."""
    query = select(ImportedBill.id).where(ImportedBill.organisation_id == organisation_id, ImportedBill.day == day)
    return db.session.scalar(query) is not None


def _find_only_ours(imported: ImportedBill, day: date) -> None:
    """What the books moved on a day, and neither its bill nor any other tells of."""
    begin = clock.beijing_midnight(day)
    moved = (
        select(JournalEntry.source_type, JournalEntry.source_id)
        .where(
            JournalEntry.book == imported.organisation_id,
            JournalEntry.kind.in_(("alipay_paid", "alipay_unapplied", "refund_succeeded")),
            JournalEntry.event_at >= begin,
            JournalEntry.event_at < begin + timedelta(days=1),
        )
        .order_by(JournalEntry.id)
    )
    found = [(row[0], row[1]) for row in db.session.execute(moved)]
    if not found:
        return
    paid = {number for kind, number in found if kind == "payment"}
    back = {number for kind, number in found if kind == "refund"}
    billed = select(ImportedRow.id).where(ImportedRow.organisation_id == imported.organisation_id)
    in_bill = billed.where(ImportedRow.kind == "trade", ImportedRow.out_trade_no == Payment.out_trade_no).exists()
    for payment in db.session.scalars(select(Payment).where(Payment.id.in_(paid), Payment.channel == "alipay", ~in_bill)):
        _only_ours(imported, payment.out_trade_no, "", payment.amount_fen)
    named = billed.where(ImportedRow.out_request_no == Refund.out_request_no).exists()
    lost = select(Refund, Payment.out_trade_no).join(Payment, Payment.id == Refund.payment_id)
    for refund, number in db.session.execute(lost.where(Refund.id.in_(back), Refund.way == "alipay", ~Refund.elsewhere, ~named)):
        _only_ours(imported, number, refund.out_request_no, -refund.fen)


def _only_ours(imported: ImportedBill, out_trade_no: str, out_request_no: str, fen: int) -> None:
    bill_difference.found(imported.organisation_id, "ONLY_OURS", out_trade_no, out_request_no, ours_fen=fen, theirs_fen=0, bill_id=imported.id)


def _differs(row: ImportedRow, kind: str, ours_fen: int) -> None:
    bill_difference.found(
        row.organisation_id, kind, row.out_trade_no, row.out_request_no, ours_fen=ours_fen, theirs_fen=row.fen, bill_id=row.bill_id
    )
