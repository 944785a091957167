"""The target of the year: the unit files it and corrects it until the county locks it; from then on it asks for an adjustment."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said, text
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan, parse_yuan
from marketplace.organisations import approval
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import target, target_adjustment
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.unit_desk import desk

bp = Blueprint("unit_target", __name__, url_prefix="/unit/target")

permission("unit.read", UNIT="*")
permission("unit.file", UNIT="buyer accountant")

# What the domain calls a field → what the form calls it.
FIELDS = {"base_fen": "base", "percent_bp": "percent"}


@bp.get("")
@needs("unit.read")
def show() -> Any:
    return _page({})


@bp.post("")
@needs("unit.file")
def file() -> Any:
    actor, form, year = the_actor(), request.form, clock.business_date().year
    canteen = form.get("canteen", "")
    try:
        base_fen, percent_bp = _figures(canteen)
        known = form.get("version", "")
        version = int(known) if known.isascii() and known.isdigit() and len(known) < 10 else 0
        other = by_public_id(Organisation, form["shared_with"], _units(actor.organisation_id)).id if form.get("shared_with") else None
        transaction(
            lambda: target.file(
                year=year, canteen=canteen, base_fen=base_fen, percent_bp=percent_bp, version=version,
                shared_with_id=other, contractor=form.get("contractor", ""), actor=actor,
            )
        )  # fmt: skip
    except MarketError as error:
        return _again(error)
    flash(_("已申报。主管单位审核、财政锁定后生效。"), "done")
    return redirect(url_for("unit_desk.today"))


@bp.post("/adjustments")
@needs("unit.file")
def adjust() -> Any:
    actor, form, year = the_actor(), request.form, clock.business_date().year
    canteen = form.get("canteen", "")
    try:
        base_fen, percent_bp = _figures(canteen)
        transaction(
            lambda: target_adjustment.ask(
                year, canteen=canteen, base_fen=base_fen, percent_bp=percent_bp, reason=form.get("reason", ""),
                actor=actor, key=form.get("idempotency_key", ""),
            )
        )  # fmt: skip
    except MarketError as error:
        return _again(error)
    flash(_("调整已经交给县财政部门审核。同意之前，任务按原来的数。"), "done")
    return redirect(url_for(".show"))


def _again(error: MarketError) -> Any:
    db.session.rollback()
    field = str(error.data.get("field", ""))
    return _page({FIELDS.get(field, field): said(error)}), 422 if isinstance(error, InvalidInput) else 409


def _figures(canteen: str) -> tuple[int, int]:
    """Base in fen and percentage in basis points, as typed. A unit without a canteen of its own has no figures to give."""
    base_fen = 0 if canteen in target.WITHOUT_QUOTA else _yuan(request.form.get("base", ""))
    return base_fen, _percent(request.form.get("percent", ""))


def _yuan(typed: str) -> int:
    try:
        return parse_yuan(typed)
    except ValueError:
        raise InvalidInput("base.bad", N_("请填写食堂全年采购食材的金额。"), field="base_fen") from None


def _percent(typed: str) -> int:
    try:
        return parse_yuan(typed)  # two decimals of a percent are basis points
    except ValueError:
        least = settings().minimum_quota_bp // 100
        raise InvalidInput("percent.low", N_("预留比例不能低于 %(least)s%%。"), field="percent_bp", least=least) from None


def _units(but: int) -> Any:
    return select(Organisation).where(Organisation.kind == "UNIT", Organisation.suspended_at.is_(None), Organisation.id != but)


def _page(errors: dict[str, str]) -> str:
    actor = the_actor()
    year = clock.business_date().year
    row = target.of(actor.organisation_id, year)
    least = settings().minimum_quota_bp
    units = list(db.session.scalars(_units(actor.organisation_id).order_by(Organisation.name_zh)))
    other = next((each for each in units if row and each.id == row.shared_with_id), None)
    values = request.form or {
        "canteen": row.canteen if row else "OWN",
        "base": format_yuan(row.base_fen) if row and row.base_fen else "",
        "percent": format_yuan(row.percent_bp if row else least).removesuffix(".00"),
        "shared_with": other.public_id if other else "",
        "contractor": row.contractor if row else "",
    }
    adjustments = target_adjustment.of_target(row.id) if row else []
    return render_template(
        "unit/target.html",
        row=row,
        year=year,
        least=least,
        other=other,
        values=values,
        errors=errors,
        version=row.version if row else "",
        units=[(each.public_id, text(each, "name")) for each in units],
        word=approval.last_word(target.Target.__tablename__, row.id) if row and row.state == "DRAFT" else None,
        adjustments=adjustments,
        asked=any(each.state == "OPEN" for each in adjustments),
        canteens=canteens(),
        stages=stages(),
        key=request.form.get("idempotency_key") or new_public_id(),
        **desk(actor),
    )


def canteens() -> dict[str, str]:
    """The words for how a unit eats."""
    return {
        "OWN": _("自有食堂"), "SHARED": _("和别的单位合用，由对方申报"), "OUTSOURCED": _("外包，由本单位代申报"), "NONE": _("没有食堂"),
    }  # fmt: skip


def stages() -> dict[str, str]:
    """The words for how far a target is."""
    return {
        "MISSING": _("未申报"), "DRAFT": _("退回修改"), "FILED": _("等主管单位审核"), "REVIEWED": _("主管单位已审核"), "LOCKED": _("已锁定"),
    }  # fmt: skip
