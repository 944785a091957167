"""The village's desk: what its collective was given and is still owed, what its households received, and slips for the board's box."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import db, transaction
from marketplace.foundation.language import gettext as _
from marketplace.households import household_reading
from marketplace.organisations.region import Region
from marketplace.reporting import village
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.slip import printed
from marketplace.web.spreadsheet import download
from marketplace.web.unit_review import asked_year

bp = Blueprint("village_desk", __name__, url_prefix="/village")

permission("village.read", VILLAGE="village_accountant")

PAGE = 50


def desk() -> dict[str, Any]:
    """What every page of a village needs: its roads."""
    return {"nav_items": [(_("村集体"), "village_desk.today"), (_("各户"), "village_desk.households")]}


@bp.get("")
@needs("village.read")
def today() -> Any:
    actor, year = the_actor(), asked_year()
    village_id = household_reading.village_of(actor)
    rows = village.collective(village_id, year)
    if "export" in request.args:
        columns = [(_("月份"), "text"), (_("合作社"), "text"), (_("订单"), "whole"), (_("归村集体"), "fen")]
        return download(_("%(year)s 年村集体收益", year=year), columns, [(each.period, each.cooperative.name_zh, each.orders, each.fen) for each in rows])
    this = clock.business_date().year
    return render_template(
        "village/today.html",
        year=year,
        years=[(str(each), url_for(".today", year=each), each == year) for each in (this, this - 1)],
        place=db.session.get_one(Region, village_id),
        rows=rows,
        owed=village.owed(village_id),
        cap_bp=settings().recovery_cap_bp,
        **desk(),
    )


@bp.get("/households")
@needs("village.read")
def households() -> Any:
    """The village's households with masked names and what they received; each page that is looked at is logged."""
    actor, after = the_actor(), request.args.get("after", "")

    def read() -> list[tuple[str, str, int, int]]:
        found = household_reading.of_village(actor, after=after, limit=PAGE + 1)
        return [(row.code, masked_name(row.name), row.people, row.id) for row in found]

    found = transaction(read)
    sums = village.received([each[3] for each in found])
    return render_template(
        "village/households.html",
        rows=[(code, name, people, *sums[number]) for code, name, people, number in found[:PAGE]],
        next_url=url_for(".households", after=found[PAGE - 1][0]) if len(found) > PAGE else None,
        **desk(),
    )


@bp.get("/slips/<code>")
@needs("village.read")
def slip(code: str) -> Any:
    """The slip of one household of the village, on paper."""
    actor = the_actor()
    row = household_reading.of_number(code, actor=actor)
    return printed([row], actor, back=url_for(".households"))
