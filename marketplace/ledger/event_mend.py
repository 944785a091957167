"""Events that mend what was recorded of payouts wrongly. Every function returns the entry's id; AlreadyPosted as in ``event``."""

from datetime import datetime

from marketplace.ledger.event import Part, _post
from marketplace.ledger.posting import Source


def payout_found(
    *, book: int, source: Source, household_id: int, fen: int, beyond_fen: int = 0, reverses_id: int | None = None, at: datetime | None = None
) -> int:
    """A payment that was recorded as not made, and that the bank did make: household to bank; of it ``beyond_fen`` that the household had been
    paid already and the cooperative bears: outside to bank. ``reverses_id``: the entry that said it had come back, of which this undoes its part."""
    debits: list[Part] = [("household", household_id, fen - beyond_fen), ("outside", None, beyond_fen)]
    return _post("payout_found", book, source, debits, [("bank", None, fen)], at, reverses_id=reverses_id)


def payout_found_back(*, book: int, source: Source, household_id: int, fen: int, at: datetime | None = None) -> int:
    """What a household had been paid twice came back as its credit: it is the cooperative's own, household to outside."""
    return _post("payout_found_back", book, source, [("household", household_id, fen)], [("outside", None, fen)], at)
