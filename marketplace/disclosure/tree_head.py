"""A tree head: so many leaves have this root, signed, once a day, with the proof that the one before it was only added to.

It is published where the operator cannot take it back: pages and files for everybody, e-mail to the auditors, a folder that may be
a clone of a public repository.
"""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String, Text, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.disclosure import log_key, log_leaf
from marketplace.disclosure.log_key import LogKey
from marketplace.disclosure.log_leaf import LogHorizon
from marketplace.disclosure.tree_check import Head
from marketplace.foundation import clock, outbox
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, db, not_found
from marketplace.ledger import horizon
from marketplace.notices import mail


class TreeHead(Model):
    """One head. ``note`` is what is signed and published, byte by byte; the columns beside it only find it."""

    __tablename__ = "tree_head"
    __table_args__ = (CheckConstraint("size > 0", name="size"), {"info": {"granted": "SELECT, INSERT"}})

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    size: Mapped[int]
    root: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]
    key_id: Mapped[int] = mapped_column(ForeignKey("log_key.id"))
    note: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str] = mapped_column(String(64), unique=True)
    # Hexadecimal hashes: that the head before this one was only added to. Empty for the first.
    consistency: Mapped[list[Any]]

    @property
    def short(self) -> str:
        """The fingerprint as slips print it and people compare it: the first 32 digits, in fours."""
        return "-".join(self.fingerprint[n : n + 4] for n in range(0, 32, 4))


def publish() -> TreeHead | None:
    """Sign what is logged now, and ask for it to be sent to whoever keeps it. None while nothing is logged.

    In a transaction of its own; two at once make two heads, one after the other.
    """
    horizon.locked(LogHorizon)
    size = log_leaf.size()
    if size == 0:
        return None
    before = newest()
    origin = _origin(before)
    key, private = log_key.signing(origin)
    number, now, root = (before.number + 1 if before else 1), clock.now(), log_leaf.root(size)
    lines = [origin, str(size), base64.b64encode(root).decode(), f"number {number}", f"at {now:%Y-%m-%dT%H:%M:%SZ}"]
    if before:
        lines.append(f"previous {before.fingerprint}")
    note = log_key.sign(origin, "\n".join(lines) + "\n", private)
    row = TreeHead(
        number=number,
        size=size,
        root=root,
        at=now,
        key_id=key.id,
        note=note,
        fingerprint=Head.read(note).note.fingerprint,
        consistency=[each.hex() for each in log_leaf.consistency(before.size, size)] if before else [],
    )
    db.session.add(row)
    db.session.flush()
    _hand_out(row)
    return row


def due() -> bool:
    """Whether a Beijing day has begun since the newest head, or there is none."""
    row = newest()
    return row is None or clock.business_date(row.at) < clock.business_date()


def newest() -> TreeHead | None:
    """The newest head, or None."""
    return db.session.scalars(select(TreeHead).order_by(TreeHead.number.desc()).limit(1)).one_or_none()


def numbered(number: int) -> TreeHead:
    """The head with this number. NotFound if there is none."""
    row = db.session.get(TreeHead, number) if number < 2**31 else None
    if row is None:
        raise not_found(TreeHead)
    return row


def page(before: int | None = None, limit: int = 30) -> Sequence[TreeHead]:
    """Heads with smaller numbers than ``before``, the newest first."""
    query = select(TreeHead).order_by(TreeHead.number.desc()).limit(limit)
    return db.session.scalars(query if before is None else query.where(TreeHead.number < before)).all()


def after(number: int, limit: int = 1000) -> Sequence[TreeHead]:
    """Heads with greater numbers, the oldest first."""
    return db.session.scalars(select(TreeHead).where(TreeHead.number > number).order_by(TreeHead.number).limit(limit)).all()


def covering(seq: int) -> TreeHead | None:
    """The first head that has this leaf, or None while it waits for one."""
    number = db.session.scalar(select(func.min(TreeHead.number)).where(TreeHead.size > seq))
    return None if number is None else db.session.get_one(TreeHead, number)


def published(row: TreeHead) -> dict[str, Any]:
    """A head as files hold it."""
    return {"number": row.number, "fingerprint": row.fingerprint, "note": row.note, "consistency": row.consistency}


def statements() -> list[str]:
    """How each key was introduced by the one before it, in order."""
    return [key.statement for key in log_key.all_keys() if key.statement]


def key_of(row: TreeHead) -> LogKey:
    """The key that signed it."""
    return db.session.get_one(LogKey, row.key_id)


def origin_of(row: TreeHead) -> str:
    return row.note.partition("\n")[0]


def _origin(before: TreeHead | None) -> str:
    """The log's name, for good: the address of the shop when the first head was made."""
    return origin_of(before) if before else f"{urlsplit(settings().base_url).netloc}/log"


def _hand_out(row: TreeHead) -> None:
    """Ask for it to be sent, in the same transaction: to each auditor by e-mail, and to the folder of copies."""
    for address in filter(None, (each.strip() for each in settings().log_auditors.split(","))):
        mail.post(f"tree_head:{row.number}:{address}", to=address, subject=f"{origin_of(row)} #{row.number} {row.short}", text=row.note)
    if settings().log_export_dir:
        outbox.put("log.export", f"{row.number}", {"number": row.number})
