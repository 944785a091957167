"""Alipay's account bill of a day, kept: every movement of a cooperative's balance there, each known by Alipay's number.

It posts nothing: what was paid and refunded is learnt from notices and the trade bill. It is what the books are reconciled with.
"""

from datetime import date, datetime, timedelta

from sqlalchemy import ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, db, locked_where
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import bill_day
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.bill_day import MissingBill
from marketplace.payments.bill_import import ImportedBill
from marketplace.payments.statement_row import StatementRow


class KeptAccountBill(Public, Model):
    """One seller's account of one Beijing day. Balances are None on a day without movements."""

    __tablename__ = "alipay_account_bill"
    __table_args__ = (UniqueConstraint("organisation_id", "day"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    day: Mapped[date]
    sha256: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    opening_fen: Mapped[int | None]
    closing_fen: Mapped[int | None]
    imported_at: Mapped[datetime]


def missing_days(limit: int = 50) -> list[tuple[int, date]]:
    """(cooperative, Beijing day) whose trade bill is here, whose account bill is not, and which is to be asked for now; oldest first."""
    of_day = (KeptAccountBill.organisation_id == ImportedBill.organisation_id) & (KeptAccountBill.day == ImportedBill.day)
    waits = (MissingBill.organisation_id == ImportedBill.organisation_id) & (MissingBill.day == ImportedBill.day)
    query = select(ImportedBill.organisation_id, ImportedBill.day).where(
        ~select(KeptAccountBill.id).where(of_day).exists(),
        ~select(MissingBill.id).where(waits, MissingBill.kind == "account", MissingBill.ask_at > clock.now()).exists(),
    )
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(ImportedBill.day, ImportedBill.organisation_id).limit(limit))]


def take_absent(organisation_id: int, day: date) -> bool:
    """As ``bill_import.take_absent``."""
    if not bill_day.was_silent(organisation_id, day):
        return False
    take(organisation_id, AccountBill(day, bill_day.application(organisation_id, day)[1], (), ""))
    return True


def take(organisation_id: int, bill: AccountBill) -> KeptAccountBill:
    """Keep a bill that was read whole. The same day again changes nothing.

    Raises InvalidInput ``bill.seller``, Conflict ``bill.changed`` if the day was kept with other rows. Whether a day goes on where the one
    before ended is seen when the books are reconciled.
    """
    locked_where(Cooperative, select(Cooperative).where(Cooperative.organisation_id == organisation_id))
    if bill_day.application(organisation_id, bill.day)[1] != bill.seller_id:
        raise InvalidInput("bill.seller", N_("这份账单不是这家合作社的。"), field="seller_id")
    known = db.session.scalars(
        select(KeptAccountBill).where(KeptAccountBill.organisation_id == organisation_id, KeptAccountBill.day == bill.day)
    ).one_or_none()
    opening = bill.rows[0].balance_fen - bill.rows[0].fen if bill.rows else None
    closing = bill.rows[-1].balance_fen if bill.rows else None
    bill_day.came(organisation_id, "account", bill.day)
    if known is not None and (known.sha256 or not bill.rows):
        if _content(known) != sorted((each.serial, each.fen, each.balance_fen, each.kind) for each in bill.rows):
            raise Conflict("bill.changed", N_("这一天的账单以前导入过，内容不一样。"), day=str(bill.day))
        return known
    made = known or KeptAccountBill(organisation_id=organisation_id, day=bill.day)  # known: Alipay had said that it has none
    made.sha256, made.rows, made.opening_fen, made.closing_fen, made.imported_at = bill.sha256, len(bill.rows), opening, closing, clock.now()
    db.session.add(made)
    for each in bill.rows:
        db.session.add(
            StatementRow(
                organisation_id=organisation_id, side="alipay", serial=each.serial, day=clock.business_date(each.at), fen=each.fen,
                balance_fen=each.balance_fen, kind=each.kind, number=each.out_trade_no or each.trade_no, remark=each.what,
            )
        )
    db.session.flush()
    audit.record("account_bill.kept", made, day=str(bill.day), rows=made.rows)
    return made


def _content(kept: KeptAccountBill) -> list[tuple[object, ...]]:
    own = StatementRow.organisation_id == kept.organisation_id, StatementRow.side == "alipay", StatementRow.day == kept.day
    return sorted((row.serial, row.fen, row.balance_fen, row.kind) for row in db.session.scalars(select(StatementRow).where(*own)))


def is_here(organisation_id: int, day: date) -> bool:
    """Whether the bill of a day is kept."""
    return db.session.scalar(select(KeptAccountBill.id).where(KeptAccountBill.organisation_id == organisation_id, KeptAccountBill.day == day)) is not None


def covered_until(organisation_id: int) -> date | None:
    """The last day up to which every bill since the first is here."""
    days = list(db.session.scalars(select(KeptAccountBill.day).where(KeptAccountBill.organisation_id == organisation_id).order_by(KeptAccountBill.day)))
    last: date | None = None
    for each in days:
        if last is not None and each > last + timedelta(days=1):
            break
        last = each
    return last

