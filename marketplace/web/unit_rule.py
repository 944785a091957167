"""A unit's rule of approval: from which amount on two people must agree. Set by an approver, seen by everybody of the unit."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.foundation.database import db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan, parse_yuan
from marketplace.procurement import approval_rule
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.unit_desk import desk

bp = Blueprint("unit_rule", __name__, url_prefix="/unit/rule")

permission("unit.read", UNIT="*")
permission("unit.approve", UNIT="approver")


@bp.get("")
@needs("unit.read")
def show() -> Any:
    return _page({})


@bp.post("")
@needs("unit.approve")
def save() -> Any:
    actor, typed, version = the_actor(), request.form.get("second_from", "").strip(), request.form.get("version", "")
    try:
        if not (version.isascii() and version.isdigit() and len(version) < 10):
            raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="second_from")
        try:
            fen = parse_yuan(typed) if typed else None
        except ValueError:
            raise InvalidInput("fen.bad", N_("请填写金额；不要这条规则就留空。"), field="second_from") from None
        transaction(lambda: approval_rule.set_rule(fen, version=int(version), actor=actor))
    except MarketError as error:
        db.session.rollback()
        return _page({"second_from": said(error)}), 422 if isinstance(error, InvalidInput) else 409
    flash(_("审批规则改好了，从下一次审批起生效。"), "done")
    return redirect(url_for(".show"))


def _page(errors: dict[str, str]) -> str:
    actor = the_actor()
    rule = approval_rule.of(actor.organisation_id)
    amount = format_yuan(rule.second_from_fen) if rule and rule.second_from_fen else ""
    return render_template(
        "unit/rule.html",
        rule=rule,
        amount=request.form.get("second_from", amount),
        approvers=approval_rule.approvers(actor.organisation_id),
        version=rule.version if rule else 0,
        errors=errors,
        crumbs=[(_("采购单"), url_for("unit_orders.index")), (_("审批规则"), None)],
        **desk(actor),
    )
