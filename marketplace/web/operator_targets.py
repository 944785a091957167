"""The finance office's desk of a year's targets: who filed, the lock of the year, late filings, and adjustments since."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import target, target_adjustment, target_year
from marketplace.procurement.target import Target
from marketplace.procurement.target_adjustment import TargetAdjustment
from marketplace.procurement.target_year import Filing, TargetYear
from marketplace.web import form_input
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download
from marketplace.web.unit_review import asked_year
from marketplace.web.unit_target import canteens, stages

bp = Blueprint("operator_targets", __name__, url_prefix="/operator/targets")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("target.lock", OPERATOR="administrator treasurer")

PAGE = 50


@bp.get("")
@needs("operator.read")
def index() -> Any:
    year, stage = asked_year(), request.args.get("stage", "")
    words = stages()
    if stage and stage not in words:
        raise InvalidInput("stage.bad", N_("没有这样的筛选。"), field="stage")
    filings = target_year.filings(year)
    shown = [each for each in filings if not stage or each.stage == stage]
    if "export" in request.args:
        return _exported(shown, year)
    after = request.args.get("after", "")
    at = next((n + 1 for n, each in enumerate(shown) if each.unit.public_id == after), 0)
    more = len(shown) > at + PAGE
    this, lock = clock.business_date().year, target_year.of(year)
    return render_template(
        "operator/targets.html",
        year=year,
        years=[(str(each), url_for(".index", year=each), each == year) for each in (this, this - 1, this - 2)],
        stage=stage,
        stages=words,
        counts={name: sum(1 for each in filings if each.stage == name) for name in words},
        total_fen=sum(each.target.quota_fen for each in filings if each.target),
        rows=shown[at : at + PAGE],
        next_url=url_for(".index", year=year, stage=stage or None, after=shown[at + PAGE - 1].unit.public_id) if more else None,
        locked=lock,
        late=_late(filings, lock),
        deadline=target_year.deadline(year),
        adjustments=_adjustments(year),
        canteens=canteens(),
        **desk(the_actor()),
    )


@bp.get("/lock/<int:year>")
@needs("target.lock")
def ask_lock(year: int) -> Any:
    filings = target_year.filings(year)
    ready = [each for each in filings if each.stage == "REVIEWED" or (each.stage == "FILED" and each.parent is None)]
    waiting = [each for each in filings if each.stage == "FILED" and each.parent is not None]
    missing = [each for each in filings if each.stage in ("MISSING", "DRAFT")]
    if not 2000 <= year <= clock.business_date().year:
        raise InvalidInput("year.bad", N_("年份不对。"), field="year")
    if target_year.of(year) is not None:
        raise Conflict("year.locked", N_("%(year)s 年已经锁定过了。"), year=year)
    return render_template("operator/lock_year.html", year=year, ready=len(ready), waiting=len(waiting), missing=len(missing), **desk(the_actor()))


@bp.post("/lock/<int:year>")
@needs("target.lock")
def lock_year(year: int) -> Any:
    actor = the_actor()
    taken = transaction(lambda: target_year.lock_year(year, actor=actor))
    flash(_("%(year)s 年已锁定，%(n)s 家单位。以后的变动记为调整。", year=year, n=taken), "done")
    return redirect(url_for(".index", year=year))


@bp.post("/<public_id>/lock")
@needs("target.lock")
def lock(public_id: str) -> Any:
    """A late filing is locked by itself."""
    actor = the_actor()
    row = by_public_id(Target, public_id)
    target_id, year, version = row.id, row.year, request.form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="version")
    transaction(lambda: target.lock(target_id, version=int(version), actor=actor))
    flash(_("已锁定，记为补报。"), "done")
    return redirect(url_for(".index", year=year))


@bp.get("/adjustments/<public_id>")
@needs("operator.read")
def adjustment(public_id: str) -> Any:
    return _page(by_public_id(TargetAdjustment, public_id), {})


@bp.post("/adjustments/<public_id>")
@needs("target.lock")
def decide(public_id: str) -> Any:
    actor, form = the_actor(), request.form
    row_id = by_public_id(TargetAdjustment, public_id).id
    approved, version = form_input.approves(), form_input.version()
    try:
        transaction(
            lambda: target_adjustment.decide(
                row_id, version=version, approved=approved, reason=form.get("reason", ""), actor=actor
            )
        )
    except InvalidInput as error:
        db.session.rollback()
        return _page(by_public_id(TargetAdjustment, public_id), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已同意，任务按调整后的数算。") if approved else _("已退回，单位看得到理由。"), "done")
    return redirect(url_for(".index"))


def _page(row: TargetAdjustment, errors: dict[str, str]) -> str:
    unit = db.session.get_one(Organisation, row.organisation_id)
    return render_template(
        "operator/adjustment.html",
        row=row,
        unit=unit,
        duty=db.session.get_one(Target, row.target_id),
        reason=request.form.get("reason", ""),
        errors=errors,
        canteens=canteens(),
        crumbs=[(_("任务"), url_for(".index")), (unit.name_zh, None)],
        **desk(the_actor()),
    )


def _late(filings: list[Filing], lock: TargetYear | None) -> list[Filing]:
    """What was locked after the year was: late filings."""
    if lock is None:
        return []
    return [each for each in filings if each.target and each.target.locked_at and each.target.locked_at > lock.locked_at]


def _adjustments(year: int) -> list[Any]:
    """(adjustment, unit), those that wait first, then the latest."""
    query = (
        select(TargetAdjustment, Organisation)
        .join(Target, Target.id == TargetAdjustment.target_id)
        .join(Organisation, Organisation.id == TargetAdjustment.organisation_id)
        .where(Target.year == year)
        .order_by(TargetAdjustment.state != "OPEN", TargetAdjustment.id.desc())
        .limit(PAGE)
    )
    return list(db.session.execute(query))


def _exported(filings: list[Filing], year: int) -> Any:
    columns = [
        (_("单位"), "text"), (_("主管单位"), "text"), (_("申报"), "text"), (_("食堂"), "text"), (_("全年食材采购"), "fen"),
        (_("预留比例"), "bp"), (_("锁定的预留份额"), "fen"), (_("锁定后的调整"), "fen"), (_("现在的任务"), "fen"),
    ]  # fmt: skip
    words, eats = stages(), canteens()
    rows = []
    for each in filings:
        own = each.target
        figures = (eats[own.canteen], own.base_fen, own.percent_bp, own.reserved_fen, own.adjusted_fen, own.quota_fen) if own else (None,) * 6
        rows.append((each.unit.name_zh, each.parent.name_zh if each.parent else None, words[each.stage], *figures))
    return download(_("%(year)s 年任务", year=year), columns, rows)
