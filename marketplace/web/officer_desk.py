"""The village officer's desk: the households assigned, whom to visit first, and a dated record of each visit. Every look is logged."""

from datetime import date
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.households import visit
from marketplace.households.household import Household
from marketplace.organisations.actor import Actor
from marketplace.organisations.region import Region
from marketplace.reporting import village
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("officer_desk", __name__, url_prefix="/officer")

permission("officer.read", OPERATOR="village_officer")

PAGE = 50


def desk() -> dict[str, Any]:
    """What every page of an officer needs: the roads."""
    return {"nav_items": [(_("要走访的户"), "officer_desk.today"), (_("全部户"), "officer_desk.households")]}


@bp.get("")
@needs("officer.read")
def today() -> Any:
    return _list(due=True)


@bp.get("/households")
@needs("officer.read")
def households() -> Any:
    return _list(due=False)


@bp.get("/households/<public_id>")
@needs("officer.read")
def show(public_id: str) -> Any:
    return _page(public_id, {})


@bp.post("/households/<public_id>")
@needs("officer.read")
def record(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    query = select(Household).where(Household.village_id.in_(visit.villages_of(actor.person_id)))
    household_id = by_public_id(Household, public_id, query).id
    try:
        day = _day(form.get("visited_on", ""))
        transaction(
            lambda: visit.record(household_id, day, form.get("finding", ""), form.get("note", ""), actor=actor, key=form.get("idempotency_key", ""))
        )
    except MarketError as error:
        db.session.rollback()
        return _page(public_id, {str(error.data.get("field", "visited_on")): said(error)}), 422 if isinstance(error, InvalidInput) else 409
    flash(_("记下了这次入户。"), "done")
    return redirect(url_for(".show", public_id=public_id))


def findings() -> dict[str, str]:
    """The words for what was found."""
    return {
        "STEADY": _("平稳"), "INCOME": _("收入减少"), "ILLNESS": _("生病或住院"), "DISASTER": _("遭了灾"), "OTHER": _("其他情况"),
    }  # fmt: skip


def _list(*, due: bool) -> Any:
    actor, after = the_actor(), request.args.get("after", "")
    last = 0
    if after:
        query = select(Household).where(Household.village_id.in_(visit.villages_of(actor.person_id)))
        last = by_public_id(Household, after, query).id
    rows = visit.charges(actor, after_id=last, due=due, limit=PAGE + 1)
    waiting, all_of_them = visit.due_count(actor)
    endpoint = ".today" if due else ".households"
    return render_template(
        "officer/households.html",
        rows=[(each.household.public_id, each.household.code, masked_name(each.household.name), text(each.village, "name"), each.household.people, each) for each in rows[:PAGE]],
        due=due,
        waiting=waiting,
        all_of_them=all_of_them,
        next_url=url_for(endpoint, after=rows[PAGE - 1].household.public_id) if len(rows) > PAGE else None,
        **desk(),
    )


def _page(public_id: str, errors: dict[str, str]) -> str:
    actor = the_actor()
    shown = transaction(lambda: _shown(public_id, actor))
    return render_template(
        "officer/household.html",
        it=shown,
        findings=findings(),
        today=clock.business_date().isoformat(),
        errors=errors,
        values=request.form,
        key=request.form.get("idempotency_key") or new_public_id(),
        crumbs=[(_("全部户"), url_for(".households")), (shown["code"], None)],
        **desk(),
    )


def _shown(public_id: str, actor: Actor) -> dict[str, Any]:
    """What the page shows of a household, read inside the transaction that logs the reading."""
    row = visit.charged(public_id, actor)
    credited, paid = village.received([row.id])[row.id]
    return {
        "public_id": row.public_id,
        "code": row.code,
        "name": masked_name(row.name),
        "village": text(db.session.get_one(Region, row.village_id), "name"),
        "people": row.people,
        "status": row.registry_status,
        "monitoring": row.monitoring_kind,
        "ill": row.ill_or_disabled,
        "unable": row.unable_to_work,
        "credited_fen": credited,
        "paid_fen": paid,
        "visits": [(each.visited_on, each.finding, each.note, officer) for each, officer in visit.of_household(row.id)],
    }


def _day(typed: str) -> date:
    try:
        return date.fromisoformat(typed)
    except ValueError:
        raise InvalidInput("day.bad", N_("日期请写成 2026-11-23 这样。"), field="visited_on") from None
