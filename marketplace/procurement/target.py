"""Target (年度任务): a unit's yearly duty, and commitments (认购承诺) towards it. A unit without a canteen has no quota.

reserved = base × percent, and the percent is never below the county's minimum. A locked target is not edited any more: what
changes afterwards is an adjustment (``target_adjustment``), and ``quota_fen`` is what both of them come to.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import Model, Public, Versioned, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotFound
from marketplace.foundation.language import N_
from marketplace.foundation.money import FEN_MAX, share_bp
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation

CANTEENS = ("OWN", "SHARED", "OUTSOURCED", "NONE")
WITHOUT_QUOTA = ("NONE", "SHARED")  # units that share a canteen file through one of them


class Target(Public, Versioned, Model):
    """reserved = base × percent. FILED by the unit → REVIEWED by its parent → LOCKED by the county's finance office.

    Returned by the parent, it is a DRAFT again, and does not count as filed.
    """

    __tablename__ = "target"
    __table_args__ = (
        UniqueConstraint("organisation_id", "year"),
        CheckConstraint("canteen IN ('OWN','SHARED','OUTSOURCED','NONE')", name="canteen"),
        CheckConstraint("state IN ('DRAFT','FILED','REVIEWED','LOCKED')", name="state"),
        CheckConstraint("base_fen >= 0 AND reserved_fen >= 0", name="positive"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    year: Mapped[int]
    canteen: Mapped[str] = mapped_column(String(12), default="OWN")
    base_fen: Mapped[int]
    percent_bp: Mapped[int]
    reserved_fen: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default="LOCKED")
    shared_with_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))  # SHARED: the unit that files for both
    contractor: Mapped[str] = mapped_column(String(120), default="")  # OUTSOURCED: who runs the canteen
    filed_at: Mapped[datetime | None]
    filed_by_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    locked_at: Mapped[datetime | None]
    adjusted_fen: Mapped[int] = mapped_column(default=0)  # sum of the approved adjustments since the lock

    @property
    def quota_fen(self) -> int:
        """What the unit is measured by: as locked, with every approved adjustment."""
        return self.reserved_fen + self.adjusted_fen


class Commitment(Public, Versioned, Model):
    """A pledge to buy, without effect on stock or books. An order line draws on at most one."""

    __tablename__ = "commitment"
    __table_args__ = (
        CheckConstraint("fen > 0", name="fen"),
        CheckConstraint("state IN ('OPEN','FULFILLED','WITHDRAWN')", name="state"),
    )

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    cooperative_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    category: Mapped[str | None] = mapped_column(ForeignKey("category.code"))
    year: Mapped[int]
    fen: Mapped[int]
    note: Mapped[str] = mapped_column(String(200), default="")
    state: Mapped[str] = mapped_column(String(10), default="OPEN")
    made_at: Mapped[datetime]
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def file(
    *,
    year: int,
    canteen: str,
    base_fen: int,
    percent_bp: int | None = None,
    version: int | None = None,
    shared_with_id: int | None = None,
    contractor: str = "",
    actor: Actor,
) -> Target:
    """The unit files (or corrects, naming the ``version`` it read) its target of a year.

    ``base_fen`` is the yearly food purchasing of its canteen in fen, ``percent_bp`` the reserved part (default: the county's
    minimum). Raises InvalidInput for a bad figure, Conflict ``target.locked`` and ``version.stale``.
    """
    actor.must_have("UNIT", "buyer", "accountant")
    percent_bp = settings().minimum_quota_bp if percent_bp is None else percent_bp
    check(year, canteen, base_fen, percent_bp)
    if canteen in WITHOUT_QUOTA:
        base_fen = 0
    told = {
        "canteen": canteen,
        "base_fen": base_fen,
        "percent_bp": percent_bp,
        "shared_with_id": _partner(shared_with_id, actor) if canteen == "SHARED" else None,
        "contractor": contractor.strip()[:120] if canteen == "OUTSOURCED" else "",
    }
    row = of(actor.organisation_id, year)
    if row is None:
        if version:
            raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"))
        row = Target(organisation_id=actor.organisation_id, year=year, version=1, adjusted_fen=0)
    else:
        row = locked(Target, row.id)
        if row.state == "LOCKED":
            raise Conflict("target.locked", N_("今年的任务已经锁定，不能再改。要变动请写明理由，申请调整。"))
        if row.state == "FILED" and row.filed_by_id == actor.person_id and all(getattr(row, name) == value for name, value in told.items()):
            return row  # the same click twice
        row.must_be_version(row.version if version is None else version)
    for name, value in told.items():
        setattr(row, name, value)
    row.reserved_fen, row.state = share_bp(base_fen, percent_bp), "FILED"
    row.filed_at, row.filed_by_id = clock.now(), actor.person_id
    db.session.add(row)
    db.session.flush()
    audit.record("target.filed", row, person_id=actor.person_id, year=year, reserved_fen=row.reserved_fen)
    return row


def review(target_id: int, *, version: int | None = None, approved: bool = True, reason: str = "", actor: Actor) -> Target:
    """The parent unit has looked at a filed target: it stands, or goes back with a reason.

    NotFound for a unit that is not the actor's subordinate; OwnWork for whoever filed it; Conflict ``target.state``, ``version.stale``.
    """
    actor.must_have("UNIT", "approver")
    row = locked(Target, target_id)
    if db.session.get_one(Organisation, row.organisation_id).parent_id != actor.organisation_id:
        raise NotFound("target.missing", N_("没有找到，或不归您的单位查看。"))
    return _move(row, ("FILED",), "REVIEWED" if approved else "DRAFT", actor, version, reason)


def lock(target_id: int, *, version: int | None = None, actor: Actor) -> Target:
    """The county locks a target: from now on it is what the unit is measured by."""
    actor.must_have("OPERATOR", "administrator", "treasurer")
    row = _move(locked(Target, target_id), ("FILED", "REVIEWED"), "LOCKED", actor, version, "")
    row.locked_at = clock.now()
    db.session.flush()
    return row


def of(organisation_id: int, year: int) -> Target | None:
    """The unit's target of a year, if it filed one."""
    query = select(Target).where(Target.organisation_id == organisation_id, Target.year == year)
    return db.session.scalars(query).one_or_none()


