"""A withdrawal: the cooperative moves its own money from its Alipay to its bank account.

The accountant orders it on Alipay's pages, as Alipay offers it to people only, and records it here: it is posted at once, since Alipay
takes it from the balance at once. The bank's statement proves that it arrived; one that the bank refused is put back.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, new_public_id
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.foundation.money import FEN_MAX, format_yuan
from marketplace.ledger import account, balance, event, posting
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, own_row
from marketplace.payments import statement_row, transfer
from marketplace.payments.refund import GOING, Refund
from marketplace.payments.statement_row import Arrived, Seen, StatementLink, StatementRow
from marketplace.payments.transfer import Transfer

LONGEST = timedelta(days=5)  # within which a withdrawal arrives, holidays included
_SOURCE = "alipay_withdrawal"


class Withdrawal(Public, Versioned, Model):
    """SENT → ARRIVED, or FAILED. ``serial`` is Alipay's number, under which it stands in Alipay's bill."""

    __tablename__ = "alipay_withdrawal"
    __table_args__ = (
        CheckConstraint("state IN ('SENT','ARRIVED','FAILED')", name="state"),
        CheckConstraint("fen > 0", name="fen"),
        UniqueConstraint("organisation_id", "serial"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    fen: Mapped[int]
    serial: Mapped[str] = mapped_column(String(64))
    ordered_on: Mapped[date]
    state: Mapped[str] = mapped_column(String(8), default="SENT")
    entry_id: Mapped[int | None]
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(300), default="")  # why it failed


@dataclass(frozen=True)
class Standing:
    """What may be withdrawn, and what Alipay's bill said last: its day and balance in fen (None without a bill)."""

    available_fen: int
    bill_day: date | None
    bill_fen: int | None


def standing(organisation_id: int) -> Standing:
    """What lies in Alipay by the books, less refunds and households' transfers that are to leave it; and what the bill says."""
    going = select(func.coalesce(func.sum(Refund.fen), 0)).where(
        Refund.organisation_id == organisation_id, Refund.way == "alipay", Refund.state.in_(GOING)
    )
    told = StatementRow.organisation_id == organisation_id, StatementRow.side == "alipay", StatementRow.balance_fen.is_not(None)
    last = StatementRow.day.desc(), StatementRow.id.desc()
    day, fen = (select(column).where(*told).order_by(*last).limit(1) for column in (StatementRow.day, StatementRow.balance_fen))
    on_the_way = select(func.coalesce(func.sum(Transfer.fen), 0)).where(
        Transfer.organisation_id == organisation_id, Transfer.state.in_(transfer.GOING)
    )
    row: Any = db.session.execute(
        select(going.scalar_subquery(), day.scalar_subquery(), fen.scalar_subquery(), on_the_way.scalar_subquery())
    ).one()
    return Standing(balance.by_owner("alipay", organisation_id).get("", 0) - int(row[0]) - int(row[3]), row[1], row[2])


def available(organisation_id: int) -> int:
    """Fen that may be withdrawn."""
    return standing(organisation_id).available_fen


def record(fen: int, serial: str, *, ordered_on: date | None = None, actor: Actor, key: str) -> Withdrawal:
    """The accountant ordered a withdrawal of ``fen`` at Alipay under its number: alipay to bank. The same ``key``: the same row.

    Raises InvalidInput ``withdrawal.fen``, ``withdrawal.serial``, ``withdrawal.day``; Conflict ``withdrawal.short`` beyond what lies
    there, ``withdrawal.used`` if the number is another's.
    """
    actor.must_have("COOPERATIVE", "accountant")
    day, serial = ordered_on or clock.business_date(), serial.strip()
    if not 0 < fen <= FEN_MAX:
        raise InvalidInput("withdrawal.fen", N_("请填写提现金额，例如 1,234.50。"), field="amount")
    if not re.fullmatch(r"[0-9A-Za-z_-]{6,64}", serial):
        raise InvalidInput("withdrawal.serial", N_("请填写支付宝的提现单号，6 到 64 个数字或字母。"), field="serial")
    if not clock.business_date() - timedelta(days=31) <= day <= clock.business_date():
        raise InvalidInput("withdrawal.day", N_("提现日期要在最近一个月内，不晚于今天。"), field="ordered_on")
    asked = [fen, serial, f"{day}"]
    answer = once(f"withdrawal:{actor.organisation_id}", key, asked, lambda: {"id": _record(fen, serial, day, actor).id})
    return db.session.get_one(Withdrawal, answer["id"])


def failed(withdrawal_id: int, reason: str, *, version: int, actor: Actor) -> Withdrawal:
    """The bank refused it and the money is in Alipay again: the entry is reversed. By the accountant, with a reason.

    Raises InvalidInput ``reason.missing``, Conflict ``withdrawal.state`` if it arrived.
    """
    row = own_row(Withdrawal, withdrawal_id, actor, "accountant")
    if row.state != "SENT":
        raise Conflict("withdrawal.state", N_("这笔提现已经有结果了。"), state=row.state)
    row.must_be_version(version)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么没有提成，300 字以内。"), field="reason")
    assert row.entry_id is not None
    posting.reverse(row.entry_id, source=Source(_SOURCE, row.id))
    row.state, row.reason, row.closed_at, row.closed_by_id = "FAILED", reason.strip(), clock.now(), actor.person_id
    db.session.flush()
    audit.record("withdrawal.failed", row, person_id=actor.person_id, fen=row.fen)
    return row


