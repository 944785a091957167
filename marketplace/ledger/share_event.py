"""The events of the shares: what an order's division left to households, villages and the fund is made good, distributed and paid on.

As in ``event``: a function for each row of the event table, amounts in fen and not negative, the entry's id returned, AlreadyPosted. Those
that end in ``_by`` are the same events for any number of households, whose lines the database makes from a query of (household id, fen):
each is positive and named once.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select

from marketplace.ledger import account
from marketplace.ledger.account import owner_of
from marketplace.ledger.movement import Movement, Part, between, channel_account, moved, moved_together
from marketplace.ledger.posting import Source
from marketplace.ledger.posting_each import post_each

Households = Sequence[tuple[int, int]]  # (household id, fen)
Query = Select[int, int]


def recovered(*, book: int, source: Source, group_id: int, fen: int, period: str | None = None, at: datetime | None = None) -> int:
    """A linkage group's later revenue makes good an earlier refund, within the cap: household_pool to pool_recoverable."""
    debits: list[Part] = [("household_pool", group_id, fen)]
    return moved("recovered", book, source, debits, [("pool_recoverable", group_id, fen)], at, period=period)


def recovery_undone(*, book: int, source: Source, group_id: int, fen: int, at: datetime | None = None) -> int:
    """A refund failed for which the group had recovered already: pool_recoverable back to household_pool."""
    debits: list[Part] = [("pool_recoverable", group_id, fen)]
    return moved("recovery_undone", book, source, debits, [("household_pool", group_id, fen)], at)


def collective_recovered(*, book: int, source: Source, village_id: int, fen: int, at: datetime | None = None) -> int:
    """A collective's later share makes good an earlier refund, within the cap: village_collective to village_recoverable."""
    debits: list[Part] = [("village_collective", village_id, fen)]
    return moved("collective_recovered", book, source, debits, [("village_recoverable", village_id, fen)], at)


def collective_recovery_undone(*, book: int, source: Source, village_id: int, fen: int, at: datetime | None = None) -> int:
    """A refund failed that the collective had made good already: village_recoverable back to village_collective."""
    debits: list[Part] = [("village_recoverable", village_id, fen)]
    return moved("collective_recovery_undone", book, source, debits, [("village_collective", village_id, fen)], at)


