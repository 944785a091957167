"""The roads of the county office beside its queues: the county as a whole, targets, the bulletin, organisations, the audit."""

from typing import Any

from flask import request

from marketplace.foundation.language import gettext as _
from marketplace.organisations.actor import Actor


def county_roads(actor: Actor) -> list[tuple[Any, ...]]:
    """(label, endpoint) each, for the operator's navigation."""
    return [
        (_("全县"), "operator_county.show"),
        (_("任务"), "operator_targets.index"),
        (_("通报"), "operator_bulletin.show"),
        (_("订单"), "operator_orders.index"),
        (_("逾期付款"), "operator_overdue.index"),
        (_("付款"), "payments.of_operator"),
        (_("资金健康"), "money_health.show"),
        *([(_("邮件"), "operator_mail.index")] if actor.has("administrator", "treasurer", "auditor") else []),
        *([(_("收款密钥"), "channel_keys.index")] if actor.has("administrator", "treasurer") else []),
        (_("单位和人员"), "operator_organisations.index"),
        *([(_("账簿"), "books.index", request.path.startswith("/books") or None)] if actor.has("administrator", "treasurer", "auditor") else []),
        *([(_("户的变动"), "household_changes.index")] if actor.has("administrator", "auditor") else []),
        (_("审批记录"), "operator_audit.approvals"),
        *([(_("操作记录"), "operator_audit.index")] if actor.has("administrator", "auditor") else []),
    ]
