"""A pairing of a row and an entry that a person made by mistake, taken apart again: what was paired, by whom, and why not, stays written."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.payments import row_decision
from marketplace.payments.statement_row import StatementLink, StatementRow
from marketplace.settlement import difference


class PairUndo(Identified, Model):
    """The link as it was, and who took it apart."""

    __tablename__ = "pair_undo"

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    row_id: Mapped[int] = mapped_column(ForeignKey("statement_row.id"), index=True)
    entry_id: Mapped[int]
    fen: Mapped[int]
    linked_at: Mapped[datetime]
    linked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str] = mapped_column(String(300))
    undone_at: Mapped[datetime]
    undone_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def paired(organisation_id: int, *, row_id: int | None, entry_id: int | None) -> list[StatementLink]:
    """What a person paired with this row, or with this entry, and may be taken apart: nothing was posted for it. What two people decided, two
    people undo (``row_undo``)."""
    query = select(StatementLink).where(
        StatementLink.organisation_id == organisation_id, or_(StatementLink.row_id == (row_id or 0), StatementLink.entry_id == (entry_id or 0)),
        StatementLink.linked_by_id.is_not(None),
    )  # fmt: skip
    return [link for link in db.session.scalars(query.order_by(StatementLink.id)) if row_decision.of_link(link) is None]


def undo(link_id: int, reason: str, *, actor: Actor) -> PairUndo:
    """Take a pairing apart: row and entry are differences again. By the accountant; nothing is posted.

    Raises InvalidInput ``reason.missing``, Conflict ``pair.decided`` if two people decided what the row is, or its number told it.
    """
    actor.must_have("COOPERATIVE", "accountant")
    link = db.session.get(StatementLink, link_id)
    if link is None or link.organisation_id != actor.organisation_id:
        raise not_found(StatementLink)
    locked(StatementRow, link.row_id)
    if link not in paired(link.organisation_id, row_id=link.row_id, entry_id=None) or link.linked_by_id is None:
        raise Conflict("pair.decided", N_("这一行不是谁手工对上的，或者是两个人决定过的，不能在这里拆开。"))
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么不是同一笔，4 到 300 个字。"), field="apart")
    made = PairUndo(
        organisation_id=link.organisation_id, row_id=link.row_id, entry_id=link.entry_id, fen=link.fen, linked_at=link.linked_at,
        linked_by_id=link.linked_by_id, reason=reason.strip(), undone_at=clock.now(), undone_by_id=actor.person_id,
    )  # fmt: skip
    db.session.add(made)
    db.session.delete(link)
    db.session.flush()
    audit.record("difference.unpaired", made, person_id=actor.person_id, row_id=made.row_id, entry_id=made.entry_id, fen=made.fen)
    difference.reconcile(made.organisation_id)
    return made


def undone(row_id: int | None, entry_id: int | None) -> list[PairUndo]:
    """What was paired with this row or entry and taken apart, in order."""
    query = select(PairUndo).where(or_(PairUndo.row_id == (row_id or 0), PairUndo.entry_id == (entry_id or 0)))
    return list(db.session.scalars(query.order_by(PairUndo.id)))