def fund_recovered(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """The fund's later share makes good an earlier refund, within the cap: relief_fund to fund_recoverable."""
    return between("fund_recovered", book, source, fen, "relief_fund", "fund_recoverable", at)


def fund_recovery_undone(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A refund failed that the fund had made good already: fund_recoverable back to relief_fund."""
    return between("fund_recovery_undone", book, source, fen, "fund_recoverable", "relief_fund", at)


def distributed(*, book: int, source: Source, group_id: int, households: Households, period: str | None = None, at: datetime | None = None) -> int:
    """A period's pool goes to its households: household_pool to each household."""
    total = sum(fen for _, fen in households)
    return moved("distributed", book, source, [("household_pool", group_id, total)], _of_households(households), at, period=period)


def distributed_by(
    *, book: int, source: Source, group_id: int, shares: Select[int, int], period: str | None = None, at: datetime | None = None
) -> int:
    """The same entry for any number of households: ``shares`` is a query of (household id, fen), each positive and named once."""
    pool = account.named("household_pool", book, owner_of("household_pool", group_id))
    return post_each(
        kind="distributed", source=source, book=book, debit=pool, owner_kind="household", shares=shares, period=period, event_at=at
    )  # fmt: skip


def payout_sent(*, book: int, source: Source, households: Households, at: datetime | None = None) -> int:
    """A payout batch was handed to the bank or to Alipay: each household to in_transit."""
    total = sum(fen for _, fen in households)
    return moved("payout_sent", book, source, _of_households(households), [("in_transit", None, total)], at)


def payout_sent_by(*, book: int, source: Source, households: Query, at: datetime | None = None) -> int:
    """A payout batch was handed to the bank or to Alipay: each household to in_transit."""
    return _each("payout_sent", book, source, households, at, credit=account.named("in_transit", book))


def payout_debited(*, book: int, source: Source, fen: int, channel: str = "bank", at: datetime | None = None) -> int:
    """The bank (or Alipay) paid it out: in_transit to bank or alipay."""
    return between("payout_debited", book, source, fen, "in_transit", channel_account(channel), at)


def payout_refused(*, book: int, source: Source, households: Households, at: datetime | None = None) -> int:
    """Refused before anything was debited: in_transit back to each household."""
    total = sum(fen for _, fen in households)
    return moved("payout_refused", book, source, [("in_transit", None, total)], _of_households(households), at)


def payout_refused_by(*, book: int, source: Source, households: Query, at: datetime | None = None) -> int:
    """Refused before anything was debited: in_transit back to each household."""
    return _each("payout_refused", book, source, households, at, debit=account.named("in_transit", book))


def payout_returned(*, book: int, source: Source, households: Households, channel: str = "bank", at: datetime | None = None) -> int:
    """Debited, and credited back after: bank or alipay back to each household."""
    total = sum(fen for _, fen in households)
    return moved("payout_returned", book, source, [(channel_account(channel), None, total)], _of_households(households), at)


def payout_returned_by(*, book: int, source: Source, households: Query, channel: str = "bank", at: datetime | None = None) -> int:
    """Debited, and credited back after: bank, or alipay if it left from there, back to each household."""
    if channel not in ("bank", "alipay"):
        raise ValueError(f"a payout goes over bank or alipay, not {channel!r}")
    return _each("payout_returned", book, source, households, at, debit=account.named(channel, book))


def payout_unmade(
    *, book: int, source: Source, household_id: int, fen: int, beyond_fen: int = 0, reverses_id: int, at: datetime | None = None
) -> int:
    """A payment that was recorded as debited and never left: its part of the entry ``reverses_id`` is taken back, bank to household, or to
    outside for the ``beyond_fen`` of it that were not the household's (``payout_found``)."""
    credits: list[Part] = [("household", household_id, fen - beyond_fen), ("outside", None, beyond_fen)]
    return moved("payout_unmade", book, source, [("bank", None, fen)], credits, at, reverses_id=reverses_id)


def payout_found(
    *, book: int, source: Source, household_id: int, fen: int, beyond_fen: int = 0, reverses_id: int | None = None, at: datetime | None = None
) -> int:
    """A payment that was recorded as not made, and that the bank did make: household to bank; of it ``beyond_fen`` that the household had been
    paid already and the cooperative bears: outside to bank. ``reverses_id``: the entry that said it had come back, of which this undoes its part."""
    debits: list[Part] = [("household", household_id, fen - beyond_fen), ("outside", None, beyond_fen)]
    return moved("payout_found", book, source, debits, [("bank", None, fen)], at, reverses_id=reverses_id)


def payout_found_back(*, book: int, source: Source, household_id: int, fen: int, at: datetime | None = None) -> int:
    """What a household had been paid twice came back as its credit: it is the cooperative's own, household to outside."""
    return moved("payout_found_back", book, source, [("household", household_id, fen)], [("outside", None, fen)], at)


def credited_to_fund(*, book: int, source: Source, households: Query, at: datetime | None = None) -> int:
    """Nobody claimed it for long enough: each household to the relief fund."""
    return _each("unclaimed_to_fund", book, source, households, at, credit=account.named("relief_fund", book))


def unclaimed_back(*, book: int, source: Source, household_id: int, fen: int, at: datetime | None = None) -> int:
    """Who turned up gets back what had gone to the relief fund: relief_fund to household."""
    return moved("unclaimed_back", book, source, [("relief_fund", None, fen)], [("household", household_id, fen)], at)


def credit_divided(
    *, book: int, source: Source, household_id: int, other_id: int, fen: int, inherited: bool = False, at: datetime | None = None
) -> int:
    """A household divided, and its credit with it, or another one inherits it: household to the other household."""
    return moved("credit_inherited" if inherited else "credit_divided", book, source, [("household", household_id, fen)], [("household", other_id, fen)], at)


def collective_paid(*, book: int, source: Source, village_id: int, fen: int, beyond_fen: int = 0, at: datetime | None = None) -> int:
    """A village collective got its money: village_collective to bank; of it ``beyond_fen`` that a refund took before the bank paid."""
    debits: list[Part] = [("village_collective", village_id, fen - beyond_fen), ("village_recoverable", village_id, beyond_fen)]
    return moved("collective_paid", book, source, debits, [("bank", None, fen)], at)


def fund_remitted(
    *, book: int, holder_book: int, source: Source, fen: int, beyond_fen: int = 0, at: datetime | None = None
) -> tuple[int, int]:
    """The relief fund's money went to its legal holder: one entry in each book under one source; returns both ids.

    In the cooperative's book the fund is what it owes, and ``beyond_fen`` what a refund took before the bank paid; in the holder's, what
    the holder keeps for those it is meant for.
    """
    debits: list[Part] = [("relief_fund", None, fen - beyond_fen), ("fund_recoverable", None, beyond_fen)]
    ours = Movement("fund_remitted", book, source, debits, [("bank", None, fen)], at)
    theirs = Movement("fund_received", holder_book, source, [("bank", None, fen)], [("relief_fund", None, fen)], at)
    first, second = moved_together([ours, theirs])
    return first, second


def fund_given_back(*, book: int, holder_book: int, source: Source, fen: int, at: datetime | None = None) -> tuple[int, int]:
    """The fund's holder gave a cooperative back what it had remitted: bank to relief_fund there, and the reverse in the holder's book, under
    one source; returns both ids."""
    ours = Movement("fund_given_back", book, source, [("bank", None, fen)], [("relief_fund", None, fen)], at)
    theirs = Movement("fund_sent_back", holder_book, source, [("relief_fund", None, fen)], [("bank", None, fen)], at)
    first, second = moved_together([ours, theirs])
    return first, second


def _of_households(households: Households) -> list[Part]:
    return [("household", household_id, fen) for household_id, fen in households]


def _each(
    kind: str, book: int, source: Source, households: Query, at: datetime | None, *, debit: int | None = None, credit: int | None = None
) -> int:
    return post_each(
        kind=kind, source=source, book=book, debit=debit, credit=credit, owner_kind="household", shares=households, event_at=at
    )
