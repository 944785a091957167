"""Recovery: a refund approved after settlement takes each share back from where it went.

Never more than what is left of the line's share there. What was distributed, or what a collective or the fund no longer holds, becomes
recoverable from its later revenue (``distribution`` and ``remittance`` take it back within the published cap); it is never a claim on a household.
"""

from collections import Counter

from sqlalchemy import delete, select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.money import split
from marketplace.ledger import account, balance, entry, event, posting, share_event
from marketplace.ledger.entry import JournalEntry
from marketplace.ledger.posting import Source
from marketplace.orders import order_refund
from marketplace.orders.order import Order, freight_back, lines_of
from marketplace.orders.order_refund import FREIGHT, AfterSettlement
from marketplace.payments import refund as refunds
from marketplace.payments.refund import REPLACED_LEFT, Refund
from marketplace.settlement import distribution_pool, taken_back
from marketplace.settlement.distribution_share import Distribution
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.settlement.taken_back import Shares, TakenBack

# (kind of account, its owner's ref): where a share of the order went.
Place = tuple[str, str]
# Whose share may have been handed on already: the account that then waits for later revenue.
RECOVERABLE = {"household_pool": "pool_recoverable", "village_collective": "village_recoverable", "relief_fund": "fund_recoverable"}


def undivided(order: Order) -> Counter[int]:
    """Fen of a settled order that lie in ``buyer_funds``, by order line or FREIGHT: what a refund gave back that was counted before the split
    and undone after it. They are the buyer's, and pay for what is made instead before any share does."""
    settlement, sold = _of(order), lines_of(order.id)
    lines = _lines(settlement)
    left, can_go = taken_back.left_of(lines), {line.id: line.left_fen for line in sold}
    lies = Counter({line.order_line_id: can_go[line.order_line_id] - sum(left[line.id]) for line in lines})
    lies[FREIGHT] = order.freight_fen - freight_back(order, sold) - _freight_left(settlement)
    return +lies


def take_back(order: Order, refund: Refund, goods: dict[int, int], freight_fen: int) -> None:
    """Post the refund of a settled order: ``goods`` is fen by order line id. Conflict ``refund.exceeds_settled`` if less is left."""
    settlement = _of(order)
    parts = _parts(settlement, refund, goods)
    if parts is None or freight_fen > _freight_left(settlement):
        raise Conflict("refund.exceeds_settled", N_("这张订单分账的钱不够退这么多。"))
    shares: Counter[Place] = Counter()
    for line, taken in parts:
        for place, fen in zip(_places(line), taken, strict=True):
            shares[place] += fen
    beyond = _beyond(settlement.organisation_id, shares, parts)
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
    db.session.add_all(
        TakenBack(organisation_id=line.organisation_id, settlement_line_id=line.id, refund_id=refund.id, taken_at=clock.now(), **taken._asdict())
        for line, taken in parts
        if any(taken)
    )
    db.session.flush()


def put_back(order: Order, refund_id: int) -> None:
    """A refund of a settled order failed and its entries were reversed: its lines have again what it took of them.

    If what it was to replace had left after all, nobody gets this money any more; so what that one took of the shares it takes of this instead.
    """
    settlement = _of(order)
    _give_again(settlement, refund_id)
    refund = db.session.get_one(Refund, refund_id)
    while refund.sub_code == REPLACED_LEFT and refund.reissues_id is not None:
        refund = db.session.get_one(Refund, refund.reissues_id)
        if refund.state == "succeeded" and undivided(order) and (taken := _entry_of(settlement, refund.id)):
            posting.reverse(taken, source=refunds.source(refund.id))
            _give_again(settlement, refund.id)
            order_refund.post_anew(order, refund)


def _give_again(settlement: Settlement, refund_id: int) -> None:
    """What was recovered for a refund that took nothing in the end goes back to the pool, the collective or the fund: else it would have paid
    for a refund that nobody got."""
    db.session.execute(delete(TakenBack).where(TakenBack.refund_id == refund_id))
    book, lines = settlement.organisation_id, _lines(settlement)
    groups, villages = {line.linkage_group_id for line in lines}, {line.village_id for line in lines}
    wanted = [("pool_recoverable", account.owner_of("pool_recoverable", each)) for each in groups]
    wanted += [("village_recoverable", account.owner_of("village_recoverable", each)) for each in villages]
    for (kind, ref), fen in sorted(_held(book, [*wanted, ("fund_recoverable", "")]).items()):
        if fen >= 0:
            continue
        owner = int(ref.partition(":")[2] or 0)
        # Whose it is, and of which of the refund's endings: what left after all may come back a second time.
        source = Source("refund", refund_id, refunds.source(refund_id).seq << 32 | owner)
        if kind == "pool_recoverable":
            share_event.recovery_undone(book=book, source=source, group_id=owner, fen=-fen)
        elif kind == "village_recoverable":
            share_event.collective_recovery_undone(book=book, source=source, village_id=owner, fen=-fen)
        else:
            share_event.fund_recovery_undone(book=book, source=source, fen=-fen)


