"""A unit's rule of approval: from which amount on two people must agree. Tightened by an approver, loosened by two, seen by everybody of the unit."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput, MarketError
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan, parse_yuan
from marketplace.procurement import approval_rule, approval_rule_change
from marketplace.procurement.approval_rule_change import ApprovalRuleChange
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import names_of, typed_version
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
        asked = transaction(lambda: approval_rule_change.set_rule(fen, version=int(version), actor=actor)) is not None
    except MarketError as error:
        db.session.rollback()
        return _page({"second_from": said(error)}), 422 if isinstance(error, InvalidInput) else 409
    if asked:
        flash(_("已提出。放宽规则要另一位审批人同意，同意以前照旧。"), "wait")
    else:
        flash(_("审批规则改好了，从下一次审批起生效。"), "done")
    return redirect(url_for(".show"))


@bp.post("/<public_id>")
@needs("unit.approve")
def decide(public_id: str) -> Any:
    """Another approver's word on a looser rule."""
    actor, version, form = the_actor(), typed_version(), request.form
    own = select(ApprovalRuleChange).where(ApprovalRuleChange.organisation_id == actor.organisation_id)
    number, decision = by_public_id(ApprovalRuleChange, public_id, own).id, form.get("decision", "")
    try:
        if decision not in ("approve", "return"):
            raise InvalidInput("decision.missing", N_("请选同意还是退回。"), field="reason")
        transaction(
            lambda: approval_rule_change.decide(number, version=version, approved=decision == "approve", reason=form.get("reason", ""), actor=actor)
        )
    except InvalidInput as error:
        db.session.rollback()
        return _page({"reason": said(error)}), 422
    flash(_("已同意，规则放宽了，从下一张提交的单起生效。") if decision == "approve" else _("已退回，规则没有改。"), "done")
    return redirect(url_for(".show"), 303)


def _page(errors: dict[str, str]) -> str:
    actor = the_actor()
    rule = approval_rule.of(actor.organisation_id)
    amount = format_yuan(rule.second_from_fen) if rule and rule.second_from_fen else ""
    change = approval_rule_change.waiting(actor.organisation_id)
    return render_template(
        "unit/rule.html",
        rule=rule,
        amount=request.form.get("second_from", amount),
        approvers=approval_rule.approvers(actor.organisation_id),
        version=rule.version if rule else 0,
        change=change,
        people=names_of([change.proposed_by_id]) if change else {},
        errors=errors,
        crumbs=[(_("采购单"), url_for("unit_orders.index")), (_("审批规则"), None)],
        **desk(actor),
    )
