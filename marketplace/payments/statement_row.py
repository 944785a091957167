"""A row of what the bank's statement or Alipay's account bill says, in or out, and which entry of the books it is: by a link.

Rows are what the provider says and are never changed. What no link names, on either side, is a difference. Money of one side is
one account of the book: ``bank`` or ``alipay``.
"""

from collections.abc import Callable
from datetime import date, datetime
from typing import Protocol

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Identified, Model, Public, db

SIDES = ("bank", "alipay")


class StatementRow(Public, Model):
    """``fen`` is positive for what came in. ``balance_fen`` is the provider's figure after the row, where it writes one.

    ``kind`` and ``number`` (ours) are told by Alipay only; who the other party is, by the bank only.
    """

    __tablename__ = "statement_row"
    __table_args__ = (
        UniqueConstraint("organisation_id", "side", "serial"),
        CheckConstraint("fen <> 0", name="fen"),
        CheckConstraint("side IN ('bank','alipay')", name="side"),
        CheckConstraint("(side = 'bank') = (statement_id IS NOT NULL)", name="whence"),
        Index("ix_statement_row_day", "organisation_id", "side", "day"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    side: Mapped[str] = mapped_column(String(6))
    statement_id: Mapped[int | None] = mapped_column(ForeignKey("bank_statement.id"), index=True)
    serial: Mapped[str] = mapped_column(String(80))
    day: Mapped[date]
    fen: Mapped[int]
    balance_fen: Mapped[int | None]
    kind: Mapped[str] = mapped_column(String(10), default="")
    number: Mapped[str] = mapped_column(String(64), default="")
    name: Mapped[str] = mapped_column(String(120), default="")
    account_sealed: Mapped[str] = sealed_column(default="")
    account = Sealed()
    remark: Mapped[str] = mapped_column(String(300), default="")


class StatementLink(Identified, Model):
    """``fen`` of a row, signed as the row, are what the entry posted on that account. By nobody: found by number and amount."""

    __tablename__ = "statement_link"
    __table_args__ = (
        UniqueConstraint("row_id", "entry_id"),
        CheckConstraint("fen <> 0", name="fen"),
        Index("ix_statement_link_entry", "entry_id"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    row_id: Mapped[int] = mapped_column(ForeignKey("statement_row.id"))
    entry_id: Mapped[int]  # a journal entry's; those are never changed, and nothing may hold them
    fen: Mapped[int]
    linked_at: Mapped[datetime]
    linked_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))


class Seen(Protocol):
    """What is told of a credit, whether it is a row already or still a line of a file."""

    @property
    def day(self) -> date: ...
    @property
    def fen(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def remark(self) -> str: ...
    @property
    def serial(self) -> str: ...


Arrived = Callable[["StatementRow"], int | None]


class Arrival(Protocol):
    """Somebody who waits for money on the bank that is no buyer's: a withdrawal under way, a payout that came back."""

    def expecting(self, organisation_id: int) -> "Callable[[Seen], Arrived | None]":
        """What to do once a credit is on the statement, if it is one of theirs (it answers which entry the credit is; None if no entry says so
        yet, and the row waits for it); what they wait for now is looked up once for a whole file. Looking changes nothing."""

    def may_part(self, row: "StatementRow", entry_id: int) -> None:
        """Raise Conflict, saying what to do first, if the row was taken for one of theirs and something was built upon it."""

    def part(self, row: "StatementRow", entry_id: int, reason: str) -> None:
        """The row is not the entry after all: if it was one of theirs, it waits again, or never was. Raises as ``may_part``."""


arrivals: list[Arrival] = []


def link(row: StatementRow, entry_id: int, fen: int, *, by: int | None = None) -> StatementLink:
    """Say that ``fen`` of a row are what the entry posted."""
    made = StatementLink(organisation_id=row.organisation_id, row_id=row.id, entry_id=entry_id, fen=fen, linked_at=clock.now(), linked_by_id=by)
    db.session.add(made)
    db.session.flush()
    return made
