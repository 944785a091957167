"""Days whose bill of Alipay can never come, as nobody has a key of that application any more, or Alipay keeps none for so long: one person says why,
a director agrees.

From then on such a day counts as one of which Alipay says that it has no bill: what the books moved on it is a difference, for somebody to explain,
and the days behind it are reconciled again. A bill that comes all the same takes the empty one's place.
"""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import CheckConstraint, Index, String, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.payments import account_bill, bill_day, bill_import
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.alipay_account_bill import AccountBill
from marketplace.payments.alipay_outcome import Bill
from marketplace.payments.bill_day import SILENT, MissingBill

ASKED = 3  # times that a bill was asked for in vain before anybody may say that it never comes
MOST = 100  # days of one closure
_WAITS = text("state = 'PROPOSED'")


class BillClosure(Proposal, Model):
    """PROPOSED → APPROVED, with the number of days that were ``closed``, or RETURNED with a reason. Beijing days, both included."""

    __tablename__ = "bill_closure"
    not_now = ("closure.decided", N_("这一项已经有人决定了。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint("first_day <= last_day", name="days"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index("uq_bill_closure_waits", "organisation_id", unique=True, sqlite_where=_WAITS, postgresql_where=_WAITS),
    )

    first_day: Mapped[date]
    last_day: Mapped[date]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")
    closed: Mapped[int] = mapped_column(default=0)


def propose(first_day: date, last_day: date, reason: str, *, actor: Actor) -> BillClosure:
    """Say that the missing bills of these days never come, and why. By the accountant or director.

    Raises InvalidInput ``reason.missing``, ``closure.days`` unless there are missing ones among them that were asked for in vain for days, and no
    more than ``MOST``; Conflict ``closure.open`` while another waits.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么再也取不到，300 字以内。"), field="reason")
    if waiting(actor.organisation_id) is not None:
        raise Conflict("closure.open", N_("已经有一项在等理事长决定，决定以后再提。"))
    if not 1 <= len(in_vain(actor.organisation_id, first_day, last_day)) <= MOST:
        raise InvalidInput("closure.days", N_("这些天里要有三天以前、问过三次以上都没有取到的账单，一次最多 100 天。"), field="last_day")
    row = BillClosure(organisation_id=actor.organisation_id, first_day=first_day, last_day=last_day, reason=reason.strip())
    return put(row, "bill_closure.proposed", person_id=actor.person_id, first=f"{first_day}", last=f"{last_day}")


def decide(closure_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> BillClosure:
    """The director's word, never on their own proposal: what is missing still is closed, or asked for as before.

    Raises OwnWork, InvalidInput ``reason.missing``, Conflict ``closure.decided``, ``version.stale``.
    """
    row = own_row(BillClosure, closure_id, actor, "director")
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state, row.answer = "APPROVED" if approved else "RETURNED", reason.strip()[:300]
    for day in in_vain(row.organisation_id, row.first_day, row.last_day) if approved else ():
        _close(row.organisation_id, day)
        row.closed += 1
    db.session.flush()
    if approved:
        audit.record("bill_closure.closed", row, person_id=actor.person_id, days=row.closed)
    return row


def waiting(organisation_id: int) -> BillClosure | None:
    """What waits for the director, if anything does."""
    query = select(BillClosure).where(BillClosure.organisation_id == organisation_id, BillClosure.state == "PROPOSED")
    return db.session.scalars(query).one_or_none()


def missing(organisation_id: int) -> Sequence[MissingBill]:
    """What was asked for and did not come, by day."""
    query = select(MissingBill).where(MissingBill.organisation_id == organisation_id)
    return db.session.scalars(query.order_by(MissingBill.day, MissingBill.kind)).all()


def all_told(organisation_id: int, days: Sequence[date]) -> bool:
    """Whether Alipay's own word on what moved on each of these days is here: a day that two people closed is told of by nobody."""
    its = BillClosure.organisation_id == KeptAccountBill.organisation_id, BillClosure.first_day <= KeptAccountBill.day, BillClosure.last_day >= KeptAccountBill.day
    closed = select(BillClosure.id).where(*its, BillClosure.state == "APPROVED", KeptAccountBill.sha256 == "").exists()
    told = select(func.count()).where(KeptAccountBill.organisation_id == organisation_id, KeptAccountBill.day.in_(days), ~closed)
    return int(db.session.scalar(told) or 0) == len(days)


def in_vain(organisation_id: int, first_day: date, last_day: date) -> list[date]:
    """Days of which a bill is missing, was asked for often enough, and would have come by now."""
    until = min(last_day, clock.business_date() - SILENT)
    query = select(MissingBill.day).where(
        MissingBill.organisation_id == organisation_id, MissingBill.day >= first_day, MissingBill.day <= until, MissingBill.asked >= ASKED
    )
    return list(db.session.scalars(query.distinct().order_by(MissingBill.day)))


def _close(organisation_id: int, day: date) -> None:
    """An empty bill of each kind that is not here."""
    seller_id = bill_day.application(organisation_id, day)[1]
    if not bill_import.is_here(organisation_id, day):
        bill_import.take(organisation_id, Bill(day, seller_id, (), ""))
    if not account_bill.is_here(organisation_id, day):
        account_bill.take(organisation_id, AccountBill(day, seller_id, (), ""))
    for kind in bill_day.KINDS:
        bill_day.came(organisation_id, kind, day)
