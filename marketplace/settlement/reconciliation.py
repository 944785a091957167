"""Reconciliation: what the books hold in bank or Alipay at the end of a day, what the statement or bill says, and every fen between the two.

books = statement + what stood open before its first day − rows it lacks + entries it does not show yet − rows the books do not show yet.
It is exact by construction; what is checked is that each term is nothing, explained, or younger than a day. It only reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import func, literal, select, tuple_

from marketplace.foundation import clock
from marketplace.foundation.database import UtcDateTime, db
from marketplace.ledger import account
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import account_bill
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.bank_statement import BankStatement
from marketplace.payments.statement_row import SIDES, StatementLink, StatementRow
from marketplace.settlement.reconciliation_link import left_of, linked_of_entry, moved, numbers_of

CUT_OFF = timedelta(days=1)  # the provider's midnight and ours differ by a little, and a transfer of the evening arrives in the morning

_BEFORE_ALL = literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime())


@dataclass(frozen=True)
class Covered:
    """The days that statements or bills cover: before the first the books are carried over, after the last nothing is known."""

    first: date
    last: date


@dataclass(frozen=True)
class Item:
    """What one side has and the other has not (or has with another amount): ``fen`` signed as it moved the account.

    ``timing``: the other side has it, on a later day. ``young``: the other side cannot show it yet. Else it is a difference.
    """

    kind: str  # ONLY_OURS, ONLY_THEIRS, AMOUNT
    day: date
    fen: int
    entry_id: int | None = None
    row_id: int | None = None
    what: str = ""  # the entry's kind, or the row's
    number: str = ""
    name: str = ""
    timing: bool = False
    young: bool = False

    @property
    def is_ours(self) -> bool:
        return self.entry_id is not None

    @property
    def effect_fen(self) -> int:
        """What it makes the books more than the statement."""
        return self.fen if self.is_ours else -self.fen


@dataclass(frozen=True)
class Position:
    """One account of a cooperative at the end of a day. ``theirs_fen`` is None where the statement writes no balances."""

    organisation_id: int
    side: str
    on: date
    covered: Covered | None
    ours_fen: int
    theirs_fen: int | None
    before_fen: int  # books less statement before the first day of statements
    missing_fen: int  # rows that the statement must have and we have not: its balance less opening and rows
    matched: int
    items: Sequence[Item]

    @property
    def explained_fen(self) -> int | None:
        """The control total: statement and all terms. Equal to ``ours_fen``, or something is broken."""
        if self.theirs_fen is None:
            return None
        return self.theirs_fen + self.before_fen - self.missing_fen + sum(item.effect_fen for item in self.items)

    @property
    def differences(self) -> list[Item]:
        return [item for item in self.items if not item.timing and not item.young]


def covered(organisation_id: int, side: str) -> Covered | None:
    """Which days are covered; None without a statement or bill. Days of Alipay count as far as no bill is missing."""
    if side == "alipay":
        first = db.session.scalar(select(func.min(KeptAccountBill.day)).where(KeptAccountBill.organisation_id == organisation_id))
        last = account_bill.covered_until(organisation_id) if first else None
        return Covered(first, last) if first and last else None
    rows = select(func.min(StatementRow.day), func.max(StatementRow.day)).where(StatementRow.organisation_id == organisation_id, StatementRow.side == side)
    said = select(func.min(BankStatement.first_day), func.max(BankStatement.last_day)).where(
        BankStatement.organisation_id == organisation_id, BankStatement.taken_at.is_not(None)
    )
    days = [day for query in (rows, said) for day in db.session.execute(query).one() if day is not None]
    return Covered(min(days), max(days)) if days else None


def position(organisation_id: int, side: str, on: date | None = None) -> Position:
    """How an account of a cooperative stands at the end of a Beijing day; default: the last that is covered, else yesterday.

    Entries count by the day on which it happened; what was reversed since is left out with its reversal.
    """
    days = covered(organisation_id, side)
    on = on or (days.last if days else clock.business_date() - timedelta(days=1))
    entries = _entries(organisation_id, side, on, days)
    rows = _rows(organisation_id, side, on)
    own = (StatementRow.organisation_id == organisation_id) & (StatementRow.side == side)
    opening, theirs_fen, total = _told(own, on)
    ours = moved(organisation_id, side).where(JournalEntry.event_at < clock.beijing_midnight(on + timedelta(days=1))).subquery()
    ours_fen = int(db.session.scalar(select(func.coalesce(func.sum(ours.c.fen), 0))) or 0)
    return Position(
        organisation_id=organisation_id,
        side=side,
        on=on,
        covered=days,
        ours_fen=ours_fen,
        theirs_fen=theirs_fen,
        before_fen=_carried(organisation_id, side, days) - opening if theirs_fen is not None else 0,
        missing_fen=(theirs_fen - opening - total) if theirs_fen is not None else 0,
        matched=int(
            db.session.scalar(
                select(func.count()).select_from(StatementLink).join(StatementRow, StatementRow.id == StatementLink.row_id).where(own, StatementRow.day <= on)
            )
            or 0
        ),
        items=sorted([*entries, *rows], key=lambda item: (item.day, item.effect_fen)),
    )


def followed(organisation_id: int) -> list[str]:
    """The sides of a cooperative that have a statement or bills."""
    return [side for side in SIDES if covered(organisation_id, side) is not None]


def cooperatives_with_statements() -> list[int]:
    """Whose statements or bills are here."""
    query = select(BankStatement.organisation_id).where(BankStatement.taken_at.is_not(None)).union(select(KeptAccountBill.organisation_id))
    return sorted(db.session.scalars(query))


def unseen_since() -> Any:
    """When a cooperative's bank (of a query over ``Cooperative``) first moved of what no statement can show yet: after the last one was taken, or
    ever, if none was. NULL where nothing moved."""
    taken = select(func.max(BankStatement.taken_at)).where(BankStatement.organisation_id == Cooperative.organisation_id).correlate(Cooperative).scalar_subquery()
    moved = (
        select(func.min(JournalEntry.event_at))
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(Account.kind == "bank", Account.book == Cooperative.organisation_id, JournalEntry.event_at > func.coalesce(taken, _BEFORE_ALL))
    )
    return moved.correlate(Cooperative).scalar_subquery()


def never_seen() -> list[tuple[int, date]]:
    """Cooperatives whose bank moved though no statement of it was ever taken, with the day of its first movement."""
    taken = select(BankStatement.id).where(BankStatement.organisation_id == Cooperative.organisation_id, BankStatement.taken_at.is_not(None)).exists()
    query = select(Cooperative.organisation_id, unseen_since()).where(~taken).order_by(Cooperative.organisation_id)
    return [(book, clock.business_date(since)) for book, since in db.session.execute(query) if since is not None]


def _entries(organisation_id: int, side: str, on: date, days: Covered | None) -> list[Item]:
    until, ever = linked_of_entry(side=side, until=on), linked_of_entry(side=side)
    query = moved(organisation_id, side).add_columns(until, ever).where(
        left_of(account.existing(side, organisation_id) or 0) != until, JournalEntry.event_at < clock.beijing_midnight(on + timedelta(days=1))
    )
    if days is not None:
        query = query.where(JournalEntry.event_at >= clock.beijing_midnight(days.first))
    found = db.session.execute(query.order_by(JournalEntry.id)).all()
    numbers = numbers_of([(row[0], row[1], row[2], row[3]) for row in found], side)
    items = []
    for entry_id, kind, _type, _id, event_at, fen, then, now in found:
        day = clock.business_date(event_at)
        items.append(
            Item(
                "AMOUNT" if then else "ONLY_OURS", day, int(fen) - int(then), entry_id=entry_id, what=kind, number=numbers[entry_id],
                timing=int(now) == int(fen), young=days is None or day + CUT_OFF > days.last,
            )
        )
    return items


def _rows(organisation_id: int, side: str, on: date) -> list[Item]:
    ends = clock.beijing_midnight(on + timedelta(days=1))
    told = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == StatementRow.id).correlate(StatementRow)
    until = told.join(JournalEntry, JournalEntry.id == StatementLink.entry_id).where(JournalEntry.event_at < ends).scalar_subquery()
    ever = told.scalar_subquery()
    query = select(StatementRow, until, ever).where(
        StatementRow.organisation_id == organisation_id, StatementRow.side == side, StatementRow.day <= on, StatementRow.fen != until
    )
    today = clock.business_date()
    return [
        Item(
            "AMOUNT" if then else "ONLY_THEIRS", row.day, row.fen - int(then), row_id=row.id, what=row.kind or "row", number=row.number or row.serial,
            name=" · ".join(each for each in (row.name, row.remark) if each), timing=int(now) == row.fen, young=row.day + CUT_OFF >= today,
        )
        for row, then, now in db.session.execute(query.order_by(StatementRow.day, StatementRow.id))
    ]


def _told(own: Any, on: date) -> tuple[int, int | None, int]:
    """What the provider's balances say: before the first row, at the end of the day (None if it writes none); and the sum of the rows.

    Rows that come without a balance after one that has it are added to it; so are, backwards, rows before the first that has it.
    """
    until = own & (StatementRow.day <= on)
    order = (StatementRow.day, StatementRow.id)
    balanced = select(StatementRow).where(own, StatementRow.balance_fen.is_not(None))
    first = db.session.scalars(balanced.order_by(*order).limit(1)).one_or_none()
    last = db.session.scalars(balanced.where(until).order_by(*(each.desc() for each in order)).limit(1)).one_or_none()

    def added(*of: Any) -> int:
        return int(db.session.scalar(select(func.coalesce(func.sum(StatementRow.fen), 0)).where(*of)) or 0)

    total = added(until)
    if first is None or first.balance_fen is None or last is None or last.balance_fen is None:
        return 0, None, total
    opening = first.balance_fen - added(own, tuple_(*order) <= (first.day, first.id))
    return opening, last.balance_fen + added(until, tuple_(*order) > (last.day, last.id)), total


def _carried(organisation_id: int, side: str, days: Covered | None) -> int:
    """What the books held when the first statement began, without what that statement still shows."""
    if days is None:
        return 0
    told = linked_of_entry(side=side)
    before = moved(organisation_id, side).add_columns(told.label("told")).where(JournalEntry.event_at < clock.beijing_midnight(days.first)).subquery()
    return int(db.session.scalar(select(func.coalesce(func.sum(before.c.fen - before.c.told), 0))) or 0)
