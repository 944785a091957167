"""The relief fund's holder gives a cooperative back what it had remitted, for a household that turned up late, or a remittance too many.

The cooperative's accountant asks, the county's treasurer (who keeps the fund's book) agrees, the holder pays with our number in the remark.
It is posted in both books once it is on the cooperative's bank statement, or once the accountant records it under the bank's number.
"""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock, idempotency
from marketplace.foundation.database import Model, Public, Staged, Versioned, db, locked, new_public_id
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan, shown_yuan
from marketplace.ledger import account, balance, posting, share_event
from marketplace.ledger.entry import JournalEntry, of_source
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.organisation import Organisation
from marketplace.payments import bank_transfer, row_decision, statement_row
from marketplace.payments.bank_rows import Name, number_of
from marketplace.payments.statement_row import Arrived, Seen, StatementRow
from marketplace.settlement.remittance import Remittance, fund_holder

OPEN = ("PROPOSED", "APPROVED")
STATES = (*OPEN, "RECEIVED", "WITHDRAWN")
_FROM_THE_BANK = 40  # characters of the bank's number that are kept, as of any transfer


class FundReturn(Public, Versioned, Staged, Model):
    """``holder_id`` is who gives back. ``row_id``: the statement's row, once it is known; ``entry_id`` the cooperative's entry."""

    __tablename__ = "fund_return"
    not_now = ("fund_return.state", N_("这笔退回现在的状态不能办这一步，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RECEIVED','WITHDRAWN')", name="state"),
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("holder_id <> organisation_id", name="holder"),
        CheckConstraint("approved_by_id IS NULL OR approved_by_id <> proposed_by_id", name="two_people"),
        CheckConstraint("(state = 'RECEIVED') = (entry_id IS NOT NULL)", name="entry"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    holder_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    number: Mapped[str] = mapped_column(String(30), unique=True)
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    approved_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    received_on: Mapped[date | None]
    bank_serial: Mapped[str] = mapped_column(String(40), default="")
    recorded_at: Mapped[datetime | None]
    recorded_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))  # None: the statement says it
    row_id: Mapped[int | None] = mapped_column(ForeignKey("statement_row.id"))
    entry_id: Mapped[int | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str] = mapped_column(String(300), default="")


def returnable(organisation_id: int) -> int:
    """Fen that may be asked back: what this cooperative remitted and was not given back, as far as the holder still has it."""
    remitted = select(func.coalesce(func.sum(Remittance.fen), 0)).where(
        Remittance.organisation_id == organisation_id, Remittance.kind == "FUND", Remittance.state == "PAID"
    )
    back = select(func.coalesce(func.sum(FundReturn.fen), 0))
    its = back.where(FundReturn.organisation_id == organisation_id, FundReturn.state != "WITHDRAWN")
    holder = fund_holder().id
    promised = back.where(FundReturn.holder_id == holder, FundReturn.state.in_(OPEN))
    of_it, gone, going = db.session.execute(select(remitted.scalar_subquery(), its.scalar_subquery(), promised.scalar_subquery())).one()
    return max(0, min(int(of_it) - int(gone), balance.held("relief_fund", holder) - int(going)))


def propose(fen: int, reason: str, *, actor: Actor, key: str) -> FundReturn:
    """Ask the fund's holder for ``fen``, with the reason. By the cooperative's accountant; the same ``key`` again is the same row.

    Raises InvalidInput ``fund_return.fen``, ``reason.missing``; Conflict ``fund_return.most`` beyond what is returnable,
    ``fund_return.holder`` where the cooperative holds the fund itself.
    """
    actor.must_have("COOPERATIVE", "accountant")
    if fen <= 0:
        raise InvalidInput("fund_return.fen", N_("请填写要退回的金额，例如 1,234.50。"), field="amount")
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么要基金退回，4 到 300 个字。"), field="reason")

    def work() -> dict[str, Any]:
        holder = fund_holder().id
        if holder == actor.organisation_id:
            raise Conflict("fund_return.holder", N_("防贫基金由贵社自己持有，不用退回。"))
        account.lock([account.named("relief_fund", holder)])  # two who ask at once must not be promised the same fen
        _must_be_there(actor.organisation_id, fen)
        row = FundReturn(
            organisation_id=actor.organisation_id, holder_id=holder, number=f"JT{clock.business_date():%Y%m%d}-{new_public_id()[:8].upper()}", fen=fen,
            reason=reason.strip(), state="PROPOSED", proposed_at=clock.now(), proposed_by_id=actor.person_id, version=1,
        )  # fmt: skip
        db.session.add(row)
        db.session.flush()
        audit.record("fund_return.proposed", row, person_id=actor.person_id, fen=fen)
        return {"id": row.id}

    answer = idempotency.once(f"fund_return:{actor.organisation_id}", key, {"fen": fen, "reason": reason.strip()}, work)
    return db.session.get_one(FundReturn, answer["id"])


