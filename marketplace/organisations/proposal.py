"""A proposal: what one person says, with a reason, and another decides on, once. Columns and rules of every row of this kind.

Its noun has ``propose``, which ends with ``put``, and ``decide``, which holds the row and begins with ``Proposal.decide``: another person, still
waiting, as it was read. What is decided there on the strength of other rows is looked at again, since the world may have changed.
"""

from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ForeignKey
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Public, Staged, Versioned, broke_unique, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor

TWO_PEOPLE = "decided_by_id IS NULL OR decided_by_id <> proposed_by_id"  # the database refuses one who is both, too


class Proposal(Public, Versioned, Staged):
    """``organisation_id`` is whose people propose and decide. PROPOSED, until somebody decided."""

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))

    def decide(self, *, actor: Actor, version: int, approved: bool, reason: str) -> None:
        """Another person's word; the caller holds the row, and says what state it comes to.

        Raises Conflict ``not_now`` if somebody decided already, ``version.stale``; OwnWork; InvalidInput ``reason.missing`` for a return without one.
        """
        self.must_be("PROPOSED")
        self.must_be_version(version)
        approval.decide(self, maker_id=self.proposed_by_id, actor=actor, version=version, approved=approved, reason=reason)
        self.decided_at, self.decided_by_id = clock.now(), actor.person_id


P = TypeVar("P", bound=Proposal)


def put(row: P, action: str, *, person_id: int, **data: Any) -> P:
    """What a person proposes now, written and in the audit as ``action``.

    Raises Conflict ``proposal.same`` if an index allows one such proposal to wait, and somebody else's was written at the same moment.
    """
    row.state, row.proposed_at, row.proposed_by_id, row.version = "PROPOSED", clock.now(), person_id, 1
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        raise Conflict("proposal.same", N_("刚刚有人提出了同一件事，没有再提一遍。请刷新页面看看。")) from error
    audit.record(action, row, person_id=person_id, **data)
    db.session.flush()
    return row
