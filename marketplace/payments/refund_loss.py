"""A refund that left after all, though what replaced it had gone, or no order held money for it: the buyer has it twice, and the books do not follow.

It is the cooperative's own loss, whose money it was; the platform holds none, and no household bears it. Two people say so, and it is posted.
What the buyer gives back later comes as a receipt of nobody's, and stands where the loss stands.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.ledger import event
from marketplace.ledger.posting import Source
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.payments.bill_difference import BillDifference
from marketplace.payments.bill_import import ImportedRow
from marketplace.payments.refund import GOING, LEFT, Refund

_LIVES = text("state <> 'RETURNED'")


class RefundLoss(Public, Versioned, Model):
    """PROPOSED → DONE (posted by ``entry_id``) or RETURNED. A refund is lost once."""

    __tablename__ = "refund_loss"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('PROPOSED','DONE','RETURNED')", name="state"),
        CheckConstraint("decided_by_id IS NULL OR decided_by_id <> proposed_by_id", name="two_people"),
        CheckConstraint("(state = 'DONE') = (entry_id IS NOT NULL)", name="entry"),
        Index("uq_refund_loss_refund", "refund_id", unique=True, sqlite_where=_LIVES, postgresql_where=_LIVES),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    refund_id: Mapped[int] = mapped_column(ForeignKey("refund.id"))
    fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(8), default="PROPOSED")
    proposed_at: Mapped[datetime]
    proposed_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(String(300), default="")
    entry_id: Mapped[int | None]


def propose(refund_id: int, reason: str, *, actor: Actor) -> RefundLoss:
    """Say that the cooperative bears it. By the accountant or the director; the same again while it waits is the same row.

    Raises InvalidInput ``reason.missing``, Conflict ``loss.state`` unless the refund left and is in no book, ``loss.waits`` while
    what should replace it is on its way, ``loss.decided``.
    """
    actor.must_have("COOPERATIVE", "accountant", "director")
    refund = _left(refund_id, actor)
    if not 4 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明怎么查的、为什么由合作社承担，4 到 300 个字。"), field="loss")
    row = of_refund(refund.id)
    if row is not None and row.state == "DONE":
        raise Conflict("loss.decided", N_("这一条已经有人决定过了，请刷新页面看看。"), state=row.state)
    if row is None or row.state == "RETURNED":
        row = RefundLoss(
            organisation_id=refund.organisation_id, refund_id=refund.id, fen=refund.fen, reason=reason.strip(), state="PROPOSED",
            proposed_at=clock.now(), proposed_by_id=actor.person_id, version=1,
        )  # fmt: skip
        db.session.add(row)
        db.session.flush()
        audit.record("refund_loss.proposed", row, person_id=actor.person_id, refund_id=refund.id, fen=row.fen)
    return row


def decide(loss_id: int, *, actor: Actor, version: int, approved: bool, answer: str = "") -> RefundLoss:
    """The director's word, who is not the one who said so. Approved, the loss is posted, and what stood open about the refund is explained.

    Raises OwnWork, InvalidInput ``reason.missing`` if it is returned without one, Conflict ``loss.decided``, ``loss.state``, ``version.stale``.
    """
    actor.must_have("COOPERATIVE", "director")
    row = db.session.get(RefundLoss, loss_id)
    if row is None or row.organisation_id != actor.organisation_id:
        raise not_found(RefundLoss)
    refund = _left(row.refund_id, actor)
    row = locked(RefundLoss, loss_id)
    if row.state != "PROPOSED":
        raise Conflict("loss.decided", N_("这一条已经有人决定过了，请刷新页面看看。"), state=row.state)
    row.must_be_version(version)
    approval.decide(row, maker_id=row.proposed_by_id, actor=actor, version=version, approved=approved, reason=answer)
    row.decided_at, row.decided_by_id, row.answer = clock.now(), actor.person_id, answer.strip()[:300]
    if approved:
        row.entry_id = event.refund_lost(
            book=row.organisation_id, source=Source("refund_loss", row.id), fen=row.fen, channel=refund.way, at=_left_at(refund)
        )
        row.state = "DONE"
        _explain(refund, row)
        audit.record("refund_loss.done", row, person_id=actor.person_id, refund_id=refund.id, fen=row.fen, entry_id=row.entry_id)
    else:
        row.state = "RETURNED"
    db.session.flush()
    return row


def of_refund(refund_id: int) -> RefundLoss | None:
    """What was said last of a refund that left."""
    return db.session.scalars(select(RefundLoss).where(RefundLoss.refund_id == refund_id).order_by(RefundLoss.id.desc()).limit(1)).one_or_none()


def is_borne(refund_id: int) -> bool:
    """Whether the books hold it as the cooperative's loss: then it is never counted as a refund any more."""
    return db.session.scalar(select(RefundLoss.id).where(RefundLoss.refund_id == refund_id, RefundLoss.state == "DONE")) is not None


def open_ones() -> ColumnElement[bool]:
    """Of refunds: those that left, are in no book, and that nobody has borne yet."""
    borne = select(RefundLoss.id).where(RefundLoss.refund_id == Refund.id, RefundLoss.state == "DONE").correlate(Refund).exists()
    return (Refund.state == "failed") & (Refund.sub_code == LEFT) & (Refund.way != "bank") & ~borne


def _left(refund_id: int, actor: Actor) -> Refund:
    """The refund, locked. NotFound for another cooperative's."""
    refund = db.session.get(Refund, refund_id)
    if refund is None or refund.organisation_id != actor.organisation_id:
        raise not_found(Refund)
    refund = locked(Refund, refund_id)
    again = db.session.scalars(select(Refund).where(Refund.reissues_id == refund.id)).one_or_none()
    if again is not None and again.state in GOING:
        raise Conflict("loss.waits", N_("重办的那一笔还没有结果，先等它办完。"), state=again.state)
    if refund.state != "failed" or refund.sub_code != LEFT or refund.way == "bank":
        raise Conflict("loss.state", N_("这笔退款没有多退，或账上已经记了，不用了结。"), state=refund.state)
    return refund


def _left_at(refund: Refund) -> datetime | None:
    """When it left, if a bill tells it."""
    its = select(ImportedRow.finished_at).where(ImportedRow.organisation_id == refund.organisation_id, ImportedRow.out_request_no == refund.out_request_no)
    return db.session.scalar(its.where(ImportedRow.kind == "refund").order_by(ImportedRow.id).limit(1))


def _explain(refund: Refund, row: RefundLoss) -> None:
    """The books hold it now: nobody need explain it once more."""
    waiting = select(BillDifference).where(
        BillDifference.organisation_id == refund.organisation_id, BillDifference.out_request_no == refund.out_request_no,
        BillDifference.ours_fen == 0, BillDifference.explained_at.is_(None),
    )  # fmt: skip
    for each in db.session.scalars(waiting.with_for_update()):
        each.explanation, each.explained_at, each.explained_by_id = row.reason, row.decided_at, row.decided_by_id
        each.owner_id = each.owner_id or row.proposed_by_id
