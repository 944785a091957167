"""Fairness: how what the market brought is spread over the county's registered households. Counted from posted distributions.

Of hardship, which is sealed, a county's sums are kept in memory for as long as nothing that they were counted from changes; whoever has it
opened logs it. All amounts are fen of one year's periods.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Select, func, or_, select, true

from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageShare
from marketplace.organisations.region import Region
from marketplace.settlement import payout_found
from marketplace.settlement.distribution import Distribution, DistributionShare
from marketplace.settlement.payout_batch import PayoutBatch, PayoutItem

REGISTERED = ("LIFTED", "NOT_LIFTED")


@dataclass(frozen=True)
class Home:
    """One registered household and its year: what was credited, what of it arrived."""

    id: int
    public_id: str
    code: str
    village_id: int
    people: int
    lifted: bool
    ill: bool
    unable: int  # how many of its people cannot work
    linked: bool
    earned_fen: int
    paid_fen: int
    relief_fen: int = 0  # of what was earned: by the relief share of its groups' rules
    seal: str = field(default="", repr=False)  # its hardship as it is kept: unchanged, nothing in it has changed

    @property
    def cannot_work(self) -> bool:
        """None of its people can."""
        return self.unable >= self.people


@dataclass
class Place:
    """A village or township: its registered households and what reached them."""

    region: Region
    households: int = 0
    people: int = 0
    linked: int = 0
    reached: int = 0
    nothing: int = 0
    earned_fen: int = 0
    paid_fen: int = 0
    villages: dict[int, "Place"] = field(default_factory=dict)

    def count(self, home: Home) -> None:
        self.households += 1
        self.people += home.people
        self.linked += home.linked
        self.reached += home.earned_fen > 0
        self.nothing += home.earned_fen == 0
        self.earned_fen += home.earned_fen
        self.paid_fen += home.paid_fen


@dataclass(frozen=True)
class Fairness:
    """The figures. The top tenth is of the households that received anything, rounded up."""

    households: int
    linked: int
    reached: int
    nothing: int
    linked_nothing: int
    earned_fen: int
    paid_fen: int
    tenth: int
    tenth_fen: int
    cannot_work: int
    cannot_work_reached: int
    cannot_work_fen: int
    relieved: int = 0
    relief_fen: int = 0

    @property
    def tenth_bp(self) -> int | None:
        """The share of the top tenth in what was credited; None while nothing was."""
        return self.tenth_fen * 10_000 // self.earned_fen if self.earned_fen else None


@dataclass(frozen=True)
class Hardship:
    """What the county's sums say of those who are ill or cannot work; ``ill``, ``ill_people`` and ``unable_people`` of those not lifted."""

    ill: int
    ill_people: int
    unable_people: int
    cannot_work: int
    cannot_work_reached: int
    cannot_work_fen: int


# What households with no part in the list are left out by, as conditions on what they earned and on whether they are linked.
VIEWS: dict[str, Callable[[ColumnElement[int], ColumnElement[bool]], ColumnElement[bool]]] = {
    "all": lambda earned, linked: true(),
    "linked": lambda earned, linked: linked,
    "reached": lambda earned, linked: earned > 0,
    "nothing": lambda earned, linked: earned == 0,
    "linked_nothing": lambda earned, linked: linked & (earned == 0),
}


def homes(year: int, *, village_ids: Sequence[int] = (), hardship: bool = True) -> list[Home]:
    """Registered households that have not left (of these villages, if any are named), with their year. One query.

    Without ``hardship`` nothing sealed is opened, and nobody counts as ill or unable to work.
    """
    return [_home(*row, hardship=hardship) for row in db.session.execute(_homes(year, village_ids))]


def listed(year: int, view: str, *, village_ids: Sequence[int] = (), after: str = "", limit: int) -> tuple[int, list[Home]]:
    """How many of them stand in one of VIEWS, and the first of those behind the one with the outside name ``after``, in the order of their
    codes. One query; nothing sealed is opened."""
    query = _homes(year, village_ids, view)
    count = select(func.count()).select_from(query.order_by(None).with_only_columns(Household.id).subquery())
    here = query.add_columns(count.scalar_subquery()).limit(limit)
    if after:
        here = here.where(Household.code > select(Household.code).where(Household.public_id == after).scalar_subquery())
    rows = db.session.execute(here).all()
    return rows[0][-1] if rows else db.session.scalar(count) or 0, [_home(*row[:-1], hardship=False) for row in rows]


