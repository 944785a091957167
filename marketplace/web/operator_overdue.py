"""The yearly report on public bodies that paid late: who, how much, how long, and what is still open."""

from typing import Any

from flask import Blueprint, render_template, request, url_for

from marketplace.foundation import clock
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.reporting import overdue
from marketplace.web import spreadsheet
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_overdue", __name__, url_prefix="/operator/overdue")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")


@bp.get("")
@needs("operator.read")
def index() -> Any:
    this, year = clock.business_date().year, _year()
    rows = overdue.of_year(year)
    return render_template(
        "operator/overdue.html",
        rows=rows,
        late=[row for row in rows if row.late],
        year=year,
        years=[(str(each), url_for(".index", year=each), each == year, None) for each in (this, this - 1)],
        **desk(the_actor()),
    )


@bp.get("/export")
@needs("operator.read")
def export() -> Any:
    year = _year()
    columns = [
        (_("单位"), "text"), (_("到期单数"), "whole"), (_("逾期单数"), "whole"), (_("逾期金额"), "fen"), (_("最长逾期天数"), "whole"), (_("还欠"), "fen"),
    ]  # fmt: skip
    cells = [(text(row.unit, "name"), row.due, row.late, row.late_fen, row.longest, row.open_fen) for row in overdue.of_year(year)]
    return spreadsheet.download(_("%(year)s 年逾期付款", year=year), columns, cells)


def _year() -> int:
    typed, this = request.args.get("year", ""), clock.business_date().year
    if not typed:
        return this
    if not (typed.isascii() and typed.isdigit() and len(typed) == 4 and 2000 <= int(typed) <= this):
        raise InvalidInput("year.bad", N_("年份不对。"), field="year")
    return int(typed)
