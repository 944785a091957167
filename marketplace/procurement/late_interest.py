"""Late interest (逾期利息): what a unit owes for paying after its day, claimed by the cooperative, never by itself.

Each claim covers days that no other claim of the order covers. The rate is what was agreed with the order, else configuration: 0.05 % a day
(保障中小企业款项支付条例, in force from 2025-06-01: article 9, public bodies pay within 30 days of delivery, 60 at most by contract; article
17, an agreed rate is not below the one-year LPR of the day of the contract, without agreement it is 0.05 % a day).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.ledger import event, posting
from marketplace.ledger.entry import of_source
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order, locked_order
from marketplace.organisations.actor import Actor
from marketplace.payments.bank_statement import BankMatch, BankReceipt
from marketplace.payments.payment import Payment
from marketplace.procurement.directed_order import DirectedOrder, of_order


class LateInterest(Public, Versioned, Model):
    """CLAIMED → PAID or WAIVED (what was not paid of it: ``waived_fen``). ``fen`` for the days from ``from_on`` through ``through_on`` (Beijing).
    Withdrawn, it never was: its days may be claimed again."""

    __tablename__ = "late_interest"
    __table_args__ = (
        CheckConstraint("fen > 0 AND paid_fen >= 0 AND waived_fen >= 0 AND paid_fen + waived_fen <= fen", name="fen"),
        CheckConstraint("from_on <= through_on", name="days"),
        CheckConstraint("state IN ('CLAIMED','PAID','WAIVED')", name="state"),
        CheckConstraint("NOT withdrawn OR state = 'WAIVED'", name="withdrawn"),
        Index(
            "uq_late_interest_days", "order_id", "from_on", unique=True,
            sqlite_where=text("NOT withdrawn"), postgresql_where=text("NOT withdrawn"),
        ),
    )
    owner_columns: ClassVar = ("organisation_id", "unit_id")

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the cooperative
    unit_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("order.id"), index=True)
    from_on: Mapped[date]
    through_on: Mapped[date]
    rate: Mapped[int]  # millionths a day: 500 is 0.05 %
    fen: Mapped[int]
    paid_fen: Mapped[int] = mapped_column(default=0)
    waived_fen: Mapped[int] = mapped_column(default=0, server_default="0")
    state: Mapped[str] = mapped_column(String(8), default="CLAIMED")
    claimed_at: Mapped[datetime]
    claimed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    waived_reason: Mapped[str] = mapped_column(String(300), default="")
    withdrawn: Mapped[bool] = mapped_column(default=False, server_default=false())
    entry_id: Mapped[int | None]

    @property
    def open_fen(self) -> int:
        """What is still to be paid."""
        return self.fen - self.paid_fen - self.waived_fen


@dataclass(frozen=True)
class Accrued:
    """What may be claimed now: ``fen`` for ``days`` from ``from_on`` through ``through_on``."""

    from_on: date
    through_on: date
    fen: int

    @property
    def days(self) -> int:
        return (self.through_on - self.from_on).days + 1


def interest(principal_fen: int, paid: Sequence[tuple[date, int]], from_on: date, through_on: date, rate: int) -> int:
    """Fen of simple interest at ``rate`` millionths a day on what was outstanding at each day's end, rounded half up once.

    ``paid`` is (day, fen); what was paid on a day is not outstanding at its end.
    """
    weighed, day, open_fen = 0, from_on, principal_fen - sum(fen for on, fen in paid if on <= from_on)
    for on, fen in sorted((on, fen) for on, fen in paid if from_on < on <= through_on):
        weighed += max(0, open_fen) * (on - day).days
        day, open_fen = on, open_fen - fen
    weighed += max(0, open_fen) * ((through_on - day).days + 1)
    return (weighed * rate * 2 + 1_000_000) // 2_000_000


def rate_of(directed: DirectedOrder) -> int:
    """Millionths a day: as agreed with the order, else the market's."""
    return settings().late_interest_rate if directed.late_rate is None else directed.late_rate


