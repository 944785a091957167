"""Which days' bills of Alipay are wanted: every day since a cooperative was first paid there, until it is here, however long ago it was.

A day that was asked for and did not come is a row, asked for again after growing pauses and shown as a trouble; it is gone once the bill is
here. A season without trade, or a week without the gateway, leaves no hole behind which nothing is reconciled any more. Of a cooperative that has
left Alipay they are wanted as long as its money may move there; what can never come two people close (``bill_closure``).
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, delete, func, select
from sqlalchemy.orm import Mapped, aliased, mapped_column

from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import Model, Public, db, locked_where, not_found
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import alipay_key, seller_channel
from marketplace.payments.alipay_signing import BadKey
from marketplace.payments.channel_key import LONGEST
from marketplace.payments.payment import Payment
from marketplace.payments.statement_row import StatementLink, StatementRow

KINDS = ("trade", "account")
READY_HOUR = 10  # Beijing: a day's bill is out on the next morning
AGAIN = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))  # the last one repeats
STEP = 31  # days of one cooperative that one round asks for
SILENT = timedelta(days=3)  # after which a bill that Alipay does not have will not come: nothing moved on that day
_FETCH = "bill.fetch"


class MissingBill(Public, Model):
    """A bill of a Beijing day that was asked for and did not come."""

    __tablename__ = "missing_bill"
    __table_args__ = (CheckConstraint("kind IN ('trade','account')", name="kind"), UniqueConstraint("organisation_id", "kind", "day"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    kind: Mapped[str] = mapped_column(String(8))
    day: Mapped[date] = mapped_column(index=True)
    asked: Mapped[int]
    ask_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(60))  # why it did not come last time: a code


def newest() -> date:
    """The last Beijing day whose bill is out."""
    now = clock.now().astimezone(clock.BEIJING)
    return now.date() - timedelta(days=1 if now.hour >= READY_HOUR else 2)


def spans() -> dict[int, tuple[date, date]]:
    """The Beijing days, first and last, whose bills each cooperative wants: from its first payment over Alipay on, to the newest or its end there."""
    query = select(Payment.organisation_id, func.min(Payment.created_at)).where(Payment.channel == "alipay").group_by(Payment.organisation_id)
    last = ends()
    return {own: (clock.business_date(first), min(newest(), last.get(own, date.max))) for own, first in db.session.execute(query).all()}


def ends() -> dict[int, date]:
    """Of each cooperative that has no application at Alipay any more the last day whose bill is wanted: ``LONGEST`` after it was last paid there, as
    nothing goes back later; or when the books moved there last (a withdrawal, say), if that was later still. Where no key of its signs any more
    nobody can be asked, and only the days on which the books moved, and those before, are missed."""
    paid = select(Payment.organisation_id, func.max(Payment.created_at)).join(Cooperative, Cooperative.organisation_id == Payment.organisation_id)
    left = paid.where(Cooperative.alipay_app_id == "", Payment.channel == "alipay").group_by(Payment.organisation_id)
    paid_on = {own: clock.business_date(at) for own, at in db.session.execute(left).all()}
    return {own: max(day + LONGEST if _may_sign(own) else day, _last_moved(own)) for own, day in paid_on.items()}


def _may_sign(organisation_id: int) -> bool:
    """Whether there is a key for the application over which a cooperative was paid last; one that is over may be replaced."""
    app_id, _seller_id = application(organisation_id, clock.business_date())
    try:
        return alipay_key.opened(organisation_id, app_id, seller_channel.configured_keys(app_id)) is not None
    except BadKey:
        return True


def _last_moved(organisation_id: int) -> date:
    """The Beijing day on which the books moved last on a cooperative's account at Alipay."""
    moved = (
        select(func.max(JournalEntry.event_at))
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .where(JournalEntry.book == organisation_id, JournalLine.account_id == (account.existing("alipay", organisation_id) or 0))
    )
    at = db.session.scalar(moved)
    return clock.business_date(at) if at else date.min


def application(organisation_id: int, day: date) -> tuple[str, str]:
    """(application, seller) at Alipay whose bill of a Beijing day is the cooperative's: over which it was last paid until then, whatever it has now.
    A new application of the same seller asks for the old one's days too."""
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == organisation_id)).one()
    app_id, seller_id = seller.alipay_app_id, seller.alipay_seller_id
    query = select(Payment.app_id, Payment.seller_id).where(
        Payment.organisation_id == organisation_id, Payment.channel == "alipay", Payment.created_at < clock.beijing_midnight(day + timedelta(days=1))
    )
    row = db.session.execute(query.order_by(Payment.id.desc()).limit(1)).one_or_none()
    if row is None or (app_id and row[1] == seller_id):
        return app_id, seller_id
    return row[0], row[1]


