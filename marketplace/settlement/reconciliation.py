"""Reconciliation: what the books hold in bank or Alipay at the end of a day, what the statement or bill says, and every fen between the two.

books = statement + what stood open before its first day − rows it lacks + entries it does not show yet − rows the books do not show yet.
It is exact by construction; what is checked is that each term is nothing, explained, or younger than a day. It only reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Date, String, bindparam, func, literal, select, tuple_

from marketplace.foundation import clock
from marketplace.foundation.database import UtcDateTime, db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.organisations.organisation import Cooperative
from marketplace.payments import account_bill
from marketplace.payments.account_bill import KeptAccountBill
from marketplace.payments.bank_statement import BankStatement
from marketplace.payments.statement_row import SIDES, StatementLink, StatementRow
from marketplace.settlement.reconciliation_link import (
    left,
    linked_of_entry,
    moved,
    numbers_of,
    of_link,
    whose,
)

CUT_OFF = timedelta(days=1)  # the provider's midnight and ours differ by a little, and a transfer of the evening arrives in the morning

_FIRST_OF_ALL = datetime(1970, 1, 1, tzinfo=UTC)
_BEFORE_ALL = literal(_FIRST_OF_ALL, UtcDateTime())


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
    asked = whose(organisation_id, side) | {"on": on, "ends": _ends(on), "first": clock.beijing_midnight(days.first) if days else _FIRST_OF_ALL}
    entries, rows = _entries(asked, days), _rows(asked)
    opening, theirs_fen, total = _told(asked)
    return Position(
        organisation_id=organisation_id,
        side=side,
        on=on,
        covered=days,
        ours_fen=_one(_ours(), asked),
        theirs_fen=theirs_fen,
        before_fen=(_one(_carried(), asked) if days else 0) - opening if theirs_fen is not None else 0,
        missing_fen=(theirs_fen - opening - total) if theirs_fen is not None else 0,
        matched=_one(_matched(), asked),
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


def _ends(on: date) -> datetime:
    return clock.beijing_midnight(on + timedelta(days=1))


def _one(query: Any, asked: dict[str, Any]) -> int:
    return int(db.session.scalar(query, asked) or 0)


def _entries(asked: dict[str, Any], days: Covered | None) -> list[Item]:
    found = db.session.execute(_open_entries(), asked).all()
    numbers = numbers_of([(row[0], row[1], row[2], row[3]) for row in found], asked["side"])
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


def _rows(asked: dict[str, Any]) -> list[Item]:
    today = clock.business_date()
    return [
        Item(
            "AMOUNT" if then else "ONLY_THEIRS", row.day, row.fen - int(then), row_id=row.id, what=row.kind or "row", number=row.number or row.serial,
            name=" · ".join(each for each in (row.name, row.remark) if each), timing=int(now) == row.fen, young=row.day + CUT_OFF >= today,
        )
        for row, then, now in db.session.execute(_open_rows(), asked)
    ]


def _told(asked: dict[str, Any]) -> tuple[int, int | None, int]:
    """What the provider's balances say: before the first row, at the end of the day (None if it writes none); and the sum of the rows.

    Rows that come without a balance after one that has it are added to it; so are, backwards, rows before the first that has it.
    """
    total = _one(_TOTAL, asked)
    first, last = (db.session.execute(_balanced(at_end=each), asked).one_or_none() for each in (False, True))
    if first is None or last is None:
        return 0, None, total
    opening = first.balance_fen - _one(_UP_TO, asked | {"day": first.day, "id": first.id})
    return opening, last.balance_fen + _one(_SINCE, asked | {"day": last.day, "id": last.id}), total


# The queries, made once and asked with what ``position`` says of whose, on which day, and since when there are statements.
_OWN = (StatementRow.organisation_id == bindparam("book", type_=BigInteger)) & (StatementRow.side == bindparam("side", type_=String))
_UNTIL = StatementRow.day <= bindparam("on", type_=Date)
_BEFORE_END = JournalEntry.event_at < bindparam("ends", type_=UtcDateTime())
_FIRST = bindparam("first", type_=UtcDateTime())
_ORDER = (StatementRow.day, StatementRow.id)
_PLACE = tuple_(bindparam("day", type_=Date), bindparam("id", type_=BigInteger))
_SUM = select(func.coalesce(func.sum(StatementRow.fen), 0)).where(_OWN)
_TOTAL, _UP_TO, _SINCE = _SUM.where(_UNTIL), _SUM.where(tuple_(*_ORDER) <= _PLACE), _SUM.where(_UNTIL, tuple_(*_ORDER) > _PLACE)


@cache
def _ours() -> Any:
    ours = moved().where(_BEFORE_END).subquery()
    return select(func.coalesce(func.sum(ours.c.fen), 0))


@cache
def _carried() -> Any:
    """What the books held when the first statement began, without what that statement still shows."""
    before = moved().add_columns(linked_of_entry().label("told")).where(JournalEntry.event_at < _FIRST).subquery()
    return select(func.coalesce(func.sum(before.c.fen - before.c.told), 0))


@cache
def _matched() -> Any:
    return select(func.count()).select_from(StatementLink).join(StatementRow, StatementRow.id == StatementLink.row_id).where(_OWN, _UNTIL)


@cache
def _open_entries() -> Any:
    until = linked_of_entry(_UNTIL)
    query = moved().add_columns(until, linked_of_entry()).where(left() != until, _BEFORE_END, JournalEntry.event_at >= _FIRST)
    return query.order_by(JournalEntry.id)


@cache
def _open_rows() -> Any:
    told = select(func.coalesce(func.sum(StatementLink.fen), 0)).where(StatementLink.row_id == StatementRow.id).correlate(StatementRow)
    until = told.where(of_link(JournalEntry, StatementLink.entry_id, _BEFORE_END)).scalar_subquery()
    return select(StatementRow, until, told.scalar_subquery()).where(_OWN, _UNTIL, StatementRow.fen != until).order_by(*_ORDER)


@cache
def _balanced(*, at_end: bool) -> Any:
    """The first row of all that has a balance, or the last one of the day."""
    query = select(StatementRow.day, StatementRow.id, StatementRow.balance_fen).where(_OWN, StatementRow.balance_fen.is_not(None)).limit(1)
    return query.where(_UNTIL).order_by(*(each.desc() for each in _ORDER)) if at_end else query.order_by(*_ORDER)