def accrued(order: Order, directed: DirectedOrder) -> Accrued | None:
    """What the order's unit owes beyond earlier claims, through yesterday; None if nothing."""
    return accrued_many([(order, directed)]).get(order.id)


def accrued_many(orders: Sequence[tuple[Order, DirectedOrder]]) -> dict[int, Accrued]:
    """The same for several, by order id; what owes nothing is left out."""
    ids = [order.id for order, _ in orders]
    claimed = select(LateInterest.order_id, func.max(LateInterest.through_on)).where(LateInterest.order_id.in_(ids), ~LateInterest.withdrawn)
    last: dict[int, date] = {order_id: day for order_id, day in db.session.execute(claimed.group_by(LateInterest.order_id))}  # noqa: C416
    paid = _paid(ids)
    through_on, found = clock.business_date() - timedelta(days=1), {}
    for order, directed in orders:
        if directed.pay_by is None or order.received_at is None or (directed.terms == "PREPAY" and not order.owed_fen):
            continue
        from_on = max(last.get(order.id, directed.pay_by), directed.pay_by) + timedelta(days=1)
        if from_on <= through_on:
            fen = interest(order.due_fen + order.short_fen, paid.get(order.id, []), from_on, through_on, rate_of(directed))
            if fen:
                found[order.id] = Accrued(from_on, through_on, fen)
    return found


def claim(order_id: int, *, actor: Actor, key: str) -> int:
    """The cooperative's accountant claims what has accrued through yesterday; the claim's id. The same ``key``, the same claim.

    It becomes a receivable and income of the cooperative, no part of any split. Raises NotFound, Conflict ``interest.none``.
    """
    actor.must_have("COOPERATIVE", "accountant")
    return int(once(f"interest:{actor.organisation_id}", key, [order_id], lambda: {"claim_id": _claim(order_id, actor)})["claim_id"])


