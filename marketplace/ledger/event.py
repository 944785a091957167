"""The events of trade: money comes in, an order divides, money goes back. One function for each row of the event table, each posting exactly its entry.

What becomes of the shares that households, villages and the fund got is told by ``share_event``. Accounts are named by kind and owner only;
what an order or a payment is, the ledger does not know. All amounts are fen and not negative; ``at`` is when it happened (default: now),
``book`` the cooperative's organisation. Every function returns the entry's id and raises AlreadyPosted when its source has its entry.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from marketplace.ledger.movement import Movement, Part, between, channel_account, moved, moved_together
from marketplace.ledger.posting import Source


def alipay_paid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A buyer paid over Alipay: alipay to buyer_funds. (Nine of ten times ``payment_at_once`` posts it, as a ``pair``.)"""
    return between("alipay_paid", book, source, fen, "alipay", "buyer_funds", at)


def alipay_unapplied(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Alipay brought money for something cancelled or already paid: alipay to unapplied."""
    return between("alipay_unapplied", book, source, fen, "alipay", "unapplied", at)


def stripe_paid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A buyer paid over Stripe: stripe to buyer_funds."""
    return between("stripe_paid", book, source, fen, "stripe", "buyer_funds", at)


def stripe_unapplied(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Stripe brought money for something cancelled or already paid: stripe to unapplied."""
    return between("stripe_unapplied", book, source, fen, "stripe", "unapplied", at)


def bank_received(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt on the bank statement, not yet matched: bank to unapplied."""
    return between("bank_received", book, source, fen, "bank", "unapplied", at)


def matched_prepaid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to an order that is paid first, or not accepted yet: unapplied to buyer_funds."""
    return between("matched_prepaid", book, source, fen, "unapplied", "buyer_funds", at)


def accepted_on_credit(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Goods accepted before they are paid, beyond what was paid early: receivable to accepted_unpaid."""
    return between("accepted_on_credit", book, source, fen, "receivable", "accepted_unpaid", at)


def matched_receivable(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to accepted goods: pays the receivable, and the money becomes the buyer's funds, in one entry."""
    debits: list[Part] = [("unapplied", None, fen), ("accepted_unpaid", None, fen)]
    credits: list[Part] = [("receivable", None, fen), ("buyer_funds", None, fen)]
    return moved("matched_receivable", book, source, debits, credits, at)


def divided_unpaid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """What an order was divided on did not pay it after all (a wrong match, a transfer that the bank took back): receivable to unapplied."""
    return between("divided_unpaid", book, source, fen, "receivable", "unapplied", at)


def matched_divided(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to such an order: its money was divided already, so nothing becomes the buyer's funds. Unapplied to receivable."""
    return between("matched_divided", book, source, fen, "unapplied", "receivable", at)


def receivable_cut(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A price cut, or goods returned, while unpaid: accepted_unpaid to receivable."""
    return between("receivable_cut", book, source, fen, "accepted_unpaid", "receivable", at)


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
            Movement("settled", each.book, each.source, debits, shares, each.at, each.period, each.scheme_version_id)
        )
    return moved_together(entries)


def refund_approved(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A refund approved before settlement, or a shortage of what was paid first: buyer_funds to refunds_payable."""
    return between("refund_approved", book, source, fen, "buyer_funds", "refunds_payable", at)


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
    return moved(
        "refund_after_settlement", book, source, debits, credits, at,
        period=period, reverses_id=reverses_id, scheme_version_id=scheme_version_id,
    )  # fmt: skip


def unapplied_refund_approved(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """An over- or late payment goes back: unapplied to refunds_payable."""
    return between("unapplied_refund_approved", book, source, fen, "unapplied", "refunds_payable", at)


def refund_succeeded(*, book: int, source: Source, fen: int, channel: str = "alipay", at: datetime | None = None) -> int:
    """The refund left: refunds_payable to alipay, stripe or bank."""
    return between("refund_succeeded", book, source, fen, "refunds_payable", channel_account(channel), at)


def refund_lost(*, book: int, source: Source, fen: int, channel: str, at: datetime | None = None) -> int:
    """A refund left when nothing was held for it any more, and the cooperative bears it: outside to alipay or stripe."""
    return between("refund_lost", book, source, fen, "outside", channel_account(channel), at)


def fee(*, book: int, source: Source, fen: int, channel: str = "alipay", at: datetime | None = None) -> int:
    """The provider's fee, as its bill says (Stripe: the payment's own balance): fees to alipay or stripe."""
    return between("fee", book, source, fen, "fees", channel_account(channel), at)


def fee_reversed(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A fee given back, as the bill says: alipay to fees."""
    return between("fee_reversed", book, source, fen, "alipay", "fees", at)


def withdrawn(*, book: int, source: Source, fen: int, channel: str = "alipay", at: datetime | None = None) -> int:
    """From Alipay, or from Stripe by its payout, to the bank: bank to alipay or stripe."""
    return between("withdrawn", book, source, fen, "bank", channel_account(channel), at)


def interest_due(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """Late interest claimed: receivable to interest."""
    return between("interest_due", book, source, fen, "receivable", "interest", at)


def interest_paid(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A receipt matched to late interest: unapplied to receivable."""
    return between("interest_paid", book, source, fen, "unapplied", "receivable", at)


def interest_waived(*, book: int, source: Source, fen: int, reverses_id: int) -> int:
    """What nobody paid of late interest that was paid in part is let go: interest to receivable, a part of the claim ``reverses_id``."""
    return moved("interest_waived", book, source, [("interest", None, fen)], [("receivable", None, fen)], None, reverses_id=reverses_id)


def revenue_taken_out(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """The cooperative took its own revenue out of the account: outside to bank."""
    return between("revenue_taken_out", book, source, fen, "outside", "bank", at)


def unrelated_row(*, book: int, source: Source, fen: int, at: datetime | None = None) -> int:
    """A row of the bank statement that has nothing to do with the market; ``fen`` signed as there, positive for a receipt."""
    if fen < 0:
        return between("unrelated_row", book, source, -fen, "outside", "bank", at)
    return between("unrelated_row", book, source, fen, "bank", "outside", at)


def _shares(revenue_fen: int, freight_fen: int, pools: Mapping[int, int], collectives: Mapping[int, int], fund_fen: int) -> list[Part]:
    shares: list[Part] = [("revenue", None, revenue_fen), ("freight", None, freight_fen)]
    shares += [("household_pool", group, fen) for group, fen in pools.items()]
    shares += [("village_collective", village, fen) for village, fen in collectives.items()]
    shares.append(("relief_fund", None, fund_fen))
    return shares
