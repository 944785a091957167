"""Approval: a second person's word on a subject at a version. Rows of one kind; nobody approves their own."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor


class OwnWork(NotAllowed):
    """The checker is the maker."""


class Approval(Identified, Model):
    """Who made, who checked, what they decided. The database refuses checker = maker too."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("checker_id <> maker_id", name="two_people"),
        CheckConstraint("decision IN ('APPROVED','RETURNED')", name="decision"),
        Index("ix_approval_subject", "subject_type", "subject_id"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the checker's
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int]
    subject_version: Mapped[int]
    maker_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    checker_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decision: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]


def decide(subject: Any, *, maker_id: int, actor: Actor, version: int, approved: bool, reason: str = "") -> Approval:
    """Record the actor's decision on ``subject`` (a row with ``id``), as it was read at ``version``. Raises OwnWork if maker and checker are
    one person, InvalidInput ``reason.missing`` if something is returned without a reason."""
    if maker_id == actor.person_id:
        raise OwnWork("approval.own", N_("自己经办的，不能自己审批。请换一位同事来审。"))
    must_say_why(approved, reason)
    row = Approval(
        organisation_id=actor.organisation_id,
        subject_type=subject.__tablename__,
        subject_id=subject.id,
        subject_version=version,
        maker_id=maker_id,
        checker_id=actor.person_id,
        decision="APPROVED" if approved else "RETURNED",
        reason=reason.strip(),
        at=clock.now(),
    )
    db.session.add(row)
    db.session.flush()
    audit.record(f"approval.{row.decision.lower()}", subject, person_id=actor.person_id, organisation_id=actor.organisation_id, approval_id=row.id)
    return row


def must_say_why(approved: bool, reason: str) -> None:
    """Raise InvalidInput ``reason.missing`` if something is returned without a reason."""
    if not approved and not reason.strip():
        raise InvalidInput("reason.missing", N_("退回时请写明理由，对方才知道怎么改。"), field="reason")


def last_word(subject_type: str, subject_id: int) -> Approval | None:
    """The last decision on a subject, by its table and id."""
    query = select(Approval).where(Approval.subject_type == subject_type, Approval.subject_id == subject_id)
    return db.session.scalars(query.order_by(Approval.id.desc()).limit(1)).first()
