"""A notice that was signed and yet did not fit the payment it names, or that tells of a dispute: a person looks at it, and says what came of it."""

from sqlalchemy import ColumnElement, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, not_found
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.payments.notice_inbox import AlipayNotice


def for_people() -> ColumnElement[bool]:
    """Which notices no machine settles."""
    return AlipayNotice.outcome.like("refused:%") | (AlipayNotice.outcome == "disputed")


def handle(public_id: str, handling: str, *, actor: Actor) -> int:
    """The treasurer has dealt with a refused notice, and so with its repeats until now: ``handling`` says how. How many it was.

    Raises NotFound, InvalidInput ``reason.missing``. One that comes later is shown again.
    """
    actor.must_have("OPERATOR", "treasurer")
    named = db.session.scalars(select(AlipayNotice).where(AlipayNotice.public_id == public_id, for_people())).one_or_none()
    if named is None:
        raise not_found(AlipayNotice)
    if not 2 <= len(handling.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明查到了什么、怎么办的，2 到 300 个字。"), field="handling")
    alike = select(AlipayNotice).where(
        AlipayNotice.out_trade_no == named.out_trade_no, AlipayNotice.outcome == named.outcome, AlipayNotice.handled_at.is_(None)
    )
    found = list(db.session.scalars(alike.with_for_update()))
    for each in found:
        each.handled_at, each.handled_by_id, each.handling = clock.now(), actor.person_id, handling.strip()
    db.session.flush()
    audit.record("notice.handled", named, person_id=actor.person_id, out_trade_no=named.out_trade_no, notices=len(found))
    return len(found)
