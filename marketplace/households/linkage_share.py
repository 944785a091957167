"""A household's shares in a group are added and ended, dated; nothing that stands is ever rewritten.

No two of one kind overlap, none reaches back into a period that was distributed, and only equity has shares,
which say what was appraised into them and at how much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.actor import Actor, own_row
from marketplace.organisations.region import Region

KINDS = {"EQUITY": N_("折股量化"), "SUPPLY": N_("保底收购"), "WAGE": N_("务工"), "LEASE": N_("土地流转"), "RELIEF": N_("帮扶救助")}
# What is appraised into equity. Labour is not among it: the rules on registration let no member of a cooperative contribute it.
ASSETS = {
    "LAND": N_("土地经营权"), "FOREST": N_("林权"), "FUNDS": N_("产业扶持资金"), "CASH": N_("自有资金"), "EQUIPMENT": N_("设施设备"), "OTHER": N_("其他资产"),
}  # fmt: skip
SHARES_MOST = 1_000_000
APPRAISED_MOST = 10_000_000_000  # fen: one household's part of one group
FURTHEST = timedelta(days=366)

# Higher rungs say until which day (included) a group's periods are distributed; shares do not reach back into them.
closed_until: list[Callable[[int], date | None]] = []


@dataclass(frozen=True)
class NewShare:
    """What is to be added: household (code), kind, shares (0 for what is no equity), first and last day, what it rests on,
    and for equity what was appraised into it and at how many fen."""

    code: str
    kind: str
    shares: int
    starts_on: date
    basis: str
    ends_on: date | None = None
    asset_kind: str = ""
    appraised_fen: int | None = None


class ShareBook:
    """One group's shares as they stand, for checking many new ones without asking the database for each."""

    def __init__(self, group: LinkageGroup, codes: Sequence[str]) -> None:
        self.group = group
        named_after = db.session.get_one(Region, group.region_id)
        self.township_id = named_after.parent_id if named_after.kind == "VILLAGE" else named_after.id
        homes = select(Household, Region.parent_id).join(Region, Region.id == Household.village_id).where(Household.code.in_(codes))
        self.homes = {home.code: (home, township) for home, township in db.session.execute(homes)}
        self.standing: dict[tuple[int, str], list[tuple[date, date | None]]] = {}
        query = select(LinkageShare).where(LinkageShare.group_id == group.id).order_by(LinkageShare.starts_on)
        for row in db.session.scalars(query):
            self._lay(row.household_id, row.kind, row.starts_on, row.ends_on)
        self.closed = max((day for ask in closed_until if (day := ask(group.id)) is not None), default=None)

    def check(self, new: NewShare) -> str:
        """Raise InvalidInput naming its field, or lay it beside what stands; a sentence on what to beware of (a gap), or ''."""
        if new.kind not in KINDS:
            raise InvalidInput("share.kind", N_("请选利益联结的方式。"), field="kind")
        home = self._home(new)
        if (new.kind == "EQUITY") != (new.shares > 0) or not 0 <= new.shares <= SHARES_MOST:
            raise InvalidInput("share.shares", N_("折股量化要写股数；别的方式股数是 0。"), field="shares")
        self._appraised(new)
        last = self.group.ends_on
        if new.starts_on < self.group.starts_on or (last and new.starts_on > last) or new.starts_on > clock.business_date() + FURTHEST:
            raise InvalidInput("share.starts", N_("起始日要在联农组的有效期内，最多提前一年登记。"), field="starts_on")
        if self.closed is not None and new.starts_on <= self.closed:
            raise InvalidInput("share.closed", N_("%(day)s 以前的收益已经分配，起始日不能早于那天。"), field="starts_on", day=f"{self.closed}")
        if new.ends_on is not None and new.ends_on < new.starts_on:
            raise InvalidInput("share.ends", N_("最后一天不能早于起始日。"), field="ends_on")
        if not 2 <= len(new.basis.strip()) <= 200:
            raise InvalidInput("share.basis", N_("请写依据，如“茶园 4 亩折股”，200 字以内。"), field="basis")
        return self._beside(home, new)

    def _appraised(self, new: NewShare) -> None:
        if new.kind != "EQUITY":
            if new.asset_kind or new.appraised_fen is not None:
                raise InvalidInput("share.no_asset", N_("只有折股量化写资产种类和评估价，别的方式请留空。"), field="asset_kind")
            return
        if new.asset_kind not in ASSETS:
            raise InvalidInput("share.asset", N_("折股量化要写资产种类：土地经营权、林权、产业扶持资金、自有资金、设施设备或其他资产。"), field="asset_kind")
        if new.appraised_fen is None or not 0 < new.appraised_fen <= APPRAISED_MOST:
            raise InvalidInput("share.appraised", N_("折股量化要写评估价，大于 0，最多一亿元。"), field="appraised")

    def _home(self, new: NewShare) -> Household:
        home, township = self.homes.get(new.code, (None, None))
        if home is None:
            raise InvalidInput("share.household", N_("没有这个户编号。"), field="code")
        if township != self.township_id:
            raise InvalidInput("share.township", N_("这户不在联农组的乡镇。"), field="code")
        if home.exited_on is not None and home.exited_on < (new.ends_on or new.starts_on):
            raise InvalidInput("share.exited", N_("这户已经退出，不能再加。"), field="code")
        return home

    def _beside(self, home: Household, new: NewShare) -> str:
        rows = self.standing.get((home.id, new.kind), [])
        for starts_on, ends_on in rows:
            if new.starts_on <= (ends_on or date.max) and starts_on <= (new.ends_on or date.max):
                raise InvalidInput("share.overlap", N_("和 %(day)s 起的一条重叠。先结束那一条，再加新的。"), field="starts_on", day=f"{starts_on}")
        before = [ends_on for _starts_on, ends_on in rows if ends_on is not None and ends_on < new.starts_on]
        self._lay(home.id, new.kind, new.starts_on, new.ends_on)
        gap = bool(before) and new.starts_on - max(before) > timedelta(days=1)
        return N_("和上一条之间有空档，中间的日子不算股份。") if gap else ""

    def _lay(self, household_id: int, kind: str, starts_on: date, ends_on: date | None) -> None:
        self.standing.setdefault((household_id, kind), []).append((starts_on, ends_on))


