"""Public notice (公示) and objection (异议): what must stand published for a time before it takes effect, and who spoke against it."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation import workdays as workdays_calendar
from marketplace.foundation.crypto import Sealed, sealed_column
from marketplace.foundation.database import Model, Public, db
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_


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


def publish(
    subject: Any, *, organisation_id: int, title_zh: str, title_en: str | None, body: dict[str, Any], workdays: int
) -> PublicNotice:
    """Announce ``subject`` (a persisted row) from now to the end of the ``workdays``-th whole working day after today (Beijing).

    Where a year's calendar is not announced yet, the end is counted provisionally and marked so. ``body`` holds aggregates only.
    """
    today = clock.business_date()
    ends_on = workdays_calendar.after_workdays(today, workdays)
    days = (today + timedelta(days=n) for n in range(1, (ends_on - today).days + 1))
    row = PublicNotice(
        organisation_id=organisation_id,
        subject_type=subject.__tablename__,
        subject_id=subject.id,
        title_zh=title_zh,
        title_en=title_en,
        body=body,
        published_at=clock.now(),
        ends_on=ends_on,
        is_provisional=any(workdays_calendar.is_provisional(day) for day in days),
    )
    db.session.add(row)
    db.session.flush()
    return row


def must_have_ended(notice: PublicNotice) -> None:
    """Raise Conflict unless the notice stood its full time (through the end of ``ends_on`` in Beijing) and was not objected to
    with reason: ``notice.withdrawn``, ``notice.running``, ``objection.open`` or ``objection.upheld``."""
    if notice.withdrawn_at is not None:
        raise Conflict("notice.withdrawn", N_("这份公示已经撤回。"))
    if clock.business_date() <= notice.ends_on:
        raise Conflict("notice.running", N_("公示期到 %(day)s 结束，之后才能办。"), day=f"{notice.ends_on:%Y-%m-%d}")
    outcomes = set(db.session.scalars(select(Objection.outcome).distinct().where(Objection.notice_id == notice.id)))
    if "OPEN" in outcomes:
        raise Conflict("objection.open", N_("还有异议没有答复，答复后才能办。"))
    if "UPHELD" in outcomes:
        raise Conflict("objection.upheld", N_("有异议成立，请撤回后重新拟定。"))
