"""The two questions that every product and batch begins with: whose (the linkage group) and from where (a village of its township)."""

from sqlalchemy import or_, select

from marketplace.catalogue.category import CATEGORIES
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import text
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.region import Region

Options = list[tuple[str, str]]


def groups_and_villages(organisation_id: int) -> tuple[Options, list[tuple[str, Options]]]:
    """The cooperative's groups in force as options, and the villages of their townships, grouped by township. Three statements."""
    today = clock.business_date()
    groups = db.session.execute(
        select(LinkageGroup, Region)
        .join(Region, Region.id == LinkageGroup.region_id)
        .where(LinkageGroup.organisation_id == organisation_id, or_(LinkageGroup.ends_on.is_(None), LinkageGroup.ends_on >= today))
        .order_by(LinkageGroup.id)
    ).all()
    townships = {region.parent_id if region.kind == "VILLAGE" else region.id for _group, region in groups}
    names = {row.id: text(row, "name") for row in db.session.scalars(select(Region).where(Region.id.in_(townships)))}
    villages: dict[int, Options] = {}
    query = select(Region).where(Region.kind == "VILLAGE", Region.parent_id.in_(townships)).order_by(Region.code)
    for village in db.session.scalars(query):
        villages.setdefault(village.parent_id or 0, []).append((village.code, text(village, "name")))
    options = [(group.public_id, f"{text(group, 'name')} · {_(CATEGORIES[group.category][0])}") for group, _region in groups]
    return options, [(names[township], own) for township, own in villages.items()]