def decide(return_id: int, *, actor: Actor, version: int, approved: bool = True, reason: str = "") -> FundReturn:
    """The county's word on it, for the fund: an administrator or the treasurer. Returned, it is withdrawn with the reason."""
    actor.must_have("OPERATOR", "administrator", "treasurer")
    row = locked(FundReturn, return_id)
    row.must_be("PROPOSED")
    row.must_be_version(version)
    approval.decide(row, maker_id=row.proposed_by_id, actor=actor, version=version, approved=approved, reason=reason)
    if not approved:
        return _take_back(row, reason)
    row.state, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    db.session.flush()
    return row


def record(return_id: int, *, received_on: date, bank_serial: str, actor: Actor, version: int) -> FundReturn:
    """It is on the cooperative's account since ``received_on`` (Beijing), under the bank's number: post it. By the accountant.

    A statement's row that was taken for a buyer's money is freed and linked. Raises as ``bank_transfer.record``; Conflict
    ``fund_return.row`` for a row of another amount, ``receipt.used`` or ``row.told`` where it stands for something else already.
    """
    row = own_row(FundReturn, return_id, actor, "accountant")
    row.must_be("APPROVED")
    row.must_be_version(version)
    bank_serial = bank_transfer.record(bank_serial, received_on, source=("fund_return", row.id), agreed_at=row.approved_at, actor=actor)
    named = (bank_serial, str(Name(bank_serial, received_on)))
    query = select(StatementRow).where(StatementRow.organisation_id == row.organisation_id, StatementRow.side == "bank", StatementRow.serial.in_(named))
    seen = min(db.session.scalars(query), key=lambda each: each.day != received_on, default=None)
    if seen is not None:
        if seen.fen != row.fen:
            message = N_("银行流水上这个流水号是 %(fen)s，和要退回的金额不一样。")
            raise Conflict("fund_return.row", message, fen=shown_yuan(seen.fen), field="reference")
        row_decision.set_free(seen.id, actor=actor)
    _post(row, received_on, bank_serial, by=actor.person_id)
    if seen is not None:
        _shown(row, seen, by=actor.person_id)
    audit.record("fund_return.received", row, person_id=actor.person_id, fen=row.fen)
    db.session.flush()
    return row


def withdraw(return_id: int, *, actor: Actor, version: int, reason: str) -> FundReturn:
    """Take back what has not been paid, with a reason. By the cooperative's accountant or director, or the county's treasurer."""
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "treasurer")
        row = locked(FundReturn, return_id)
    else:
        row = own_row(FundReturn, return_id, actor, "accountant", "director")
    row.must_be(*OPEN)
    row.must_be_version(version)
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("撤回时请写明理由。"), field="reason")
    audit.record("fund_return.withdrawn", row, person_id=actor.person_id)
    return _take_back(row, reason)


