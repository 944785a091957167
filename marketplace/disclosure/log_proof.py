"""Proofs that people take away: that a row of the books is in the sealed log, as JSON for ``verify_receipt.py`` and for other tools."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from marketplace.disclosure import hash_tree, log_chain, log_content, log_leaf, tree_head
from marketplace.disclosure.log_content import Content
from marketplace.disclosure.log_leaf import LogLeaf
from marketplace.disclosure.tree_check import commitment
from marketplace.disclosure.tree_head import TreeHead
from marketplace.disclosure.verify_receipt import FORMAT
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch


class Unsealed(Conflict):
    """It waits for the next tree head."""


def frame(head: TreeHead, since: TreeHead | None = None) -> dict[str, Any]:
    """What every proof begins with: the head it stands on, the way there from an older one, and how keys followed each other."""
    proof: dict[str, Any] = {"format": FORMAT, "head": head.note, "keys": tree_head.statements()}
    if since is not None and since.number < head.number:
        path = log_leaf.consistency(since.size, head.size)
        proof["since"] = {"head": since.note, "consistency": _hex(path)}
    return proof


def head_for(leaf: LogLeaf | None) -> TreeHead:
    """The newest head, if it covers the leaf. Raises Unsealed while none does."""
    head = tree_head.newest()
    if leaf is None or head is None or head.size <= leaf.seq:
        raise Unsealed("log.unsealed", N_("这笔账还在等封存。总账每天封存一次，明天再来。"))
    return head


def entry_content(leaf: LogLeaf) -> Content:
    """What an entry's leaf says, computed from its rows."""
    rows = log_content.entry_rows(leaf.ref - 1, leaf.ref, 1)
    return log_content.of_entries(rows, {leaf.ref: leaf.sealing})[0]


def place(leaf: LogLeaf, head: TreeHead) -> dict[str, Any]:
    """Where the leaf stands, and its way up to the head."""
    return {"index": leaf.seq, "path": _hex(log_leaf.inclusion(leaf.seq, head.size))}


def entry(leaf: LogLeaf, head: TreeHead, withheld: frozenset[str]) -> dict[str, Any]:
    """An entry, of a settlement or of a refund of it; lines of the owners in ``withheld`` only as fingerprints."""
    content = entry_content(leaf)
    lines: list[dict[str, Any]] = []
    for line, hashed in zip(content.lines or (), content.line_hashes(), strict=True):
        shown = "owner_ref" in line and line["owner_ref"] not in withheld
        lines.append({"line": line} if shown else {"hash": hashed.hex()})
    return place(leaf, head) | {"header": content.header, "lines": lines}


def distribution(distribution_id: int, entry_id: int, head: TreeHead) -> dict[str, Any] | None:
    """That a distribution counts this settlement's entry, and the payouts that were handed to the bank of it. None if the head
    does not cover it yet."""
    leaf = log_leaf.of("distribution", distribution_id)
    if leaf is None or leaf.seq >= head.size:
        return None
    content = log_chain.of_distribution(db.session.get_one(Distribution, distribution_id), leaf.sealing)
    parts = log_chain.covered(distribution_id)
    hashes = log_chain.covered_hashes(parts)
    assert content is not None and hashes is not None  # its leaf was made of them
    index = next(n for n, (each, _) in enumerate(parts) if each == entry_id)
    path = hash_tree.inclusion(index, len(parts)).fetched(hash_tree.in_memory(hashes))
    return place(leaf, head) | {
        "header": content.header,
        "covered": {"index": index, "pool_fen": parts[index][1], "path": _hex(path)},
        "payouts": _payouts(distribution_id, head),
    }


def _payouts(distribution_id: int, head: TreeHead) -> list[dict[str, Any]]:
    batches = db.session.scalars(
        select(PayoutBatch).where(PayoutBatch.distribution_id == distribution_id, PayoutBatch.sent_at.is_not(None)).order_by(PayoutBatch.id)
    ).all()
    leaves = log_leaf.of_many("payout", [each.id for each in batches])
    found = []
    for batch in batches:
        leaf = leaves.get(batch.id)
        content = log_chain.of_payout(batch, leaf.sealing) if leaf is not None and leaf.seq < head.size else None
        if leaf is not None and content is not None:
            found.append(place(leaf, head) | {"header": content.header})
    return found


def household_line(leaf: LogLeaf, line_no: int, keys: Sequence[bytes], head: TreeHead) -> dict[str, Any] | None:
    """A household's own line, opened with the one of its keys under which it was logged: nothing of the entry's other lines is shown. None
    if that key was destroyed: nobody opens the line any more."""
    content = entry_content(leaf)
    line = next(each for each in _lines(leaf.ref) if each.line_no == line_no)
    nonce, said = log_content.household_nonce(leaf.sealing), (content.lines or [])[line_no - 1]["commitment"]
    key = next((each for each in keys if commitment(each, leaf.ref, line.account_id, line.fen, nonce).hex() == said), None)
    if key is None:
        return None
    path = hash_tree.inclusion(line_no - 1, content.header["n_lines"]).fetched(hash_tree.in_memory(content.line_hashes()))
    return place(leaf, head) | {
        "header": content.header,
        "opening": {
            "line_no": line_no,
            "account_id": line.account_id,
            "fen": line.fen,
            "nonce": nonce.hex(),
            "key": key.hex(),
            "path": _hex(path),
        },
    }


def _lines(entry_id: int) -> Any:
    row = db.session.get_one(JournalEntry, entry_id)
    return db.session.scalars(select(JournalLine).where(JournalLine.period == row.period, JournalLine.entry_id == entry_id))


def _hex(path: list[bytes]) -> list[str]:
    return [each.hex() for each in path]
