"""How a transfer ends whose answers contradict each other: one person says what Alipay's own pages show, another holds it against them.

Paid: under Alipay's order number, which no other transfer has, and which the account bill bears out where it is here. Not paid: only if
Alipay, asked again at that moment and some time after the last try, says plainly that nothing happened under this number, and the bill
shows nothing that left. What may have left is never owed again on people's word alone: so nobody is paid twice.
"""

import re
from datetime import date, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, db, get, locked, not_found, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import shown_yuan
from marketplace.organisations.actor import Actor
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.payments import bill_closure, call, transfer, transfer_call
from marketplace.payments.channel import NOT_TRANSFERRED
from marketplace.payments.statement_row import StatementRow
from marketplace.payments.transfer import GOING, Transfer

OUTCOMES = ("PAID", "UNPAID")
NOT_PAID = "NOT_PAID"  # the sub code of a transfer that two people found unpaid
_ORDER = re.compile(r"[0-9A-Za-z]{16,64}")
_LIVES = text("state <> 'RETURNED'")


class TransferEnding(Proposal, Model):
    """PROPOSED → DONE or RETURNED; by nobody where Alipay's answer ended the transfer first. ``row_id`` is the bill's row that bears it out."""

    __tablename__ = "transfer_ending"
    not_now = ("ending.state", N_("这一条已经有人决定过了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name="state"),
        CheckConstraint("outcome IN ('PAID','UNPAID')", name="outcome"),
        CheckConstraint("(outcome = 'PAID') = (order_id <> '' AND paid_on IS NOT NULL)", name="evidence"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index("uq_transfer_ending_lives", "transfer_id", unique=True, sqlite_where=_LIVES, postgresql_where=_LIVES),
    )

    transfer_id: Mapped[int] = mapped_column(ForeignKey("transfer.id"), index=True)
    outcome: Mapped[str] = mapped_column(String(6))
    order_id: Mapped[str] = mapped_column(String(64), default="")  # Alipay's number of what was paid
    paid_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(8), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")
    row_id: Mapped[int | None] = mapped_column(ForeignKey("statement_row.id"))


def propose(
    transfer_id: int, outcome: str, reason: str, *, order_id: str = "", paid_on: date | None = None, actor: Actor
) -> TransferEnding:
    """Say how a transfer without a result ended, and how it is known. By the accountant or the director; the same again is the same row.

    Paid needs Alipay's order number and the Beijing day. Raises InvalidInput ``ending.outcome``, ``reason.missing``, ``ending.order``,
    ``ending.day``; Conflict ``transfer.state`` unless its result is unknown, ``ending.taken`` for another transfer's order number,
    ``ending.waiting`` while something else is proposed, ``transfer.sent_lately`` as ``decide``.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    its = db.session.get(Transfer, transfer_id)
    if its is None or its.organisation_id != actor.organisation_id:
        raise not_found(Transfer)
    order_id, reason = order_id.strip() if outcome == "PAID" else "", reason.strip()
    its = locked(Transfer, transfer_id)
    paid_on = _checked(its, outcome, order_id, paid_on, reason)
    if its.state != "unknown":
        raise Conflict("transfer.state", N_("这一笔转账已经有结果，或者正在办。"), state=its.state)
    _must_have_rested(its)
    proposed = select(TransferEnding).where(TransferEnding.transfer_id == its.id, TransferEnding.state == "PROPOSED")
    row = db.session.scalars(proposed).one_or_none()
    if row is not None:
        if (row.outcome, row.order_id) != (outcome, order_id):
            raise Conflict("ending.waiting", N_("已经有人提出了这一笔怎么样了，先等另一位核对。"))
        return row
    row = TransferEnding(
        organisation_id=its.organisation_id, transfer_id=its.id, outcome=outcome, order_id=order_id, paid_on=paid_on, reason=reason
    )
    return put(row, "transfer_ending.proposed", person_id=actor.person_id, transfer_id=its.id, outcome=outcome, fen=its.fen)


def decide(ending_id: int, *, actor: Actor, version: int, approved: bool, answer: str = "") -> str:
    """The director's word, who is not the one who said so; approved, Alipay is asked once more and then it is over: the ending's state.

    Runs its own transactions, since it asks Alipay between them: never inside one. Raises OwnWork, InvalidInput ``reason.missing`` if it is
    returned without one; Conflict ``ending.state``, ``transfer.sent_lately`` within ten minutes of the last try, and where what is said is
    not borne out, so that it still waits: ``ending.not_plain``, ``ending.not_known``, ``ending.bill``, ``ending.not_billed``, ``ending.taken``.
    """

    def looked_at() -> tuple[int, int] | None:
        row, its = _held(ending_id, actor, version)
        if its.state not in GOING:
            _moot(row, its)
            return None
        if approved and row.proposed_by_id != actor.person_id:
            return its.id, _must_have_rested(its)
        _decided(row, actor, approved=approved, answer=answer)
        row.state = "RETURNED"
        db.session.flush()
        return None

    found = transaction(looked_at)
    if found is None:
        return transaction(lambda: get(TransferEnding, ending_id).state)
    transfer_id, before = found
    call.send(transfer_call.ASK, transfer_id)

    def end() -> str:
        row, its = _held(ending_id, actor, version)
        if its.state not in GOING:
            _moot(row, its)
        elif _must_have_rested(its) != before:
            raise Conflict("transfer.sent_lately", N_("刚刚才交给支付渠道，可能还在路上。请等十分钟再试。"))
        else:
            _end(row, its, actor, answer)
        return row.state

    return transaction(end)


def of_transfer(transfer_id: int) -> list[TransferEnding]:
    """What was said of a transfer, the latest last."""
    return list(db.session.scalars(select(TransferEnding).where(TransferEnding.transfer_id == transfer_id).order_by(TransferEnding.id)))


def waiting(kind: str, bundle_id: int) -> list[tuple[TransferEnding, Transfer]]:
    """What of a bundle waits for a second person; of what Alipay ended meanwhile nothing does."""
    query = (
        select(TransferEnding, Transfer)
        .join(Transfer, Transfer.id == TransferEnding.transfer_id)
        .where(Transfer.payable_kind == kind, Transfer.bundle_id == bundle_id, Transfer.state.in_(GOING), TransferEnding.state == "PROPOSED")
        .order_by(TransferEnding.id)
        .limit(100)
    )
    return [(row, its) for row, its in db.session.execute(query)]


def _checked(its: Transfer, outcome: str, order_id: str, paid_on: date | None, reason: str) -> date | None:
    """The day on which it was paid; None if it was not."""
    if outcome not in OUTCOMES:
        raise InvalidInput("ending.outcome", N_("请选这一笔怎么样了。"), field="outcome")
    if not 4 <= len(reason) <= 300:
        raise InvalidInput("reason.missing", N_("请写明怎么知道的（问了谁、凭什么），4 到 300 个字。"), field="reason")
    if outcome == "UNPAID":
        return None
    if not _ORDER.fullmatch(order_id):
        raise InvalidInput("ending.order", N_("请照支付宝账单写订单号，16 到 64 位数字或字母。"), field="order_id")
    _must_be_its_own(its, order_id)
    if paid_on is None or not clock.business_date(its.made_at) <= paid_on <= clock.business_date():
        raise InvalidInput("ending.day", N_("请写支付宝账单上的日期：不早于做出这一笔的那天，也不晚于今天。"), field="paid_on")
    return paid_on


def _must_be_its_own(its: Transfer, order_id: str) -> None:
    taken = select(Transfer.out_biz_no).where(Transfer.organisation_id == its.organisation_id, Transfer.order_id == order_id, Transfer.id != its.id)
    other = db.session.scalar(taken.limit(1))
    if other is not None:
        raise Conflict("ending.taken", N_("这个支付宝订单号是另一笔转账 %(number)s 的，不能再用来说这一笔。"), number=other)


def _must_have_rested(its: Transfer) -> int:
    """The call by which it was sent last (0: none). What is on its way may still arrive."""
    sent = call.last_of(transfer_call.SEND, its.id)
    if its.state == "sending" or (sent is not None and sent.made_at > clock.now() - call.STOPPED):
        raise Conflict("transfer.sent_lately", N_("刚刚才交给支付渠道，可能还在路上。请等十分钟再试。"))
    return sent.id if sent else 0


def _held(ending_id: int, actor: Actor, version: int) -> tuple[TransferEnding, Transfer]:
    """The ending and its transfer, the transfer first: so its job holds it too."""
    actor.must_have("COOPERATIVE", "director")
    known = db.session.get(TransferEnding, ending_id)
    if known is None or known.organisation_id != actor.organisation_id:
        raise not_found(TransferEnding)
    its = locked(Transfer, known.transfer_id)
    row = locked(TransferEnding, ending_id)
    row.must_be("PROPOSED")
    if row.version != version:  # counted up by whatever ends it: it is looked at twice
        raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"), now=row.version)
    return row, its


def _decided(row: TransferEnding, actor: Actor, *, approved: bool, answer: str) -> None:
    row.decide(actor=actor, version=row.version, approved=approved, reason=answer)
    row.answer = answer.strip()[:300]


def _moot(row: TransferEnding, its: Transfer) -> None:
    """Alipay's own answer ended it: what was said is right or wrong by that, and nobody decides."""
    row.state = "DONE" if (its.state == "failed") == (row.outcome == "UNPAID") else "RETURNED"
    row.decided_at, row.version = clock.now(), row.version + 1
    db.session.flush()


def _end(row: TransferEnding, its: Transfer, actor: Actor, answer: str) -> None:
    asked = call.last_of(transfer_call.ASK, its.id)
    told = (asked.answer or {}) if asked is not None else {}
    plainly_not = told.get("sub_code") == NOT_TRANSFERRED or bool(told.get("ended"))
    billed = _billed(its)
    _decided(row, actor, approved=True, answer=answer)
    row.state, row.row_id = "DONE", billed[0].id if billed else None
    db.session.flush()
    if row.outcome == "PAID":
        _must_be_borne_out(row, its, billed, known=not plainly_not)
        day = billed[0].day if billed else row.paid_on or clock.business_date()
        at = min(clock.now(), clock.beijing_midnight(day) + timedelta(hours=12))
        transfer.succeed(its.id, row.order_id, at)
        transfer_call.look(its.id, after=transfer_call.LOOK_AGAIN)
    else:
        if not plainly_not:
            raise Conflict("ending.not_plain", N_("支付宝现在没有明确地说没有这一笔，所以不能记为没有付：钱可能已经付出。可以过一会儿再试。"))
        if sum(each.fen for each in billed):
            raise _unlike_the_bill(its, billed)
        transfer.fail(its.id, NOT_PAID)
    audit.record("transfer_ending.done", row, person_id=actor.person_id, transfer_id=its.id, outcome=row.outcome, fen=its.fen)
    db.session.flush()


def _must_be_borne_out(row: TransferEnding, its: Transfer, billed: list[StatementRow], *, known: bool) -> None:
    """That it was paid: by the bill where it is here, else at least not against Alipay's plain word."""
    _must_be_its_own(its, row.order_id)
    if billed:
        if sum(each.fen for each in billed) != -its.fen:
            raise _unlike_the_bill(its, billed)
        return
    days = [row.paid_on, row.paid_on + timedelta(days=1)] if row.paid_on else []
    if bill_closure.all_told(its.organisation_id, days):
        raise Conflict("ending.not_billed", N_("那一天的支付宝账单已经取到，上面没有这一笔。请再核对订单号和日期。"))
    if not known:
        raise Conflict("ending.not_known", N_("支付宝说没有这个单号的转账，账单上也还没有，所以不能记为已付。等账单取到再试。"))


def _billed(its: Transfer) -> list[StatementRow]:
    """What Alipay's account bill has under its number, fees apart."""
    query = select(StatementRow).where(
        StatementRow.organisation_id == its.organisation_id, StatementRow.side == "alipay", StatementRow.number == its.out_biz_no,
        StatementRow.kind.not_in(("fee", "fee_back")),
    )
    return list(db.session.scalars(query.order_by(StatementRow.id)))


def _unlike_the_bill(its: Transfer, billed: list[StatementRow]) -> Conflict:
    went = -sum(each.fen for each in billed)
    message = N_("支付宝账单上，这个单号净付出 %(billed)s，和要记的不一样（这一笔是 %(fen)s）。请先和支付宝核对。")
    return Conflict("ending.bill", message, billed=shown_yuan(went), fen=shown_yuan(its.fen))
