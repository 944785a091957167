"""What bears out that a row of a bank's file is the bank's: who brought the file, and whether its balances go on from what came before it and lead
to what came after. A file is a text that anybody can edit; a credit that was written into it breaks the chain on one side or the other.

One that was written in together with a debit of as much does not: so what the file's debits are is said first. A file without balances bears out
nothing. In either case the director may look into the online banking and confirm it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, tuple_

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, locked, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.payments.bank_statement import BankReceipt, BankStatement
from marketplace.payments.statement_row import StatementLink, StatementRow


@dataclass(frozen=True)
class Proof:
    """``state``: CLOSED on both sides, NOT_YET (no later statement so far), GAP, DEBITS that nobody explained and that make up for it, NO_BALANCES
    (or of a row of the file or beside it, to which nothing can be held), or CONFIRMED by a second person without balances."""

    statement: BankStatement
    state: str

    @property
    def imported_at(self) -> datetime:
        return self.statement.imported_at


def of_receipt(receipt: BankReceipt) -> Proof:
    """What bears a receipt out now."""
    own = (StatementRow.organisation_id == receipt.organisation_id) & (StatementRow.side == "bank")
    row = db.session.scalars(select(StatementRow).where(own, StatementRow.serial == receipt.serial)).one_or_none()
    statement = db.session.get_one(BankStatement, receipt.statement_id if row is None or row.statement_id is None else row.statement_id)
    untold = Proof(statement, "NO_BALANCES" if statement.confirmed_by_id is None else "CONFIRMED")
    if row is None or row.balance_fen is None:
        return untold
    at, order = tuple_(StatementRow.day, StatementRow.id), (StatementRow.day, StatementRow.id)
    its = select(StatementRow).where(own, StatementRow.statement_id == statement.id)
    first = db.session.scalars(its.order_by(*order).limit(1)).one()
    last = db.session.scalars(its.order_by(*(each.desc() for each in order)).limit(1)).one()
    before = db.session.scalars(select(StatementRow).where(own, at < (first.day, first.id)).order_by(*(each.desc() for each in order)).limit(1)).one_or_none()
    after = db.session.scalars(select(StatementRow).where(own, at > (last.day, last.id)).order_by(*order).limit(1)).one_or_none()
    if _breaks(before, first) or _breaks(last, after):
        return Proof(statement, "GAP")
    if _has_untold(statement) or any(each is not None and each.balance_fen is None for each in (before, after)):
        return untold
    if statement.confirmed_by_id is None and _unexplained(statement) >= receipt.fen:
        return Proof(statement, "DEBITS")
    return Proof(statement, "NOT_YET" if after is None else "CLOSED")


def must_bear_out(receipt: BankReceipt) -> None:
    """Raise Conflict ``statement.gap``, ``statement.debits`` or ``statement.unproven`` where what the file says is not to be paid upon."""
    state = of_receipt(receipt).state
    if state == "GAP":
        raise Conflict("statement.gap", N_("这笔到账所在的流水和前后的流水接不上，可能缺了一份或被改过。补上缺的流水、接得上以后，才能退钱。"))
    if state == "DEBITS":
        raise Conflict("statement.debits", N_("这份流水里没说明的支出，够抵这笔到账：一进一出，余额也接得上。先说明那几笔支出，或请理事长在网银里核对、确认这份流水以后，才能退钱。"))
    if state == "NO_BALANCES":
        raise Conflict("statement.unproven", N_("这笔到账所在的流水没有余额，看不出是不是银行写的。请理事长在网银里核对，确认这份流水以后，才能退钱。"))


def confirm(statement_id: int, *, actor: Actor) -> BankStatement:
    """The director has looked into the online banking: the file says what the bank says. OwnWork for whoever brought it."""
    actor.must_have("COOPERATIVE", "director")
    statement = locked(BankStatement, statement_id)
    if statement.organisation_id != actor.organisation_id or statement.taken_at is None:
        raise not_found(BankStatement)
    if statement.imported_by_id == actor.person_id:
        raise OwnWork("approval.own", N_("自己经办的，不能自己审批。请换一位同事来审。"))
    if statement.confirmed_by_id is None:
        statement.confirmed_at, statement.confirmed_by_id = clock.now(), actor.person_id
        db.session.flush()
        audit.record("bank_statement.confirmed", statement, person_id=actor.person_id)
    return statement


def unproven() -> ColumnElement[bool]:
    """Of a statement: it has rows without a balance, from which whatever somebody left out or wrote in is not seen, and nobody else looked into the
    online banking."""
    return BankStatement.taken_at.is_not(None) & BankStatement.confirmed_by_id.is_(None) & _untold(BankStatement.id)


def brought_by(organisation_id: int, person_id: int) -> bool:
    """Whether a person brought any of the cooperative's statements."""
    query = select(BankStatement.id).where(
        BankStatement.organisation_id == organisation_id, BankStatement.imported_by_id == person_id, BankStatement.taken_at.is_not(None)
    )
    return db.session.scalars(query.limit(1)).first() is not None


def _unexplained(statement: BankStatement) -> int:
    """Fen of the file's debits that are linked to nothing in the books."""
    told = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == StatementRow.id).correlate(StatementRow).scalar_subquery()
    left = select(func.coalesce(func.sum(told - StatementRow.fen), 0)).where(StatementRow.statement_id == statement.id, StatementRow.fen < 0)
    return int(db.session.scalar(left) or 0)


def _untold(statement_id: Any) -> ColumnElement[bool]:
    return select(StatementRow.id).where(StatementRow.statement_id == statement_id, StatementRow.balance_fen.is_(None)).exists()


def _has_untold(statement: BankStatement) -> bool:
    """Whether the file left any balance out: then none of its rows was held to the one before it when it was read."""
    return bool(db.session.scalar(select(_untold(statement.id))))


def _breaks(before: StatementRow | None, after: StatementRow | None) -> bool:
    if before is None or after is None or before.balance_fen is None or after.balance_fen is None:
        return False
    return before.balance_fen != after.balance_fen - after.fen
