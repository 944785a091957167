"""The page behind an invitation's link: the invited person chooses a password and is signed in. It works once; where two people agreed on the
person, only with the code that the other one hands over."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations import invitation
from marketplace.organisations.actor import acting
from marketplace.organisations.person import Person, hash_password
from marketplace.web.account import begin
from marketplace.web.limits import limiter
from marketplace.web.permission import public
from marketplace.web.workplace import workplace

bp = Blueprint("invitation", __name__, url_prefix="/invitation")


@bp.get("/<token>")
@limiter.limit("60 per hour")
@public
def show(token: str) -> Any:
    return _page(token, {})


@bp.post("/<token>")
@limiter.limit("30 per hour")
@public
def accept(token: str) -> Any:
    first, second = request.form.get("password", ""), request.form.get("again", "")
    if first != second:
        return _page(token, {"again": _("两次填的密码不一样。")}, 422)
    try:
        chosen = hash_password(first)
        person_id = transaction(lambda: invitation.accept(token, chosen, code=request.form.get("code", "")))
    except InvalidInput as error:
        db.session.rollback()
        return _page(token, {str(error.data.get("field", "")): said(error)}, 422)
    if person_id is None:
        return _page(token, {"code": _("口令不对。请向提出开通的那位管理员再问一遍；错 %(n)s 次链接就作废。", n=invitation.MOST_TRIES)}, 422)
    actor = acting(person_id)
    if actor is None:
        flash(_("密码设好了，但您现在没有岗位，请联系县级运营方。"), "wait")
        return redirect(url_for("account.sign_in"))
    begin(person_id, actor.organisation_id)
    flash(_("密码设好了，已经登录。"), "done")
    return redirect(workplace(actor) or "/")


def _page(token: str, errors: dict[str, str], status: int = 200) -> Any:
    row = invitation.of_token(token)
    invited = db.session.get_one(Person, row.person_id) if row else None
    page = render_template("account/invitation.html", person=invited, in_two=row is not None and row.in_two, token=token, errors=errors)
    # A link that is over answers as a page that is gone.
    return (page, status if invited else 410, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
