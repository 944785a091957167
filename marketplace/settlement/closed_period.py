"""Until which day a group's shares are spoken for: the last period with a distribution that was not withdrawn. Shares do not reach back."""

from datetime import date

from sqlalchemy import func, select

from marketplace.foundation.database import db
from marketplace.households import linkage_share
from marketplace.settlement.distribution import Distribution, DistributionGroup
from marketplace.settlement.distribution_weights import days_of


def distributed_until(group_id: int) -> date | None:
    """The last day of the group's latest distributed (or drafted) period, or None."""
    query = (
        select(func.max(Distribution.period))
        .join(DistributionGroup, DistributionGroup.distribution_id == Distribution.id)
        .where(DistributionGroup.linkage_group_id == group_id, Distribution.state != "WITHDRAWN")
    )
    period = db.session.scalar(query)
    return days_of(period)[1] if period else None


if distributed_until not in linkage_share.closed_until:
    linkage_share.closed_until.append(distributed_until)
