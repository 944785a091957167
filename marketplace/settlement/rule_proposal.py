"""A change of how a group's pool is divided: proposed by the cooperative's director, approved by the operator's administrator.

Approved, it becomes the next version from a month that has not begun: what was earned under the old one is divided by the old one.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Model, Public, Versioned, db, get, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.settlement import distribution_rule
from marketplace.settlement.distribution_rule import (
    MOST_GUARANTEED_FEN,
    MOST_RELIEF_BP,
    RELIEF_BY,
    SOUND,
    DistributionRule,
    RuleTerms,
    Terms,
)
from marketplace.settlement.distribution_weights import days_of


class RuleProposal(RuleTerms, Public, Versioned, Model):
    """What a director asks for. ``rule_id`` is the version that it became."""

    __tablename__ = "rule_proposal"
    __table_args__ = (
        CheckConstraint("state IN ('SUBMITTED','APPROVED','RETURNED','WITHDRAWN')", name="state"),
        CheckConstraint(SOUND, name="sound"),
        Index(
            "uq_rule_proposal_waiting", "linkage_group_id", unique=True,
            sqlite_where=text("state = 'SUBMITTED'"), postgresql_where=text("state = 'SUBMITTED'"),
        ),
    )  # fmt: skip

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), index=True)
    linkage_group_id: Mapped[int] = mapped_column(ForeignKey("linkage_group.id"), index=True)
    from_period: Mapped[str] = mapped_column(String(7))
    reason: Mapped[str] = mapped_column(String(500))
    state: Mapped[str] = mapped_column(String(10), default="SUBMITTED", index=True)
    made_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[datetime]
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("distribution_rule.id"))


def propose(group_id: int, terms: Terms, from_period: str, reason: str, *, actor: Actor, key: str) -> int:
    """Ask for a new version; the proposal's id. By the cooperative's director; the same ``key`` again gives the same proposal.

    Raises InvalidInput naming its ``field``, NotFound for another cooperative's group, Conflict ``rule.open`` while one waits.
    """
    actor.must_have("COOPERATIVE", "director")
    request = [group_id, vars(terms), from_period, reason]
    answer = once(f"rule:{actor.organisation_id}", key, request, lambda: {"id": _propose(group_id, terms, from_period, reason, actor)})
    return int(answer["id"])


def withdraw(proposal_id: int, *, version: int, actor: Actor) -> RuleProposal:
    """Take a waiting proposal back."""
    actor.must_have("COOPERATIVE", "director")
    row = _waiting(proposal_id, version)
    if row.organisation_id != actor.organisation_id:
        raise not_found(RuleProposal)
    row.state = "WITHDRAWN"
    audit.record("rule.withdrawn", row, person_id=actor.person_id)
    db.session.flush()
    return row


def decide(proposal_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> RuleProposal:
    """The administrator's word. Approved, the next version is written, in force from its month.

    Raises OwnWork for whoever proposed it, Conflict ``rule.late`` if its month has begun while it waited.
    """
    actor.must_have("OPERATOR", "administrator")
    row = _waiting(proposal_id, version)
    approval.decide(row, maker_id=row.made_by_id, actor=actor, version=version, approved=approved, reason=reason[:2000])
    row.state = "APPROVED" if approved else "RETURNED"
    if approved:
        row.rule_id = _next_version(row).id
    db.session.flush()
    return row


def of_group(group_id: int) -> RuleProposal | None:
    """The proposal that waits for a group, if one does."""
    query = select(RuleProposal).where(RuleProposal.linkage_group_id == group_id, RuleProposal.state == "SUBMITTED")
    return db.session.scalars(query).one_or_none()


def reasons(organisation_id: int) -> dict[int, str]:
    """Why each version came to be, by the version's id; for everybody to read."""
    query = select(RuleProposal.rule_id, RuleProposal.reason).where(
        RuleProposal.organisation_id == organisation_id, RuleProposal.rule_id.is_not(None)
    )
    return {row[0]: row[1] for row in db.session.execute(query) if row[0] is not None}


