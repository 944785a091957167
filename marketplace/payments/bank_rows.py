"""The rows of a statement, and whether their balances lead from one to the next.

Where the bank writes the balance after each row, a file from which a row was taken, or in which an amount was changed, does not add up and is
refused whole. A row that is merely reported moved the balance too: it is held to it as far as it can be read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.payments.bank_layout import Layout

TAKEN_BACK = re.compile(r"冲正|冲账|冲销|冲回|红冲|红字|抹账")  # what a bank calls taking a booking back, in red ink or not
BACK = "#back"  # at the end of a serial number: what takes a booking back often carries that booking's number, perhaps weeks later
HASHED = "row:"  # at the beginning of the name of a row to which the bank gives no number
LONGEST = 60  # characters of a number that a row's name has room for
_NAME = re.compile(r"(.*?)(?:@([0-9]{8}))?(?:#([0-9]+))?(#back)?(?:#([0-9]+))?", re.DOTALL)


@dataclass(frozen=True)
class Name:
    """By what a row is known: the bank's number, the day where another day has the same number, the how-manieth of its day (a transfer and its
    charge may share one), and whether it takes back what the number names."""

    number: str
    day: date | None = None
    count: int = 1
    reverses: bool = False

    def __str__(self) -> str:
        return f"{self.number}{f'@{self.day:%Y%m%d}' if self.day else ''}{f'#{self.count}' if self.count > 1 else ''}{BACK if self.reverses else ''}"


def name_of(serial: str) -> Name:
    """The parts of a row's name."""
    told = _NAME.fullmatch(serial)
    assert told is not None
    number, day, count, back, count_of_back = told.groups()
    try:
        its_day = datetime.strptime(day, "%Y%m%d").date() if day else None  # noqa: DTZ007 -- a day of the bank's calendar
    except ValueError:  # not a day that we wrote: the bank's number has such an end
        number, its_day = f"{number}@{day}", None
    return Name(number, its_day, int(count or count_of_back or 1), back is not None)


def number_of(serial: str) -> str:
    """The bank's own number of a row; empty where it gave none."""
    number = name_of(serial).number
    return "" if number.startswith(HASHED) else number


@dataclass(frozen=True)
class Row:
    """A row of a statement. ``fen`` is positive for what came in; ``serial`` is the bank's, or the hash of the row and how often it came.
    ``reverses``: it takes another row back."""

    line: int
    day: date
    fen: int
    name: str
    account: str
    remark: str
    serial: str
    balance_fen: int | None = None
    reverses: bool = False


@dataclass(frozen=True)
class BadRow:
    """A row that was not taken: its line in the file, a code, the text as it stands there, and its amount and balance as far as they can be read."""

    line: int
    code: str
    text: str
    fen: int | None = None
    balance_fen: int | None = None


@dataclass
class Reading:
    """What a file holds: its rows in the order of time, what could not be read, and what the bank says beside them."""

    layout: Layout
    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    account: str = ""  # the account it is of, as far as the bank tells, perhaps with stars
    others: set[str] = field(default_factory=set)  # what else rows name as their own account: stars of the same, or another's rows in one file
    opening_fen: int | None = None
    closing_fen: int | None = None

    @property
    def count(self) -> int:
        """Rows under the header, readable or not."""
        return len(self.rows) + len(self.bad)

    @property
    def credits(self) -> list[Row]:
        return [row for row in self.rows if row.fen > 0]

    @property
    def debits(self) -> list[Row]:
        return [row for row in self.rows if row.fen < 0]

    @property
    def leads(self) -> bool:
        """Whether the balances follow from row to row, downwards or upwards; also where the bank writes none."""
        steps = self._steps()
        return not self._has_balances() or not (_broken(steps) and _broken(steps[::-1]))

    def must_lead(self) -> None:
        """Put the rows into the order of time, and see that each balance follows from the one before, and the last from the first.

        Raises InvalidInput ``statement.chain`` with the first line that does not fit.
        """
        steps, newest_first = self._steps(), bool(self.rows) and self.rows[0].day > self.rows[-1].day
        if self._has_balances():
            falls, rises = _broken(steps[::-1]), _broken(steps)
            if rises and falls:
                raise _does_not_lead(*(falls if newest_first else rises))
            newest_first = bool(rises) or (not falls and self._newest_first(steps, newest_first))
        if newest_first:
            self.rows, steps = self.rows[::-1], steps[::-1]
        if self._has_balances():
            self._hear_ends(steps[0], steps[-1])
        known = [step.fen for step in steps if step.fen is not None]
        if self.opening_fen is not None and self.closing_fen is not None and len(known) == len(steps):
            told = self.opening_fen + sum(known)
            if told != self.closing_fen:
                raise InvalidInput(
                    "statement.chain", N_("期初余额加上各行是 %(told)s，文件里的期末余额却是 %(said)s。文件不完整或被改过，没有导入。"),
                    field="file", told=format_yuan(told), said=format_yuan(self.closing_fen),
                )  # fmt: skip

    def _newest_first(self, steps: "list[Step]", by_day: bool) -> bool:
        """Of rows that lead both ways, as what is debited and credited back on one day: the way that fits what stands above and below them."""
        downwards, upwards = self._fits(steps[0], steps[-1]), self._fits(steps[-1], steps[0])
        return by_day if downwards == upwards else upwards

    def _fits(self, first: "Step", last: "Step") -> bool:
        opening = None if first.balance_fen is None or first.fen is None else first.balance_fen - first.fen
        begins = self.opening_fen is None or opening in (None, self.opening_fen)
        return begins and (self.closing_fen is None or last.balance_fen in (None, self.closing_fen))

    def _hear_ends(self, first: "Step", last: "Step") -> None:
        """The balance before the first row and after the last, which may stand above and below them too."""
        if first.balance_fen is not None and first.fen is not None:
            opening = first.balance_fen - first.fen
            if self.opening_fen is not None and self.opening_fen != opening:
                raise _does_not_lead(first, self.opening_fen + first.fen)
            self.opening_fen = opening
        if last.balance_fen is not None:
            if self.closing_fen is not None and self.closing_fen != last.balance_fen:
                raise _does_not_lead(last, self.closing_fen)
            self.closing_fen = last.balance_fen

    def _has_balances(self) -> bool:
        return bool(self.rows) and all(row.balance_fen is not None for row in self.rows)

    def _steps(self) -> "list[Step]":
        """Every row in the order of the file, also what is merely reported."""
        return sorted([*self.rows, *self.bad], key=lambda step: step.line)


Step = Row | BadRow


def _broken(steps: Sequence[Step]) -> tuple[Step, int] | None:
    """The first row whose balance does not follow, and what would; what cannot be read breaks nothing."""
    before: int | None = None
    for step in steps:
        follows = None if before is None or step.fen is None else before + step.fen
        if follows is not None and step.balance_fen not in (None, follows):
            return step, follows
        before = follows if step.balance_fen is None else step.balance_fen
    return None


def _does_not_lead(step: Step, follows: int) -> InvalidInput:
    return InvalidInput(
        "statement.chain", N_("第 %(line)s 行的余额是 %(said)s，和上下行接不上，应该是 %(told)s。文件不完整或被改过，没有导入。请从网银重新下载。"),
        field="file", line=step.line, said=format_yuan(step.balance_fen or 0), told=format_yuan(follows),
    )  # fmt: skip
