"""What of a linkage group's pool a distribution may divide: what settled, refunds off, and what failed refunds brought back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, func, select

from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.ledger import account, balance
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.settlement import taken_back
from marketplace.settlement.distribution_share import Distribution, DistributionGroup
from marketplace.settlement.settlement import SettlementLine
from marketplace.settlement.taken_back import TakenBack

WAITING = ("DRAFTED", "APPROVED", "PUBLISHED")


def undivided(organisation_id: int, period: str, *, lock: bool = True) -> list[SettlementLine]:
    """Lines settled in the period that no distribution covers; held until the transaction ends, unless told otherwise."""
    query = (
        select(SettlementLine)
        .where(
            SettlementLine.organisation_id == organisation_id,
            SettlementLine.period == period,
            SettlementLine.distribution_id.is_(None),
        )
        .order_by(SettlementLine.id)
    )
    return list(db.session.scalars(query.with_for_update() if lock else query))


def pools_left(lines: Sequence[SettlementLine]) -> dict[int, int]:
    """What refunds left of each line's pool share, by line: of one cooperative's, however many."""
    taken = taken_back.of_pools(TakenBack.organisation_id == lines[0].organisation_id) if lines else None
    gone = {line_id: int(fen) for line_id, fen in db.session.execute(select(taken))} if taken is not None else {}
    return {line.id: line.pool_fen - gone.get(line.id, 0) for line in lines}


def available(
    organisation_id: int, group_id: int, left_fen: int, *, waits_fen: int = 0, comes_back: bool = False, but: int | None = None
) -> tuple[int, int]:
    """What a group's pool gives to a distribution of lines of which ``left_fen`` is left, and what of it recovers earlier refunds: at most
    the published cap of a period.

    It gives what is left, and never what other months' lines wait for or other drafts than ``but`` divide; where ``comes_back``, also what
    the pool holds beyond all that: a refund that failed brought it back, and no settlement speaks of it any more.
    ``waits_fen`` is what of ``left_fen`` no distribution covers yet: nothing for a draft, all of it for a preview.
    """
    before_fen = waiting(organisation_id, group_id, but=but) - waits_fen
    owner = account.owner_of("household_pool", group_id)
    held_fen = balance.held("household_pool", organisation_id, owner)
    pool_fen = max(0, min(left_fen, held_fen - before_fen))
    if comes_back:
        # Read after the pool: what settles while this goes on waits, and has not come back.
        pool_fen = max(pool_fen, held_fen - (waiting(organisation_id, group_id, but=but) - waits_fen))
    recovering = (
        select(func.coalesce(func.sum(DistributionGroup.recovered_fen), 0))
        .join(Distribution, Distribution.id == DistributionGroup.distribution_id)
        .where(DistributionGroup.linkage_group_id == group_id, Distribution.state.in_(WAITING), Distribution.id != (but or 0))
    )
    owed_fen = balance.held("pool_recoverable", organisation_id, owner) - int(db.session.scalar(recovering) or 0)
    return pool_fen, max(0, min(owed_fen, pool_fen * settings().recovery_cap_bp // 10_000))


def waiting(organisation_id: int, group_id: int, *, but: int | None = None) -> int:
    """What of a group's pool is spoken for: what is left of lines that no distribution covers, and what drafts divide, except ``but``."""
    return _waiting(organisation_id, SettlementLine.linkage_group_id == group_id, but=but).get(group_id, 0)


def _waiting(organisation_id: int, *of: ColumnElement[bool], but: int | None = None) -> dict[int, int]:
    """The same by group. A draft divides what it said, less what refunds have taken of its lines since: it is to be drafted again."""
    gone = taken_back.of_pools(TakenBack.organisation_id == organisation_id)
    left = taken_back.pool_left(gone)
    its = (SettlementLine.organisation_id == organisation_id, *of)
    lines = select(SettlementLine.linkage_group_id, func.sum(left)).outerjoin(gone, gone.c.line_id == SettlementLine.id)
    lines = lines.where(*its, SettlementLine.distribution_id.is_(None)).group_by(SettlementLine.linkage_group_id)
    waits = (Distribution.organisation_id == organisation_id, Distribution.state.in_(WAITING), Distribution.id != (but or 0))
    drafted = (
        select(DistributionGroup.linkage_group_id, func.sum(DistributionGroup.pool_fen))
        .join(Distribution, Distribution.id == DistributionGroup.distribution_id)
        .where(*waits)
        .group_by(DistributionGroup.linkage_group_id)
    )
    since = covered() - left
    refunded = (
        select(SettlementLine.linkage_group_id, -func.sum(since))
        .join(gone, gone.c.line_id == SettlementLine.id)
        .join(Distribution, Distribution.id == SettlementLine.distribution_id)
        .where(*its, *waits, since > 0)
        .group_by(SettlementLine.linkage_group_id)
    )
    found: Counter[int] = Counter()
    for group_id, fen in db.session.execute(lines.union_all(drafted, refunded)):
        found[group_id] += int(fen)
    return found


