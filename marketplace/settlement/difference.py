"""A difference between books and statement: a task with an age and an owner, until it is gone or a person has said what it is.

Found every day for each cooperative with statements or bills. It goes by itself when the other side shows up or a row is linked;
explained, it stays on the list of the control total with its reason, and one that went away and comes back is a question again. Where money is posted two people decide (``row_decision``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import account
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.payments import bank_proof, statement_row
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.settlement import payout_on_statement, reconciliation, reconciliation_link
from marketplace.settlement.reconciliation import Item, Position

KINDS = ("ONLY_OURS", "ONLY_THEIRS", "AMOUNT", "MISSING_ROWS", "BEFORE")
STATES = ("OPEN", "EXPLAINED", "GONE")


class Difference(Public, Versioned, Model):
    """``subject``: ``entry:ID``, ``row:ID``, ``missing`` or ``before``. ``fen`` is what it makes the books more than the statement."""

    __tablename__ = "difference"
    __table_args__ = (
        CheckConstraint("kind IN ('ONLY_OURS','ONLY_THEIRS','AMOUNT','MISSING_ROWS','BEFORE')", name="kind"),
        CheckConstraint("state IN ('OPEN','EXPLAINED','GONE')", name="state"),
        CheckConstraint("(state = 'EXPLAINED') = (explained_by_id IS NOT NULL)", name="explained"),
        Index("uq_difference_subject", "organisation_id", "side", "subject", unique=True),
        Index("ix_difference_open", "state", "found_at"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    side: Mapped[str] = mapped_column(String(6))
    kind: Mapped[str] = mapped_column(String(12))
    subject: Mapped[str] = mapped_column(String(30))
    entry_id: Mapped[int | None]
    row_id: Mapped[int | None] = mapped_column(ForeignKey("statement_row.id"))
    day: Mapped[date]
    fen: Mapped[int]
    number: Mapped[str] = mapped_column(String(80), default="")
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    found_at: Mapped[datetime]
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    explanation: Mapped[str] = mapped_column(String(300), default="")
    explained_at: Mapped[datetime | None]
    explained_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    gone_at: Mapped[datetime | None]


class ReconciledDay(Model):
    """How an account of a cooperative stood when a day was reconciled last: kept, so that a month can be looked over at a glance."""

    __tablename__ = "reconciled_day"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), primary_key=True)
    side: Mapped[str] = mapped_column(String(6), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    ours_fen: Mapped[int]
    theirs_fen: Mapped[int | None]
    items: Mapped[int]
    differences: Mapped[int]
    reconciled_at: Mapped[datetime]


def reconcile(organisation_id: int, sides: Sequence[str] = statement_row.SIDES) -> int:
    """Link what can be told, and bring the list of differences up to date; how many are open, on all sides. The same again changes nothing."""
    # One at a time; whoever posts goes on.
    account.lock([account.named("bank", organisation_id)])
    for side in sides:
        if reconciliation.covered(organisation_id, side) is None:
            continue
        if side == "bank":
            payout_on_statement.settle(organisation_id)
        reconciliation_link.link(organisation_id, side)
        where = reconciliation.position(organisation_id, side)
        _list(where)
        _keep_day(where)
    open_ones = select(func.count()).where(Difference.organisation_id == organisation_id, Difference.state == "OPEN")
    return int(db.session.scalar(open_ones) or 0)


def own(difference_id: int, *, actor: Actor) -> Difference:
    """Take a difference on oneself, so that the others know who asks the bank."""
    actor.must_have("COOPERATIVE", "accountant", "director")
    row = _held(difference_id, actor)
    row.owner_id = actor.person_id
    db.session.flush()
    audit.record("difference.owned", row, person_id=actor.person_id)
    return row


def explain(difference_id: int, explanation: str, *, version: int, actor: Actor) -> Difference:
    """Say what a difference is; nothing is posted and it stays on the list. Raises InvalidInput ``difference.explanation``,
    Conflict ``difference.explained``, OwnWork as ``is_anothers`` says."""
    actor.must_have("COOPERATIVE", "accountant", "director")
    row = _held(difference_id, actor)
    row.must_be_version(version)
    if is_anothers(row, actor):
        raise OwnWork("approval.own", N_("转出去的钱、流水缺的行，请没有导入流水的理事长对着网银核对以后写明。"))
    if not 4 <= len(explanation.strip()) <= 300:
        raise InvalidInput("difference.explanation", N_("请写明这笔差异是怎么回事，4 到 300 个字。"), field="explanation")
    row.state, row.explanation = "EXPLAINED", explanation.strip()
    row.explained_at, row.explained_by_id, row.owner_id = clock.now(), actor.person_id, row.owner_id or actor.person_id
    db.session.flush()
    audit.record("difference.explained", row, person_id=actor.person_id, fen=row.fen)
    return row


def is_anothers(row: Difference, actor: Actor) -> bool:
    """Whether another than this person says what a difference is. Whoever brings the statements does not say alone which rows they lack; whoever
    transfers does not say alone what went out and is in no book: a director does, who brought no statement. Else it is for ``row_decision``."""
    went_out = row.row_id is not None and row.fen > 0
    if row.side == "bank" and (went_out or row.kind == "MISSING_ROWS") and bank_proof.brought_by(row.organisation_id, actor.person_id):
        return True
    return went_out and not actor.has("director")


def pair(difference_id: int, other_id: int, *, version: int, actor: Actor) -> StatementLink:
    """A credit and an entry that no number brings together are one: the accountant says so. Nothing is posted.

    Raises Conflict ``pair.sides`` unless one is a row's and the other an entry's of the same account and direction, ``pair.debit`` for what went
    out: whoever transfers does not say alone that it was right (``row_decision``, STANDS).
    """
    actor.must_have("COOPERATIVE", "accountant")
    first, other = _held(difference_id, actor), _held(other_id, actor)
    first.must_be_version(version)
    its_row, entry = (first, other) if first.row_id is not None else (other, first)
    if its_row.row_id is None or entry.entry_id is None or its_row.side != entry.side or its_row.fen * entry.fen >= 0:
        raise Conflict("pair.sides", N_("要一边是流水、一边是账，收支方向相同，才能对到一起。"))
    if its_row.fen > 0:
        raise Conflict("pair.debit", N_("转出去的钱，是不是账上的这一笔，要理事长同意：请在流水那一项里选“账上已经有的一笔”。"))
    row = locked(StatementRow, its_row.row_id)
    fen = -its_row.fen if abs(its_row.fen) <= abs(entry.fen) else entry.fen
    made = statement_row.link(row, entry.entry_id, fen, by=actor.person_id)
    audit.record("difference.paired", first, person_id=actor.person_id, fen=fen)
    reconcile(first.organisation_id)
    return made


def partners(row: Difference, limit: int = 8) -> list[Difference]:
    """Open differences that may be the other half: of the other side and the same direction, nearest in amount and day."""
    query = select(Difference).where(
        Difference.organisation_id == row.organisation_id, Difference.side == row.side, Difference.state == "OPEN",
        Difference.row_id.is_(None) if row.row_id is not None else Difference.row_id.is_not(None),
        Difference.entry_id.is_not(None) if row.row_id is not None else Difference.entry_id.is_(None),
        Difference.fen < 0 if row.fen > 0 else Difference.fen > 0,
    )  # fmt: skip
    found = list(db.session.scalars(query.limit(200)))
    return sorted(found, key=lambda each: (abs(each.fen + row.fen), abs((each.day - row.day).days)))[:limit]


def standing(organisation_id: int, fen: int, limit: int = 12, side: str = "bank") -> list[Difference]:
    """Open differences whose entry stands in the books and no statement or bill shows, that a row of ``fen`` (signed as the row) may be a part of:
    nearest in amount."""
    query = select(Difference).where(
        Difference.organisation_id == organisation_id, Difference.side == side, Difference.state == "OPEN", Difference.entry_id.is_not(None),
        Difference.fen >= fen if fen > 0 else Difference.fen <= fen,
    )  # fmt: skip
    found = list(db.session.scalars(query.order_by(Difference.id).limit(200)))
    return sorted(found, key=lambda each: abs(each.fen - fen))[:limit]


@dataclass(frozen=True)
class Found:
    """A difference as it stands now, whether or not it is a task already."""

    subject: str
    kind: str
    day: date
    fen: int
    item: Item | None = None


def found(where: Position) -> list[Found]:
    """Every difference of a position. Of what the trade bill's import has made a task of already, one of the same number and amount is
    not told twice: another amount is another question."""
    told = _told_by_bill(where) if where.side == "alipay" else []
    listed = []
    for item in where.differences:
        twin = next((each for each in told if item.number in each[0] and each[1] == item.effect_fen), None)
        if twin is not None:
            told.remove(twin)
            continue
        subject = f"entry:{item.entry_id}" if item.is_ours else f"row:{item.row_id}"
        listed.append(Found(subject, item.kind, item.day, item.effect_fen, item))
    if where.missing_fen:
        listed.append(Found("missing", "MISSING_ROWS", where.on, -where.missing_fen))
    if where.before_fen:
        listed.append(Found("before", "BEFORE", where.covered.first if where.covered else where.on, where.before_fen))
    return listed


def unexplained(where: Position) -> list[Found]:
    """Those that nobody has explained."""
    query = select(Difference.subject, Difference.fen).where(
        Difference.organisation_id == where.organisation_id, Difference.side == where.side, Difference.state == "EXPLAINED",
        Difference.gone_at.is_(None),
    )  # fmt: skip
    known = {(row[0], int(row[1])) for row in db.session.execute(query)}
    return [each for each in found(where) if (each.subject, each.fen) not in known]


def _list(where: Position) -> None:
    query = select(Difference).where(Difference.organisation_id == where.organisation_id, Difference.side == where.side)
    known = {each.subject: each for each in db.session.scalars(query)}
    now = found(where)
    for each in now:
        _find(where, known.get(each.subject), each)
    standing = {each.subject for each in now}
    for subject, task in known.items():
        if subject in standing or task.gone_at is not None:
            continue
        # Who explained it, and how, stays on it.
        task.state, task.gone_at = ("GONE" if task.state == "OPEN" else task.state), clock.now()
    db.session.flush()


def _find(where: Position, row: Difference | None, told: Found) -> None:
    item = told.item
    if row is None:
        row = Difference(
            organisation_id=where.organisation_id, side=where.side, subject=told.subject, kind=told.kind, day=told.day, fen=told.fen, state="OPEN",
            entry_id=item.entry_id if item else None, row_id=item.row_id if item else None, number=item.number[:80] if item else "",
            found_at=clock.now(), version=1,
        )  # fmt: skip
        db.session.add(row)
    elif row.fen != told.fen or row.gone_at is not None:
        # Another amount, or the same months later, is another question: what was explained was not this.
        row.kind, row.day, row.fen, row.state, row.found_at = told.kind, told.day, told.fen, "OPEN", clock.now()
        row.explained_at = row.explained_by_id = row.gone_at = None
        row.version += 1


def _told_by_bill(where: Position) -> list[tuple[set[str], int]]:
    """(numbers, what it makes the books more than the bill) of each task of the trade bill's import."""
    query = select(BillDifference).where(BillDifference.organisation_id == where.organisation_id)
    return [({each.out_request_no or each.out_trade_no, each.out_trade_no}, each.ours_fen - each.theirs_fen) for each in db.session.scalars(query)]


def _keep_day(where: Position) -> None:
    row = db.session.get(ReconciledDay, (where.organisation_id, where.side, where.on))
    if row is None:
        row = ReconciledDay(organisation_id=where.organisation_id, side=where.side, day=where.on)
        db.session.add(row)
    row.ours_fen, row.theirs_fen = where.ours_fen, where.theirs_fen
    row.items, row.differences, row.reconciled_at = len(where.items), len(where.differences), clock.now()
    db.session.flush()


def _held(difference_id: int, actor: Actor) -> Difference:
    row = locked(Difference, difference_id)
    if row.organisation_id != actor.organisation_id:
        raise not_found(Difference)
    if row.state != "OPEN":
        raise Conflict("difference.explained", N_("这一项已经有人说明过，或已经对上了。"), state=row.state)
    return row
