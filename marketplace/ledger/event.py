"""The events of the money: one function for each row of the event table, each posting exactly its entry.

Accounts are named by kind and owner only; what an order, a payment or a distribution is, the ledger does not know. All
amounts are fen and not negative; ``at`` is when it happened (default: now), ``book`` the cooperative's organisation.
Every function returns the entry's id and raises AlreadyPosted when its source has its entry.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select

from marketplace.ledger import account, posting
from marketplace.ledger.account import Name, owner_of
from marketplace.ledger.posting import Line, Source
from marketplace.ledger.posting_each import post_each

# (kind of account, its owner's id or None, fen)
Part = tuple[str, int | None, int]
Households = Sequence[tuple[int, int]]  # (household id, fen)


def alipay_paid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A buyer paid over Alipay: alipay to buyer_funds. (Nine of ten times ``payment_at_once`` posts it, as a ``pair``.)"""
    return _simple("alipay_paid", book, source, fen, "alipay", "buyer_funds", at)


def alipay_unapplied(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Alipay brought money for something cancelled or already paid: alipay to unapplied."""
    return _simple("alipay_unapplied", book, source, fen, "alipay", "unapplied", at)


def stripe_paid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A buyer paid over Stripe: stripe to buyer_funds."""
    return _simple("stripe_paid", book, source, fen, "stripe", "buyer_funds", at)


def stripe_unapplied(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Stripe brought money for something cancelled or already paid: stripe to unapplied."""
    return _simple("stripe_unapplied", book, source, fen, "stripe", "unapplied", at)


def bank_received(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt on the bank statement, not yet matched: bank to unapplied."""
    return _simple("bank_received", book, source, fen, "bank", "unapplied", at)


def matched_prepaid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to an order that is paid first, or not accepted yet: unapplied to buyer_funds."""
    return _simple("matched_prepaid", book, source, fen, "unapplied", "buyer_funds", at)


def accepted_on_credit(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Goods accepted before they are paid, beyond what was paid early: receivable to accepted_unpaid."""
    return _simple("accepted_on_credit", book, source, fen, "receivable", "accepted_unpaid", at)


def matched_receivable(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to accepted goods: pays the receivable, and the money becomes the buyer's funds, in one entry."""
    debits: list[Part] = [("unapplied", None, fen), ("accepted_unpaid", None, fen)]
    credits: list[Part] = [("receivable", None, fen), ("buyer_funds", None, fen)]
    return _post("matched_receivable", book, source, debits, credits, at)


def divided_unpaid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """What an order was divided on did not pay it after all (a wrong match, a transfer that the bank took back): receivable to unapplied."""
    return _simple("divided_unpaid", book, source, fen, "receivable", "unapplied", at)


def matched_divided(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to such an order: its money was divided already, so nothing becomes the buyer's funds. Unapplied to receivable."""
    return _simple("matched_divided", book, source, fen, "unapplied", "receivable", at)


def receivable_cut(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A price cut, or goods returned, while unpaid: accepted_unpaid to receivable."""
    return _simple("receivable_cut", book, source, fen, "accepted_unpaid", "receivable", at)


class Settled(NamedTuple):
    """An order divides: buyer_funds to revenue, freight, household pools (by linkage group), collectives (by village), fund."""

    book: int
    source: Source
    scheme_version_id: int | None
    revenue_fen: int
    freight_fen: int
    pools: Mapping[int, int]
    collectives: Mapping[int, int]
    fund_fen: int
    period: str | None = None
    at: datetime | None = None


def settled(
    *,
    book: int,
    source: Source,
    scheme_version_id: int | None,
    revenue_fen: int,
    freight_fen: int,
    pools: Mapping[int, int],
    collectives: Mapping[int, int],
    fund_fen: int,
    period: str | None = None,
    at: datetime | None = None,
) -> int:
    """One order divides, as ``Settled`` says. A zero order has nothing to post: ValueError."""
    one = Settled(
        book, source, scheme_version_id, revenue_fen, freight_fen, pools, collectives, fund_fen, period, at
    )
    return settled_many([one])[0]


def settled_many(orders: Sequence[Settled]) -> list[int]:
    """Many orders divide, each by an entry of its own, all or none. Ids in the order given."""
    entries = []
    for each in orders:
        shares = _shares(each.revenue_fen, each.freight_fen, each.pools, each.collectives, each.fund_fen)
        debits: list[Part] = [("buyer_funds", None, sum(fen for _, _, fen in shares))]
        entries.append(
            _Entry("settled", each.book, each.source, debits, shares, each.at, each.period, each.scheme_version_id)
        )
    return posting.post_many(_drafts(entries))


def refund_approved(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A refund approved before settlement, or a shortage of what was paid first: buyer_funds to refunds_payable."""
    return _simple("refund_approved", book, source, fen, "buyer_funds", "refunds_payable", at)


def refund_after_settlement(
    *,
    book: int,
    source: Source,
    revenue_fen: int,
    freight_fen: int,
    collectives: Mapping[int, int],
    fund_fen: int,
    pools: Mapping[int, tuple[int, int]],
    villages_beyond: Mapping[int, int] | None = None,
    fund_beyond_fen: int = 0,
    period: str | None = None,
    reverses_id: int | None = None,
    scheme_version_id: int | None = None,
    at: datetime | None = None,
) -> int:
    """A refund approved after settlement takes each share back. ``pools``: linkage group → (from its pool, recoverable).

    What a pool, a collective or the fund no longer holds (``villages_beyond``, ``fund_beyond_fen``) becomes recoverable from its later
    revenue, never a claim on a household. Whoever reads a balance to divide the two holds ``account.lock`` on that account.
    """
    debits = _shares(
        revenue_fen, freight_fen, {group: parts[0] for group, parts in pools.items()}, collectives, fund_fen
    )
    debits += [("pool_recoverable", group, parts[1]) for group, parts in pools.items()]
    debits += [("village_recoverable", village, fen) for village, fen in (villages_beyond or {}).items()]
    debits.append(("fund_recoverable", None, fund_beyond_fen))
    credits: list[Part] = [("refunds_payable", None, sum(fen for _, _, fen in debits))]
    return _post(
        "refund_after_settlement", book, source, debits, credits, at,
        period=period, reverses_id=reverses_id, scheme_version_id=scheme_version_id,
    )  # fmt: skip


def unapplied_refund_approved(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """An over- or late payment goes back: unapplied to refunds_payable."""
    return _simple("unapplied_refund_approved", book, source, fen, "unapplied", "refunds_payable", at)


def refund_succeeded(*, book: int, source: Source, fen: int, channel: str = "alipay", at: datetime | None = None) -> int:
    """The refund left: refunds_payable to alipay, stripe or bank."""
    return _simple("refund_succeeded", book, source, fen, "refunds_payable", _channel(channel), at)


def recovered(*, book: int, source: Source, group_id: int, fen: int, period: str | None = None, at: datetime | None = None) -> int:
    """A linkage group's later revenue makes good an earlier refund, within the cap: household_pool to pool_recoverable."""
    debits: list[Part] = [("household_pool", group_id, fen)]
    return _post("recovered", book, source, debits, [("pool_recoverable", group_id, fen)], at, period=period)


def recovery_undone(*, book: int, source: Source, group_id: int, fen: int, at: datetime | None = None) -> int:
    """A refund failed for which the group had recovered already: pool_recoverable back to household_pool."""
    debits: list[Part] = [("pool_recoverable", group_id, fen)]
    return _post("recovery_undone", book, source, debits, [("household_pool", group_id, fen)], at)


def collective_recovered(*, book: int, source: Source, village_id: int, fen: int, at: datetime | None = None) -> int:
    """A collective's later share makes good an earlier refund, within the cap: village_collective to village_recoverable."""
    debits: list[Part] = [("village_collective", village_id, fen)]
    return _post("collective_recovered", book, source, debits, [("village_recoverable", village_id, fen)], at)


def fund_recovered(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """The fund's later share makes good an earlier refund, within the cap: relief_fund to fund_recoverable."""
    return _simple("fund_recovered", book, source, fen, "relief_fund", "fund_recoverable", at)


def collective_recovery_undone(*, book: int, source: Source, village_id: int, fen: int, at: datetime | None = None) -> int:
    """A refund failed that the collective had made good already: village_recoverable back to village_collective."""
    debits: list[Part] = [("village_recoverable", village_id, fen)]
    return _post("collective_recovery_undone", book, source, debits, [("village_collective", village_id, fen)], at)


def fund_recovery_undone(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A refund failed that the fund had made good already: fund_recoverable back to relief_fund."""
    return _simple("fund_recovery_undone", book, source, fen, "fund_recoverable", "relief_fund", at)


def fee(*, book: int, source: Source, fen: int, channel: str = "alipay", at: datetime | None = None) -> int:
    """The provider's fee, as its bill says (Stripe: the payment's own balance): fees to alipay or stripe."""
    return _simple("fee", book, source, fen, "fees", _channel(channel), at)


def fee_reversed(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A fee given back, as the bill says: alipay to fees."""
    return _simple("fee_reversed", book, source, fen, "alipay", "fees", at)


def withdrawn(*, book: int, source: Source, fen: int, channel: str = "alipay", at: datetime | None = None) -> int:
    """From Alipay, or from Stripe by its payout, to the bank: bank to alipay or stripe."""
    return _simple("withdrawn", book, source, fen, "bank", _channel(channel), at)


def interest_due(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Late interest claimed: receivable to interest."""
    return _simple("interest_due", book, source, fen, "receivable", "interest", at)


def interest_paid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to late interest: unapplied to receivable."""
    return _simple("interest_paid", book, source, fen, "unapplied", "receivable", at)


def distributed(*, book: int, source: Source, group_id: int, households: Households, period: str | None = None, at: datetime | None = None) -> int:
    """A period's pool goes to its households: household_pool to each household."""
    total = sum(fen for _, fen in households)
    return _post("distributed", book, source, [("household_pool", group_id, total)], _each(households), at, period=period)


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
    return _post("payout_sent", book, source, _each(households), [("in_transit", None, total)], at)


def payout_debited(*, book: int, source: Source, fen: int, channel: str = "bank", at: datetime | None = None) -> int:
    """The bank (or Alipay) paid it out: in_transit to bank or alipay."""
    return _simple("payout_debited", book, source, fen, "in_transit", _channel(channel), at)


def payout_refused(*, book: int, source: Source, households: Households, at: datetime | None = None) -> int:
    """Refused before anything was debited: in_transit back to each household."""
    total = sum(fen for _, fen in households)
    return _post("payout_refused", book, source, [("in_transit", None, total)], _each(households), at)


def payout_returned(*, book: int, source: Source, households: Households, channel: str = "bank", at: datetime | None = None) -> int:
    """Debited, and credited back after: bank or alipay back to each household."""
    total = sum(fen for _, fen in households)
    return _post("payout_returned", book, source, [(_channel(channel), None, total)], _each(households), at)


def payout_unmade(
    *, book: int, source: Source, household_id: int, fen: int, beyond_fen: int = 0, reverses_id: int, at: datetime | None = None
) -> int:
    """A payment that was recorded as debited and never left: its part of the entry ``reverses_id`` is taken back, bank to household, or to
    outside for the ``beyond_fen`` of it that were not the household's (``event_mend.payout_found``)."""
    credits: list[Part] = [("household", household_id, fen - beyond_fen), ("outside", None, beyond_fen)]
    return _post("payout_unmade", book, source, [("bank", None, fen)], credits, at, reverses_id=reverses_id)


def unclaimed_back(*, book: int, source: Source, household_id: int, fen: int, at: datetime | None = None) -> int:
    """Who turned up gets back what had gone to the relief fund: relief_fund to household."""
    return _post("unclaimed_back", book, source, [("relief_fund", None, fen)], [("household", household_id, fen)], at)


def credit_divided(
    *, book: int, source: Source, household_id: int, other_id: int, fen: int, inherited: bool = False, at: datetime | None = None
) -> int:
    """A household divided, and its credit with it, or another one inherits it: household to the other household."""
    return _post("credit_inherited" if inherited else "credit_divided", book, source, [("household", household_id, fen)], [("household", other_id, fen)], at)


def collective_paid(*, book: int, source: Source, village_id: int, fen: int, beyond_fen: int = 0, at: datetime | None = None) -> int:
    """A village collective got its money: village_collective to bank; of it ``beyond_fen`` that a refund took before the bank paid."""
    debits: list[Part] = [("village_collective", village_id, fen - beyond_fen), ("village_recoverable", village_id, beyond_fen)]
    return _post("collective_paid", book, source, debits, [("bank", None, fen)], at)


def fund_remitted(
    *, book: int, holder_book: int, source: Source, fen: int, beyond_fen: int = 0, at: datetime | None = None
) -> tuple[int, int]:
    """The relief fund's money went to its legal holder: one entry in each book under one source; returns both ids.

    In the cooperative's book the fund is what it owes, and ``beyond_fen`` what a refund took before the bank paid; in the holder's, what
    the holder keeps for those it is meant for.
    """
    debits: list[Part] = [("relief_fund", None, fen - beyond_fen), ("fund_recoverable", None, beyond_fen)]
    ours = _Entry("fund_remitted", book, source, debits, [("bank", None, fen)], at)
    theirs = _Entry("fund_received", holder_book, source, [("bank", None, fen)], [("relief_fund", None, fen)], at)
    first, second = posting.post_many(_drafts([ours, theirs]))
    return first, second


def fund_given_back(*, book: int, holder_book: int, source: Source, fen: int, at: datetime | None = None) -> tuple[int, int]:
    """The fund's holder gave a cooperative back what it had remitted: bank to relief_fund there, and the reverse in the holder's book, under
    one source; returns both ids."""
    ours = _Entry("fund_given_back", book, source, [("bank", None, fen)], [("relief_fund", None, fen)], at)
    theirs = _Entry("fund_sent_back", holder_book, source, [("relief_fund", None, fen)], [("bank", None, fen)], at)
    first, second = posting.post_many(_drafts([ours, theirs]))
    return first, second


def revenue_taken_out(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """The cooperative took its own revenue out of the account: outside to bank."""
    return _simple("revenue_taken_out", book, source, fen, "outside", "bank", at)


def unrelated_row(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A row of the bank statement that has nothing to do with the market; ``fen`` signed as there, positive for a receipt."""
    if fen < 0:
        return _simple("unrelated_row", book, source, -fen, "outside", "bank", at)
    return _simple("unrelated_row", book, source, fen, "bank", "outside", at)


def _shares(revenue_fen: int, freight_fen: int, pools: Mapping[int, int], collectives: Mapping[int, int], fund_fen: int) -> list[Part]:
    shares: list[Part] = [("revenue", None, revenue_fen), ("freight", None, freight_fen)]
    shares += [("household_pool", group, fen) for group, fen in pools.items()]
    shares += [("village_collective", village, fen) for village, fen in collectives.items()]
    shares.append(("relief_fund", None, fund_fen))
    return shares


def _each(households: Households) -> list[Part]:
    return [("household", household_id, fen) for household_id, fen in households]


def _channel(channel: str) -> str:
    if channel not in ("alipay", "stripe", "bank"):
        raise ValueError(f"money moves over alipay, stripe or bank, not {channel!r}")
    return channel


def _simple(kind: str, book: int, source: Source, fen: int, debit: str, credit: str, at: datetime | None) -> int:
    return _post(kind, book, source, [(debit, None, fen)], [(credit, None, fen)], at)


class _Entry(NamedTuple):
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


def _post(
    kind: str, book: int, source: Source, debits: Sequence[Part], credits: Sequence[Part], at: datetime | None,
    *, period: str | None = None, scheme_version_id: int | None = None, reverses_id: int | None = None,
) -> int:  # fmt: skip
    entry = _Entry(kind, book, source, debits, credits, at, period, scheme_version_id, reverses_id)
    return posting.post_many(_drafts([entry]))[0]


def _drafts(entries: Sequence[_Entry]) -> list[posting.Draft]:
    """The accounts of all of them are looked up together, if they are not kept."""
    with suppress(KeyError):
        kept = account.kept()
        return [each.draft(kept) for each in entries]
    accounts = account.of_names({name for each in entries for name in each.names()})
    return [each.draft(accounts) for each in entries]
