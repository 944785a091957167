"""A unit's rule of approval by amount: from how many fen on an order needs two approvers. Without a rule one is enough.

Nobody approves their own, and the same person never counts twice. A new rule holds for orders that are submitted after it. A stricter one holds
at once; one that asks for fewer people takes two approvers itself (``approval_rule_change``), or one alone would undo it.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, func, select
from sqlalchemy.orm import Mapped, mapped_column

from marketplace.foundation import audit, clock
from marketplace.foundation.database import Identified, Model, Versioned, db, locked
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.foundation.money import FEN_MAX
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, Role


class ApprovalRule(Identified, Versioned, Model):
    """``second_from_fen``: an order of so much or more needs a second approver; None: never."""

    __tablename__ = "approval_rule"
    __table_args__ = (CheckConstraint("second_from_fen IS NULL OR second_from_fen > 0", name="second_from"),)

    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"), unique=True)
    second_from_fen: Mapped[int | None]
    set_at: Mapped[datetime]
    set_by_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


def of(organisation_id: int) -> ApprovalRule | None:
    """The unit's rule, if it made one."""
    return db.session.scalars(select(ApprovalRule).where(ApprovalRule.organisation_id == organisation_id)).one_or_none()


def needed(organisation_id: int, total_fen: int) -> int:
    """How many approvers an order of so many fen needs: 1 or 2."""
    rule = of(organisation_id)
    return 2 if rule is not None and rule.second_from_fen is not None and total_fen >= rule.second_from_fen else 1


def loosens(organisation_id: int, second_from_fen: int | None) -> bool:
    """Whether so many fen would let pass with one approver what takes two now."""
    rule = of(organisation_id)
    now = rule.second_from_fen if rule else None
    return now is not None and (second_from_fen is None or second_from_fen > now)


def set_rule(second_from_fen: int | None, *, version: int, actor: Actor) -> ApprovalRule:
    """An approver of the unit sets from how many fen on two must approve. ``version`` 0: there was no rule yet.

    Raises NotAllowed ``rule.two`` if it loosens, InvalidInput ``fen.bad``, Conflict ``rule.alone`` if the unit has fewer than two approvers,
    ``version.stale``.
    """
    must_be_settable(second_from_fen, version=version, actor=actor)
    if loosens(actor.organisation_id, second_from_fen):
        raise NotAllowed("rule.two", N_("放宽这条规则，要另一位审批人同意。"))
    return write(actor.organisation_id, second_from_fen, by_id=actor.person_id)


def must_be_settable(second_from_fen: int | None, *, version: int, actor: Actor) -> None:
    """Raise as ``set_rule`` for what nobody may set, nor ask for. Who changes a unit's rule holds the unit: two at once take turns."""
    actor.must_have("UNIT", "approver")
    if second_from_fen is not None and not 0 < second_from_fen < FEN_MAX:
        raise InvalidInput("fen.bad", N_("请填写金额；不要这条规则就留空。"), field="second_from")
    locked(Organisation, actor.organisation_id)
    if (second_from_fen is not None or loosens(actor.organisation_id, None)) and approvers(actor.organisation_id) < 2:
        raise Conflict("rule.alone", N_("本单位只有一位审批人，先请县级运营方再开一位，才能要求两人审批，或放宽这个要求。"))
    row = of(actor.organisation_id)
    if version != (row.version if row else 0):
        raise Conflict("version.stale", N_("别人刚刚改过这一项。两边的内容都保留着，请对照后再保存。"))


def write(organisation_id: int, second_from_fen: int | None, *, by_id: int) -> ApprovalRule:
    """Write what ``set_rule`` or two approvers said."""
    row = of(organisation_id)
    if row is None:
        row = ApprovalRule(organisation_id=organisation_id, version=1)
        db.session.add(row)
    else:
        row.version += 1
    row.second_from_fen, row.set_at, row.set_by_id = second_from_fen, clock.now(), by_id
    db.session.flush()
    audit.record("approval_rule.set", row, person_id=by_id, second_from_fen=second_from_fen)
    return row


def approvers(organisation_id: int) -> int:
    """How many people may approve in a unit."""
    query = (
        select(func.count(Role.person_id.distinct()))
        .join(Person, Person.id == Role.person_id)
        .where(Role.organisation_id == organisation_id, Role.name == "approver", Person.deactivated_at.is_(None))
    )
    return db.session.scalar(query) or 0
