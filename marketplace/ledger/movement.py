"""A movement of money between accounts that are named by kind and owner, and how it becomes an entry: what every event is written with."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from marketplace.ledger import account, posting
from marketplace.ledger.account import Name
from marketplace.ledger.posting import Line, Source

# (kind of account, its owner's id or None, fen)
Part = tuple[str, int | None, int]


class Movement(NamedTuple):
    """Parts in fen, none of them negative, whose debits and credits are one sum."""

    kind: str
    book: int
    source: Source
    debits: Sequence[Part]
    credits: Sequence[Part]
    at: datetime | None = None
    period: str | None = None
    scheme_version_id: int | None = None
    reverses_id: int | None = None

    def names(self) -> list[Name]:
        """The accounts that it moves."""
        return [(self.book, kind, owner) for kind, owner, fen in (*self.debits, *self.credits) if fen]

    def draft(self, accounts: Mapping[Name, int]) -> posting.Draft:
        """Debits first, then credits, signed; what is nothing is left out. KeyError for an account that is not among ``accounts``."""
        book = self.book
        lines = [Line(accounts[book, kind, owner], fen) for kind, owner, fen in self.debits if fen]
        lines += [Line(accounts[book, kind, owner], -fen) for kind, owner, fen in self.credits if fen]
        if min([fen for _, _, fen in self.debits], default=0) < 0 or min([fen for _, _, fen in self.credits], default=0) < 0:
            raise ValueError(f"{self.kind} of {self.source}: a negative amount; what goes the other way is another event")
        return posting.Draft(self.kind, self.source, book, lines, self.at, self.period, self.scheme_version_id, self.reverses_id)


def between(kind: str, book: int, source: Source, fen: int, debit: str, credit: str, at: datetime | None) -> int:
    """Post what moves from one account of the book to another. The entry's id."""
    return moved(kind, book, source, [(debit, None, fen)], [(credit, None, fen)], at)


def moved(
    kind: str, book: int, source: Source, debits: Sequence[Part], credits: Sequence[Part], at: datetime | None,
    *, period: str | None = None, scheme_version_id: int | None = None, reverses_id: int | None = None,
) -> int:  # fmt: skip
    """Post one movement. The entry's id."""
    return moved_together([Movement(kind, book, source, debits, credits, at, period, scheme_version_id, reverses_id)])[0]


def moved_together(movements: Sequence[Movement]) -> list[int]:
    """Post each movement by an entry of its own, all or none. Ids in the order given."""
    return posting.post_many(_drafts(movements))


def channel_account(channel: str) -> str:
    """The account in which money of a channel stands. ValueError for one over which none moves."""
    if channel not in ("alipay", "stripe", "bank"):
        raise ValueError(f"money moves over alipay, stripe or bank, not {channel!r}")
    return channel


def _drafts(movements: Sequence[Movement]) -> list[posting.Draft]:
    """The accounts of all of them are looked up together, if they are not kept."""
    with suppress(KeyError):
        kept = account.kept()
        return [each.draft(kept) for each in movements]
    accounts = account.of_names({name for each in movements for name in each.names()})
    return [each.draft(accounts) for each in movements]
