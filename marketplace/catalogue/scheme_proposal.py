"""A change of a split scheme: proposed by a cooperative's director, approved by the operator's administrator, never the same person.

Approved, it becomes the next version from a day that is still to come; what was ordered before keeps its own version.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.split_scheme import SplitScheme, latest
from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Cooperative, Organisation

WHOLE = 10_000
FURTHEST = timedelta(days=366)


class SchemeProposal(Public, Versioned, Model):
    """What a director asks for. ``scheme_id`` is the version that it became."""

    __tablename__ = "scheme_proposal"
    __table_args__ = (
        CheckConstraint("state IN ('SUBMITTED','APPROVED','RETURNED','WITHDRAWN')", name="state"),
        CheckConstraint("cooperative_bp + household_pool_bp + village_collective_bp + relief_fund_bp = 10000", name="whole"),
        CheckConstraint("cooperative_bp >= 0 AND household_pool_bp > 0 AND village_collective_bp >= 0 AND relief_fund_bp >= 0", name="positive"),
        Index(
            "uq_scheme_proposal_waiting", "organisation_id", "category", unique=True,
            sqlite_where=text("state = 'SUBMITTED'"), postgresql_where=text("state = 'SUBMITTED'"),
        ),
    )  # fmt: skip

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    category: Mapped[str] = mapped_column(ForeignKey("category.code"))
    cooperative_bp: Mapped[int]
    household_pool_bp: Mapped[int]
    village_collective_bp: Mapped[int]
    relief_fund_bp: Mapped[int]
    effective_from: Mapped[date]
    reason: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(10), default="SUBMITTED", index=True)
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[datetime]
    scheme_id: Mapped[int | None] = mapped_column(ForeignKey("split_scheme.id"))


@dataclass(frozen=True)
class Parts:
    """The four shares in basis points."""

    cooperative_bp: int
    household_pool_bp: int
    village_collective_bp: int
    relief_fund_bp: int


def propose(category: str, parts: Parts, effective_from: date, reason: str, *, actor: Actor, key: str) -> int:
    """Ask for a new version; the proposal's id. By the cooperative's director; the same ``key`` again gives the same proposal.

    Raises InvalidInput naming its ``field`` (shares that are not whole, a day not to come, no reason, nothing changed) and
    Conflict ``proposal.open`` while another one of this kind of goods waits.
    """
    actor.must_have("COOPERATIVE", "director")
    request = [category, vars(parts), f"{effective_from}", reason]
    answer = once(f"scheme:{actor.organisation_id}", key, request, lambda: {"id": _propose(category, parts, effective_from, reason, actor)})
    return int(answer["id"])


def _propose(category: str, parts: Parts, effective_from: date, reason: str, actor: Actor) -> int:
    locked(Organisation, actor.organisation_id)  # two directors at once: the second finds the first one's proposal
    _must_be_sound(category, parts, effective_from, reason, actor.organisation_id)
    if waiting(actor.organisation_id, category) is not None:
        raise Conflict("proposal.open", N_("这类商品已有一份方案等审批，先撤回那一份，或等它有了结果。"))
    row = SchemeProposal(
        organisation_id=actor.organisation_id, category=category, effective_from=effective_from, reason=reason.strip(),
        made_by_id=actor.person_id, made_at=clock.now(), version=1, **vars(parts),
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record("scheme.proposed", row, person_id=actor.person_id, category=category, effective_from=f"{effective_from}", **vars(parts))
    return row.id


def withdraw(proposal_id: int, *, version: int, actor: Actor) -> SchemeProposal:
    """Take a waiting proposal back."""
    actor.must_have("COOPERATIVE", "director")
    row = _waiting(proposal_id, version)
    if row.organisation_id != actor.organisation_id:
        raise not_found(SchemeProposal)
    row.state = "WITHDRAWN"
    audit.record("scheme.withdrawn", row, person_id=actor.person_id)
    db.session.flush()
    return row


def decide(proposal_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> SchemeProposal:
    """The administrator's word. Approved, the next version is written, in force from its day.

    Raises OwnWork for whoever proposed it, Conflict ``proposal.late`` if its day has come while it waited.
    """
    actor.must_have("OPERATOR", "administrator")
    row = _waiting(proposal_id, version)
    approval.decide(row, maker_id=row.made_by_id, actor=actor, version=version, approved=approved, reason=reason[:2000])
    row.state = "APPROVED" if approved else "RETURNED"
    if approved:
        before = latest(row.organisation_id, row.category)
        if row.effective_from <= clock.business_date() or (before and row.effective_from <= before.effective_from):
            raise Conflict("proposal.late", N_("执行日已经到了，不能再批准。请退回，让合作社换一个日子。"))
        scheme = SplitScheme(
            organisation_id=row.organisation_id,
            category=row.category,
            version_no=before.version_no + 1 if before else 1,
            effective_from=row.effective_from,
            **vars(parts_of(row)),
        )
        db.session.add(scheme)
        db.session.flush()
        row.scheme_id = scheme.id
    db.session.flush()
    return row


def parts_of(row: SchemeProposal | SplitScheme) -> Parts:
    """The four shares of a proposal or of a version."""
    return Parts(row.cooperative_bp, row.household_pool_bp, row.village_collective_bp, row.relief_fund_bp)


def reasons(organisation_id: int) -> dict[int, str]:
    """Why each version that was proposed here came to be, by the version's id; for everybody to read."""
    query = select(SchemeProposal.scheme_id, SchemeProposal.reason).where(
        SchemeProposal.organisation_id == organisation_id, SchemeProposal.scheme_id.is_not(None)
    )
    return {row[0]: row[1] for row in db.session.execute(query) if row[0] is not None}


