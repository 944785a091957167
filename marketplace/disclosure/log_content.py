"""What a leaf of the log says, byte by byte: computed from the rows when they are logged, and again by whoever verifies.

An entry's leaf is its canonical header over all columns and the root of its lines. Each part carries a salt of its own, so that
no hash can be guessed open, and one part can be shown without the others. A household's line is a commitment under its key.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Row, select

from marketplace.disclosure import household_key
from marketplace.disclosure.household_key import Keys
from marketplace.disclosure.tree_check import canonical, commitment, entry_leaf, leaf_hash
from marketplace.foundation.database import db
from marketplace.ledger.account import Account
from marketplace.ledger.entry import JournalEntry, JournalLine
from marketplace.notices.public_notice import PublicNotice

# Every column, said one by one: one that is added needs a new version of the leaf, or old leaves could not be computed again.
ENTRY = (
    "id", "book", "kind", "source_type", "source_id", "source_seq", "reverses_id", "period", "currency", "n_lines", "gross",
    "scheme_version_id", "event_at", "posted_at",
)  # fmt: skip
LINE = ("period", "entry_id", "line_no", "account_id", "fen")
NOTICE = (
    "id", "public_id", "organisation_id", "subject_type", "subject_id", "title_zh", "title_en", "body", "published_at", "ends_on",
    "is_provisional",
)  # fmt: skip
HOUSEHOLD = "household"


@dataclass(frozen=True)
class Sealing:
    """What is stored beside a leaf's hash: the secret that its salts come from, and its households' commitments, joined."""

    secret: bytes
    commitments: bytes | None = None

    def salt(self, part: str) -> str:
        """The salt of one part; knowing one tells nothing of the others."""
        return hmac.digest(self.secret, part.encode(), "sha256")[:16].hex()


@dataclass
class Content:
    """What one leaf says. ``broken``: numbers of lines that are not what their household's commitment holds."""

    kind: str
    ref: int
    header: dict[str, Any]
    lines: list[dict[str, Any]] | None = None
    commitments: bytes = b""
    broken: list[int] = field(default_factory=list)
    sealed_away: int = 0  # household lines that nobody can check any more, their key being destroyed
    sum_fen: int = 0  # of the lines, which must be zero whoever can read them

    def line_hashes(self) -> list[bytes]:
        return [leaf_hash(canonical(line)) for line in self.lines or ()]

    def hash(self) -> bytes:
        return leaf_hash(canonical(self.header)) if self.lines is None else entry_leaf(self.header, self.line_hashes())


def plain(value: Any) -> Any:
    """A column's value as canonical JSON holds it: moments in UTC to the microsecond, days as ISO."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.isoformat() if isinstance(value, date) else value


def entry_rows(after: int, upto: int, limit: int) -> Sequence[Row[Any]]:
    """Headers of the entries with numbers beyond ``after`` up to ``upto``, in order."""
    query = select(*(getattr(JournalEntry, name) for name in ENTRY)).where(JournalEntry.id > after, JournalEntry.id <= upto)
    return db.session.execute(query.order_by(JournalEntry.id).limit(limit)).all()


def of_entries(rows: Sequence[Row[Any]], sealings: Mapping[int, Sealing]) -> list[Content]:
    """The leaves of these entries. Where a sealing holds commitments, the households' lines are held against them; where it
    holds none, they are made, with keys for those who have none."""
    lines = _lines(rows)
    households = {_household(line.owner_ref) for its in lines.values() for line in its if line.kind == HOUSEHOLD}
    fresh = households and any(sealings[row.id].commitments is None for row in rows)
    keys = {each: Keys([key]) for each, key in household_key.current(households).items()} if fresh else household_key.of(households)
    return [_entry(row, lines.get(row.id, []), sealings[row.id], keys) for row in rows]


def _lines(rows: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
    """Lines by entry, with what their accounts are. Found by the key of their months, as the balances' are."""
    if not rows:
        return {}
    query = (
        select(*(getattr(JournalLine, name) for name in LINE), Account.kind, Account.owner_ref)
        .outerjoin(Account, Account.id == JournalLine.account_id)
        .where(
            JournalLine.period.in_({row.period for row in rows}),
            JournalLine.entry_id.between(min(row.id for row in rows), max(row.id for row in rows)),
        )
        .order_by(JournalLine.entry_id, JournalLine.line_no)
    )
    found: dict[int, list[Row[Any]]] = {}
    for line in db.session.execute(query):
        found.setdefault(line.entry_id, []).append(line)  # type: ignore[arg-type]
    return found


def _entry(row: Row[Any], lines: Iterable[Row[Any]], sealing: Sealing, keys: Mapping[int, Keys]) -> Content:
    header = {name: plain(value) for name, value in zip(ENTRY, row, strict=True)} | {"leaf": "entry", "v": 1, "salt": sealing.salt("header")}
    content = Content("entry", row.id, header, [])
    kept, place, nonce = sealing.commitments, 0, b""
    for line in lines:
        content.sum_fen += line.fen
        if line.kind == HOUSEHOLD:
            its = keys.get(_household(line.owner_ref), Keys([]))
            stored = None if kept is None else kept[place : place + 32]
            place += 32
            nonce = nonce or household_nonce(sealing)
            made = _commit(content, line, its, nonce, stored)
            said: dict[str, Any] = {"period": line.period, "line_no": line.line_no, "commitment": made.hex()}
            content.commitments += made
        else:
            said = {name: getattr(line, name) for name in LINE}
            said |= {"kind": line.kind, "owner_ref": line.owner_ref, "salt": sealing.salt(f"line {line.line_no}")}
        content.lines.append(said)  # type: ignore[union-attr]
    return content


def _commit(content: Content, line: Row[Any], keys: Keys, nonce: bytes, stored: bytes | None) -> bytes:
    """The line's commitment: made, or the stored one if any key of the household made it of this line."""
    made = [commitment(key, line.entry_id, line.account_id, line.fen, nonce) for key in keys.living]
    if stored is None:
        return made[-1]
    if stored not in made:
        if keys.destroyed and len(stored) == 32:
            content.sealed_away += 1
        else:
            content.broken.append(line.line_no)
    return stored


def household_nonce(sealing: Sealing) -> bytes:
    """The nonce of an entry's households' lines."""
    return bytes.fromhex(sealing.salt("households"))


def of_notice(notice: PublicNotice, sealing: Sealing) -> Content:
    """A notice over all its columns, as it was published."""
    header = {name: plain(getattr(notice, name)) for name in NOTICE}
    return Content("notice", notice.id, header | {"leaf": "notice", "v": 1, "salt": sealing.salt("header")})


def of_withdrawal(notice: PublicNotice, sealing: Sealing) -> Content:
    """That a notice was withdrawn, and when: the one thing of a notice that may come later."""
    header = {"leaf": "notice_withdrawn", "v": 1, "id": notice.id, "withdrawn_at": plain(notice.withdrawn_at)}
    return Content("notice_withdrawn", notice.id, header | {"salt": sealing.salt("header")})


def _household(owner_ref: str) -> int:
    return int(owner_ref.partition(":")[2])
