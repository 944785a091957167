"""Who did what, and who approved it: the audit for those who check, the approvals for the whole office. Nothing here changes anything."""

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.audit import AuditEvent
from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.organisations.approval import Approval
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.person import Person, by_login
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("operator_audit", __name__, url_prefix="/operator")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("audit.read", OPERATOR="administrator auditor")

PAGE = 50


@bp.get("/audit")
@needs("audit.read")
def index() -> Any:
    asked = {name: request.args.get(name, "").strip()[:60] for name in ("action", "who", "since", "until", "subject")}
    query = _query(asked)
    if "export" in request.args:
        columns = [(_("时间"), "text"), (_("谁"), "text"), (_("单位"), "text"), (_("做了什么"), "text"), (_("对象"), "text"), (_("数据"), "text")]
        lines = (
            (
                f"{event.at.astimezone(clock.BEIJING):%Y-%m-%d %H:%M:%S}", someone.login if someone else _("系统"), own.name_zh if own else None,
                event.action, f"{event.subject_type} {event.subject_id}", said(event.data),
            )
            for event, someone, own in streamed(query)
        )  # fmt: skip
        return download(_("操作记录"), columns, lines)
    after = request.args.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 19:
        query = query.where(AuditEvent.id < int(after))
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    here: dict[str, Any] = {name: value or None for name, value in asked.items()}
    return render_template(
        "operator/audit.html",
        rows=[(*row, said(row[0].data)) for row in rows[:PAGE]],
        asked=asked,
        next_url=url_for(".index", **here, after=rows[PAGE - 1][0].id) if len(rows) > PAGE else None,
        export_url=url_for(".index", **here, export=1),
        **desk(the_actor()),
    )


@bp.get("/approvals")
@needs("operator.read")
def approvals() -> Any:
    """Second people's decisions, the latest first."""
    subject, decision = request.args.get("subject", "").strip()[:40], request.args.get("decision", "")
    if decision not in ("", "APPROVED", "RETURNED"):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="decision")
    maker, checker = aliased(Person), aliased(Person)
    query = (
        select(Approval, maker, checker, Organisation)
        .join(maker, maker.id == Approval.maker_id)
        .join(checker, checker.id == Approval.checker_id)
        .join(Organisation, Organisation.id == Approval.organisation_id)
        .order_by(Approval.id.desc())
    )
    if subject:
        query = query.where(Approval.subject_type == subject)
    if decision:
        query = query.where(Approval.decision == decision)
    if "export" in request.args:
        columns = [(_("时间"), "text"), (_("事项"), "text"), (_("经办"), "text"), (_("审批"), "text"), (_("单位"), "text"), (_("结果"), "text"), (_("理由"), "text")]
        lines = (
            (
                f"{row.at.astimezone(clock.BEIJING):%Y-%m-%d %H:%M}", subjects().get(row.subject_type, row.subject_type), made.name_zh, checked.name_zh,
                own.name_zh, _("批准") if row.decision == "APPROVED" else _("退回"), row.reason,
            )
            for row, made, checked, own in streamed(query)
        )  # fmt: skip
        return download(_("审批记录"), columns, lines)
    after = request.args.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 19:
        query = query.where(Approval.id < int(after))
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    here: dict[str, Any] = {"subject": subject or None, "decision": decision or None}
    return render_template(
        "operator/approvals.html",
        rows=rows[:PAGE],
        subject=subject,
        decision=decision,
        subjects=subjects(),
        next_url=url_for(".approvals", **here, after=rows[PAGE - 1][0].id) if len(rows) > PAGE else None,
        export_url=url_for(".approvals", **here, export=1),
        **desk(the_actor()),
    )


def subjects() -> dict[str, str]:
    """The words for what is approved."""
    return {
        "directed_order": _("单位采购单"), "product": _("商品上架"), "target": _("任务申报"), "target_adjustment": _("任务调整"),
        "distribution": _("收益分配"), "payout_batch": _("代发批次"), "match_undo": _("撤销核销"), "price_cut": _("减价"), "end_request": _("取消采购单"),
        "scheme_proposal": _("分账方案"), "refund_waiver": _("不再退款"), "refund_recall": _("不再转账退款"), "row_decision": _("流水说明"), "row_undo": _("撤销流水说明"), "receipt_return": _("退回付款人"),
    }  # fmt: skip


def said(data: dict[str, Any]) -> str:
    """The event's data in one line: codes and numbers, as they were kept."""
    return " · ".join(f"{name}={value}" for name, value in data.items())


def _query(asked: dict[str, str]) -> Any:
    query = (
        select(AuditEvent, Person, Organisation)
        .outerjoin(Person, Person.id == AuditEvent.person_id)
        .outerjoin(Organisation, Organisation.id == AuditEvent.organisation_id)
        .order_by(AuditEvent.id.desc())
    )
    if asked["action"]:
        query = query.where(AuditEvent.action.startswith(asked["action"], autoescape=True))
    if asked["subject"]:
        query = query.where(AuditEvent.subject_type == asked["subject"])
    if asked["who"]:
        someone = by_login(asked["who"])
        query = query.where(AuditEvent.person_id == (someone.id if someone else 0))
    if asked["since"]:
        query = query.where(AuditEvent.at >= clock.beijing_midnight(_day(asked["since"], "since")))
    if asked["until"]:
        query = query.where(AuditEvent.at < clock.beijing_midnight(_day(asked["until"], "until") + timedelta(days=1)))
    return query


def _day(typed: str, field: str) -> date:
    try:
        found = date.fromisoformat(typed)
        if not 2000 <= found.year <= 2200:
            raise ValueError(typed)
    except ValueError:
        raise InvalidInput("day.bad", N_("日期请写成 2026-11-23 这样。"), field=field) from None
    return found
