"""An approved batch whose file was handed out: whoever took it may have given it to the bank, so its money may be on its way.

It is cancelled only on two people's word that the bank never got it: one says so and how it is known, another cancels the batch.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import Identified, Model, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import OwnWork
from marketplace.settlement.payout_item import PayoutBatch

READ = "payout.file_read"


class PayoutRecall(Identified, Model):
    """Somebody's word that the bank never got the file that was handed out."""

    __tablename__ = "payout_recall"
    __table_args__ = (UniqueConstraint("batch_id"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("payout_batch.id"))
    reason: Mapped[str] = mapped_column(String(300))
    said_at: Mapped[datetime]
    said_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def handed_out(batch: PayoutBatch) -> datetime | None:
    """When a file for the bank was first given to somebody; None if nobody has it. Alipay's list is only read: the market itself transfers."""
    if batch.channel != "bank":
        return None
    query = select(func.min(AuditEvent.at)).where(
        AuditEvent.subject_type == "payout_batch", AuditEvent.subject_id == batch.id, AuditEvent.action == READ
    )
    return db.session.scalar(query)


def of_batch(batch_id: int) -> PayoutRecall | None:
    """What was said, if somebody has."""
    return db.session.scalars(select(PayoutRecall).where(PayoutRecall.batch_id == batch_id)).one_or_none()


def say(batch: PayoutBatch, reason: str, *, actor: Actor) -> PayoutRecall:
    """Say that the bank never got the file of an approved batch that is held, and how it is known. The same again is the same row.

    Raises InvalidInput ``reason.missing``, Conflict ``recall.nobody`` if nobody took the file: then it needs no word.
    """
    batch.must_be("APPROVED")
    if handed_out(batch) is None:
        raise Conflict("recall.nobody", N_("这一批的文件没有人取走过，理事长可以直接退回。"))
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明怎么知道银行没有收到（问了谁、凭什么），4 到 300 个字。"), field="reason")
    row = of_batch(batch.id)
    if row is None:
        row = PayoutRecall(organisation_id=batch.organisation_id, batch_id=batch.id, reason=reason.strip(), said_at=clock.now(), said_by_id=actor.person_id)
        db.session.add(row)
        db.session.flush()
        audit.record("payout.recalled", batch, person_id=actor.person_id)
        db.session.flush()
    return row


def must_be_back(batch: PayoutBatch, *, actor: Actor) -> None:
    """Raise Conflict ``payout.handed_out`` unless nobody has the file, or somebody else than the actor said that the bank never got it (OwnWork)."""
    if handed_out(batch) is None:
        return
    said = of_batch(batch.id)
    if said is None:
        raise Conflict(
            "payout.handed_out",
            N_("这一批的文件被取走过，可能已经在银行了：现在作废再重做，会付两次。银行确实没有收到的，先由一个人写明怎么知道的，再由另一个人退回。"),
        )
    if said.said_by_id == actor.person_id:
        raise OwnWork("approval.own", N_("自己经办的，不能自己审批。请换一位同事来审。"))


def must_be_out(batch: PayoutBatch) -> None:
    """Raise Conflict ``payout.state`` unless the bank may have the file, whatever became of the batch here: its results find a home."""
    if batch.state not in ("SENT", "DONE") and (batch.state not in ("APPROVED", "CANCELLED") or handed_out(batch) is None):
        batch.must_be("SENT", "DONE")
