"""What the county's desks of proposals share: the list of those in one state, and the administrator's word on one."""

from collections.abc import Callable
from typing import Any

from flask import flash, redirect, request, url_for
from sqlalchemy import Select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.web import form_input
from marketplace.web.permission import the_actor

PAGE = 25
VIEWS = {"waiting": "SUBMITTED", "approved": "APPROVED", "returned": "RETURNED"}


def listed(model: Any, query: Select[*tuple[Any, ...]]) -> dict[str, Any]:
    """A page of ``query``, whose rows begin with the proposal: the longest waiting first, others latest first. InvalidInput ``view.bad``."""
    view = request.args.get("view", "waiting")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    rising = view == "waiting"
    query = query.where(model.state == VIEWS[view]).order_by(model.id if rising else model.id.desc()).limit(PAGE + 1)
    after = request.args.get("after", "")
    if after:
        last = by_public_id(model, after)
        query = query.where(model.id > last.id if rising else model.id < last.id)
    rows = db.session.execute(query).all()
    more = url_for(".index", view=view, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None
    return {"rows": rows[:PAGE], "view": view, "next_url": more}


def decided(model: Any, public_id: str, decide: Callable[..., Any], page: Callable[[Any, dict[str, str]], str], *, late: str, approved: str) -> Any:
    """What the form says is decided. Without a reason, or when it came too late (Conflict ``late``), the page says so beside the form."""
    actor, row_id = the_actor(), by_public_id(model, public_id).id
    agreed, reason, version = form_input.approves(), form_input.given("reason"), form_input.version()
    try:
        transaction(lambda: decide(row_id, version=version, approved=agreed, reason=reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        if error.code not in ("reason.missing", late):
            raise
        return page(by_public_id(model, public_id), {"reason": said(error)}), 422
    flash(_(approved) if agreed else _("已退回，合作社看得到理由。"), "done")
    return redirect(url_for(".index"))
