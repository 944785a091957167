"""Public notice (公示) and objection (异议): what must stand published for a time before it takes effect, and who spoke against it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public


class PublicNotice(Public, Model):
    """A notice of an organisation about a subject, open for objections until the end of ``ends_on`` (Beijing)."""

    __tablename__ = "public_notice"
    __table_args__ = (Index("ix_public_notice_subject", "subject_type", "subject_id"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    subject_type: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[int]
    title_zh: Mapped[str] = mapped_column(String(200))
    title_en: Mapped[str | None] = mapped_column(String(200))
    # Figures as they were published: aggregates only, no household is identifiable.
    body: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    ends_on: Mapped[date]
    is_provisional: Mapped[bool] = mapped_column(default=False)  # counted with a calendar not announced yet
    withdrawn_at: Mapped[datetime | None]


class Objection(Public, Model):
    """One objection to a notice and its answer. The name and contact of who objects are sealed."""

    __tablename__ = "objection"
    __table_args__ = (
        CheckConstraint("(answered_at IS NULL) = (answer = '')", name="answered"),
        CheckConstraint("outcome IN ('OPEN','UPHELD','REJECTED')", name="outcome"),
    )

    notice_id: Mapped[int] = mapped_column(ForeignKey("public_notice.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # who must answer
    text: Mapped[str] = mapped_column(Text)
    name_sealed: Mapped[str] = sealed_column(default="")
    name = Sealed()
    contact_sealed: Mapped[str] = sealed_column(default="")
    contact = Sealed()
    raised_at: Mapped[datetime]
    raised_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(Text, default="")
    answered_at: Mapped[datetime | None]
    answered_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    outcome: Mapped[str] = mapped_column(String(10), default="OPEN")
