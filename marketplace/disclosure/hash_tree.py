"""The Merkle tree of the log (RFC 6962), kept so that nothing is ever rewritten.

Each leaf's row also holds the hashes of the subtrees that this leaf completes: leaf 7 completes one of 2, one of 4 and one of 8
leaves. So an append only adds rows, every node is in exactly one row, and a proof reads at most a row a level.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import add

from marketplace.disclosure.tree_check import node_hash, tree_root

# A complete subtree: (level, number at that level). Level 0 are the leaves.
Node = tuple[int, int]
Fetch = Callable[[Sequence[Node]], Mapping[Node, bytes]]


def nodes_of(start: int, end: int) -> list[Node]:
    """The complete subtrees that leaves ``start`` to ``end`` consist of, left to right; the largest that fit."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        found.append((level, start >> level))
        start += 1 << level
    return found


def row_of(node: Node) -> tuple[int, int]:
    """(leaf in whose row it is, place among that row's subtrees; -1 for the leaf itself)."""
    level, number = node
    return ((number + 1) << level) - 1, level - 1


# What an append completes at one level: the number of the first node, and the nodes.
Level = tuple[int, list[bytes]]


def grown(size: int, edge: Mapping[Node, bytes], leaves: Sequence[bytes]) -> list[Level]:
    """What ``leaves``, put behind the ``size`` that are there, complete: level by level, their own first.

    ``edge``: the nodes of ``nodes_of(0, size)``. Level by level rather than leaf by leaf: the loops stay in C.
    """
    number, nodes, levels = size, list(leaves), list[Level]()
    while nodes:
        levels.append((number, nodes))
        pairs = iter(nodes)
        first = []
        if number & 1:  # the left neighbour was there before
            first.append(sha256(b"\x01" + edge[len(levels) - 1, number - 1] + next(pairs)).digest())
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
        number, nodes = number >> 1, first + nodes if first else nodes
    return levels


def append(size: int, edge: Mapping[Node, bytes], leaves: Sequence[bytes]) -> list[bytes]:
    """As ``grown``, for rows: of each leaf, the hashes of the subtrees it completes, the smallest first, joined."""
    rows = [b""] * len(leaves)
    for level, (number, nodes) in enumerate(grown(size, edge, leaves)[1:], start=1):
        first, step = ((number + 1) << level) - 1 - size, 1 << level
        rows[first::step] = nodes if level == 1 else map(add, rows[first::step], nodes)
    return rows


def root(size: int, fetch: Fetch) -> bytes:
    """The root of the first ``size`` leaves; of none, the hash of nothing."""
    wanted = nodes_of(0, size)
    return _folded(wanted, fetch(wanted)) if wanted else tree_root([])


@dataclass(frozen=True)
class Path:
    """A proof not yet fetched: each of its hashes as the subtrees it is folded from."""

    parts: tuple[tuple[Node, ...], ...]

    def fetched(self, fetch: Fetch) -> list[bytes]:
        nodes = fetch([node for part in self.parts for node in part])
        return [_folded(part, nodes) for part in self.parts]


def inclusion(index: int, size: int) -> Path:
    """The way from leaf ``index`` up to the root of the first ``size`` leaves. ValueError if it is not among them."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    start, end, parts = 0, size, []
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            parts.append(tuple(nodes_of(middle, end)))
            end = middle
        else:
            parts.append(tuple(nodes_of(start, middle)))
            start = middle
    return Path(tuple(reversed(parts)))


def consistency(old: int, size: int) -> Path:
    """That the first ``old`` leaves are where the first ``size`` begin. ValueError unless 0 < old <= size."""
    if not 0 < old <= size:
        raise ValueError(f"a tree of {old} leaves in one of {size}")
    start, end, whole, parts = 0, size, True, []
    while end != old:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if old <= middle:
            parts.append(tuple(nodes_of(middle, end)))
            end = middle
        else:
            parts.append(tuple(nodes_of(start, middle)))
            start, whole = middle, False
    if not whole:
        parts.append(tuple(nodes_of(start, end)))
    return Path(tuple(reversed(parts)))


def in_memory(leaves: Sequence[bytes]) -> Fetch:
    """Nodes of a small tree whose leaf hashes are all at hand."""
    rows = append(0, {}, leaves)

    def fetch(wanted: Sequence[Node]) -> dict[Node, bytes]:
        return {node: node_in(*row_of(node), leaves, rows) for node in wanted}

    return fetch


def node_in(leaf: int, place: int, leaves: Sequence[bytes] | Mapping[int, bytes], rows: Sequence[bytes] | Mapping[int, bytes]) -> bytes:
    return leaves[leaf] if place < 0 else rows[leaf][place * 32 : place * 32 + 32]


def _folded(part: Sequence[Node], nodes: Mapping[Node, bytes]) -> bytes:
    result = nodes[part[-1]]
    for node in reversed(part[:-1]):
        result = node_hash(nodes[node], result)
    return result
