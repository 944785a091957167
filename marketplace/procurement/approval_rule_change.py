"""A looser rule of approval for a unit: one approver asks, in force only when another agrees. What stands until then is the stricter one.

It is agreed to only while the rule is still the one that was to be loosened.
"""

from typing import Any

from sqlalchemy import CheckConstraint, Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation.database import Model, db, get, locked, not_found
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import N_
from marketplace.foundation.money import format_yuan
from marketplace.notices import message
from marketplace.notices.message import Say
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role
from marketplace.organisations.proposal import TWO_PEOPLE, Proposal, put
from marketplace.procurement import approval_rule

WAITS = text("state = 'PROPOSED'")


class ApprovalRuleChange(Proposal, Model):
    """``second_before_fen`` and ``second_from_fen`` (None: never two) of the rule at ``rule_version``."""

    __tablename__ = "approval_rule_change"
    not_now = ("rule.decided", N_("这一次已经有结果了，请刷新页面看看。"))
    __table_args__ = (
        CheckConstraint("state IN ('PROPOSED','APPROVED','RETURNED')", name="state"),
        CheckConstraint("(state = 'PROPOSED') = (decided_by_id IS NULL)", name="decided"),
        CheckConstraint(TWO_PEOPLE, name="two_people"),
        CheckConstraint("second_from_fen IS NULL OR second_from_fen > second_before_fen", name="looser"),
        Index("uq_approval_rule_change_waiting", "organisation_id", unique=True, sqlite_where=WAITS, postgresql_where=WAITS),
    )

    rule_version: Mapped[int]
    second_before_fen: Mapped[int]
    second_from_fen: Mapped[int | None]
    state: Mapped[str] = mapped_column(String(10), default="PROPOSED")
    returned_reason: Mapped[str] = mapped_column(String(300), default="")


def set_rule(second_from_fen: int | None, *, version: int, actor: Actor) -> ApprovalRuleChange | None:
    """Set a stricter rule at once, or ask another approver for a looser one.

    Raises as ``approval_rule.set_rule``; Conflict ``rule.waiting`` while a looser one waits and another is asked for.
    """
    approval_rule.must_be_settable(second_from_fen, version=version, actor=actor)
    if not approval_rule.loosens(actor.organisation_id, second_from_fen):
        approval_rule.write(actor.organisation_id, second_from_fen, by_id=actor.person_id)
        return None
    if waiting(actor.organisation_id) is not None:
        raise Conflict("rule.waiting", N_("已经有一次放宽在等另一位审批人。先办完那一次。"))
    rule = approval_rule.of(actor.organisation_id)
    assert rule is not None
    row = ApprovalRuleChange(
        organisation_id=actor.organisation_id, rule_version=rule.version, second_before_fen=rule.second_from_fen or 0, second_from_fen=second_from_fen
    )
    put(row, "approval_rule.asked", person_id=actor.person_id, before=row.second_before_fen, after=second_from_fen)
    _tell(row, actor)
    return row


def decide(change_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> ApprovalRuleChange:
    """Another approver's word. Raises OwnWork for who asked, NotFound for another unit's, Conflict ``rule.decided``, ``version.stale``,
    ``rule.stale`` if the rule changed since, InvalidInput ``reason.missing`` for a return without one."""
    actor.must_have("UNIT", "approver")
    if get(ApprovalRuleChange, change_id).organisation_id != actor.organisation_id:
        raise not_found(ApprovalRuleChange)
    locked(Organisation, actor.organisation_id)
    row = locked(ApprovalRuleChange, change_id)
    row.decide(actor=actor, version=version, approved=approved, reason=reason)
    row.state, row.returned_reason = ("APPROVED", "") if approved else ("RETURNED", reason.strip()[:300])
    if approved:
        rule = approval_rule.of(actor.organisation_id)
        if rule is None or rule.version != row.rule_version:
            raise Conflict("rule.stale", N_("提出以后，规则已经改过。请退回这一次，对照现在的规则重新提出。"))
        approval_rule.write(actor.organisation_id, row.second_from_fen, by_id=row.proposed_by_id)
    db.session.flush()
    return row


def waiting(organisation_id: int) -> ApprovalRuleChange | None:
    """What waits for another approver of a unit."""
    query = select(ApprovalRuleChange).where(ApprovalRuleChange.organisation_id == organisation_id, ApprovalRuleChange.state == "PROPOSED")
    return db.session.scalars(query).one_or_none()


def _tell(row: ApprovalRuleChange, actor: Actor) -> None:
    """Every other approver of the unit hears of it."""
    query = (
        select(Role.person_id)
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id == row.organisation_id, Role.name == "approver", Role.person_id != actor.person_id, Person.deactivated_at.is_(None))
    )
    data = {"by": actor.person_name, "before": row.second_before_fen, "after": row.second_from_fen}
    for person_id in db.session.scalars(query.order_by(Role.person_id)).all():
        number = f"approval_rule:{row.id}:{person_id}"
        message.write("approval_rule", number, data, person_id=person_id, organisation_id=row.organisation_id, path="/unit/rule", by_mail=True)


@message.worded("approval_rule")
def _words(data: dict[str, Any], say: Say) -> tuple[str, str]:
    before, after = (f"¥{format_yuan(data[name] or 0)}" for name in ("before", "after"))
    subject = say(N_("%(by)s 要放宽审批规则，等您同意"), by=data["by"])
    if data["after"] is None:
        return subject, say(N_("现在满 %(before)s 的单要两位审批人；改成每张单一位就行。"), before=before)
    return subject, say(N_("现在满 %(before)s 的单要两位审批人；改成满 %(after)s 才要。"), before=before, after=after)