def _propose(group_id: int, terms: Terms, from_period: str, reason: str, actor: Actor) -> int:
    group = locked(LinkageGroup, group_id)
    if group.organisation_id != actor.organisation_id:
        raise not_found(LinkageGroup)
    _must_be_sound(group, terms, from_period, reason)
    if of_group(group.id) is not None:
        raise Conflict("rule.open", N_("这个组已有一份规则等审批，先撤回那一份，或等它有了结果。"))
    row = RuleProposal(
        organisation_id=actor.organisation_id, linkage_group_id=group.id, from_period=from_period, reason=reason.strip(),
        made_by_id=actor.person_id, made_at=clock.now(), version=1, **vars(terms),
    )  # fmt: skip
    db.session.add(row)
    db.session.flush()
    audit.record("rule.proposed", row, person_id=actor.person_id, group=group.code, from_period=from_period, **vars(terms))
    return row.id


def _next_version(row: RuleProposal) -> DistributionRule:
    before = distribution_rule.latest(row.linkage_group_id)
    if row.from_period <= _this_month() or (before and row.from_period <= before.from_period):
        raise Conflict("rule.late", N_("起用的月份已经开始了，不能再批准。请退回，让合作社换一个月份。"))
    rule = DistributionRule(
        organisation_id=row.organisation_id, linkage_group_id=row.linkage_group_id, from_period=row.from_period,
        version_no=before.version_no + 1 if before else 1, **vars(Terms.of(row)),
    )  # fmt: skip
    db.session.add(rule)
    db.session.flush()
    return rule


def _must_be_sound(group: LinkageGroup, terms: Terms, from_period: str, reason: str) -> None:
    if not 6_000 <= terms.patronage_bp <= 10_000:
        raise InvalidInput("rule.patronage", N_("按交货量分的要在 60%% 到 100%% 之间。"), field="patronage_bp")
    if not 0 <= terms.guaranteed_fen <= MOST_GUARANTEED_FEN:
        raise InvalidInput("rule.guaranteed", N_("每股每月的保底要在 0 到 100,000 元之间。"), field="guaranteed_fen")
    if not 0 <= terms.relief_bp <= MOST_RELIEF_BP:
        raise InvalidInput("rule.relief", N_("先给不能劳动的户的那一份，最多占收益池的 50%%。"), field="relief_bp")
    if terms.relief_by not in RELIEF_BY:
        raise InvalidInput("rule.by", N_("请选按人还是按户平均。"), field="relief_by")
    if not 0 <= terms.relief_most_fen <= MOST_GUARANTEED_FEN:
        raise InvalidInput("rule.most", N_("每人（户）每月的上限要在 0 到 100,000 元之间，0 是不设上限。"), field="relief_most_fen")
    before = distribution_rule.latest(group.id)
    if distribution_rule.terms_of(group, before) == terms:
        raise InvalidInput("rule.same", N_("和现在的规则一样，没有变化。"), field="patronage_bp")
    try:
        days_of(from_period)
    except InvalidInput as error:
        raise InvalidInput(error.code, error.message, field="from_period") from error
    if not _this_month() < from_period <= f"{clock.business_date().year + 1}-12":
        raise InvalidInput("rule.month", N_("从下个月起才能用新规则，最晚到明年年底。"), field="from_period")
    if before is not None and from_period <= before.from_period:
        raise InvalidInput("rule.before", N_("起用的月份要晚于最近一版的 %(month)s。"), field="from_period", month=before.from_period)
    if not 2 <= len(reason.strip()) <= 500:
        raise InvalidInput("rule.reason", N_("请写明为什么要改，公开页上看得到。"), field="reason")


def _waiting(proposal_id: int, version: int) -> RuleProposal:
    # The group first, as in ``propose``: two that wait for each other would wait for ever.
    locked(LinkageGroup, get(RuleProposal, proposal_id).linkage_group_id)
    row = locked(RuleProposal, proposal_id)
    if row.state != "SUBMITTED":
        raise Conflict("rule.state", N_("这份规则已经办过了，请刷新后再看。"), state=row.state)
    row.must_be_version(version)
    return row


def _this_month() -> str:
    today: date = clock.business_date()
    return clock.period_of(today)
