"""Links from an entry to what caused it, as far as its reader may open them."""

from flask import url_for

from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor
from marketplace.reporting.entry_cause import Cause
from marketplace.web.permission import holds


def links(causes: list[Cause], actor: Actor) -> list[tuple[str, str]]:
    """(words, address) of each page that the reader may open."""
    return [found for each in causes if (found := _link(each, actor))]


def _link(cause: Cause, actor: Actor) -> tuple[str, str] | None:
    match cause.page:
        case "receipt":
            return _("看这张订单的受益凭证"), url_for("receipt.benefit", token=cause.key)
        case "payment":
            shown = "payments.show_to_operator" if actor.is_operator else "payments.show_to_cooperative"
            return _("看这笔付款"), url_for(shown, public_id=cause.key)
        case "distribution":
            return _("看这次收益分配"), url_for("distribution.show", public_id=cause.key)
        case "payout":
            return _("看这批代发"), url_for("payout.show", public_id=cause.key)
        case "payout_item":
            return _("看这一笔代发"), url_for("payout_item.show", public_id=cause.key)
        case "remittance":
            return _("看这笔划款"), url_for("remittance.show", public_id=cause.key)
        case "fund_return":
            return _("看这笔基金退回"), url_for("fund_return.show", public_id=cause.key)
        case "unclaimed":
            return _("看这次无人认领的钱"), url_for("unclaimed.show", public_id=cause.key)
        case "household_change":
            may = holds(actor, "household.changes")
            return (_("看这次户的变动"), url_for("household_changes.show", public_id=cause.key)) if may else None
        case "account":
            words = _("看那天的银行对账") if cause.side == "bank" else _("看那天的支付宝对账")
            return words, url_for("reconciliation.account", public_id=cause.key, side=cause.side, day=cause.day)
    raise LookupError(cause.page)