def waiting(organisation_id: int, category: str) -> SchemeProposal | None:
    """The proposal that waits for this kind of goods, if one does."""
    query = select(SchemeProposal).where(
        SchemeProposal.organisation_id == organisation_id, SchemeProposal.category == category, SchemeProposal.state == "SUBMITTED"
    )
    return db.session.scalars(query.limit(1)).one_or_none()


def _waiting(proposal_id: int, version: int) -> SchemeProposal:
    row = locked(SchemeProposal, proposal_id)
    if row.state != "SUBMITTED":
        raise Conflict("proposal.state", N_("这份方案已经办过了，请刷新后再看。"), state=row.state)
    row.must_be_version(version)
    return row


def _must_be_sound(category: str, parts: Parts, effective_from: date, reason: str, organisation_id: int) -> None:
    seller = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == organisation_id)).one_or_none()
    if category not in CATEGORIES or seller is None or not seller.may_sell(category):
        raise InvalidInput("proposal.category", N_("食品生产许可的范围里没有这类商品。"), field="category")
    shares = vars(parts)
    if any(not 0 <= share <= WHOLE for share in shares.values()) or sum(shares.values()) != WHOLE:
        total = f"{sum(shares.values()) / 100:.2f}"
        raise InvalidInput("proposal.whole", N_("四份加起来要正好是 100%%，现在是 %(total)s%%。"), field="household_pool_bp", total=total)
    if parts.household_pool_bp == 0:
        raise InvalidInput("proposal.households", N_("农户的一份不能是零。"), field="household_pool_bp")
    before = latest(organisation_id, category)
    if before is not None and parts_of(before) == parts:
        raise InvalidInput("proposal.same", N_("和现在的方案一样，没有变化。"), field="household_pool_bp")
    today = clock.business_date()
    if not today < effective_from <= today + FURTHEST:
        raise InvalidInput("proposal.day", N_("执行日要在明天以后、一年以内。"), field="effective_from")
    if before is not None and effective_from <= before.effective_from:
        raise InvalidInput("proposal.before", N_("执行日要晚于最近一版的执行日 %(day)s。"), field="effective_from", day=f"{before.effective_from}")
    if not 2 <= len(reason.strip()) <= 500:
        raise InvalidInput("proposal.reason", N_("请写明为什么要改，公开页上看得到。"), field="reason")
