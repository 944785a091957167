"""Members of a linkage group as pages show them: masked, with what each holds, delivered and last got. Every look is recorded."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, select

from marketplace.foundation import clock
from marketplace.foundation.crypto import last_four, masked_name
from marketplace.foundation.database import db, transaction
from marketplace.households import privacy
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.actor import Actor
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.supply.batch import Batch, Delivery


@dataclass
class Member:
    """One household, masked; grams of the last twelve months, fen of the latest posted distribution (None: it had no part in it)."""

    public_id: str
    code: str
    name: str
    account: str
    grams: int
    last_fen: int | None
    shares: list[LinkageShare] = field(default_factory=list)


def members(group: LinkageGroup, homes: Select[Any], actor: Actor) -> list[Member]:
    """What ``homes`` (a select of households) finds, as members of the group. Two statements, and the record of the look.

    What was read before is let go of, so that pages show it as it was read: the record is written in a transaction of its own.
    """
    found: dict[int, Member] = {}
    for home, grams, fen in db.session.execute(homes.add_columns(_delivered(group), _last(group))):
        found[home.id] = Member(home.public_id, home.code, masked_name(home.name), last_four(home.bank_account), int(grams), fen)
    shares = select(LinkageShare).where(LinkageShare.group_id == group.id, LinkageShare.household_id.in_(found)).order_by(LinkageShare.starts_on)
    for share in db.session.scalars(shares):
        found[share.household_id].shares.append(share)
    db.session.expunge_all()
    transaction(lambda: privacy.looked_at(group, list(found), actor=actor))
    return list(found.values())


def _delivered(group: LinkageGroup) -> Any:
    since = clock.business_date() - timedelta(days=365)
    return (
        select(func.coalesce(func.sum(Delivery.grams), 0))
        .join(Batch, Batch.id == Delivery.batch_id)
        .where(Batch.linkage_group_id == group.id, Delivery.household_id == Household.id, Delivery.voided_at.is_(None), Delivery.delivered_on > since)
        .scalar_subquery()
    )


def _last(group: LinkageGroup) -> Any:
    posted = (Distribution.organisation_id == group.organisation_id) & (Distribution.state == "POSTED")
    latest = select(func.max(Distribution.period)).where(posted).scalar_subquery()
    return (
        select(func.sum(DistributionShare.fen))
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(DistributionShare.linkage_group_id == group.id, DistributionShare.household_id == Household.id, posted, Distribution.period == latest)
        .scalar_subquery()
    )