def wanted(kind: str, days_of: dict[int, tuple[date, date]], kept: Any, limit: int) -> list[tuple[int, date]]:
    """(cooperative, day) to be asked for now, of the ``days_of`` each (``spans``) and not in the table ``kept``: each one's newest day before all
    older ones, which come oldest first, a step at a time."""
    count = select(kept.organisation_id, func.count()).where(kept.day <= newest()).group_by(kept.organisation_id)
    have: dict[int, int] = {row[0]: row[1] for row in db.session.execute(count)}
    wait = select(MissingBill.organisation_id, MissingBill.day).where(MissingBill.kind == kind, MissingBill.ask_at > clock.now())
    waiting = {(row[0], row[1]) for row in db.session.execute(wait)}
    fresh, old = [], []
    for seller, (begin, last) in sorted(days_of.items()):
        if (last - begin).days + 1 <= have.get(seller, 0):
            continue
        known = set(db.session.scalars(select(kept.day).where(kept.organisation_id == seller, kept.day >= begin)))
        days = (begin + timedelta(days=ahead) for ahead in range((last - begin).days + 1))
        missing = [day for day in days if day not in known and (seller, day) not in waiting]
        fresh += [(seller, day) for day in missing[-1:]]
        old += [(seller, day) for day in missing[:-1][:STEP]]
    return [*fresh, *sorted(old, key=lambda each: (each[1], each[0]))][:limit]


def missed(organisation_id: int, kind: str, day: date, reason: str) -> None:
    """A bill that was asked for did not come: it is asked for again later."""
    locked_where(Cooperative, select(Cooperative).where(Cooperative.organisation_id == organisation_id))  # two workers take turns
    query = select(MissingBill).where(MissingBill.organisation_id == organisation_id, MissingBill.kind == kind, MissingBill.day == day)
    row = db.session.scalars(query).one_or_none()
    if row is None:
        row = MissingBill(organisation_id=organisation_id, kind=kind, day=day, asked=0, ask_at=clock.now(), reason="")
        db.session.add(row)
    row.ask_at = clock.now() + AGAIN[min(row.asked, len(AGAIN) - 1)]
    row.asked += 1
    row.reason = reason[:60]
    db.session.flush()


def came(organisation_id: int, kind: str, day: date) -> None:
    """The bill is here."""
    db.session.execute(
        delete(MissingBill).where(MissingBill.organisation_id == organisation_id, MissingBill.kind == kind, MissingBill.day == day)
    )


def was_silent(organisation_id: int, day: date) -> bool:
    """Whether a day of which Alipay has no bill was one without movements: long enough ago, and our books moved nothing there either.

    What stands on another day's bill did not move on this one: a refund may be known only after midnight. Nor did what was reversed.
    """
    if clock.business_date() - day < SILENT:
        return False
    begin, back = clock.beijing_midnight(day), aliased(JournalEntry)
    elsewhere = (
        select(StatementLink.id)
        .join(StatementRow, StatementRow.id == StatementLink.row_id)
        .where(StatementLink.entry_id == JournalEntry.id, StatementRow.side == "alipay")
        .exists()
    )
    reversed_ = (JournalEntry.kind == "reversed") | select(back.id).where(back.reverses_id == JournalEntry.id, back.kind == "reversed").exists()
    query = (
        select(JournalEntry.id)
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .where(JournalEntry.book == organisation_id, JournalLine.account_id == (account.existing("alipay", organisation_id) or 0))
        .where(JournalEntry.event_at >= begin, JournalEntry.event_at < begin + timedelta(days=1), ~elsewhere, ~reversed_)
    )
    return db.session.scalar(query.limit(1)) is None


def ask_for(organisation_id: int, days: Iterable[date], *, actor: Actor) -> int:
    """A person wants these days' bills fetched now; how many were asked for. A worker does it within seconds.

    For the cooperative's accountant or director, or the operator's treasurer or administrator. InvalidInput ``bill.day`` for a day before the
    first payment, or whose bill is not out yet.
    """
    if actor.is_operator:
        actor.must_have("OPERATOR", "treasurer", "administrator")
    else:
        actor.must_have("COOPERATIVE", "accountant", "director")
        if actor.organisation_id != organisation_id:
            raise not_found(Cooperative)
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == organisation_id)).one_or_none()
    if seller is None:
        raise not_found(Cooperative)
    span, asked = spans().get(organisation_id), 0
    for day in days:
        if span is None or not span[0] <= day <= span[1]:
            raise InvalidInput("bill.day", N_("这一天没有账单可取：要在第一笔支付宝付款之后，并且第二天上午十点以后。"), field="day")
        outbox.put(_FETCH, f"{organisation_id}:{day}", {"organisation_id": organisation_id, "day": day.isoformat()})
        audit.record("bill.asked", seller, person_id=actor.person_id, organisation_id=organisation_id, day=str(day))
        asked += 1
    return asked
