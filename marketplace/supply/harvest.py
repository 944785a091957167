"""A harvest that a clerk records becomes a batch; its weight may be corrected with a reason, never below what is packed."""

from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.region import Region
from marketplace.supply import mass_balance
from marketplace.supply.batch import Batch

GRAMS_MOST = 10**10  # ten thousand tonnes
EARLIEST = timedelta(days=3 * 366)


@dataclass(frozen=True)
class Harvest:
    """What was brought in: group (public id), village (code), day, metres, mu, grams of finished goods."""

    group: str
    village: str
    harvested_on: date
    grams: int
    altitude_m: int | None = None  # the village's, if not given
    area_mu: int | None = None


def record(brought: Harvest, *, actor: Actor, key: str) -> int:
    """Write the batch; its id. The same ``key`` again gives the same batch. By the cooperative's clerk or director.

    Raises InvalidInput naming its ``field`` (day, village, weight, altitude, area), NotFound for another cooperative's group.
    More than the area yields is recorded and becomes a question for the county office (``mass_balance``).
    """
    actor.must_have("COOPERATIVE", "clerk", "director")
    return int(once(f"harvest:{actor.organisation_id}", key, vars(brought), lambda: {"id": _record(brought, actor)})["id"])


def _record(brought: Harvest, actor: Actor) -> int:
    group = by_public_id(LinkageGroup, brought.group, select(LinkageGroup).where(LinkageGroup.organisation_id == actor.organisation_id))
    today = clock.business_date()
    if not max(today - EARLIEST, group.starts_on) <= brought.harvested_on <= min(today, group.ends_on or today):
        raise InvalidInput("harvest.day", N_("采收日不能晚于今天，也要在联农组的有效期内。"), field="harvested_on")
    village = db.session.scalars(select(Region).where(Region.code == brought.village, Region.kind == "VILLAGE")).one_or_none()
    named_after = db.session.get_one(Region, group.region_id)
    if village is None or village.parent_id not in (named_after.id, named_after.parent_id):
        raise InvalidInput("origin.township", N_("请选联农组所在乡镇的一个村。"), field="village")
    _must_weigh(brought.grams)
    if brought.altitude_m is not None and not 0 < brought.altitude_m <= 3000:
        raise InvalidInput("harvest.altitude", N_("海拔请写 1 到 3000 之间的米数。"), field="altitude_m")
    if brought.area_mu is not None and not 0 < brought.area_mu <= 100_000:
        raise InvalidInput("harvest.area", N_("面积请写 1 到 100,000 之间的亩数。"), field="area_mu")
    row = Batch(
        organisation_id=actor.organisation_id,
        code=_code(group, brought.harvested_on),
        category=group.category,
        linkage_group_id=group.id,
        village_id=village.id,
        harvested_on=brought.harvested_on,
        altitude_m=brought.altitude_m or village.altitude_m,
        area_mu=brought.area_mu,
        grams_harvested=brought.grams,
        grams_packed=0,
        grams_sold=0,
        version=1,
    )
    db.session.add(row)
    db.session.flush()
    audit.record("batch.harvested", row, person_id=actor.person_id, grams=brought.grams)
    mass_balance.look(actor.organisation_id)
    return row.id


def correct(batch_id: int, grams: int, reason: str, *, version: int, actor: Actor) -> Batch:
    """Set what was harvested right. Raises InvalidInput without a reason, Conflict below what is packed or ``version.stale``."""
    row = own(batch_id, actor)
    _must_weigh(grams)
    if not 2 <= len(reason.strip()) <= 200:
        raise InvalidInput("harvest.reason", N_("请写明为什么改，200 字以内。"), field="reason")
    row.must_be_version(version)
    if grams < row.grams_packed:
        raise Conflict("harvest.packed", N_("已经装了 %(packed)s 克，采收量不能比这更少。"), field="grams", packed=row.grams_packed)
    audit.record("batch.corrected", row, person_id=actor.person_id, before=row.grams_harvested, after=grams, reason=reason.strip())
    row.grams_harvested = grams
    db.session.flush()
    mass_balance.look(row.organisation_id)
    return row


def own(batch_id: int, actor: Actor) -> Batch:
    """The cooperative's batch, locked, for its clerk or director."""
    return own_row(Batch, batch_id, actor, "clerk", "director")


def _must_weigh(grams: int) -> None:
    if not 0 < grams <= GRAMS_MOST:
        raise InvalidInput("harvest.grams", N_("请写采收的成品重量（公斤）。"), field="grams")


def _code(group: LinkageGroup, day: date) -> str:
    """``B2604-ZD-TEA-1-3``: month, group, and the how-manieth of the group's batches of that month."""
    stem = f"B{day:%y%m}-{group.code}"[:34]
    number = db.session.scalar(select(func.count()).where(Batch.code.startswith(stem, autoescape=True))) or 0
    while db.session.scalar(select(Batch.id).where(Batch.code == f"{stem}-{number + 1}")) is not None:
        number += 1
    return f"{stem}-{number + 1}"
