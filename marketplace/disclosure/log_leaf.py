"""The verifiable log: every journal entry, notice, distribution and payout has one leaf of an append-only Merkle tree.

Leaves are numbered from 0 without gaps. Neither leaves nor heads are ever changed or deleted: the database refuses it
(``log_refusals``). What a leaf says is computed from the rows (``log_content``, ``log_chain``); here stands its hash.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.disclosure import hash_tree
from marketplace.disclosure.hash_tree import Node
from marketplace.disclosure.log_content import Sealing
from marketplace.foundation.database import Model, db
from marketplace.ledger.horizon import Horizon

KINDS = ("entry", "notice", "notice_withdrawn", "distribution", "payout")
_CHUNK = 500


class LogLeaf(Model):
    """One leaf. ``ref`` is the inside number of the row of its kind."""

    __tablename__ = "log_leaf"
    __table_args__ = (
        UniqueConstraint("kind", "ref"),
        CheckConstraint("kind IN (" + ", ".join(f"'{kind}'" for kind in KINDS) + ")", name="kind"),
        CheckConstraint("length(hash) = 32", name="hash"),
        {"info": {"granted": "SELECT, INSERT"}},
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(20))
    ref: Mapped[int]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    # The hashes of the subtrees that this leaf completes, the smallest first, joined: about one a leaf.
    subtrees: Mapped[bytes] = mapped_column(LargeBinary)
    secret: Mapped[bytes] = mapped_column(LargeBinary)  # 16 bytes, from which the salts of its parts come
    # 32 bytes for each household's line, in order; empty if there are none.
    commitments: Mapped[bytes] = mapped_column(LargeBinary)
    logged_at: Mapped[datetime]

    @property
    def sealing(self) -> Sealing:
        return Sealing(self.secret, self.commitments)


class LogHorizon(Horizon):
    """``rolled``: the entry up to which all are decided; ``logged``: the entry up to which they have their leaves."""

    __tablename__ = "log_horizon"

    logged: Mapped[int] = mapped_column(default=0, server_default="0")


def size() -> int:
    """How many leaves there are."""
    last = db.session.scalar(select(func.max(LogLeaf.seq)))
    return 0 if last is None else last + 1


def of(kind: str, ref: int) -> LogLeaf | None:
    """The leaf of this row, or None while it has none."""
    return db.session.scalars(select(LogLeaf).where(LogLeaf.kind == kind, LogLeaf.ref == ref)).one_or_none()


def of_many(kind: str, refs: Iterable[int]) -> dict[int, LogLeaf]:
    """The leaves of these rows, by ``ref``; those that have none yet are left out."""
    wanted, found = list(refs), dict[int, LogLeaf]()
    for start in range(0, len(wanted), _CHUNK):
        query = select(LogLeaf).where(LogLeaf.kind == kind, LogLeaf.ref.in_(wanted[start : start + _CHUNK]))
        found |= {each.ref: each for each in db.session.scalars(query)}
    return found


def fetch(nodes: Sequence[Node]) -> dict[Node, bytes]:
    """The hashes of these complete subtrees, in one query of at most a row each. KeyError for what is not complete yet."""
    places = {node: hash_tree.row_of(node) for node in nodes}
    query = select(LogLeaf.seq, LogLeaf.hash, LogLeaf.subtrees).where(LogLeaf.seq.in_({leaf for leaf, _ in places.values()}))
    rows = {seq: (leaf, subtrees) for seq, leaf, subtrees in db.session.execute(query)}
    found = {}
    for node, (leaf, place) in places.items():
        own, subtrees = rows[leaf]
        found[node] = bytes(own if place < 0 else subtrees[place * 32 : place * 32 + 32])
    return found


def root(of_size: int) -> bytes:
    """The root of the first ``of_size`` leaves."""
    return hash_tree.root(of_size, fetch)


def inclusion(seq: int, of_size: int) -> list[bytes]:
    """The proof that leaf ``seq`` is among the first ``of_size``."""
    return hash_tree.inclusion(seq, of_size).fetched(fetch)


def consistency(old: int, of_size: int) -> list[bytes]:
    """The proof that the first ``of_size`` leaves begin with the first ``old``."""
    return hash_tree.consistency(old, of_size).fetched(fetch)
