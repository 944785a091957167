"""What a row of the bank's statement was said to be, or was taken for as it came, is undone by two people: what was wrong, and who said so, stays.

The accountant says why, the director agrees. What was posted for it is reversed in the open month, and the row is what it was before: a buyer's
money again, or a difference. A receipt as it came needs no undoing: it can be said to be something else (``row_decision``).
"""

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import posting
from marketplace.ledger.entry import JournalEntry, of_source
from marketplace.ledger.posting import Source
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.payments import bank_statement, row_decision, statement_row
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.row_decision import RowDecision
from marketplace.payments.statement_row import StatementLink, StatementRow

_OPEN = "state = 'PROPOSED'"


class RowUndo(Proposal, Model):
    """PROPOSED → APPROVED (the link is gone) or RETURNED (it stands). ``decision_id`` is None where the row was taken for the entry as it came."""

    __tablename__ = "row_undo"
    not_now = ("undo.state", N_("这份撤销申请已经办过了。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        Index("uq_row_undo_open", "row_id", "entry_id", unique=True, sqlite_where=db.text(_OPEN), postgresql_where=db.text(_OPEN)),
    )

    row_id: Mapped[int] = mapped_column(ForeignKey("statement_row.id"), index=True)
    entry_id: Mapped[int]
    fen: Mapped[int]  # signed as the row: what of it was linked
    decision_id: Mapped[int | None] = mapped_column(ForeignKey("row_decision.id"))
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    answer: Mapped[str] = mapped_column(String(300), default="")


def may_be_undone(link: StatementLink, decision: RowDecision | None) -> bool:
    """Whether two people decided it, or nobody did; what one person paired, one person takes apart (``pair_undo``)."""
    if decision is not None:
        return True
    return link.linked_by_id is None and db.session.get_one(JournalEntry, link.entry_id).source_type != "bank_receipt"


def ask(row_id: int, entry_id: int, reason: str, *, actor: Actor) -> RowUndo:
    """The accountant asks that a row be no more said to be this entry. The same again while it waits is the same row.

    Raises NotFound for another's or what is not linked, InvalidInput ``reason.missing``; Conflict ``pair.alone`` if one person paired them,
    and, saying what to do first, ``receipt.used`` if it was matched or goes back since, and as the arrivals do.
    """
    actor.must_have("COOPERATIVE", "accountant")
    row = _row(row_id, actor)
    link = _link(row, entry_id)
    if link is None:
        raise not_found(StatementLink)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明哪里错了，2 到 300 个字。"), field="reason")
    query = select(RowUndo).where(RowUndo.row_id == row.id, RowUndo.entry_id == entry_id, RowUndo.state == "PROPOSED")
    known = db.session.scalars(query).one_or_none()
    if known is not None:
        return known
    decision = row_decision.of_link(link)
    if not may_be_undone(link, decision):
        raise Conflict("pair.alone", N_("这一行不是两个人决定的。手工对上的，在差异里拆开；买家付的钱，在到账里说明。"))
    _may_go(row, link, decision)
    made = RowUndo(
        organisation_id=row.organisation_id, row_id=row.id, entry_id=entry_id, fen=link.fen, decision_id=decision.id if decision else None,
        reason=reason.strip(),
    )  # fmt: skip
    return put(made, "row_undo.asked", person_id=actor.person_id, row_id=row.id, entry_id=entry_id, fen=link.fen)


def decide(undo_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> RowUndo:
    """The director agrees, and the row is free; or it stays as it is, with a reason. OwnWork if one person is both. Raises as ``ask`` if
    something was built upon it meanwhile, ``undo.state`` if it is decided, or no more so."""
    made = own_row(RowUndo, undo_id, actor, "director")
    made.decide(actor=actor, version=version, approved=approved, reason=reason)
    made.state, made.answer = "APPROVED" if approved else "RETURNED", reason.strip()[:300]
    if approved:
        _undo(made, actor)
    db.session.flush()
    return made


def of_row(row_id: int) -> list[RowUndo]:
    """What was asked of a row, the latest last."""
    return list(db.session.scalars(select(RowUndo).where(RowUndo.row_id == row_id).order_by(RowUndo.id)))


def open_of(organisation_id: int) -> list[tuple[RowUndo, StatementRow]]:
    """What waits for the director, the oldest first."""
    query = select(RowUndo, StatementRow).join(StatementRow, StatementRow.id == RowUndo.row_id).where(RowUndo.organisation_id == organisation_id, RowUndo.state == "PROPOSED")
    return [(made, row) for made, row in db.session.execute(query.order_by(RowUndo.id).limit(100))]


def apart(organisation_id: int) -> set[tuple[int, int]]:
    """(row, entry) that two people said are not the same: no number brings them together again."""
    query = select(RowUndo.row_id, RowUndo.entry_id).where(RowUndo.organisation_id == organisation_id, RowUndo.state == "APPROVED")
    return {(row_id, entry_id) for row_id, entry_id in db.session.execute(query)}


def _may_go(row: StatementRow, link: StatementLink, decision: RowDecision | None) -> None:
    if decision is not None and decision.kind == "RECEIPT":
        row_decision.must_be_unused(row)
    for each in _arrivals(row):
        each.may_part(row, link.entry_id)


def _arrivals(row: StatementRow) -> list[statement_row.Arrival]:
    return statement_row.arrivals if row.side == "bank" else []


def _undo(made: RowUndo, actor: Actor) -> None:
    row = _row(made.row_id, actor)
    link = _link(row, made.entry_id)
    decision = row_decision.of_link(link) if link is not None else None
    if link is None or (decision.id if decision else None) != made.decision_id:
        raise Conflict("undo.state", N_("这一行已经改过了，不用再撤销。"))
    _may_go(row, link, decision)
    if decision is not None and decision.kind == "RECEIPT":
        row_decision.set_free(row.id, actor=actor)
    else:
        for each in _arrivals(row):
            each.part(row, link.entry_id, made.reason)
        db.session.delete(link)
        db.session.flush()
        if decision is not None:
            _reverse(made, decision, row)
        _received_again(row, decision)
    if decision is not None:
        decision.undone_at = clock.now()
    audit.record("row_undo.done", made, person_id=actor.person_id, row_id=row.id, entry_id=made.entry_id, fen=made.fen)


def _reverse(made: RowUndo, decision: RowDecision, row: StatementRow) -> None:
    """What the decision posted itself; an entry that stood before stays."""
    for number, entry in enumerate(of_source("row_decision", decision.id)):
        posting.reverse(entry.id, source=Source("row_undo", made.id, number), at=clock.beijing_midnight(row.day))
    if decision.receipt_id is not None:
        receipt = locked(BankReceipt, decision.receipt_id)
        receipt.returned_fen -= -decision.fen
        receipt.settle_state()


def _received_again(row: StatementRow, decision: RowDecision | None) -> None:
    """A credit that was a buyer's money before it was said to be something else is that again; so is one that nobody waits for any more."""
    if row.fen < 0 or row.side != "bank" or db.session.scalars(select(StatementLink.id).where(StatementLink.row_id == row.id).limit(1)).first() is not None:
        return
    known = select(BankReceipt.id).where(BankReceipt.organisation_id == row.organisation_id, BankReceipt.serial == row.serial)
    if decision is None or db.session.scalars(known).one_or_none() is not None:
        statement_row.link(row, bank_statement.received_after_all(row), row.fen)


def _row(row_id: int, actor: Actor) -> StatementRow:
    row = locked(StatementRow, row_id)
    if row.organisation_id != actor.organisation_id:
        raise not_found(StatementRow)
    return row


def _link(row: StatementRow, entry_id: int) -> StatementLink | None:
    return db.session.scalars(select(StatementLink).where(StatementLink.row_id == row.id, StatementLink.entry_id == entry_id)).one_or_none()
