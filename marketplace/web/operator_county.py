"""The county at a glance: targets, sales, what reached households, how fairly, and each township; every figure opens on its rows."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.foundation import audit, clock
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, NotFound
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.reporting import bulletin, fairness
from marketplace.reporting.fairness import Home
from marketplace.settlement.settlement import SettlementLine
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download
from marketplace.web.unit_review import asked_year

bp = Blueprint("operator_county", __name__, url_prefix="/operator/county")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("county.households", OPERATOR="administrator auditor")

PAGE = 50
VIEWS = (*fairness.VIEWS, "cannot_work")


@bp.get("")
@needs("operator.read")
def show() -> Any:
    year = asked_year()
    known = fairness.homes(year, hardship=False)
    hard, opened = fairness.hardship(year, known)
    _record(len(known), hardship=opened)
    places = fairness.places(known)
    sold = _sold(year)
    this = clock.business_date().year
    if "export" in request.args:
        return _exported(places, sold, year)
    return render_template(
        "operator/county.html",
        year=year,
        years=[(str(each), url_for(".show", year=each), each == year) for each in (this, this - 1)],
        duty=_duty(year),
        sales=_sales(year),
        fair=fairness.fairness(known),
        hard=hard,
        places=places,
        sold=sold,
        register=_register(known, places),
        **desk(the_actor()),
    )


@bp.get("/townships/<code>")
@needs("operator.read")
def township(code: str) -> Any:
    year = asked_year()
    region = db.session.scalars(select(Region).where(Region.code == code[:12], Region.kind == "TOWNSHIP")).one_or_none()
    if region is None:
        raise NotFound("region.missing", N_("没有这个乡镇。"))
    villages = list(db.session.scalars(select(Region.id).where(Region.parent_id == region.id)))
    known = fairness.homes(year, village_ids=villages or [0], hardship=False)
    _record(len(known), hardship=False)
    place = next(each for each in fairness.places(known) if each.region.id == region.id)
    return render_template(
        "operator/township.html",
        year=year,
        place=place,
        sold=_sold(year),
        crumbs=[(_("全县"), url_for(".show", year=year)), (text(region, "name"), None)],
        **desk(the_actor()),
    )


@bp.get("/households")
@needs("county.households")
def households() -> Any:
    """The households behind a figure, by number; no name, no account. Each reading is logged."""
    year, view, code = asked_year(), request.args.get("view", "all"), request.args.get("place", "")[:12]
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    names = {row.id: row for row in db.session.scalars(select(Region))}
    region = next((row for row in names.values() if row.code == code), None)
    if code and region is None:
        raise NotFound("region.missing", N_("没有这个乡镇。"))
    villages = [row.id for row in names.values() if region is not None and region.id in (row.id, row.parent_id)]
    count, found, read = _found(year, view, villages, request.args.get("after", ""))
    here: dict[str, Any] = {"year": year, "view": view, "place": code or None}
    page = render_template(
        "operator/households.html",
        year=year,
        view=view,
        views=_words(),
        place=region,
        code=code,
        count=count,
        rows=found[:PAGE],
        names=names,
        next_url=url_for(".households", **here, after=found[PAGE - 1].public_id) if len(found) > PAGE else None,
        crumbs=[(_("全县"), url_for(".show", year=year)), (_("户"), None)],
        **desk(the_actor()),
    )
    _record(read, hardship=view == "cannot_work")
    return page


def _found(year: int, view: str, villages: list[int], after: str) -> tuple[int, list[Home], int]:
    """How many there are, one more than a page of those behind ``after``, and how many were read. Who cannot work is sealed: all are opened."""
    if view != "cannot_work":
        count, found = fairness.listed(year, view, village_ids=villages, after=after, limit=PAGE + 1)
        return count, found, len(found)
    known = fairness.homes(year, village_ids=villages)
    found = [home for home in known if home.cannot_work]
    at = next((n + 1 for n, home in enumerate(found) if home.public_id == after), 0)
    return len(found), found[at : at + PAGE + 1], len(known)


def _words() -> dict[str, str]:
    return {
        "all": _("全部"), "linked": _("有利益联结"), "reached": _("分到了钱"), "nothing": _("还没分到"),
        "linked_nothing": _("有联结没分到"), "cannot_work": _("全家都不能劳动"),
    }  # fmt: skip


def _record(households: int, *, hardship: bool) -> None:
    """What was read is written down. Opening sealed hardship takes its time, and is over by now: nobody waits for it with a write."""
    actor = the_actor()

    def record() -> None:
        office = db.session.get_one(Organisation, actor.organisation_id)
        audit.record(
            "households.counted", office, person_id=actor.person_id, organisation_id=office.id, households=households, purpose="county", hardship=hardship
        )

    transaction(record)


def _register(known: list[Home], places: list[Any]) -> dict[str, int]:
    """The register counted two ways: by status, and by township. A report in which they differ is wrong."""
    return {
        "lifted": sum(home.lifted for home in known),
        "lifted_people": sum(home.people for home in known if home.lifted),
        "not_lifted": sum(not home.lifted for home in known),
        "not_lifted_people": sum(home.people for home in known if not home.lifted),
        "by_place": sum(place.households for place in places),
        "by_place_people": sum(place.people for place in places),
    }


def _duty(year: int) -> dict[str, int]:
    """The units' four figures and their duty, in fen."""
    own = [row.figures for row in bulletin.units(year)]
    names = ("ordered_fen", "accepted_fen", "paid_fen", "counted_fen")
    return {"reserved_fen": sum(each.reserved_fen or 0 for each in own)} | {name: sum(getattr(each, name) for each in own) for name in names}