def _move(row: Target, come_from: tuple[str, ...], to: str, actor: Actor, version: int | None, reason: str) -> Target:
    if row.state not in come_from:
        raise Conflict("target.state", N_("任务现在的状态不能办这一步。"), state=row.state)
    read = row.version
    row.must_be_version(read if version is None else version)
    # A target that was loaded with the county's data was filed by nobody here; there is then no maker to compare with.
    if row.filed_by_id is not None:
        approval.decide(row, maker_id=row.filed_by_id, actor=actor, version=read, approved=to != "DRAFT", reason=reason)
    row.state = to
    db.session.flush()
    audit.record(f"target.{'returned' if to == 'DRAFT' else to.lower()}", row, person_id=actor.person_id)
    return row


def _partner(organisation_id: int | None, actor: Actor) -> int | None:
    if organisation_id is None:
        return None
    other = db.session.get(Organisation, organisation_id)
    if other is None or other.kind != "UNIT" or other.id == actor.organisation_id:
        raise InvalidInput("shared.bad", N_("请选择替您申报的那个单位。"), field="shared_with")
    return other.id


def check(year: int, canteen: str, base_fen: int, percent_bp: int) -> None:
    """Raise InvalidInput, naming the field, unless these could be a target's figures."""
    if not 2000 <= year <= clock.business_date().year + 1:
        raise InvalidInput("year.bad", N_("年份不对。"), field="year")
    if canteen not in CANTEENS:
        raise InvalidInput("canteen.bad", N_("请选择食堂情况。"), field="canteen")
    if canteen not in WITHOUT_QUOTA and not 0 < base_fen < FEN_MAX:
        raise InvalidInput("base.bad", N_("请填写食堂全年采购食材的金额。"), field="base_fen")
    if not settings().minimum_quota_bp <= percent_bp <= 10_000:
        raise InvalidInput(
            "percent.low", N_("预留比例不能低于 %(least)s%%。"), field="percent_bp", least=settings().minimum_quota_bp // 100
        )
