"""The same events for any number of households: their lines are made in the database, from a query of (household id, fen).

Each household is positive and named once. Every function returns the entry's id; AlreadyPosted as in ``event``.
"""

from datetime import datetime

from sqlalchemy import Select

from marketplace.ledger import account
from marketplace.ledger.posting import Source
from marketplace.ledger.posting_each import post_each

Query = Select[int, int]


def payout_sent_by(*, book: int, source: Source, households: Query, at: datetime | None = None) -> int:
    """A payout batch was handed to the bank or to Alipay: each household to in_transit."""
    return _each("payout_sent", book, source, households, at, credit=account.named("in_transit", book))


def payout_refused_by(*, book: int, source: Source, households: Query, at: datetime | None = None) -> int:
    """Refused before anything was debited: in_transit back to each household."""
    return _each("payout_refused", book, source, households, at, debit=account.named("in_transit", book))


def payout_returned_by(*, book: int, source: Source, households: Query, channel: str = "bank", at: datetime | None = None) -> int:
    """Debited, and credited back after: bank, or alipay if it left from there, back to each household."""
    if channel not in ("bank", "alipay"):
        raise ValueError(f"a payout goes over bank or alipay, not {channel!r}")
    return _each("payout_returned", book, source, households, at, debit=account.named(channel, book))


def credited_to_fund(*, book: int, source: Source, households: Query, at: datetime | None = None) -> int:
    """Nobody claimed it for long enough: each household to the relief fund."""
    return _each("unclaimed_to_fund", book, source, households, at, credit=account.named("relief_fund", book))


def _each(
    kind: str, book: int, source: Source, households: Query, at: datetime | None, *, debit: int | None = None, credit: int | None = None
) -> int:
    return post_each(
        kind=kind, source=source, book=book, debit=debit, credit=credit, owner_kind="household", shares=households, event_at=at
    )
