"""The county office's view of supply: what does not add up, to be looked at and closed; licences about to end at 90, 30 and 7 days."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.catalogue.listing_check import LICENCE_WARN_DAYS
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.organisation import Organisation
from marketplace.reporting import licences
from marketplace.supply import mass_balance
from marketplace.supply.batch import Batch
from marketplace.supply.mass_balance import MassAnomaly
from marketplace.web import form_input, key_page
from marketplace.web.cooperative_batches import anomaly_kinds
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_supply", __name__, url_prefix="/operator")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("anomaly.close", OPERATOR="reviewer administrator")

PAGE = 25
VIEWS = {"open": ("OPEN",), "done": ("CLOSED", "GONE")}


@bp.get("/mass-balance")
@needs("operator.read")
def anomalies() -> Any:
    return _page({})


@bp.post("/mass-balance/<public_id>")
@needs("anomaly.close")
def close(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(MassAnomaly, public_id).id
    words, version = form_input.given("words"), form_input.version()
    try:
        transaction(lambda: mass_balance.close(row_id, words, version=version, actor=actor))
    except InvalidInput as error:
        return _page({public_id: said(error)}), 422
    flash(_("已办结。同一处再多出来会重新排进来。"), "done")
    return redirect(url_for(".anomalies"))


@bp.get("/licences")
@needs("operator.read")
def ending() -> Any:
    """Food licences that have ended or end within 90 days, the first to end first."""
    today = clock.business_date()
    rows = [
        (owner, seller, (seller.licence_expires_on - today).days, goods)
        for owner, seller, goods in licences.ending(max(LICENCE_WARN_DAYS))
    ]
    return render_template("operator/licences.html", rows=rows, limits=LICENCE_WARN_DAYS, **desk(the_actor()))


def _page(errors: dict[str, str]) -> str:
    view = key_page.chosen("view", VIEWS, "open")
    query = (
        select(MassAnomaly, Organisation, LinkageGroup, Batch)
        .join(Organisation, Organisation.id == MassAnomaly.organisation_id)
        .join(LinkageGroup, LinkageGroup.id == MassAnomaly.linkage_group_id)
        .outerjoin(Batch, Batch.id == MassAnomaly.batch_id)
        .where(MassAnomaly.state.in_(VIEWS[view]))
    )
    after = request.args.get("after", "")
    last = by_public_id(MassAnomaly, after).id if after else None
    sorts: key_page.Sorts = {"age": (MassAnomaly.id, view == "done")}
    rows = db.session.execute(key_page.after(query, MassAnomaly, sorts, "age", last).limit(PAGE + 1)).all()
    return render_template(
        "operator/mass_balance.html",
        rows=rows[:PAGE],
        view=view,
        kinds=anomaly_kinds(),
        errors=errors,
        next_url=url_for(".anomalies", view=view, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        **desk(the_actor()),
    )