def hardship(year: int, known: Sequence[Home]) -> tuple[Hardship, bool]:
    """The sums of ``known``, all the county's, which need not be opened; and whether they had to be counted anew, with everything opened."""
    stands = repr([(home.id, home.people, home.lifted, home.earned_fen, home.seal) for home in known]).encode()
    kept: dict[int, tuple[str, Hardship]] = current_app.extensions.setdefault("hardship", {})
    digest = hashlib.sha256(stands).hexdigest()
    if year in kept and kept[year][0] == digest:
        return kept[year][1], False
    opened = [(home, Household(public_id=home.public_id, hardship_sealed=home.seal)) for home in known]
    poor = [(home, row) for home, row in opened if not home.lifted]
    ill = [home.people for home, row in poor if row.ill_or_disabled]
    unable = [home.earned_fen for home, row in opened if row.unable_to_work >= home.people]
    sums = Hardship(
        ill=len(ill),
        ill_people=sum(ill),
        unable_people=sum(row.unable_to_work for _home, row in poor),
        cannot_work=len(unable),
        cannot_work_reached=sum(fen > 0 for fen in unable),
        cannot_work_fen=sum(unable),
    )
    kept[year] = digest, sums
    return sums, True


def _homes(year: int, village_ids: Sequence[int] = (), view: str = "all") -> Select[Any]:
    earned, paid, linked = _earned(year).subquery(), _paid(year).subquery(), _linked(year).subquery()
    earned_fen = func.coalesce(earned.c.fen, 0)
    query = (
        select(Household, earned_fen, func.coalesce(paid.c.fen, 0), linked.c.household_id, func.coalesce(earned.c.relief_fen, 0))
        .outerjoin(earned, earned.c.household_id == Household.id)
        .outerjoin(paid, paid.c.household_id == Household.id)
        .outerjoin(linked, linked.c.household_id == Household.id)
        .where(Household.exited_on.is_(None), Household.registry_status.in_(REGISTERED), VIEWS[view](earned_fen, linked.c.household_id.is_not(None)))
        .order_by(Household.code)
    )
    return query.where(Household.village_id.in_(village_ids)) if village_ids else query


def _home(row: Household, earned_fen: int, paid_fen: int, share: int | None, relief_fen: int, *, hardship: bool) -> Home:
    return Home(
        id=row.id,
        public_id=row.public_id,
        code=row.code,
        village_id=row.village_id,
        people=row.people,
        lifted=row.registry_status == "LIFTED",
        ill=hardship and row.ill_or_disabled,
        unable=row.unable_to_work if hardship else 0,
        linked=share is not None,
        earned_fen=int(earned_fen),
        paid_fen=int(paid_fen),
        relief_fen=int(relief_fen),
        seal=row.hardship_sealed,
    )


def fairness(known: Sequence[Home]) -> Fairness:
    """The figures of these households."""
    earned = sorted((home.earned_fen for home in known if home.earned_fen), reverse=True)
    tenth = -(-len(earned) // 10)
    unable = [home for home in known if home.cannot_work]
    return Fairness(
        households=len(known),
        linked=sum(home.linked for home in known),
        reached=len(earned),
        nothing=len(known) - len(earned),
        linked_nothing=sum(home.linked and home.earned_fen == 0 for home in known),
        earned_fen=sum(earned),
        paid_fen=sum(home.paid_fen for home in known),
        tenth=tenth,
        tenth_fen=sum(earned[:tenth]),
        cannot_work=len(unable),
        cannot_work_reached=sum(home.earned_fen > 0 for home in unable),
        cannot_work_fen=sum(home.earned_fen for home in unable),
        relieved=sum(home.relief_fen > 0 for home in known),
        relief_fen=sum(home.relief_fen for home in known),
    )


def places(known: Sequence[Home], regions: Sequence[Region] = ()) -> list[Place]:
    """The same by township, each with its villages, in the order of the state's codes. ``regions``: those at hand."""
    regions = regions or list(db.session.scalars(select(Region).order_by(Region.code)))
    townships = {row.id: Place(row) for row in regions if row.kind == "TOWNSHIP"}
    above: dict[int, Place] = {}
    for row in regions:
        if row.kind == "VILLAGE" and row.parent_id in townships:
            above[row.id] = townships[row.parent_id]
            townships[row.parent_id].villages[row.id] = Place(row)
    for home in known:
        if home.village_id in above:
            above[home.village_id].count(home)
            above[home.village_id].villages[home.village_id].count(home)
    return list(townships.values())


def _earned(year: int) -> Any:
    return (
        select(
            DistributionShare.household_id, func.sum(DistributionShare.fen).label("fen"), func.sum(DistributionShare.relief_fen).label("relief_fen")
        )
        .join(Distribution, Distribution.id == DistributionShare.distribution_id)
        .where(Distribution.posted_at.is_not(None), Distribution.period.like(f"{year}-%"))
        .group_by(DistributionShare.household_id)
    )


def _paid(year: int) -> Any:
    its = select(Distribution.id).where(Distribution.period.like(f"{year}-%"))
    each = payout_found.arrived([PayoutItem.household_id], PayoutBatch.distribution_id.in_(its)).subquery("each")
    return select(each.c.household_id, func.sum(each.c.fen).label("fen")).group_by(each.c.household_id)


def _linked(year: int) -> Any:
    last = min(clock.business_date(), date(year, 12, 31))
    return (
        select(LinkageShare.household_id)
        .distinct()
        .where(LinkageShare.starts_on <= last, or_(LinkageShare.ends_on.is_(None), LinkageShare.ends_on >= last))
    )
