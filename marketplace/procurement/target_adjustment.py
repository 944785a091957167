"""An adjustment of a locked target: the unit asks and says why, the county's finance office decides. The locked figure itself stays.

The duty is the locked reserve plus every approved adjustment; one request a target waits at a time.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.foundation.money import share_bp
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.procurement import target
from marketplace.procurement.target import WITHOUT_QUOTA, Target


class TargetAdjustment(Public, Versioned, Model):
    """OPEN → APPROVED (counts from then on) or RETURNED (with a reason). ``delta_fen`` is what it adds to the duty, or takes off."""

    __tablename__ = "target_adjustment"
    __table_args__ = (CheckConstraint("state IN ('OPEN','APPROVED','RETURNED')", name="state"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)  # the unit
    target_id: Mapped[int] = mapped_column(ForeignKey("target.id"), index=True)
    canteen: Mapped[str] = mapped_column(String(12))
    base_fen: Mapped[int]
    percent_bp: Mapped[int]
    delta_fen: Mapped[int]
    reason: Mapped[str] = mapped_column(String(300))
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    asked_at: Mapped[datetime]
    asked_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str] = mapped_column(String(300), default="")


def ask(year: int, *, canteen: str, base_fen: int, percent_bp: int, reason: str, actor: Actor, key: str) -> int:
    """The unit asks that its locked target become base × percent; the adjustment's id. The same ``key``: the same request.

    Raises InvalidInput for a bad figure or a missing reason, Conflict ``target.unlocked``, ``adjustment.open``, ``adjustment.same``.
    """
    actor.must_have("UNIT", "buyer", "accountant")
    request = [year, canteen, base_fen, percent_bp, reason.strip()]
    answer = once(f"target_adjustment:{actor.organisation_id}", key, request, lambda: _ask(year, canteen, base_fen, percent_bp, reason, actor))
    return int(answer["adjustment_id"])


def _ask(year: int, canteen: str, base_fen: int, percent_bp: int, reason: str, actor: Actor) -> dict[str, int]:
    target.check(year, canteen, base_fen, percent_bp)
    if not 2 <= len(reason.strip()) <= 300:
        raise InvalidInput("reason.missing", N_("请写明为什么要调整，300 字以内。"), field="reason")
    known = target.of(actor.organisation_id, year)
    if known is None:
        raise NotFound("target.missing", N_("没有找到，或不归您的单位查看。"))
    row = locked(Target, known.id)
    if row.state != "LOCKED":
        raise Conflict("target.unlocked", N_("任务还没有锁定，直接改申报就行。"))
    if open_of(row.id) is not None:
        raise Conflict("adjustment.open", N_("已经有一份调整在等财政部门审核。"))
    base_fen = 0 if canteen in WITHOUT_QUOTA else base_fen
    delta_fen = share_bp(base_fen, percent_bp) - row.quota_fen
    if delta_fen == 0:
        raise InvalidInput("adjustment.same", N_("预留份额没有变化，不用调整。"), field="base_fen")
    made = TargetAdjustment(
        organisation_id=row.organisation_id,
        target_id=row.id,
        canteen=canteen,
        base_fen=base_fen,
        percent_bp=percent_bp,
        delta_fen=delta_fen,
        reason=reason.strip(),
        state="OPEN",
        asked_at=clock.now(),
        asked_by_id=actor.person_id,
        version=1,
    )
    db.session.add(made)
    db.session.flush()
    audit.record("target_adjustment.asked", made, person_id=actor.person_id, year=year, delta_fen=delta_fen)
    return {"adjustment_id": made.id}


def decide(adjustment_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> TargetAdjustment:
    """The county's finance office agrees, or returns it with a reason. OwnWork, Conflict ``adjustment.state``, ``version.stale``."""
    actor.must_have("OPERATOR", "administrator", "treasurer")
    row = locked(TargetAdjustment, adjustment_id)
    if row.state != "OPEN":
        raise Conflict("adjustment.state", N_("这份调整已经办过了。"), state=row.state)
    row.must_be_version(version)
    approval.decide(row, maker_id=row.asked_by_id, actor=actor, version=version, approved=approved, reason=reason)
    row.state = "APPROVED" if approved else "RETURNED"
    row.decided_at, row.decided_by_id, row.answer = clock.now(), actor.person_id, reason.strip()[:300]
    if approved:
        duty = locked(Target, row.target_id)
        duty.adjusted_fen += row.delta_fen
        duty.canteen, duty.version = row.canteen, duty.version + 1
    db.session.flush()
    return row


def open_of(target_id: int) -> TargetAdjustment | None:
    """The request that waits for the finance office, if there is one."""
    query = select(TargetAdjustment).where(TargetAdjustment.target_id == target_id, TargetAdjustment.state == "OPEN")
    return db.session.scalars(query).one_or_none()


def of_target(target_id: int) -> list[TargetAdjustment]:
    """All of a target's, the latest first."""
    query = select(TargetAdjustment).where(TargetAdjustment.target_id == target_id).order_by(TargetAdjustment.id.desc())
    return list(db.session.scalars(query))
