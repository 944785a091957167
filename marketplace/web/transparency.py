"""公开账: the open books of the market, and the notices that stand for objection. Anybody may read; anybody may object."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.disclosure import tree_head
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.notices import objection
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.organisation import Organisation
from marketplace.reporting import open_books
from marketplace.web.limits import address, limiter
from marketplace.web.permission import current_actor, public

bp = Blueprint("transparency", __name__)


@bp.get("/transparency")
@limiter.limit("60 per minute")
@public
def show() -> str:
    this_year = clock.business_date().year
    asked = request.args.get("year", "")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) == 4 else this_year
    arrived = open_books.paid(number)
    return render_template(
        "transparency/show.html",
        year=open_books.year(number, arrived),
        this_year=this_year,
        head=tree_head.newest(),
        parts=open_books.parts(number, arrived),
        standing=open_books.notices(standing=True),
        ended=open_books.notices(standing=False, limit=10),
        here="accounts",
    )


@bp.get("/notices/<public_id>")
@public
def notice(public_id: str) -> str:
    return _notice_page(public_id, {})


def of_this_notice() -> str:
    """Who speaks, by their address, and against what: one voice is not a hundred."""
    return f"{address()} {request.path}"


@bp.post("/notices/<public_id>/objections")
@limiter.limit("20 per hour")
@limiter.limit("10 per day", key_func=of_this_notice)
@public
def object_to(public_id: str) -> Any:
    row = by_public_id(PublicNotice, public_id)
    notice_id, form, actor = row.id, request.form, current_actor()
    try:
        transaction(
            lambda: objection.raise_(
                notice_id, text=form.get("text", ""), name=form.get("name", ""), contact=form.get("contact", ""), actor=actor
            )
        )
    except InvalidInput as error:
        return _notice_page(public_id, {"text": said(error)}), 422
    flash(_("异议已经收到。答复之前，这笔钱不会发放。"), "done")
    return redirect(url_for(".notice", public_id=public_id))


def _notice_page(public_id: str, errors: dict[str, str]) -> str:
    row = by_public_id(PublicNotice, public_id)
    objections, more = objection.listed(row.id, request.args.get("after", ""))
    return render_template(
        "transparency/notice.html",
        notice=row,
        organisation=db.session.get_one(Organisation, row.organisation_id),
        # What was objected and answered is public; who objected is not.
        objections=objections,
        next_url=url_for(".notice", public_id=public_id, after=more) if more else None,
        stands=row.withdrawn_at is None and clock.business_date() <= row.ends_on,
        bases={
            "BATCHES": _("按本月所售批次的交货量"),
            "TWELVE_MONTHS": _("按近十二个月的交货量"),
            "EQUITY_ONLY": _("没有交货记录，全部按股份"),
        },
        errors=errors,
        values=request.form,
        here="accounts",
    )