def _claim(order_id: int, actor: Actor) -> int:
    order = locked_order(order_id)
    directed = of_order(order_id)
    if directed is None or directed.cooperative_id != actor.organisation_id:
        raise not_found(Order)
    found = accrued(order, directed)
    if found is None:
        raise Conflict("interest.none", N_("这张单到昨天为止没有可以计的逾期利息。"))
    row = LateInterest(
        organisation_id=order.organisation_id, unit_id=directed.organisation_id, order_id=order.id, from_on=found.from_on,
        through_on=found.through_on, rate=rate_of(directed), fen=found.fen, claimed_at=clock.now(),
        claimed_by_id=actor.person_id, version=1,
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    row.entry_id = event.interest_due(book=row.organisation_id, source=Source("late_interest", row.id), fen=row.fen)
    audit.record("interest.claimed", row, person_id=actor.person_id, order_id=order.id, fen=row.fen)
    db.session.flush()
    return row.id


def waive(claim_id: int, reason: str, *, version: int, actor: Actor) -> LateInterest:
    """The director lets go what is not paid of a claim; that much of the entry is reversed. Its days are not claimed again.

    Raises NotFound, InvalidInput ``reason.missing``, Conflict ``interest.state``, ``version.stale``.
    """
    actor.must_have("COOPERATIVE", "director")
    return _let_go(locked(LateInterest, claim_id), reason, version, actor, withdrawn=False)


def withdraw(claim_id: int, reason: str, *, version: int, actor: Actor) -> LateInterest:
    """The accountant takes back the order's latest claim, which was reckoned without a payment that came to be known later: the entry is
    reversed, and its days can be claimed again as they are. Raises as ``waive``, Conflict ``interest.later`` if a later claim stands,
    ``interest.paid`` if a part was paid: first that match is undone."""
    actor.must_have("COOPERATIVE", "accountant")
    known = db.session.get(LateInterest, claim_id)
    if known is None or known.organisation_id != actor.organisation_id:
        raise not_found(LateInterest)
    locked_order(known.order_id)
    row = locked(LateInterest, claim_id)
    later = select(LateInterest.id).where(
        LateInterest.order_id == row.order_id, LateInterest.from_on > row.from_on, LateInterest.state != "WAIVED"
    )
    if db.session.scalar(later):
        raise Conflict("interest.later", N_("后面还有一笔利息，请先撤回最近的那一笔。"))
    # What was waived since is reckoned again too: its days follow the withdrawn ones.
    db.session.execute(
        update(LateInterest).where(LateInterest.order_id == row.order_id, LateInterest.from_on > row.from_on).values(withdrawn=True)
    )
    return _let_go(row, reason, version, actor, withdrawn=True)


def _let_go(row: LateInterest, reason: str, version: int, actor: Actor, *, withdrawn: bool) -> LateInterest:
    if row.organisation_id != actor.organisation_id:
        raise not_found(LateInterest)
    if row.state != "CLAIMED" or row.entry_id is None:
        raise Conflict("interest.state", N_("这笔利息已经付过或免过了。付错的，先撤销到账的认领。"), state=row.state)
    if withdrawn and row.paid_fen:
        raise Conflict("interest.paid", N_("这笔利息已经收了 ¥%(paid)s，不能整笔撤回。收错的，先撤销那笔到账的核销；不再收的，请理事长免收余下的。"), paid=format_yuan(row.paid_fen))
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明理由。"), field="reason")
    row.must_be_version(version)
    fen = row.open_fen
    if fen == row.fen:
        posting.reverse(row.entry_id, source=Source("late_interest", row.id))
    else:
        before = len(of_source("late_interest", row.id, "interest_waived"))
        event.interest_waived(book=row.organisation_id, source=Source("late_interest", row.id, before), fen=fen, reverses_id=row.entry_id)
    row.state, row.waived_fen, row.waived_reason, row.withdrawn = "WAIVED", row.waived_fen + fen, reason.strip(), withdrawn
    audit.record("interest.withdrawn" if withdrawn else "interest.waived", row, person_id=actor.person_id, fen=fen, paid_fen=row.paid_fen)
    db.session.flush()
    return row


def reckoned_again(order: Order) -> dict[int, int]:
    """Fen that each open claim of the order would be by what is known now, by claim id; only where that differs."""
    paid = _paid([order.id]).get(order.id, [])
    claims = [each for each in claims_of(order.id) if each.state == "CLAIMED"]
    now = {each.id: interest(order.due_fen + order.short_fen, paid, each.from_on, each.through_on, each.rate) for each in claims}
    return {each.id: now[each.id] for each in claims if now[each.id] != each.fen}


def claims_of(order_id: int) -> list[LateInterest]:
    """An order's claims, oldest first."""
    return list(db.session.scalars(select(LateInterest).where(LateInterest.order_id == order_id).order_by(LateInterest.id)))


def _paid(order_ids: Sequence[int]) -> dict[int, list[tuple[date, int]]]:
    """(day, fen) of what was paid, by order: the day is the bank's, not that of the match."""
    query = (
        select(Payment.payable_id, Payment.succeeded_at, Payment.amount_fen, BankReceipt.received_on)
        .outerjoin(BankMatch, (BankMatch.payable_kind == "payment") & (BankMatch.payable_id == Payment.id) & BankMatch.undone_at.is_(None))
        .outerjoin(BankReceipt, BankReceipt.id == BankMatch.receipt_id)
        .where(Payment.payable_kind == "order", Payment.payable_id.in_(order_ids), Payment.state == "succeeded")
    )
    found: dict[int, list[tuple[date, int]]] = {}
    for order_id, at, fen, received_on in db.session.execute(query):
        found.setdefault(order_id, []).append((received_on or clock.business_date(at), fen))
    return found
