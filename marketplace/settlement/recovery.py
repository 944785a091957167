"""Recovery: a refund approved after settlement takes each share back from where it went.

Never more than what is left of the order's share there. What a pool no longer holds becomes recoverable from its later revenue
(``distribution`` takes it back within the published cap); it is never a claim on a household.
"""

from collections import Counter

from sqlalchemy import select
from sqlalchemy.orm import aliased

from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.money import split
from marketplace.ledger import account, balance, entry, event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.orders.order import Order
from marketplace.orders.order_refund import hears_of_undone, posts_after_settlement
from marketplace.payments.refund import Refund
from marketplace.settlement.settlement import Settlement, SettlementLine

# (kind of account, its owner's ref): where a share of the order went.
Place = tuple[str, str]


@posts_after_settlement
def take_back(order: Order, refund: Refund, goods: dict[int, int], freight_fen: int) -> None:
    """Post the refund of a settled order: ``goods`` is fen by order line id. Conflict ``refund.exceeds_settled`` if less is left."""
    settlement = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one()
    shares = _shares(settlement, refund, goods)
    left = _left(settlement)
    if sum(shares.values()) > sum(fen for (kind, _), fen in left.items() if kind != "freight") or freight_fen > left["freight", ""]:
        raise Conflict("refund.exceeds_settled", N_("这张订单分账的钱不够退这么多。"))
    _fit(shares, left)
    pools = {int(ref.partition(":")[2]): fen for (kind, ref), fen in shares.items() if kind == "household_pool" and fen}
    event.refund_after_settlement(
        book=settlement.organisation_id,
        source=Source("refund", refund.id),
        revenue_fen=shares["revenue", ""],
        freight_fen=freight_fen,
        collectives={
            int(ref.partition(":")[2]): fen for (kind, ref), fen in shares.items() if kind == "village_collective" and fen
        },
        fund_fen=shares["relief_fund", ""],
        pools={group: _from_pool(settlement.organisation_id, group, fen) for group, fen in pools.items()},
        reverses_id=settlement.entry_id,
    )


@hears_of_undone
def put_back(order: Order, refund_id: int) -> None:
    """A refund of a settled order failed and its entry was reversed. What its group had recovered for it in between goes back to
    the pool: else the pool would have paid for a refund that nobody got."""
    settlement = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one()
    book = settlement.organisation_id
    for group_id in sorted({line.linkage_group_id for line in _lines(settlement)}):
        owner = account.owner_of("pool_recoverable", group_id)
        account.lock([account.named("pool_recoverable", book, owner)])
        too_much = -balance.held("pool_recoverable", book, owner)
        if too_much > 0:
            event.recovery_undone(book=book, source=Source("refund", refund_id, group_id), group_id=group_id, fen=too_much)


def _shares(settlement: Settlement, refund: Refund, goods: dict[int, int]) -> Counter[Place]:
    """Each line's fen as its settlement divided it."""
    shares: Counter[Place] = Counter()
    for line in _lines(settlement):
        fen = goods.get(line.order_line_id, 0)
        places, settled = zip(*_parts(line), strict=True)
        # A line that settled at nothing has no proportion to follow: the cooperative bears it.
        weights = list(settled) if any(settled) else [1, 0, 0, 0]
        for place, part in zip(places, split(fen, weights, [kind for kind, _ in places], refund.public_id), strict=True):
            shares[place] += part
    return shares


def _left(settlement: Settlement) -> Counter[Place]:
    """What of the settlement no refund took back yet, by place."""
    left: Counter[Place] = Counter({("freight", ""): settlement.freight_fen})
    for line in _lines(settlement):
        for place, fen in _parts(line):
            left[place] += fen
    undone = aliased(JournalEntry)  # a refund that the channel refused for good took nothing back in the end
    earlier = select(JournalEntry.id).where(
        JournalEntry.reverses_id == settlement.entry_id,
        JournalEntry.kind == "refund_after_settlement",
        ~select(undone.id).where(undone.reverses_id == JournalEntry.id).exists(),
    )
    for entry_id in db.session.scalars(earlier):
        for line_ in entry.book_lines(entry_id):
            if line_.fen > 0:
                kind = "household_pool" if line_.kind == "pool_recoverable" else line_.kind
                left[kind, line_.owner_ref] -= line_.fen
    return left


def _fit(shares: Counter[Place], left: Counter[Place]) -> None:
    """Move what rounding asks beyond what is left of one share to those that have most left."""
    over = 0
    for place in list(shares):
        if shares[place] > left[place]:
            over += shares[place] - left[place]
            shares[place] = left[place]
    for place in sorted((each for each in left if each[0] != "freight"), key=lambda each: (shares[each] - left[each], each)):
        part = min(over, left[place] - shares[place])
        shares[place] += part
        over -= part


def _from_pool(book: int, group_id: int, fen: int) -> tuple[int, int]:
    owner = account.owner_of("household_pool", group_id)
    account.lock([account.named("household_pool", book, owner)])
    held = max(0, balance.held("household_pool", book, owner))
    return min(fen, held), fen - min(fen, held)


def _parts(line: SettlementLine) -> list[tuple[Place, int]]:
    return [
        (("revenue", ""), line.cooperative_fen),
        (("household_pool", account.owner_of("household_pool", line.linkage_group_id)), line.pool_fen),
        (("village_collective", account.owner_of("village_collective", line.village_id)), line.village_fen),
        (("relief_fund", ""), line.fund_fen),
    ]


def _lines(settlement: Settlement) -> list[SettlementLine]:
    query = select(SettlementLine).where(SettlementLine.settlement_id == settlement.id).order_by(SettlementLine.id)
    return list(db.session.scalars(query))