def _sales(year: int) -> dict[str, tuple[int, int]]:
    """kind → (orders, fen of goods) placed in the year and not cancelled."""
    query = (
        select(Order.kind, func.count(), func.sum(Order.goods_fen))
        .where(Order.placed_on.between(date(year, 1, 1), date(year, 12, 31)), Order.fulfilment != "CANCELLED")
        .group_by(Order.kind)
    )
    found = {row[0]: (row[1], int(row[2])) for row in db.session.execute(query)}
    return {kind: found.get(kind, (0, 0)) for kind in ("PUBLIC", "DIRECTED")}


def _sold(year: int) -> dict[int, int]:
    """Region id → settled fen of goods that came from there, by village and by township."""
    query = (
        select(SettlementLine.village_id, Region.parent_id, func.sum(SettlementLine.base_fen))
        .join(Region, Region.id == SettlementLine.village_id)
        .where(SettlementLine.period.like(f"{year}-%"))
        .group_by(SettlementLine.village_id, Region.parent_id)
    )
    sold: dict[int, int] = {}
    for village_id, township_id, fen in db.session.execute(query):
        for region_id in {village_id, township_id or village_id}:
            sold[region_id] = sold.get(region_id, 0) + int(fen)
    return sold


def _exported(places: list[Any], sold: dict[int, int], year: int) -> Any:
    columns = [
        (_("乡镇"), "text"), (_("村"), "text"), (_("在册户"), "whole"), (_("人口"), "whole"), (_("有利益联结"), "whole"), (_("分到了钱"), "whole"),
        (_("还没分到"), "whole"), (_("记到各户"), "fen"), (_("发给农户"), "fen"), (_("卖出"), "fen"),
    ]  # fmt: skip
    rows = []
    for town in places:
        for village in [None, *town.villages.values()]:
            one = village or town
            name = village.region.name_zh if village else _("合计")
            rows.append(
                (town.region.name_zh, name, one.households, one.people, one.linked, one.reached, one.nothing, one.earned_fen, one.paid_fen, sold.get(one.region.id, 0))
            )
    return download(_("%(year)s 年全县情况", year=year), columns, rows)
