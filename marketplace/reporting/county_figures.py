"""The county's figures, counted from the tables and never stored. Registered households only, as the county's own report counts."""

from datetime import date
from typing import Any

from sqlalchemy import func, or_, select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.organisation import Organisation, ServiceStation
from marketplace.organisations.region import Region
from marketplace.procurement.target import Target
from marketplace.settlement import payout_found
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem
from marketplace.settlement.settlement import Settlement
from marketplace.supply.batch import Batch, Delivery


def figures() -> dict[str, Any]:
    """Households and people by state, places, goods, linkage and targets. Opens the sealed hardship of households not lifted."""
    registered = select(Household).where(Household.exited_on.is_(None), Household.registry_status.in_(("LIFTED", "NOT_LIFTED")))
    states = {
        row[0]: (row[1], row[2])
        for row in db.session.execute(
            registered.with_only_columns(Household.registry_status, func.count(), func.sum(Household.people)).group_by(
                Household.registry_status
            )
        )
    }
    lifted, not_lifted = states.get("LIFTED", (0, 0)), states.get("NOT_LIFTED", (0, 0))
    poor = list(db.session.scalars(registered.where(Household.registry_status == "NOT_LIFTED")))
    ill = [home for home in poor if home.ill_or_disabled]
    linked = select(func.count(LinkageShare.household_id.distinct())).where(LinkageShare.ends_on.is_(None))
    return {
        "households": lifted[0] + not_lifted[0],
        "people": int(lifted[1] + not_lifted[1]),
        "lifted_households": lifted[0],
        "lifted_people": int(lifted[1]),
        "not_lifted_households": not_lifted[0],
        "not_lifted_people": int(not_lifted[1]),
        "ill_or_disabled_households": len(ill),
        "ill_or_disabled_people": sum(home.people for home in ill),
        "unable_to_work_people": sum(home.unable_to_work for home in poor),
        "linked_households": db.session.scalar(linked) or 0,
        "townships": _count(Region, Region.kind == "TOWNSHIP"),
        "villages": _count(Region, Region.kind == "VILLAGE"),
        "service_stations": _count(ServiceStation),
        "cooperatives": _count(Organisation, Organisation.kind == "COOPERATIVE"),
        "units": _count(Organisation, Organisation.kind == "UNIT"),
        "products": _count(Product),
        "products_on_sale": _count(Product, Product.state == "ON_SALE"),
        "packs": _count(Pack),
        "linkage_groups": _count(LinkageGroup),
        "batches": _count(Batch),
        "deliveries": _count(Delivery),
        "targets": _count(Target),
        "reserved_fen_by_year": {
            str(row[0]): int(row[1])
            for row in db.session.execute(select(Target.year, func.sum(Target.reserved_fen + Target.adjusted_fen)).group_by(Target.year).order_by(Target.year))
        },
    }


def _count(model: Any, *where: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model).where(*where)) or 0


def brought(year: int) -> dict[str, int]:
    """What the market brought to households in a year: ``pool_fen`` set aside for them at settlement, ``paid_fen`` that reached
    their accounts, what was paid twice once (both Beijing time), ``households`` that were paid, and ``linked`` households with a share in force today."""
    first, following = clock.beijing_midnight(date(year, 1, 1)), clock.beijing_midnight(date(year + 1, 1, 1))
    pool = select(func.coalesce(func.sum(Settlement.pool_fen), 0)).where(Settlement.period.like(f"{year}-%"))
    each = payout_found.arrived([PayoutItem.household_id], PayoutBatch.made_at >= first, PayoutBatch.made_at < following).subquery("each")
    paid = select(func.coalesce(func.sum(each.c.fen), 0), func.count(each.c.household_id.distinct()))
    paid_fen, households = db.session.execute(paid).one()
    today = clock.business_date()
    linked = select(func.count(LinkageShare.household_id.distinct())).where(
        LinkageShare.starts_on <= today, or_(LinkageShare.ends_on.is_(None), LinkageShare.ends_on >= today)
    )
    return {
        "pool_fen": int(db.session.scalar(pool) or 0),
        "paid_fen": int(paid_fen),
        "households": int(households),
        "linked": db.session.scalar(linked) or 0,
    }
