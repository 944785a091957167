"""The county's letters by e-mail: what waits and why, what was given up, what went out. Nothing is lost; an administrator tries again."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.notices import mail, mail_desk
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_mail", __name__, url_prefix="/operator/mail")

permission("mail.read", OPERATOR="administrator treasurer auditor")
permission("mail.send", OPERATOR="administrator")

PAGE = 50
ABOUT = {"money.alarm": N_("资金提醒"), "money.solved": N_("资金问题已解决"), "money.digest": N_("资金日报"), "confirm": N_("确认邮箱")}


@bp.get("")
@needs("mail.read")
def index() -> Any:
    state, before = request.args.get("state", "waiting"), request.args.get("before", "0")
    if state not in mail_desk.STATES or not (before.isascii() and before.isdigit() and len(before) < 16):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="state")
    found = mail_desk.letters(state, before_id=int(before), limit=PAGE + 1)
    return render_template(
        "operator/mail.html",
        found=found[:PAGE],
        state=state,
        about=ABOUT,
        can_send=mail.can_send(),
        next_url=url_for(".index", state=state, before=found[PAGE - 1].row.id) if len(found) > PAGE else None,
        **desk(the_actor()),
    )


@bp.post("/again")
@needs("mail.send")
def again() -> Any:
    actor, key = the_actor(), request.form.get("key", "")[:80]
    transaction(lambda: mail_desk.again(key, actor=actor))
    flash(_("马上再发一次。"), "done")
    return redirect(url_for(".index", state="given_up"), 303)
