"""A cooperative's linkage groups in figures: members, shares, deliveries, the last distribution, objections that wait."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, func, select

from marketplace.foundation import clock
from marketplace.foundation.database import db, not_found
from marketplace.households.benefit import HouseholdBenefit
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.notices.public_notice import Objection, PublicNotice
from marketplace.settlement.distribution import Distribution, DistributionGroup
from marketplace.supply.batch import Batch, Delivery


@dataclass
class GroupFigures:
    """Households and equity shares in force today, grams delivered and fen of wages, rent and relief this year, the last distribution."""

    group: LinkageGroup
    households: int
    equity_shares: int
    grams: int
    benefit_fen: int
    last_fen: int = 0
    last_period: str = ""
    last_state: str = ""
    notice: str = ""  # the public id of its notice
    objections: int = 0


def groups(organisation_id: int) -> list[GroupFigures]:
    """The cooperative's groups, two statements whatever their number."""
    found = {each.group.id: each for each in _figures(LinkageGroup.organisation_id == organisation_id)}
    for part, whole, notice, objections in db.session.execute(_distributions(LinkageGroup.organisation_id == organisation_id)):
        each = found[part.linkage_group_id]  # the last one stays
        each.last_fen, each.last_period, each.last_state = part.fen, whole.period, whole.state
        each.notice, each.objections = notice or "", objections
    return list(found.values())


def one(public_id: str, organisation_id: int) -> GroupFigures:
    """One group of the cooperative without its last distribution, one statement. NotFound for another one's."""
    found = _figures((LinkageGroup.organisation_id == organisation_id) & (LinkageGroup.public_id == public_id))
    if not found:
        raise not_found(LinkageGroup)
    return found[0]


def _figures(whose: ColumnElement[bool]) -> list[GroupFigures]:
    today = clock.business_date()
    first = date(today.year, 1, 1)
    held = (
        LinkageShare.group_id == LinkageGroup.id, LinkageShare.starts_on <= today, LinkageShare.ends_on.is_(None) | (LinkageShare.ends_on >= today)
    )  # fmt: skip
    delivered = select(func.coalesce(func.sum(Delivery.grams), 0)).join(Batch, Batch.id == Delivery.batch_id)
    query = select(
        LinkageGroup,
        select(func.count(LinkageShare.household_id.distinct())).where(*held).scalar_subquery(),
        select(func.coalesce(func.sum(LinkageShare.shares), 0)).where(*held, LinkageShare.kind == "EQUITY").scalar_subquery(),
        delivered.where(Batch.linkage_group_id == LinkageGroup.id, Delivery.voided_at.is_(None), Delivery.delivered_on >= first).scalar_subquery(),
        select(func.coalesce(func.sum(HouseholdBenefit.fen), 0))
        .where(HouseholdBenefit.group_id == LinkageGroup.id, HouseholdBenefit.paid_on >= first)
        .scalar_subquery(),
    )
    rows = db.session.execute(query.where(whose).order_by(LinkageGroup.id))
    return [GroupFigures(row[0], int(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows]


def _distributions(whose: ColumnElement[bool]) -> Any:
    """Each group's parts of distributions in order, with the notice's public id and how many objections to it wait."""
    waiting = select(func.count()).where(Objection.notice_id == Distribution.notice_id, Objection.outcome == "OPEN").scalar_subquery()
    latest = (
        select(func.max(Distribution.id))
        .join(DistributionGroup, DistributionGroup.distribution_id == Distribution.id)
        .where(DistributionGroup.linkage_group_id == LinkageGroup.id, Distribution.state != "WITHDRAWN")
        .correlate(LinkageGroup)
        .scalar_subquery()
    )
    return (
        select(DistributionGroup, Distribution, PublicNotice.public_id, waiting)
        .join(LinkageGroup, LinkageGroup.id == DistributionGroup.linkage_group_id)
        .join(Distribution, Distribution.id == DistributionGroup.distribution_id)
        .outerjoin(PublicNotice, PublicNotice.id == Distribution.notice_id)
        .where(whose, Distribution.id == latest)
    )
