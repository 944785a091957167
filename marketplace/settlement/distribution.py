"""Distribution (收益分配): a cooperative's household pools of one period, divided among the households.

Drafted by the accountant → approved by the director → published for 7 working days → objections answered → posted → paid.
"""

from sqlalchemy import delete, func, select, update

from marketplace.foundation import audit, clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, insert_many, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageGroup
from marketplace.ledger import balance, share_event
from marketplace.ledger.posting import Source
from marketplace.notices import public_notice
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.organisation import Organisation
from marketplace.settlement import taken_back
from marketplace.settlement.distribution_notice import GroupPart, body
from marketplace.settlement.distribution_pool import (
    available,
    came_back_in,
    covered,
    lock_pool,
    pools_left,
    recoverable,
    undivided,
)
from marketplace.settlement.distribution_share import (
    STATES,
    Distribution,
    DistributionGroup,
    DistributionShare,
    groups_of,
    shares_of,
)
from marketplace.settlement.distribution_weights import days_of
from marketplace.settlement.pool_division import divide_group, salt_of
from marketplace.settlement.settlement import SettlementLine
from marketplace.settlement.taken_back import TakenBack

__all__ = [
    "STATES", "Distribution", "DistributionGroup", "DistributionShare", "approve", "draft", "groups_of", "latest", "post", "publish",
    "recompute", "shares_of", "withdraw",
]  # fmt: skip


