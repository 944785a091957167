"""Verifying the log against the books: every leaf is computed again from its rows, every root from the leaves, every head checked.

What was altered is named. A head that was got elsewhere is held against ours: who rewrites the books, the leaves and the heads
together still cannot change what others keep.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from sqlalchemy import func, select

from marketplace.disclosure import hash_tree, log_chain, log_content, log_key, log_leaf
from marketplace.disclosure.hash_tree import Node
from marketplace.disclosure.log_content import Content
from marketplace.disclosure.log_leaf import LogHorizon, LogLeaf
from marketplace.disclosure.tree_check import Head, Note, NotProven, must_be_consistent
from marketplace.disclosure.tree_head import TreeHead
from marketplace.foundation.database import Model, db
from marketplace.ledger.entry import JournalEntry
from marketplace.notices.public_notice import PublicNotice
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.payout_batch import PayoutBatch

BATCH = 2000


@dataclass(frozen=True)
class Finding:
    """What does not hold: of what (a kind of leaf, "leaf", "head" or "key"), which one, and a code of what is wrong."""

    what: str
    which: str
    wrong: str


@dataclass
class Report:
    """``sealed_away``: households' lines that nobody can open any more, their keys being destroyed."""

    leaves: int = 0
    heads: int = 0
    sealed_away: int = 0
    findings: list[Finding] = field(default_factory=list)

    def find(self, what: str, which: object, wrong: str) -> None:
        self.findings.append(Finding(what, str(which), wrong))


def check(given: Sequence[str] = ()) -> Report:
    """Verify everything. ``given``: heads got elsewhere, each as its note or its fingerprint."""
    # Heads before leaves: trade goes on meanwhile, and every head must find its leaves.
    heads = db.session.scalars(select(TreeHead).order_by(TreeHead.number)).all()
    report = Report(leaves=log_leaf.size(), heads=len(heads))
    # Everything of a head that is needed, since each batch of leaves empties the session.
    _heads(report, heads)
    _elsewhere(report, heads, given)
    _leaves(report, {each.size: (each.number, each.note) for each in heads})
    _unlogged(report)
    return report


def _leaves(report: Report, heads: Mapping[int, tuple[int, str]]) -> None:
    """Each leaf from its rows, each subtree from the leaves, and each head's root on the way; ``heads``: number and note by size."""
    for at, (number, _) in heads.items():
        if at > report.leaves:
            report.find("head", number, "missing")
    size, edge = 0, dict[Node, bytes]()
    for leaves in _batches(report.leaves):
        _contents(report, leaves)
        if [each.seq for each in leaves] != list(range(size, size + len(leaves))):
            report.find("leaf", size, "gap")
            return
        hashes = [bytes(each.hash) for each in leaves]
        subtrees = hash_tree.append(size, edge, hashes)
        for leaf, made in zip(leaves, subtrees, strict=True):
            if bytes(leaf.subtrees) != made:
                report.find("leaf", leaf.seq, "subtrees")

        def fetch(nodes: Sequence[Node], size: int = size, edge: dict[Node, bytes] = edge, hashes: list[bytes] = hashes, subtrees: list[bytes] = subtrees) -> dict[Node, bytes]:  # fmt: skip
            places = {node: hash_tree.row_of(node) for node in nodes}
            return {
                node: edge[node] if node in edge else hash_tree.node_in(leaf - size, place, hashes, subtrees)
                for node, (leaf, place) in places.items()
            }

        for end in range(size + 1, size + len(leaves) + 1):
            if end in heads and hash_tree.root(end, fetch) != _root_of(heads[end][1]):
                report.find("head", heads[end][0], "root")
        size += len(leaves)
        edge = fetch(hash_tree.nodes_of(0, size))


def _root_of(note: str) -> bytes:
    try:
        return Head.read(note).root
    except (NotProven, ValueError, KeyError):
        return b""


def _batches(size: int) -> Iterator[Sequence[LogLeaf]]:
    for start in range(0, size, BATCH):
        yield db.session.scalars(
            select(LogLeaf).where(LogLeaf.seq >= start, LogLeaf.seq < min(size, start + BATCH)).order_by(LogLeaf.seq)
        ).all()
        db.session.expunge_all()