def group_of(group_id: int, actor: Actor, *roles: str) -> LinkageGroup:
    """The cooperative's own group, locked, for somebody of these roles; NotFound for another one's."""
    return own_row(LinkageGroup, group_id, actor, *roles)


def add(group_id: int, new: NewShare, *, actor: Actor, key: str) -> str:
    """Add one share; a sentence on what to beware of, or ''. By the director or the accountant; the same ``key`` adds once."""
    group = group_of(group_id, actor, "director", "accountant")
    return str(once(f"share:{group.id}", key, vars(new), lambda: {"note": write_all(group, [new], actor=actor)[0]})["note"])


def write_all(group: LinkageGroup, wanted: Sequence[NewShare], *, actor: Actor) -> list[str]:
    """Add all or, at the first that does not fit, raise. The caller holds the group."""
    book = ShareBook(group, [new.code for new in wanted])
    notes = []
    for new in wanted:
        notes.append(book.check(new))
        db.session.add(
            LinkageShare(
                organisation_id=group.organisation_id, group_id=group.id, household_id=book.homes[new.code][0].id, kind=new.kind, shares=new.shares,
                starts_on=new.starts_on, ends_on=new.ends_on, basis_zh=new.basis.strip(), recorded_by_id=actor.person_id,
                asset_kind=new.asset_kind or None, appraised_fen=new.appraised_fen,
            )
        )  # fmt: skip
    group.version += 1
    audit.record("shares.added", group, person_id=actor.person_id, rows=len(wanted))
    db.session.flush()
    return notes


def end(group_id: int, household_id: int, kind: str, last_day: date, reason: str, *, actor: Actor) -> LinkageShare:
    """Let the household's share of this kind end with ``last_day``. What was credited stays payable.

    Raises Conflict ``share.none`` if none is open, InvalidInput for a day before it starts or in a distributed period, or no reason.
    """
    group = group_of(group_id, actor, "director", "accountant")
    query = select(LinkageShare).where(
        LinkageShare.group_id == group.id, LinkageShare.household_id == household_id, LinkageShare.kind == kind, LinkageShare.ends_on.is_(None)
    )
    row = db.session.scalars(query.with_for_update()).one_or_none()
    if row is None:
        raise Conflict("share.none", N_("这户现在没有这种方式的联结，或已经结束过了。"))
    if not 2 <= len(reason.strip()) <= 200:
        raise InvalidInput("share.reason", N_("请写为什么结束，200 字以内。"), field="reason")
    if not row.starts_on <= last_day <= clock.business_date() + FURTHEST:
        raise InvalidInput("share.last", N_("最后一天不能早于起始日，最多提前一年登记。"), field="last_day")
    closed = ShareBook(group, []).closed
    if closed is not None and last_day < closed:
        raise InvalidInput("share.closed_end", N_("%(day)s 以前的收益已经分配，最后一天不能早于那天。"), field="last_day", day=f"{closed}")
    row.ends_on, row.ended_by_id, row.end_reason = last_day, actor.person_id, reason.strip()
    group.version += 1
    audit.record("share.ended", group, person_id=actor.person_id, household_id=household_id, kind=kind, last_day=f"{last_day}")
    db.session.flush()
    return row
