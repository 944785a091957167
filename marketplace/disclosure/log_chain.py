"""The chain from an order's settlement to the bank's file: leaves of whole distributions and payouts, each naming the one before.

They hold only what may be public: sums over a whole distribution, and no number of households under five. The entries of a
distribution, one a linkage group, stay undisclosed leaves of their own; their root is named.
"""

import hmac

from sqlalchemy import func, select

from marketplace.disclosure import log_leaf
from marketplace.disclosure.log_content import Content, Sealing, plain
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.disclosure.tree_check import canonical, leaf_hash, tree_root
from marketplace.foundation.database import db
from marketplace.ledger.entry import JournalEntry
from marketplace.notices.suppression import LEAST_HOUSEHOLDS
from marketplace.settlement import distribution_pool
from marketplace.settlement.distribution import Distribution, DistributionGroup, DistributionShare, groups_of
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.settlement import Settlement, SettlementLine

DISTRIBUTION = ("id", "public_id", "organisation_id", "period", "number", "total_fen", "published_at", "posted_at")


def covered(distribution_id: int) -> list[tuple[int, int]]:
    """(entry, fen of its pool) of each settlement that a distribution covers, refunds before it off, in the order of the entries."""
    query = (
        select(Settlement.entry_id, func.sum(distribution_pool.covered()))
        .join(Settlement, Settlement.id == SettlementLine.settlement_id)
        .where(SettlementLine.distribution_id == distribution_id, Settlement.entry_id.is_not(None))
        .group_by(Settlement.entry_id)
        .order_by(Settlement.entry_id)
    )
    return [(int(entry_id), int(fen)) for entry_id, fen in db.session.execute(query) if entry_id is not None]


def covered_hashes(parts: list[tuple[int, int]]) -> list[bytes] | None:
    """The leaves of the tree over what is covered: each entry's leaf with its part. None while an entry has no leaf."""
    leaves = log_leaf.of_many("entry", [entry_id for entry_id, _ in parts])
    if len(leaves) < len(parts):
        return None
    return [leaf_hash(canonical({"entry": leaves[entry_id].hash.hex(), "pool_fen": fen})) for entry_id, fen in parts]


def of_distribution(row: Distribution, sealing: Sealing) -> Content | None:
    """The leaf of a posted distribution; None until all its entries have theirs."""
    groups = groups_of(row.id)
    parts = covered(row.id)
    settlements, entries = covered_hashes(parts), _entries(groups)
    if settlements is None or entries is None:
        return None
    header = {name: plain(getattr(row, name)) for name in DISTRIBUTION} | {
        "leaf": "distribution",
        "v": 1,
        "salt": sealing.salt("header"),
        "settlements": {"entries": len(parts), "fen": sum(fen for _, fen in parts), "root": tree_root(settlements).hex()},
        "pool_fen": sum(each.pool_fen for each in groups),
        "recovered_fen": sum(each.recovered_fen for each in groups),
        "households": _told(_households(row.id)),
        "entries_root": tree_root(entries).hex(),
    }
    return Content("distribution", row.id, header)


def of_payout(row: PayoutBatch, sealing: Sealing) -> Content | None:
    """The leaf of a payout that was handed to the bank; None until its entry and its distribution have theirs.

    Of fewer than five households neither the sum nor the file's own hash is told, which would be one family's business; nor is
    the sum, if fewer than five of the distribution's households are left out, since it could be told from the whole.
    """
    distribution = log_leaf.of("distribution", row.distribution_id)
    query = (
        select(LogLeaf)
        .join(JournalEntry, (LogLeaf.kind == "entry") & (LogLeaf.ref == JournalEntry.id))
        .where(JournalEntry.kind == "payout_sent", JournalEntry.source_type == "payout_batch", JournalEntry.source_id == row.id)
    )
    sent = db.session.scalars(query).one_or_none()
    if distribution is None or sent is None:
        return None
    told = row.items >= LEAST_HOUSEHOLDS
    left_out = _households(row.distribution_id) - row.items
    summed = told and (left_out == 0 or left_out >= LEAST_HOUSEHOLDS)
    header = {
        "leaf": "payout",
        "v": 1,
        "salt": sealing.salt("header"),
        "id": row.id,
        "number": row.number,
        "sent_at": plain(row.sent_at),
        "distribution": distribution.hash.hex(),
        "entry": sent.hash.hex(),
        "households": row.items if summed else None,
        "total_fen": row.total_fen if summed else None,
        "file_sha256": row.sha256 if told else None,
        "file_commitment": hmac.digest(sealing.secret, f"file {row.sha256}".encode(), "sha256").hex(),
    }
    return Content("payout", row.id, header)


def _entries(groups: list[DistributionGroup]) -> list[bytes] | None:
    """The leaves of a distribution's own entries, in their order."""
    query = (
        select(LogLeaf.hash)
        .select_from(JournalEntry)
        .outerjoin(LogLeaf, (LogLeaf.kind == "entry") & (LogLeaf.ref == JournalEntry.id))
        .where(JournalEntry.source_type == "distribution_group", JournalEntry.source_id.in_([each.id for each in groups]))
        .order_by(JournalEntry.id)
    )
    hashes = list(db.session.scalars(query))
    return None if None in hashes else hashes


def _households(distribution_id: int) -> int:
    query = select(func.count(DistributionShare.household_id.distinct()))
    return db.session.scalar(query.where(DistributionShare.distribution_id == distribution_id, DistributionShare.fen > 0)) or 0


def _told(households: int) -> int | None:
    return households if households >= LEAST_HOUSEHOLDS else None
