"""Members of a linkage group as pages show them: masked, with what each holds, delivered and last got. Every look is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import func, select

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
    """One household, masked; grams of the last twelve months, fen of the latest posted distribution."""

    public_id: str
    code: str
    name: str
    account: str
    shares: list[LinkageShare] = field(default_factory=list)
    grams: int = 0
    last_fen: int = 0
    last_period: str = ""


def members(group: LinkageGroup, homes: Sequence[Household], actor: Actor) -> list[Member]:
    """These households as members of the group. Four statements and the record of the look."""
    ids = [home.id for home in homes]
    found = {home.id: Member(home.public_id, home.code, masked_name(home.name), last_four(home.bank_account)) for home in homes}
    shares = select(LinkageShare).where(LinkageShare.group_id == group.id, LinkageShare.household_id.in_(ids)).order_by(LinkageShare.starts_on)
    for share in db.session.scalars(shares):
        found[share.household_id].shares.append(share)
    since = clock.business_date() - timedelta(days=365)
    delivered = (
        select(Delivery.household_id, func.sum(Delivery.grams))
        .join(Batch, Batch.id == Delivery.batch_id)
        .where(Batch.linkage_group_id == group.id, Delivery.household_id.in_(ids), Delivery.voided_at.is_(None), Delivery.delivered_on > since)
        .group_by(Delivery.household_id)
    )
    for household_id, grams in db.session.execute(delivered):
        found[household_id].grams = int(grams)
    latest = select(func.max(Distribution.period)).where(Distribution.organisation_id == group.organisation_id, Distribution.state == "POSTED")
    got = (
        select(DistributionShare.household_id, Distribution.period, func.sum(DistributionShare.fen))
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(
            DistributionShare.linkage_group_id == group.id, DistributionShare.household_id.in_(ids), Distribution.state == "POSTED",
            Distribution.period == latest.scalar_subquery(),
        )
        .group_by(DistributionShare.household_id, Distribution.period)
    )  # fmt: skip
    for household_id, period, fen in db.session.execute(got):
        found[household_id].last_fen, found[household_id].last_period = int(fen), period
    transaction(lambda: privacy.looked_at(group, ids, actor=actor))
    return list(found.values())