def entries_of(entry_id: int) -> list[int]:
    """Entries of refunds that took back from what this entry divided, oldest first; what failed in the end took nothing."""
    undone = aliased(JournalEntry)
    query = select(JournalEntry.id).where(
        JournalEntry.reverses_id == entry_id,
        JournalEntry.kind == "refund_after_settlement",
        ~select(undone.id).where(undone.reverses_id == JournalEntry.id).exists(),
    )
    return list(db.session.scalars(query.order_by(JournalEntry.id)))


def _parts(settlement: Settlement, refund: Refund, goods: dict[int, int]) -> list[tuple[SettlementLine, Shares]] | None:
    """What the refund takes of each line, share by share, each in proportion to what is left of it: so any path of refunds ends at
    exactly nothing. None if a line has not so much: no other group's line pays for it."""
    lines = _lines(settlement)
    left = list(taken_back.left_of(lines).values())
    asked = [goods.get(line.order_line_id, 0) for line in lines]
    if sum(asked) != sum(goods.values()) or any(fen > sum(most) for fen, most in zip(asked, left, strict=True)):
        return None
    return [
        (line, Shares(*split(fen, of_line, Shares._fields, refund.public_id)))
        for line, fen, of_line in zip(lines, asked, left, strict=True)
    ]  # fmt: skip


def _freight_left(settlement: Settlement) -> int:
    """What of the freight no refund took back yet."""
    earlier = entries_of(settlement.entry_id) if settlement.entry_id else []
    return settlement.freight_fen - sum(line.fen for each in earlier for line in entry.book_lines(each) if line.kind == "freight")


def _beyond(book: int, shares: Counter[Place], parts: list[tuple[SettlementLine, Shares]]) -> Counter[Place]:
    """What of each share is no longer where it went: distributed, paid or remitted since. What a pool holds of other sales, or of other
    months, is theirs: it makes good what was distributed only later, within the cap."""
    held = _held(book, [place for place, fen in shares.items() if place[0] in RECOVERABLE and fen])
    distributed: Counter[Place] = Counter()
    for line, taken in parts:
        if line.distribution_id is not None and db.session.get_one(Distribution, line.distribution_id).posted_at is not None:
            distributed[_places(line)[1]] += taken.pool_fen
    for place, fen in distributed.items():
        if fen:
            free_fen = max(0, held[place] - distribution_pool.waiting(book, int(place[1].partition(":")[2])))
            held[place] = min(held[place], shares[place] - fen + min(fen, free_fen))
    return Counter({place: shares[place] - min(shares[place], max(0, fen)) for place, fen in held.items()})


def _held(book: int, places: list[Place]) -> dict[Place, int]:
    """What these accounts hold or owe; locked together, in the order of their ids, until the transaction ends."""
    numbers = account.ids(book, places)
    account.lock(list(numbers.values()))
    fen = balance.of_many(list(numbers.values()))
    return {place: account.natural(place[0], fen[number]) for place, number in numbers.items()}


def _by_owner(kind: str, shares: Counter[Place]) -> dict[int, int]:
    return {int(ref.partition(":")[2]): fen for (its, ref), fen in shares.items() if its == kind and fen}


def _places(line: SettlementLine) -> tuple[Place, Place, Place, Place]:
    """Where a line's shares went, in the order of ``Shares``."""
    pool, village = account.owner_of("household_pool", line.linkage_group_id), account.owner_of("village_collective", line.village_id)
    return ("revenue", ""), ("household_pool", pool), ("village_collective", village), ("relief_fund", "")


def _of(order: Order) -> Settlement:
    return db.session.scalars(select(Settlement).where(Settlement.order_id == order.id)).one()


def _lines(settlement: Settlement) -> list[SettlementLine]:
    query = select(SettlementLine).where(SettlementLine.settlement_id == settlement.id).order_by(SettlementLine.id)
    return list(db.session.scalars(query))


def _entry_of(settlement: Settlement, refund_id: int) -> int | None:
    """The entry by which a refund took shares, if it stands."""
    taken = entries_of(settlement.entry_id) if settlement.entry_id else []
    query = select(JournalEntry.id).where(JournalEntry.id.in_(taken), JournalEntry.source_type == "refund", JournalEntry.source_id == refund_id)
    return db.session.scalar(query)


order_refund.posts_after_settlement(AfterSettlement(undivided, take_back, put_back))
