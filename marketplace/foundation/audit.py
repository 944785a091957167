"""The audit: who did what to what, written in the same transaction as the change. Codes and data, never sentences.

Rows are never changed or deleted. Personal data does not go in: ids and amounts only.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.driver import Write


class AuditEvent(Identified, Model):
    """One act of one person (or of a job: no person) upon one subject."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_subject", "subject_type", "subject_id"),
        {"info": {"granted": "SELECT, INSERT"}},
    )

    at: Mapped[datetime] = mapped_column(index=True)
    person_id: Mapped[int | None]
    organisation_id: Mapped[int | None] = mapped_column(index=True)
    action: Mapped[str] = mapped_column(String(60))
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int]
    data: Mapped[dict[str, Any]]


def record(
    action: str, subject: Any, *, person_id: int | None = None, organisation_id: int | None = None, **data: Any
) -> AuditEvent:
    """Add an audit row for ``subject`` (a persisted row with ``id``) to the open transaction."""
    if organisation_id is None:
        organisation_id = getattr(subject, "organisation_id", None)
    event = AuditEvent(
        at=clock.now(),
        person_id=person_id,
        organisation_id=organisation_id,
        action=action,
        subject_type=subject.__tablename__,
        subject_id=subject.id,
        data=data,
    )
    db.session.add(event)
    return event


def write(action: str, table: str, number: int, *, organisation_id: int | None = None, **data: Any) -> Write:
    """The same row, of nobody's act, for whoever writes past the session."""
    statement = "INSERT INTO audit_event (at, organisation_id, action, subject_type, subject_id, data) VALUES (?, ?, ?, ?, ?, ?)"
    return statement, (clock.now(), organisation_id, action, table, number, data)


def of_each(action: str, table: str, rows: str) -> str:
    """PostgreSQL: such a row for each of ``rows``, which has the columns posted_at, book, source_id and fen. All names come from code."""
    return (
        "INSERT INTO audit_event (at, organisation_id, action, subject_type, subject_id, data) "  # noqa: S608 -- names from code
        f"SELECT posted_at, book, '{action}', '{table}', source_id, jsonb_build_object('fen', fen) FROM {rows}"
    )