class _Arrivals:
    """What the bank's statement says of withdrawals: the oldest under way of this amount, or the one that the remark names."""

    def expecting(self, organisation_id: int) -> Callable[[Seen], Arrived | None]:
        query = select(Withdrawal).where(Withdrawal.organisation_id == organisation_id, Withdrawal.state == "SENT")
        waiting = list(db.session.scalars(query.order_by(Withdrawal.ordered_on, Withdrawal.id)))

        def find(row: Seen) -> Arrived | None:
            fitting = [each for each in waiting if each.fen == row.fen and each.ordered_on <= row.day <= each.ordered_on + LONGEST]
            named = [each for each in fitting if each.serial in row.remark or each.number in row.remark]
            found = named or (fitting if from_alipay(row) else [])
            return partial(_arrived, found[0]) if found else None

        return find

    def may_part(self, row: StatementRow, entry_id: int) -> None:
        """Always: nothing is built upon an arrival."""

    def part(self, row: StatementRow, entry_id: int, reason: str) -> None:
        its = db.session.scalars(select(Withdrawal).where(Withdrawal.entry_id == entry_id, Withdrawal.state == "ARRIVED").with_for_update()).one_or_none()
        if its is None:
            return
        if its.serial == row.serial[:64] and not _on_the_bill(entry_id):
            # Nobody ordered it: it was recorded because the row was said to be one.
            posting.reverse(entry_id, source=Source(_SOURCE, its.id), at=clock.beijing_midnight(row.day))
            its.state, its.reason, its.serial, its.closed_at = "FAILED", reason, its.number, clock.now()
        else:
            its.state, its.closed_at, its.closed_by_id = "SENT", None, None
        its.version += 1
        db.session.flush()
        audit.record("withdrawal.parted", its, fen=its.fen, row_id=row.id)


def _on_the_bill(entry_id: int) -> bool:
    """Whether a row of Alipay's bill shows that the money left Alipay."""
    query = select(StatementLink.id).join(StatementRow, StatementRow.id == StatementLink.row_id).where(StatementLink.entry_id == entry_id, StatementRow.side == "alipay")
    return db.session.scalars(query.limit(1)).first() is not None


def _arrived(withdrawal: Withdrawal, _row: StatementRow) -> int:
    assert withdrawal.entry_id is not None
    withdrawal.state, withdrawal.closed_at = "ARRIVED", clock.now()
    db.session.flush()
    return withdrawal.entry_id


statement_row.arrivals.append(_Arrivals())


def from_alipay(row: Seen) -> bool:
    """Whether a credit says that it comes from Alipay itself: no buyer pays under that name."""
    return "支付宝" in row.name or "支付宝" in row.remark or "提现" in row.remark


def from_stripe(row: Seen) -> bool:
    """Whether a credit says that it comes from Stripe: it pays out by itself, and names itself to the bank."""
    return "STRIPE" in f"{row.name} {row.remark}".upper()


def claimed(organisation_id: int, fen: int, serial: str, day: date, *, by: int) -> int:
    """A credit of the bank turned out to be a withdrawal: the entry of the one under way, or of one recorded now. Nothing is checked twice:
    two people have decided."""
    query = select(Withdrawal).where(Withdrawal.organisation_id == organisation_id, Withdrawal.state == "SENT", Withdrawal.fen == fen, Withdrawal.ordered_on <= day)
    row = db.session.scalars(query.order_by(Withdrawal.ordered_on).limit(1)).one_or_none() or _post(organisation_id, fen, serial[:64], day, by)
    row.state, row.closed_at, row.closed_by_id = "ARRIVED", clock.now(), by
    db.session.flush()
    assert row.entry_id is not None
    return row.entry_id


def _record(fen: int, serial: str, day: date, actor: Actor) -> Withdrawal:
    # Two withdrawals at once must not take the same money.
    account.lock([account.named("alipay", actor.organisation_id)])
    left = available(actor.organisation_id)
    if fen > left:
        raise Conflict("withdrawal.short", N_("支付宝里现在最多能提 ¥%(left)s。"), left=format_yuan(max(0, left)), left_fen=left)
    if db.session.scalar(select(Withdrawal.id).where(Withdrawal.organisation_id == actor.organisation_id, Withdrawal.serial == serial)):
        raise Conflict("withdrawal.used", N_("这个提现单号已经记过一笔了。"), serial=serial)
    row = _post(actor.organisation_id, fen, serial, day, actor.person_id)
    audit.record("withdrawal.recorded", row, person_id=actor.person_id, fen=fen)
    return row


def _post(organisation_id: int, fen: int, serial: str, day: date, by: int) -> Withdrawal:
    row = Withdrawal(
        organisation_id=organisation_id, number=f"TX{day:%Y%m%d}-{new_public_id()[:8].upper()}", fen=fen, serial=serial, ordered_on=day,
        state="SENT", recorded_at=clock.now(), recorded_by_id=by, version=1,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    at = clock.now() if day == clock.business_date() else clock.beijing_midnight(day) + timedelta(hours=12)
    row.entry_id = event.withdrawn(book=organisation_id, source=Source(_SOURCE, row.id), fen=fen, at=at)
    db.session.flush()
    return row


def listed(organisation_id: int) -> Any:
    """Select of a cooperative's withdrawals, the latest first."""
    return select(Withdrawal).where(Withdrawal.organisation_id == organisation_id).order_by(Withdrawal.id.desc())