def covered() -> ColumnElement[int]:
    """What a line's distribution found of its pool share."""
    return func.coalesce(SettlementLine.divided_fen, SettlementLine.pool_fen)


def recoverable(organisation_id: int, book: Mapping[tuple[str, str], int] | None = None) -> dict[int, int]:
    """Fen by linkage group that refunds after distribution took and no distribution has recovered yet. Owed by no household: it comes
    out of later revenue only, at most ``recovery_cap_bp`` of a period's pool. ``book`` is the cooperative's if it was read already, group by group."""
    if book is None:
        owed = balance.by_owner("pool_recoverable", organisation_id)
    else:
        owed = {ref: fen for (kind, ref), fen in book.items() if kind == "pool_recoverable"}
    return {int(ref.partition(":")[2]): fen for ref, fen in sorted(owed.items()) if fen > 0}


@dataclass(frozen=True)
class BroughtBack:
    """Fen that a group's pool holds though no settlement waits for it and no draft divides it, and the month in which it came."""

    period: str
    fen: int


def brought_back(organisation_id: int) -> dict[int, BroughtBack]:
    """By linkage group, what refunds that failed brought back. It belongs to the distribution of the month in which it came: whoever
    drafts may not choose whose shares divide it."""
    if not db.session.scalar(select(something_failed(organisation_id))):
        return {}
    held = {int(ref.partition(":")[2]): fen for ref, fen in balance.by_owner("household_pool", organisation_id).items()}
    for group_id, fen in _waiting(organisation_id).items():
        held[group_id] = held.get(group_id, 0) - fen
    if not any(fen > 0 for fen in held.values()):
        return {}
    came = _came(organisation_id)
    return {group_id: BroughtBack(came[group_id], fen) for group_id, fen in sorted(held.items()) if fen > 0 and group_id in came}


def something_failed(organisation_id: int) -> ColumnElement[bool]:
    """That anything of the cooperative's was ever reversed: else nothing came back."""
    return select(JournalEntry.id).where(JournalEntry.book == organisation_id, JournalEntry.kind == "reversed").exists()


def _came(organisation_id: int) -> dict[int, str]:
    """The month in which something came back to each group's pool last."""
    last = _comings(organisation_id).with_only_columns(Account.owner_ref, func.max(JournalEntry.period)).group_by(Account.owner_ref)
    return {int(ref.partition(":")[2]): period for ref, period in db.session.execute(last)}


def ever_came_back(organisation_id: int, group_id: int) -> int:
    """Fen that refunds that failed ever brought back to a group's pool."""
    owner = account.owner_of("household_pool", group_id)
    return -int(db.session.scalar(_comings(organisation_id).where(Account.owner_ref == owner)) or 0)


def _comings(organisation_id: int) -> Select[int]:
    return (
        select(func.sum(JournalLine.fen))
        .select_from(JournalEntry)
        .join(JournalLine, (JournalLine.period == JournalEntry.period) & (JournalLine.entry_id == JournalEntry.id))
        .join(Account, Account.id == JournalLine.account_id)
        .where(JournalEntry.book == organisation_id, JournalEntry.kind.in_(("reversed", "recovery_undone")))
        .where(Account.kind == "household_pool", JournalLine.fen < 0)
    )


def came_back_in(organisation_id: int, period: str) -> dict[int, int]:
    """The same, of one month: fen by linkage group."""
    return {group_id: each.fen for group_id, each in brought_back(organisation_id).items() if each.period == period}


def left_out(row: Distribution) -> dict[int, int]:
    """Fen by linkage group that the month has, and a distribution of it has no part of: nobody could be given to, or it settled since."""
    gone = taken_back.of_pools(TakenBack.organisation_id == row.organisation_id)
    left = taken_back.pool_left(gone)
    waits = (
        select(SettlementLine.linkage_group_id, func.sum(left))
        .outerjoin(gone, gone.c.line_id == SettlementLine.id)
        .where(
            SettlementLine.organisation_id == row.organisation_id, SettlementLine.period == row.period, SettlementLine.distribution_id.is_(None),
            left > 0,
            ~select(DistributionGroup.id)
            .where(DistributionGroup.distribution_id == row.id, DistributionGroup.linkage_group_id == SettlementLine.linkage_group_id)
            .exists(),
        )
        .group_by(SettlementLine.linkage_group_id)
    )  # fmt: skip
    found = {group_id: int(fen) for group_id, fen in db.session.execute(waits)}
    for group_id, fen in came_back_in(row.organisation_id, row.period).items():
        found[group_id] = found.get(group_id, 0) + fen
    return found


def lock_pool(organisation_id: int, group_id: int) -> str:
    """Hold a group's pool and what is recoverable from it until the transaction ends; their owner's reference."""
    owner = account.owner_of("household_pool", group_id)
    account.lock([account.named(kind, organisation_id, owner) for kind in ("household_pool", "pool_recoverable")])
    return owner
