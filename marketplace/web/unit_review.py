"""The parent unit's side of filing: who is behind, by how much, and each filed target reviewed by a person who did not file it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations import approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person
from marketplace.procurement import scorecard, target, target_year
from marketplace.procurement.target import Target
from marketplace.web import form_input
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download
from marketplace.web.unit_desk import desk
from marketplace.web.unit_target import canteens, stages

bp = Blueprint("unit_review", __name__, url_prefix="/unit/subordinates")

permission("unit.read", UNIT="*")
permission("unit.review", UNIT="approver")

VIEWS = {"": (), "behind": ("MISSING", "DRAFT"), "review": ("FILED",)}


@bp.get("")
@needs("unit.read")
def index() -> Any:
    actor = the_actor()
    year, view = asked_year(), request.args.get("view", "")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    filings = target_year.filings(year, parent_id=actor.organisation_id)
    shown = [
        (each, own)
        for each, own in zip(filings, scorecard.of_filed([(each.unit, each.target) for each in filings], year), strict=True)
        if not VIEWS[view] or each.stage in VIEWS[view]
    ]
    # Whoever is furthest behind comes first; without a quota there is nothing to be behind with.
    shown.sort(key=lambda pair: (pair[1].completion_rate_bp is None, pair[1].completion_rate_bp or 0))
    if "export" in request.args:
        return _exported(shown, year)
    counts = {name: sum(1 for each in filings if not wanted or each.stage in wanted) for name, wanted in VIEWS.items()}
    this = clock.business_date().year
    years = [(str(each), url_for(".index", year=each), each == year) for each in (this, this - 1)]
    return render_template(
        "unit/subordinates.html", rows=shown, year=year, years=years, view=view, counts=counts, stages=stages(), deadline=target_year.deadline(year), **desk(actor)
    )


@bp.get("/targets/<public_id>")
@needs("unit.read")
def show(public_id: str) -> Any:
    return _page(public_id, {})


@bp.post("/targets/<public_id>")
@needs("unit.review")
def decide(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    target_id = _own(public_id).id
    approved, version = form_input.approves(), form_input.version()
    try:
        transaction(
            lambda: target.review(
                target_id, version=version, approved=approved, reason=form.get("reason", ""), actor=actor
            )
        )
    except InvalidInput as error:
        db.session.rollback()
        return _page(public_id, {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已审核。县财政锁定后生效。") if approved else _("已退回，单位看得到理由。"), "done")
    return redirect(url_for(".index", view="review"))


def asked_year() -> int:
    """The year in the address, if it is one of the market's; else this one."""
    this, asked = clock.business_date().year, request.args.get("year", "")
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) == 4 and 2000 <= int(asked) <= this else this


def _own(public_id: str) -> Target:
    actor = the_actor()
    query = select(Target).join(Organisation, Organisation.id == Target.organisation_id).where(Organisation.parent_id == actor.organisation_id)
    return by_public_id(Target, public_id, query)


def _page(public_id: str, errors: dict[str, str]) -> str:
    actor, row = the_actor(), _own(public_id)
    unit = db.session.get_one(Organisation, row.organisation_id)
    return render_template(
        "unit/review.html",
        row=row,
        unit=unit,
        other=db.session.get(Organisation, row.shared_with_id) if row.shared_with_id else None,
        filer=db.session.get(Person, row.filed_by_id) if row.filed_by_id else None,
        before=target.of(row.organisation_id, row.year - 1),
        word=approval.last_word(Target.__tablename__, row.id),
        own=row.filed_by_id == actor.person_id,
        reason=request.form.get("reason", ""),
        errors=errors,
        canteens=canteens(),
        stages=stages(),
        crumbs=[(_("下级单位"), url_for(".index", year=row.year)), (unit.name_zh, None)],
        **desk(actor),
    )


def _exported(rows: list[Any], year: int) -> Any:
    columns = [
        (_("单位"), "text"), (_("申报"), "text"), (_("预留份额"), "fen"), (_("已下单"), "fen"), (_("已验收"), "fen"), (_("已付款"), "fen"),
        (_("已计入"), "fen"), (_("完成率"), "bp"), (_("工会另计"), "fen"),
    ]  # fmt: skip
    words = stages()
    lines = [
        (each.unit.name_zh, words[each.stage], own.reserved_fen, own.ordered_fen, own.accepted_fen, own.paid_fen, own.counted_fen, own.completion_rate_bp, own.union.counted_fen)
        for each, own in rows
    ]
    return download(_("%(year)s 年下级单位完成情况", year=year), columns, lines)