def draft(organisation_id: int, period: str, *, actor: Actor) -> Distribution:
    """Divide what the period (YYYY-MM) settled and no distribution covers yet. By the cooperative's accountant; amounts in fen.

    Per linkage group: its pool less refunds after settlement, less what recovers earlier ones within the published cap, divided
    by ``distribution_weights``. A group without anybody to give to is left out and stops no other. Raises InvalidInput
    ``distribution.future``, Conflict ``distribution.empty`` if there is nothing to divide, ``distribution.nobody`` if nobody is there at all.
    """
    actor.must_have("COOPERATIVE", "accountant")
    if actor.organisation_id != organisation_id:
        raise not_found(Distribution)
    days_of(period)
    if period > clock.period_of(clock.business_date()):
        raise InvalidInput("distribution.future", N_("%(period)s 还没有到，不能拟定。"), field="period", period=period)
    undivided(organisation_id, period)  # held from here on: whoever drafts at the same time waits, and finds nothing left
    last = select(func.max(Distribution.number)).where(
        Distribution.organisation_id == organisation_id, Distribution.period == period
    )
    row = Distribution(
        organisation_id=organisation_id,
        period=period,
        number=(db.session.scalar(last) or 0) + 1,
        total_fen=0,
        drafted_at=clock.now(),
        drafted_by_id=actor.person_id,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    _divide(row)
    audit.record("distribution.drafted", row, person_id=actor.person_id, period=period, total_fen=row.total_fen)
    db.session.flush()
    return row


def recompute(distribution_id: int, *, actor: Actor, version: int) -> Distribution:
    """Divide a draft anew from the records as they are now, and what settled since. By the accountant, who is its drafter then.

    The same records give the same fen. Raises Conflict as ``draft``, ``version.stale``; nothing but a draft is ever recomputed.
    """
    row = own_row(Distribution, distribution_id, actor, "accountant")
    row.must_be("DRAFTED")
    row.must_be_version(version)
    _free_lines(row)
    db.session.execute(delete(DistributionShare).where(DistributionShare.distribution_id == row.id))
    db.session.execute(delete(DistributionGroup).where(DistributionGroup.distribution_id == row.id))
    row.total_fen, row.drafted_at, row.drafted_by_id = 0, clock.now(), actor.person_id
    _divide(row)
    audit.record("distribution.recomputed", row, person_id=actor.person_id, period=row.period, total_fen=row.total_fen)
    db.session.flush()
    return row


def approve(distribution_id: int, *, actor: Actor, version: int, approved: bool = True, reason: str = "") -> Distribution:
    """The director's decision on a draft; returned (with a reason), it is withdrawn. OwnWork if the director drafted it."""
    row = own_row(Distribution, distribution_id, actor, "director")
    row.must_be("DRAFTED")
    row.must_be_version(version)
    approval.decide(row, maker_id=row.drafted_by_id, actor=actor, version=version, approved=approved, reason=reason)
    if not approved:
        return _take_back(row, actor, reason)
    row.state, row.approved_at, row.approved_by_id = "APPROVED", clock.now(), actor.person_id
    db.session.flush()
    return row


def publish(distribution_id: int, *, actor: Actor, version: int | None = None) -> PublicNotice:
    """Publish an approved distribution for the market's number of working days. Aggregates only: groups of fewer than five
    households are merged. A notice counted with a calendar that is not announced yet is marked provisional."""
    row = own_row(Distribution, distribution_id, actor, "director", "accountant")
    row.must_be("APPROVED")
    row.must_be_version(row.version if version is None else version)
    name = db.session.get_one(Organisation, row.organisation_id)
    notice = public_notice.publish(
        row,
        organisation_id=row.organisation_id,
        title_zh=f"{name.name_zh} {row.period} 收益分配公示",
        title_en=f"{name.name_en or name.name_zh}: distribution of {row.period}",
        body=_notice_body(row),
        workdays=settings().notice_workdays,
    )
    row.state, row.published_at, row.notice_id = "PUBLISHED", notice.published_at, notice.id
    audit.record("distribution.published", row, person_id=actor.person_id, ends_on=f"{notice.ends_on}")
    db.session.flush()
    return notice


def post(distribution_id: int, *, actor: Actor, version: int | None = None) -> Distribution:
    """Credit every household, one entry a group, once the notice has ended without an open or upheld objection.

    Raises Conflict as ``public_notice.must_have_ended``, or ``distribution.short`` if a refund has taken from the pool since the
    draft: then it is withdrawn and drafted again.
    """
    row = own_row(Distribution, distribution_id, actor, "director", "accountant")
    row.must_be("PUBLISHED")
    row.must_be_version(row.version if version is None else version)
    public_notice.must_have_ended(db.session.get_one(PublicNotice, row.notice_id))
    for group in groups_of(row.id):
        _post_group(row, group)
    row.state, row.posted_at = "POSTED", clock.now()
    audit.record("distribution.posted", row, person_id=actor.person_id, total_fen=row.total_fen)
    db.session.flush()
    return row


def withdraw(distribution_id: int, *, actor: Actor, reason: str, version: int | None = None) -> Distribution:
    """Take back what is not posted yet, with a reason; its settlements are free to be drafted again.

    By the cooperative's director or accountant, or by the operator, who may object so.
    """
    row = locked(Distribution, distribution_id)
    if actor.is_operator:
        actor.must_have("OPERATOR", "administrator", "reviewer", "treasurer")
    else:
        row = own_row(Distribution, distribution_id, actor, "director", "accountant")
    row.must_be("DRAFTED", "APPROVED", "PUBLISHED")
    row.must_be_version(row.version if version is None else version)
    if not reason.strip():
        raise InvalidInput("reason.missing", N_("撤回时请写明理由。"), field="reason")
    audit.record("distribution.withdrawn", row, person_id=actor.person_id, organisation_id=actor.organisation_id)
    return _take_back(row, actor, reason)


def latest(organisation_id: int, period: str) -> Distribution:
    """The newest distribution of a cooperative's period that was not withdrawn. NotFound if there is none."""
    query = (
        select(Distribution)
        .where(
            Distribution.organisation_id == organisation_id, Distribution.period == period, Distribution.state != "WITHDRAWN"
        )
        .order_by(Distribution.number.desc())
        .limit(1)
    )
    row = db.session.scalars(query).one_or_none()
    if row is None:
        raise not_found(Distribution)
    return row


def _divide(row: Distribution) -> None:
    """Write the groups and shares of everything undivided in its period, which it covers from now on."""
    lines = undivided(row.organisation_id, row.period)
    came_back = came_back_in(row.organisation_id, row.period)
    by_group: dict[int, list[SettlementLine]] = {group_id: [] for group_id in came_back}
    nothing = Conflict("distribution.empty", N_("%(period)s 没有待分配的收益。"), period=row.period)
    if not any(pools_left(lines).values()) and not by_group:
        raise nothing
    for line in lines:
        line.distribution_id = row.id
        by_group.setdefault(line.linkage_group_id, []).append(line)
    db.session.flush()  # what settles from here on is no part of this
    for group_id, its in sorted(by_group.items()):
        try:
            row.total_fen += _draft_group(row, db.session.get_one(LinkageGroup, group_id), its, comes_back=group_id in came_back)
        except Conflict as refused:
            if refused.code != "distribution.nobody":
                raise
            nothing = refused
            for line in its:
                line.distribution_id = line.divided_fen = None
    if not groups_of(row.id):
        raise nothing


def _draft_group(row: Distribution, group: LinkageGroup, lines: list[SettlementLine], *, comes_back: bool) -> int:
    """Write a group's part and its households' shares; returns the fen they get."""
    # Two months drafted at once would each take the same pool, and recover the same refund: one waits here for the other.
    lock_pool(row.organisation_id, group.id)
    left = pools_left(lines)
    for line in lines:
        line.divided_fen = left[line.id]
    pool_fen, recovered_fen = available(row.organisation_id, group.id, sum(left.values()), comes_back=comes_back, but=row.id)
    if not lines and not pool_fen:
        return 0
    divided = divide_group(
        group,
        pool_fen - recovered_fen,
        period=row.period,
        order_line_ids=[line.order_line_id for line in lines],
        salt=salt_of(row.period, group),
        but=row.id,
    )
    db.session.add(
        DistributionGroup(
            organisation_id=row.organisation_id,
            distribution_id=row.id,
            linkage_group_id=group.id,
            pool_fen=pool_fen,
            recovered_fen=recovered_fen,
            patronage_fen=divided.patronage_fen,
            equity_fen=divided.equity_fen,
            basis=divided.basis,
            households=divided.parts.households_with_money,
            rule_id=divided.rule_id,
            relief_units=divided.parts.total("relief_units"),
            relief_fen=divided.relief_fen,
            guaranteed_due_fen=divided.guaranteed_due_fen,
            guaranteed_fen=divided.guaranteed_fen,
        )
    )
    if divided.relief_fen:
        # Who cannot work is sealed: that it was opened, and what for, is written down.
        audit.record("households.hardship_opened", group, person_id=row.drafted_by_id, purpose="relief_share", period=row.period)
    grams, share_days = divided.parts.total("grams"), divided.parts.total("share_days")
    insert_many(
        "distribution_share",
        (
            "organisation_id", "distribution_id", "linkage_group_id", "total_grams", "total_share_days", "household_id", "grams",
            "patronage_fen", "share_days", "equity_fen", "relief_units", "relief_fen", "guaranteed_due_fen", "guaranteed_fen", "fen",
        ),
        (
            (row.organisation_id, row.id, group.id, grams, share_days, *part, part[2] + part[4] + part[6] + part[8])
            for part in divided.parts.rows()
        ),
    )  # fmt: skip
    db.session.flush()
    return divided.fen


def _post_group(row: Distribution, group: DistributionGroup) -> None:
    owner = lock_pool(row.organisation_id, group.linkage_group_id)
    if balance.held("household_pool", row.organisation_id, owner) < group.pool_fen or _refunded_since(row, group):
        raise Conflict("distribution.short", N_("拟定之后有退款，收益池不够了。请撤回后重新拟定。"))
    if balance.held("pool_recoverable", row.organisation_id, owner) < group.recovered_fen:
        # A refund that the channel refused for good, say: what it took is there again, and the households must not bear it.
        raise Conflict("distribution.recovered", N_("拟定之后，要收回的退款变少了，农户应分得更多。请撤回后重新拟定。"))
    source = Source("distribution_group", group.id)
    if group.recovered_fen:
        share_event.recovered(
            book=row.organisation_id, source=source, group_id=group.linkage_group_id, fen=group.recovered_fen
        )
    shares = select(DistributionShare.household_id, DistributionShare.fen).where(
        DistributionShare.distribution_id == row.id,
        DistributionShare.linkage_group_id == group.linkage_group_id,
        DistributionShare.fen > 0,
    )
    if group.fen:
        group.entry_id = share_event.distributed_by(
            book=row.organisation_id, source=source, group_id=group.linkage_group_id, shares=shares
        )


def _refunded_since(row: Distribution, group: DistributionGroup) -> bool:
    """Whether a refund took of a line what the draft divides: other months' money in the pool does not make that good."""
    taken = taken_back.of_pools(TakenBack.organisation_id == row.organisation_id)
    its = (SettlementLine.distribution_id == row.id, SettlementLine.linkage_group_id == group.linkage_group_id)
    short = select(SettlementLine.id).join(taken, taken.c.line_id == SettlementLine.id).where(*its, taken_back.pool_left(taken) < covered())
    return db.session.scalar(short.limit(1)) is not None


def _take_back(row: Distribution, actor: Actor, reason: str) -> Distribution:
    if row.notice_id is not None:
        db.session.get_one(PublicNotice, row.notice_id).withdrawn_at = clock.now()
    _free_lines(row)
    row.state, row.withdrawn_at, row.withdrawn_by_id = "WITHDRAWN", clock.now(), actor.person_id
    row.withdrawn_reason = reason.strip()
    db.session.flush()
    return row


def _free_lines(row: Distribution) -> None:
    covered = update(SettlementLine).where(SettlementLine.distribution_id == row.id)
    db.session.execute(covered.values(distribution_id=None, divided_fen=None))


def _notice_body(row: Distribution) -> dict[str, object]:
    parts = [
        GroupPart(
            db.session.get_one(LinkageGroup, each.linkage_group_id).name_zh, each.households,
            each.fen, each.recovered_fen, each.basis, each.guaranteed_due_fen, each.guaranteed_fen, each.relief_fen,
        )
        for each in groups_of(row.id)
    ]  # fmt: skip
    relieved = select(func.count(DistributionShare.household_id.distinct())).where(
        DistributionShare.distribution_id == row.id, DistributionShare.relief_fen > 0
    )
    owed = recoverable(row.organisation_id)
    left_fen = sum(max(0, owed.get(each.linkage_group_id, 0) - each.recovered_fen) for each in groups_of(row.id))
    return body(
        row.period, row.total_fen, parts, relieved=db.session.scalar(relieved) or 0,
        recoverable_fen=left_fen, cap_bp=settings().recovery_cap_bp,
    )  # fmt: skip
