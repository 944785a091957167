"""The bank's number of a transfer that a person made: it pays one thing and no other, whatever that is.

The number is what the statement's row is known by, so the same one on two debts would settle both with one payment.
"""

from datetime import date, datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import clock
from marketplace.foundation.database import Identified, Model, broke_unique, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor


class BankTransfer(Identified, Model):
    """A transfer out of the cooperative's account, or of the fund's holder into it, made on ``paid_on`` (Beijing) for the row ``source_type``, ``source_id``."""

    __tablename__ = "bank_transfer"
    __table_args__ = (UniqueConstraint("organisation_id", "number"), UniqueConstraint("source_type", "source_id"))

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    number: Mapped[str] = mapped_column(String(40))
    source_type: Mapped[str] = mapped_column(String(20))
    source_id: Mapped[int]
    paid_on: Mapped[date]
    recorded_at: Mapped[datetime]
    recorded_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def record(number: str, paid_on: date, *, source: tuple[str, int], agreed_at: datetime | None, actor: Actor) -> str:
    """Keep the number of a transfer of the actor's organisation for ``source``, agreed to at ``agreed_at``; the number as kept.

    Raises InvalidInput ``transfer.reference``, ``transfer.day``; Conflict ``transfer.used`` if the number stands for another thing.
    """
    number = number.strip()
    if not 4 <= len(number) <= 40:
        raise InvalidInput("transfer.reference", N_("请填写银行的转账流水号，4 到 40 个字。"), field="reference")
    if agreed_at is None or not clock.business_date(agreed_at) <= paid_on <= clock.business_date():
        raise InvalidInput("transfer.day", N_("转账日期要在同意那天之后，不晚于今天。"), field="paid_on")
    row = BankTransfer(
        organisation_id=actor.organisation_id, number=number, source_type=source[0], source_id=source[1],
        paid_on=paid_on, recorded_at=clock.now(), recorded_by_id=actor.person_id,
    )  # fmt: skip
    try:
        with db.session.begin_nested():
            db.session.add(row)
    except IntegrityError as error:
        if not broke_unique(error):
            raise
        raise Conflict("transfer.used", N_("这个流水号已经记在另一笔转账上，请核对银行回单。"), reference=number, field="reference") from None
    return number


def moment_of(paid_on: date) -> datetime:
    """When the bank made a transfer, as far as a person knows: today now, else in its day, in which the statement shows it too."""
    return clock.now() if paid_on == clock.business_date() else clock.beijing_midnight(paid_on)
