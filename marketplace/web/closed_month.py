"""A closed month, for whoever checks it without a terminal: the hash that was kept at closing, the very bytes, and how to compare."""

from io import SEEK_END
from tempfile import SpooledTemporaryFile
from typing import Any

from flask import Blueprint, Response, render_template, url_for

from marketplace.foundation.database import db, not_found
from marketplace.foundation.language import gettext as _
from marketplace.ledger import period as ledger_period
from marketplace.ledger.period import ClosedPeriod
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, names_of
from marketplace.web.spreadsheet import KEPT_IN_MEMORY, sent

bp = Blueprint("closed_month", __name__, url_prefix="/books/months")

permission("books.read", OPERATOR="administrator treasurer auditor", COOPERATIVE="director accountant")
permission("books.journal", OPERATOR="administrator treasurer auditor")  # of all books


@bp.get("/<period>")
@needs("books.read")
def show(period: str) -> Any:
    row = _closed(period)
    return render_template(
        "books/closed_month.html",
        row=row,
        closer=names_of((row.closed_by_id,))[row.closed_by_id],
        file=_name(row),
        crumbs=[(_("账簿"), url_for("books.index")), (_("月份"), url_for("books.months")), (row.period, None)],
        **desk(the_actor()),
    )


@bp.get("/<period>/journal.csv")
@needs("books.journal")
def journal(period: str) -> Response:
    """The month's journal, written anew from the ledger: byte for byte what was hashed, or it was changed since."""
    row = _closed(period)
    out = SpooledTemporaryFile(max_size=KEPT_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    for page in ledger_period.journal(row.period):
        out.write(page.encode())
    size = out.seek(0, SEEK_END)
    out.seek(0)
    response = Response(sent(out), content_type="text/csv; charset=utf-8")
    response.call_on_close(out.close)
    response.content_length = size
    response.headers["Content-Disposition"] = f"attachment; filename={_name(row)}"
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _closed(period: str) -> ClosedPeriod:
    row = db.session.get(ClosedPeriod, period)
    if row is None:
        raise not_found(ClosedPeriod)
    return row


def _name(row: ClosedPeriod) -> str:
    return f"journal-{row.period}.csv"
