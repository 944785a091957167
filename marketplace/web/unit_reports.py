"""A unit's reports: the county's bulletin and the ranking with its own place in it, and its own orders; each as Excel too."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from marketplace.foundation import clock
from marketplace.procurement import scorecard
from marketplace.reporting import bulletin
from marketplace.web.operator_bulletin import exported, exported_orders, exported_units
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.unit_desk import desk
from marketplace.web.unit_review import asked_year

bp = Blueprint("unit_reports", __name__, url_prefix="/unit/reports")

permission("unit.read", UNIT="*")


@bp.get("")
@needs("unit.read")
def show() -> Any:
    actor, year = the_actor(), asked_year()
    asked = request.args.get("export", "")
    if asked == "orders":
        return exported_orders(scorecard.by_order(actor.organisation_id, year), actor.organisation_name, year)
    said = bulletin.bulletin(year)
    if asked == "bulletin":
        return exported(said)
    ranked = [row for row in said.units if row.rank is not None]
    if asked == "ranking":
        return exported_units(ranked, year)
    this = clock.business_date().year
    return render_template(
        "unit/reports.html",
        it=said,
        year=year,
        today=clock.business_date(),
        years=[(str(each), url_for(".show", year=each), each == year) for each in (this, this - 1)],
        ranked=ranked,
        own_id=actor.organisation_id,
        own=next((row for row in said.units if row.filing.unit.id == actor.organisation_id), None),
        **desk(actor),
    )
