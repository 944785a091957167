"""The page on which a unit files its target of the year, and corrects it until the county locks it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan, parse_yuan
from marketplace.procurement import target
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.unit_desk import desk

bp = Blueprint("unit_target", __name__, url_prefix="/unit/target")

permission("unit.read", UNIT="*")
permission("unit.file", UNIT="buyer accountant")


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
        # A unit without a canteen of its own has no figures to give.
        base_fen = 0 if canteen in target.WITHOUT_QUOTA else _yuan(form.get("base", ""))
        percent_bp = _percent(form.get("percent", ""))
        known = form.get("version", "")
        version = int(known) if known.isascii() and known.isdigit() and len(known) < 10 else None
        transaction(
            lambda: target.file(year=year, canteen=canteen, base_fen=base_fen, percent_bp=percent_bp, version=version, actor=actor)
        )
    except MarketError as error:
        db.session.rollback()
        field = {"base_fen": "base", "percent_bp": "percent"}.get(str(error.data.get("field", "")), str(error.data.get("field", "")))
        return _page({field: said(error)}), 422 if isinstance(error, InvalidInput) else 409
    flash(_("已申报。主管单位审核、财政锁定后生效。"), "done")
    return redirect(url_for("unit_desk.today"))


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


def _page(errors: dict[str, str]) -> str:
    actor = the_actor()
    year = clock.business_date().year
    row = target.of(actor.organisation_id, year)
    least = settings().minimum_quota_bp
    values = request.form or {
        "canteen": row.canteen if row else "OWN",
        "base": format_yuan(row.base_fen) if row and row.base_fen else "",
        "percent": format_yuan(row.percent_bp if row else least).removesuffix(".00"),
    }
    return render_template(
        "unit/target.html", row=row, year=year, least=least, values=values, errors=errors, version=row.version if row else "", **desk(actor)
    )
