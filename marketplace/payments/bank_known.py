"""Which rows of a file are in the books already, whatever the file, or one before it, calls them.

Some banks count their numbers anew every day, some give one number to a transfer and its charge, some give none: so a row is known by its number
and its day, and where one side has no number, by what it says. One row of a file is one of the books. What carries a known number and yet says
something else is altered; the same booking on another day is too, unless the bank is seen to give its numbers again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from sqlalchemy import Row as Fetched
from sqlalchemy import select

from marketplace.foundation.database import db
from marketplace.payments.bank_rows import Name, Row, name_of, number_of
from marketplace.payments.statement_row import StatementRow


@dataclass(frozen=True)
class Recognised:
    """A row under the name by which it is kept. ``known``: it is in the books; ``altered``: it is there and says something else."""

    row: Row
    known: bool = False
    altered: bool = False


_Kept = Fetched[int, str, date, int, int | None, str, str]


def recognise(organisation_id: int, rows: Sequence[Row]) -> list[Recognised]:
    """The rows of a file in their order, each with what the books have of it; what is new has a name that nothing else has."""
    kept = _kept(organisation_id, rows)
    found = _found(rows, kept)
    left = [each for each in kept if each.id not in {one.id for one in found.values()}]
    altered = _altered(rows, found, kept, left)
    names = {each.serial for each in kept}
    seen = []
    for place, row in enumerate(rows):
        if place in found:
            seen.append(Recognised(replace(row, serial=found[place].serial), known=True))
        elif place in altered:
            seen.append(Recognised(row, altered=True))
        else:
            seen.append(Recognised(replace(row, serial=_free_name(row, names))))
    return seen


def _kept(organisation_id: int, rows: Sequence[Row]) -> list[_Kept]:
    """What the books have of the days of a file, and of other days under its numbers."""
    columns = (StatementRow.id, StatementRow.serial, StatementRow.day, StatementRow.fen, StatementRow.balance_fen, StatementRow.name, StatementRow.remark)
    own = select(*columns).where(StatementRow.organisation_id == organisation_id, StatementRow.side == "bank")
    days = [row.day for row in rows]
    found = {each.id: each for each in db.session.execute(own.where(StatementRow.day.between(min(days), max(days))))} if days else {}
    serials = sorted({row.serial for row in rows} | {number_of(row.serial) for row in rows})
    for start in range(0, len(serials), 500):
        found.update({each.id: each for each in db.session.execute(own.where(StatementRow.serial.in_(serials[start : start + 500])))})
    return [found[number] for number in sorted(found)]


def _found(rows: Sequence[Row], kept: Sequence[_Kept]) -> dict[int, _Kept]:
    """Place in the file → the row of the books that it is: by its name, by its number and day, and last by what it says."""
    found: dict[int, _Kept] = {}
    of_day: dict[tuple[date, int], list[_Kept]] = defaultdict(list)
    for each in kept:
        of_day[each.day, each.fen].append(each)
    for fits in (_same_name, _same_number, _same_words):
        for place, row in enumerate(rows):
            if place in found:
                continue
            those = of_day[row.day, row.fen]
            its = next((each for each in those if _balances_agree(row, each) and fits(row, each)), None)
            if its is not None:
                those.remove(its)
                found[place] = its
    return found


def _same_name(row: Row, kept: _Kept) -> bool:
    return row.serial == str(kept.serial)


def _same_number(row: Row, kept: _Kept) -> bool:
    number = number_of(row.serial)
    return number != "" and number == number_of(kept.serial) and _same_turn(row, kept)


def _same_words(row: Row, kept: _Kept) -> bool:
    """Where one of them has no number: the column was not read, or is read only now."""
    if number_of(row.serial) and number_of(kept.serial):
        return False
    return (row.balance_fen is not None and row.balance_fen == kept.balance_fen) or (row.name, row.remark) == (kept.name, kept.remark)


def _same_turn(row: Row, kept: _Kept) -> bool:
    """Neither takes back what the other is."""
    return row.reverses == name_of(kept.serial).reverses


def _balances_agree(row: Row, kept: _Kept) -> bool:
    return None in (row.balance_fen, kept.balance_fen) or row.balance_fen == kept.balance_fen


def _altered(rows: Sequence[Row], found: dict[int, _Kept], kept: Sequence[_Kept], left: Sequence[_Kept]) -> set[int]:
    """Places of rows that carry a known number and day and say something else; or the same words on another day, unless numbers come again."""
    same_day, elsewhere = _by_number(left, lambda each: (number_of(each.serial), each.day)), _by_number(kept, lambda each: number_of(each.serial))
    again = _numbers_come_again(rows, elsewhere)
    free, altered = {each.id for each in left}, set()
    for place, row in enumerate(rows):
        number = number_of(row.serial)
        if place in found or not number:
            continue
        differs = any(_same_turn(row, each) for each in same_day[number, row.day])
        moved = not again and any(each.id in free and _says_the_same(row, each) and _same_turn(row, each) for each in elsewhere[number])
        if differs or moved:
            altered.add(place)
    return altered


def _numbers_come_again(rows: Sequence[Row], elsewhere: "defaultdict[object, list[_Kept]]") -> bool:
    """Whether the bank is seen to use a number again for another booking of another day; taking one back under its number is none."""
    days = Counter(number for number, _day in {(number_of(row.serial), row.day) for row in rows if not row.reverses} if number)
    if any(count > 1 for count in days.values()):
        return True
    return any(
        each.day != row.day and not _says_the_same(row, each) and not name_of(each.serial).reverses
        for row in rows if not row.reverses and number_of(row.serial) for each in elsewhere[number_of(row.serial)]
    )  # fmt: skip


def _says_the_same(row: Row, kept: _Kept) -> bool:
    return (row.fen, row.name, row.remark) == (kept.fen, kept.name, kept.remark) and _balances_agree(row, kept)


def _by_number(kept: Iterable[_Kept], key: Callable[[_Kept], object]) -> "defaultdict[object, list[_Kept]]":
    found: defaultdict[object, list[_Kept]] = defaultdict(list)
    for each in kept:
        found[key(each)].append(each)
    return found


def _free_name(row: Row, names: set[str]) -> str:
    """The name that the file gave it, with its day if that is another's already."""
    name, told = row.serial, name_of(row.serial)
    count = told.count
    while name in names:
        name = str(Name(told.number, row.day, count, told.reverses))
        count += 1
    names.add(name)
    return name