def _contents(report: Report, leaves: Sequence[LogLeaf]) -> None:
    entries = {each.ref: each for each in leaves if each.kind == "entry"}
    rows = log_content.entry_rows(min(entries) - 1, max(entries), max(entries)) if entries else []
    known = [row for row in rows if row.id in entries]
    made = log_content.of_entries(known, {ref: leaf.sealing for ref, leaf in entries.items()})
    contents: dict[tuple[str, int], Content | None] = {("entry", each.ref): each for each in made}
    for leaf in leaves:
        if leaf.kind != "entry":
            contents[leaf.kind, leaf.ref] = _other(leaf)
        content = contents.get((leaf.kind, leaf.ref))
        if content is None:
            report.find(leaf.kind, leaf.ref, "gone")
            continue
        report.sealed_away += content.sealed_away
        if content.hash() != bytes(leaf.hash):
            report.find(leaf.kind, leaf.ref, "altered")
        elif content.broken or content.sum_fen or len(content.commitments) != len(leaf.commitments):
            report.find(leaf.kind, leaf.ref, "household_line")


def _other(leaf: LogLeaf) -> Content | None:
    sealing = leaf.sealing
    models: dict[str, type[Model]] = {"distribution": Distribution, "payout": PayoutBatch}
    row = db.session.get(models.get(leaf.kind, PublicNotice), leaf.ref)
    if isinstance(row, PublicNotice):
        return log_content.of_withdrawal(row, sealing) if leaf.kind == "notice_withdrawn" else log_content.of_notice(row, sealing)
    if isinstance(row, Distribution):
        return log_chain.of_distribution(row, sealing)
    return log_chain.of_payout(row, sealing) if isinstance(row, PayoutBatch) else None


def _unlogged(report: Report) -> None:
    """Entries that slipped in behind the log's back, with numbers that it had passed already."""
    logged = db.session.scalar(select(LogHorizon.logged)) or 0
    query = select(JournalEntry.id).outerjoin(LogLeaf, (LogLeaf.kind == "entry") & (LogLeaf.ref == JournalEntry.id))
    for number in db.session.scalars(query.where(JournalEntry.id <= logged, LogLeaf.seq.is_(None)).order_by(JournalEntry.id).limit(1000)):
        report.find("entry", number, "unlogged")
    newest = db.session.scalar(select(func.max(LogLeaf.ref)).where(LogLeaf.kind == "entry")) or 0
    if newest < logged:
        report.find("leaf", newest, "horizon")


def _heads(report: Report, heads: Sequence[TreeHead]) -> None:
    keys = log_key.all_keys()
    for before, after in pairwise(keys):
        said = f"from {before.public_key}\nto {after.public_key}\n"
        if said not in after.statement or not Note.read(after.statement).signed_by(bytes.fromhex(before.public_key)):
            report.find("key", after.id, "statement")
    known = {each.id: bytes.fromhex(each.public_key) for each in keys}
    older: Head | None = None
    for number, row in enumerate(heads, start=1):
        try:
            head = Head.read(row.note)
            told = (head.number, head.size, head.root, head.note.fingerprint)
            if told != (number, row.size, bytes(row.root), row.fingerprint) or row.number != number:
                report.find("head", row.number, "columns")
            if not head.note.signed_by(known.get(row.key_id, b"")):
                report.find("head", row.number, "signature")
            if older is not None:
                if f"\nprevious {older.note.fingerprint}\n" not in head.note.body:
                    report.find("head", row.number, "previous")
                must_be_consistent(older.size, older.root, head.size, head.root, [bytes.fromhex(each) for each in row.consistency])
            older = head
        except (NotProven, ValueError, KeyError):
            report.find("head", row.number, "consistency" if older else "note")


def _elsewhere(report: Report, heads: Sequence[TreeHead], given: Sequence[str]) -> None:
    """Heads that others keep must be among ours, to the byte."""
    ours = {each.fingerprint for each in heads}
    for text in given:
        try:
            wanted = Note.read(text).fingerprint if "\n" in text.strip() else text.replace("-", "").replace(" ", "").strip().lower()
        except (NotProven, ValueError):
            wanted = ""
        if len(wanted) < 16 or not any(each.startswith(wanted) for each in ours):
            report.find("head", wanted or "?", "elsewhere")
