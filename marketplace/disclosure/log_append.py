"""Appending to the log: whatever has no leaf yet gets one, a few seconds after it was committed, outside any order's transaction.

Entries are taken in the order of their numbers, and only when no smaller number can still appear; the rest when what it names
is there. Two at once are harmless: the second waits for the first, and finds nothing left.
"""

import secrets
from collections.abc import Callable, Iterable

from sqlalchemy import insert, select

from marketplace.disclosure import hash_tree, log_chain, log_content, log_leaf
from marketplace.disclosure.log_content import Content, Sealing
from marketplace.disclosure.log_leaf import LogHorizon, LogLeaf
from marketplace.foundation import clock
from marketplace.foundation.database import Model, db
from marketplace.ledger import horizon
from marketplace.notices.public_notice import PublicNotice
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch

BATCH = 2000  # entries a transaction: short enough that on SQLite nobody waits long for the one writer


def decide() -> int:
    """Move the log's horizon to the newest entry below which nothing can still appear; in a transaction of its own."""
    row, upto = horizon.decided(LogHorizon)
    row.rolled = upto
    db.session.flush()
    return upto


def append(limit: int = BATCH) -> int:
    """Give up to ``limit`` decided entries their leaves, or, when all have them, what else has none; how many were given.

    Repeat until it is 0. In a transaction of its own.
    """
    row = horizon.locked(LogHorizon)
    entries = log_content.entry_rows(row.logged, row.rolled, limit)
    if entries:
        sealings = {each.id: _fresh() for each in entries}
        contents = log_content.of_entries(entries, sealings)
        _add([(content, sealings[content.ref]) for content in contents])
        row.logged = entries[-1].id
        db.session.flush()
        return len(entries)
    return sum(_take(kind, ids, say) for kind, ids, say in _others(limit))


def _others(limit: int) -> Iterable[tuple[str, list[int], Callable[[int, Sealing], Content | None]]]:
    """Kind by kind, each after the ones it names: the rows that should have a leaf and have none, and what their leaf says."""
    get = db.session.get_one
    withdrawn = PublicNotice.withdrawn_at.is_not(None)
    yield "notice", _without("notice", PublicNotice, limit), lambda n, s: log_content.of_notice(get(PublicNotice, n), s)
    yield "notice_withdrawn", _without("notice_withdrawn", PublicNotice, limit, withdrawn), (
        lambda n, s: log_content.of_withdrawal(get(PublicNotice, n), s)
    )
    posted, sent = Distribution.state == "POSTED", PayoutBatch.sent_at.is_not(None)
    yield "distribution", _without("distribution", Distribution, limit, posted), (
        lambda n, s: log_chain.of_distribution(get(Distribution, n), s)
    )
    yield "payout", _without("payout", PayoutBatch, limit, sent), lambda n, s: log_chain.of_payout(get(PayoutBatch, n), s)


def _without(kind: str, model: type[Model], limit: int, *where: object) -> list[int]:
    number = model.id  # type: ignore[attr-defined]
    query = select(number).outerjoin(LogLeaf, (LogLeaf.kind == kind) & (LogLeaf.ref == number)).where(LogLeaf.seq.is_(None), *where)  # type: ignore[arg-type]
    return list(db.session.scalars(query.order_by(number).limit(limit)))


def _take(kind: str, ids: list[int], say: Callable[[int, Sealing], Content | None]) -> int:
    parts = []
    for number in ids:
        sealing = _fresh()
        content = say(number, sealing)
        if content is not None:
            parts.append((content, sealing))
    _add(parts)
    return len(parts)


def _fresh() -> Sealing:
    return Sealing(secrets.token_bytes(16))


def _add(parts: list[tuple[Content, Sealing]]) -> None:
    """Write the next leaves. The caller holds the horizon's row, so nobody else counts at the same time."""
    if not parts:
        return
    first, now = log_leaf.size(), clock.now()
    hashes = [content.hash() for content, _ in parts]
    subtrees = hash_tree.append(first, log_leaf.fetch(hash_tree.nodes_of(0, first)), hashes)
    rows = [
        {
            "seq": first + n, "kind": content.kind, "ref": content.ref, "hash": hashes[n], "subtrees": subtrees[n],
            "secret": sealing.secret, "commitments": content.commitments, "logged_at": now,
        }
        for n, (content, sealing) in enumerate(parts)
    ]  # fmt: skip
    db.session.execute(insert(LogLeaf), rows)
