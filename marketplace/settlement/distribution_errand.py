"""The steps of a distribution that are errands where households are many, and how many there are."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from marketplace.errands.step import step
from marketplace.foundation.database import db
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageShare
from marketplace.organisations.actor import Actor
from marketplace.settlement import distribution
from marketplace.settlement.distribution_share import Distribution, DistributionGroup
from marketplace.settlement.settlement import SettlementLine

Given = Mapping[str, Any]


def of_month(organisation_id: int, period: str) -> str:
    """What a draft is taken with: nobody drafts a month twice at once."""
    return f"month:{organisation_id}:{period}"


def of(distribution_id: int) -> str:
    """What every later step, and the making of payout batches, is taken with."""
    return f"distribution:{distribution_id}"


def members(organisation_id: int, period: str) -> int:
    """Shares in the groups whose pools a draft of the period would divide: at least as many as it will have households."""
    groups = select(SettlementLine.linkage_group_id).where(
        SettlementLine.organisation_id == organisation_id, SettlementLine.period == period, SettlementLine.distribution_id.is_(None)
    )
    return db.session.scalar(select(func.count(LinkageShare.id)).where(LinkageShare.group_id.in_(groups))) or 0


def households(row: Distribution) -> int:
    """Households of a distribution, one of two groups counted in both."""
    return int(db.session.scalar(select(func.sum(DistributionGroup.households)).where(DistributionGroup.distribution_id == row.id)) or 0)


@step("distribution.draft", N_("拟定 %(of)s 的收益分配"), N_("已拟定，等理事长审批。"), "accountant")
def _draft(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": distribution.draft(actor.organisation_id, given["period"], actor=actor).public_id}


@step("distribution.recompute", N_("重算 %(of)s 的收益分配"), N_("已重算。"), "accountant")
def _recompute(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": distribution.recompute(given["id"], actor=actor, version=given["version"]).public_id}


@step("distribution.post", N_("把 %(of)s 的收益记到各户"), N_("已记到各户，会计可以做代发批次了。"), "accountant", "director")
def _post(given: Given, actor: Actor) -> dict[str, Any]:
    return {"paper": distribution.post(given["id"], actor=actor, version=given["version"]).public_id}
