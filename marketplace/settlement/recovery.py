"""Recovery: a refund approved after settlement takes each share back from where it went.

Never more than what is left of the order's share there. What a pool, a collective or the fund no longer holds becomes recoverable from
its later revenue (``distribution`` and ``remittance`` take it back within the published cap); it is never a claim on a household.
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
from marketplace.payments import refund as refunds
from marketplace.payments.refund import Refund
from marketplace.settlement.settlement import Settlement, SettlementLine

# (kind of account, its owner's ref): where a share of the order went.
Place = tuple[str, str]
# Whose share may have been handed on already: the account that then waits for later revenue.
RECOVERABLE = {"household_pool": "pool_recoverable", "village_collective": "village_recoverable", "relief_fund": "fund_recoverable"}
_SHARE_OF = {recoverable: kind for kind, recoverable in RECOVERABLE.items()}


@posts_after_settlement
def take_back(order: Order, refund: Refund, goods: dict[int, int], freight_fen: int) -> None:
    """Post the refund of a settled order: ``goods`` is fen by order line id. Conflict ``refund.exceeds_settled`` if less is left."""
    settlement = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one()
    shares = _shares(settlement, refund, goods)
    left = _left(settlement)
    if sum(shares.values()) > sum(fen for (kind, _), fen in left.items() if kind != "freight") or freight_fen > left["freight", ""]:
        raise Conflict("refund.exceeds_settled", N_("这张订单分账的钱不够退这么多。"))
    _fit(shares, left)
    beyond = _beyond(settlement.organisation_id, shares)
    pools, pools_beyond = _by_owner("household_pool", shares), _by_owner("household_pool", beyond)
    villages, villages_beyond = _by_owner("village_collective", shares), _by_owner("village_collective", beyond)
    event.refund_after_settlement(
        book=settlement.organisation_id,
        source=refunds.source(refund.id),
        revenue_fen=shares["revenue", ""],
        freight_fen=freight_fen,
        collectives={village: fen - villages_beyond.get(village, 0) for village, fen in villages.items()},
        fund_fen=shares["relief_fund", ""] - beyond["relief_fund", ""],
        pools={group: (fen - pools_beyond.get(group, 0), pools_beyond.get(group, 0)) for group, fen in pools.items()},
        villages_beyond=villages_beyond,
        fund_beyond_fen=beyond["relief_fund", ""],
        reverses_id=settlement.entry_id,
    )


@hears_of_undone
def put_back(order: Order, refund_id: int) -> None:
    """A refund of a settled order failed and its entry was reversed. What was recovered for it in between goes back to the pool, the
    collective or the fund: else it would have paid for a refund that nobody got."""
    settlement = db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one()
    book, lines = settlement.organisation_id, _lines(settlement)
    groups, villages = {line.linkage_group_id for line in lines}, {line.village_id for line in lines}
    wanted = [("pool_recoverable", account.owner_of("pool_recoverable", each)) for each in groups]
    wanted += [("village_recoverable", account.owner_of("village_recoverable", each)) for each in villages]
    for (kind, ref), fen in sorted(_held(book, [*wanted, ("fund_recoverable", "")]).items()):
        if fen >= 0:
            continue
        owner = int(ref.partition(":")[2] or 0)
        source = Source("refund", refund_id, owner)
        if kind == "pool_recoverable":
            event.recovery_undone(book=book, source=source, group_id=owner, fen=-fen)
        elif kind == "village_recoverable":
            event.collective_recovery_undone(book=book, source=source, village_id=owner, fen=-fen)
        else:
            event.fund_recovery_undone(book=book, source=source, fen=-fen)


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
                left[_SHARE_OF.get(line_.kind, line_.kind), line_.owner_ref] -= line_.fen
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


def _beyond(book: int, shares: Counter[Place]) -> Counter[Place]:
    """What of each share is no longer where it went: distributed, paid or remitted since."""
    held = _held(book, [place for place, fen in shares.items() if place[0] in RECOVERABLE and fen])
    return Counter({place: shares[place] - min(shares[place], max(0, fen)) for place, fen in held.items()})


def _held(book: int, places: list[Place]) -> dict[Place, int]:
    """What these accounts hold or owe; locked together, in the order of their ids, until the transaction ends."""
    numbers = account.ids(book, places)
    account.lock(list(numbers.values()))
    fen = balance.of_many(list(numbers.values()))
    return {place: account.natural(place[0], fen[number]) for place, number in numbers.items()}


def _by_owner(kind: str, shares: Counter[Place]) -> dict[int, int]:
    return {int(ref.partition(":")[2]): fen for (its, ref), fen in shares.items() if its == kind and fen}


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