class _Arrivals:
    """What the bank's statement says of returns: the one that the remark names, agreed to, or recorded by hand before its row came."""

    def expecting(self, organisation_id: int) -> Callable[[Seen], Arrived | None]:
        query = select(FundReturn).where(FundReturn.organisation_id == organisation_id, FundReturn.row_id.is_(None), FundReturn.state.in_(("APPROVED", "RECEIVED")))
        waiting = list(db.session.scalars(query.order_by(FundReturn.id)))

        def find(row: Seen) -> Arrived | None:
            number = number_of(row.serial)  # empty at a bank that gives none: what was not recorded by hand has none either
            named = (each for each in waiting if each.fen == row.fen and (each.number in row.remark or (number and each.bank_serial == number)))
            its = next(named, None)
            return partial(_arrived, its.id) if its is not None else None

        return find

    def may_part(self, row: StatementRow, entry_id: int) -> None:
        """Not once it was passed on: the book would owe the fund less than nothing."""
        its = _shown_by(row, entry_id)
        if its is not None and its.recorded_by_id is None and balance.held("relief_fund", its.organisation_id) < its.fen:
            raise Conflict("fund_return.spent", N_("基金退回的 %(fen)s 已经付给农户或划走了，账上没有那么多。请先联系运营方。"), fen=shown_yuan(its.fen))

    def part(self, row: StatementRow, entry_id: int, reason: str) -> None:
        self.may_part(row, entry_id)
        its = _shown_by(row, entry_id)
        if its is None:
            return
        its.row_id = None
        if its.recorded_by_id is None:
            # Only the row said that it came: it is still to come.
            for number, each in enumerate(_entries(its), len(of_source("fund_return", its.id, "reversed"))):
                posting.reverse(each.id, source=Source("fund_return", its.id, number), at=clock.beijing_midnight(row.day))
            its.state, its.entry_id, its.received_on, its.bank_serial, its.recorded_at = "APPROVED", None, None, "", None
        its.version += 1
        db.session.flush()
        audit.record("fund_return.parted", its, fen=its.fen, row_id=row.id)


def _shown_by(row: StatementRow, entry_id: int) -> FundReturn | None:
    query = select(FundReturn).where(FundReturn.row_id == row.id, FundReturn.entry_id == entry_id)
    return db.session.scalars(query.with_for_update()).one_or_none()


def _entries(row: FundReturn) -> list[JournalEntry]:
    """By which it stands in both books now."""
    return [of_source("fund_return", row.id, kind)[-1] for kind in ("fund_given_back", "fund_sent_back")]


def _arrived(return_id: int, seen: StatementRow) -> int:
    row = locked(FundReturn, return_id)
    if row.state == "APPROVED":
        _post(row, seen.day, seen.serial[:_FROM_THE_BANK], by=None)
        audit.record("fund_return.received", row, fen=row.fen, row_id=seen.id)
    assert row.entry_id is not None
    row.row_id = seen.id
    db.session.flush()
    return row.entry_id


statement_row.arrivals.append(_Arrivals())


def _post(row: FundReturn, received_on: date, bank_serial: str, *, by: int | None) -> None:
    """What the bank did is a fact, and is posted as such."""
    before = len(of_source("fund_return", row.id, "fund_given_back"))
    row.entry_id, _theirs = share_event.fund_given_back(
        book=row.organisation_id, holder_book=row.holder_id, source=Source("fund_return", row.id, before), fen=row.fen,
        at=clock.beijing_midnight(received_on),
    )  # fmt: skip
    row.state, row.received_on, row.bank_serial, row.recorded_at, row.recorded_by_id = "RECEIVED", received_on, bank_serial, clock.now(), by
    db.session.flush()


def _shown(row: FundReturn, seen: StatementRow, *, by: int) -> None:
    assert row.entry_id is not None
    row.row_id = seen.id
    statement_row.link(seen, row.entry_id, seen.fen, by=by)


def _must_be_there(organisation_id: int, fen: int) -> None:
    left = returnable(organisation_id)
    if fen > left:
        raise Conflict(
            "fund_return.most", N_("最多能请基金退回 ¥%(left)s：贵社划给基金、还没有退回的，而且基金账上还有。"), left=format_yuan(left), left_fen=left, field="amount"
        )


def _take_back(row: FundReturn, reason: str) -> FundReturn:
    row.state, row.withdrawn_at, row.withdrawn_reason = "WITHDRAWN", clock.now(), reason.strip()[:300]
    db.session.flush()
    return row


def holder_of(row: FundReturn) -> Organisation:
    """Who gives back."""
    return db.session.get_one(Organisation, row.holder_id)
