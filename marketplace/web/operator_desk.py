"""The operator's desk: the queues of what waits for somebody, each with its count and oldest age, and each opening on its rows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import ColumnElement, func, select

from marketplace.catalogue.listing_change import ListingChange
from marketplace.catalogue.listing_check import LICENCE_WARN_DAYS
from marketplace.catalogue.product import Product
from marketplace.catalogue.scheme_proposal import SchemeProposal
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.errors import NotFound
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.notices.public_notice import Objection
from marketplace.orders.return_request import ReturnRequest
from marketplace.organisations.actor import Actor
from marketplace.organisations.organisation import Organisation
from marketplace.payments.bank_statement import BankReceipt
from marketplace.payments.refund import Refund
from marketplace.procurement.target import Target
from marketplace.procurement.target_adjustment import TargetAdjustment
from marketplace.reporting import licences
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.fund_return import FundReturn
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.rule_proposal import RuleProposal
from marketplace.supply.mass_balance import MassAnomaly
from marketplace.web.county_roads import county_roads
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_desk", __name__, url_prefix="/operator")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")

PAGE = 50


@dataclass(frozen=True)
class Queue:
    """What waits: ``open`` says which rows, ``since`` from when on, ``words`` what a row is called and its fen, if any."""

    label: str
    nothing: str
    model: Any
    open: ColumnElement[bool]
    since: Any
    words: Callable[[Any], tuple[str, int | None]]


QUEUES: dict[str, Queue] = {
    "listings": Queue(
        N_("等审核的商品"), N_("没有等审核的商品。"), Product, Product.state == "SUBMITTED", Product.submitted_at, lambda row: (row.name_zh, None)
    ),
    "changes": Queue(
        N_("等审核的商品修改"), N_("没有等审核的商品修改。"), ListingChange, ListingChange.state == "SUBMITTED", ListingChange.submitted_at,
        lambda row: (str(row.content["texts"]["name_zh"]), None),
    ),
    "schemes": Queue(
        N_("等审批的分账方案"), N_("没有等审批的分账方案。"), SchemeProposal, SchemeProposal.state == "SUBMITTED", SchemeProposal.made_at,
        lambda row: (row.reason[:120], None),
    ),
    "rules": Queue(
        N_("等审批的分配规则"), N_("没有等审批的分配规则。"), RuleProposal, RuleProposal.state == "SUBMITTED", RuleProposal.made_at,
        lambda row: (row.reason[:120], None),
    ),
    "anomalies": Queue(
        N_("货对不上的"), N_("采收、装货、发货和交货都对得上。"), MassAnomaly, MassAnomaly.state == "OPEN", MassAnomaly.found_at,
        lambda row: (f"{row.kind} {row.grams_over} g", None),
    ),
    "filings": Queue(
        N_("等审核或锁定的任务申报"), N_("没有等审核或锁定的任务申报。"), Target, Target.state.in_(("FILED", "REVIEWED")) & Target.filed_at.is_not(None),
        Target.filed_at, lambda row: (str(row.year), row.reserved_fen),
    ),
    "adjustments": Queue(
        N_("等审核的任务调整"), N_("没有等审核的任务调整。"), TargetAdjustment, TargetAdjustment.state == "OPEN", TargetAdjustment.asked_at,
        lambda row: (row.reason[:120], row.delta_fen),
    ),
    "objections": Queue(
        N_("等答复的异议"), N_("没有等答复的异议。"), Objection, Objection.outcome == "OPEN", Objection.raised_at, lambda row: (row.text[:120], None)
    ),
    "distributions": Queue(
        N_("公示中的收益分配"), N_("没有正在公示的分配。"), Distribution, Distribution.state == "PUBLISHED", Distribution.published_at,
        lambda row: (_("%(period)s 收益分配", period=row.period), row.total_fen),
    ),
    "payouts": Queue(
        N_("在办的代发"), N_("没有在办的代发批次。"), PayoutBatch, PayoutBatch.state.in_(("DRAFT", "APPROVED", "SENT")), PayoutBatch.made_at,
        lambda row: (row.number, row.total_fen),
    ),
    "fund_returns": Queue(
        N_("等同意的基金退回"), N_("没有等同意的基金退回。"), FundReturn, FundReturn.state == "PROPOSED", FundReturn.proposed_at,
        lambda row: (row.number, row.fen),
    ),
    "returns": Queue(
        N_("等答复的退货"), N_("没有等合作社答复的退货申请。"), ReturnRequest, ReturnRequest.state == "OPEN", ReturnRequest.raised_at,
        lambda row: (row.reason[:120], row.fen),
    ),
    "receipts": Queue(
        N_("没对上的到账"), N_("银行到账都对上了。"), BankReceipt, BankReceipt.state.in_(("imported", "partial")),
        BankReceipt.received_on, lambda row: (row.payer_name, row.fen - row.matched_fen),
    ),
    "refunds": Queue(
        N_("结果不明的退款"), N_("没有结果不明的退款。"), Refund, Refund.state == "unknown", Refund.approved_at,
        lambda row: (row.out_request_no, row.fen),
    ),
}  # fmt: skip

# Queues with a list of their own, better than the plain one of this desk.
LISTS = {
    "listings": "/operator/listings", "changes": "/operator/listings?view=changes", "schemes": "/operator/schemes", "rules": "/operator/rules",
    "anomalies": "/operator/mass-balance",
}  # fmt: skip


def desk(actor: Actor) -> dict[str, Any]:
    """What every page of the operator needs: its roads."""
    queue = QUEUES["listings"]
    waiting = db.session.scalar(select(func.count()).select_from(Product).where(queue.open))
    return {
        "nav_items": [
            (_("今天"), "operator_desk.today"),
            (_("商品审核"), "operator_listings.index", None, waiting or None),
            (_("分账方案审批"), "operator_schemes.index"),
            (_("分配规则审批"), "operator_rules.index"),
            *county_roads(actor),
            (_("收益分配"), "distribution.index", request.path.startswith("/distributions") or None),
            (_("代发"), "payout.index", request.path.startswith("/payouts") or None),
            (_("划款"), "remittance.index", request.path.startswith(("/remittances", "/fund-returns")) or None),
            (_("无人领取的钱"), "unclaimed.index", request.path.startswith("/unclaimed") or None),
            (_("对账"), "reconciliation.index", request.path.startswith("/reconciliation") or None),
        ]
    }


@bp.get("")
@needs("operator.read")
def today() -> Any:
    # One statement for all queues, however many there will be.
    asked = [
        select(figure).select_from(queue.model).where(queue.open).scalar_subquery()
        for queue in QUEUES.values()
        for figure in (func.count(), func.min(queue.since))
    ]
    row = db.session.execute(select(*asked)).one()
    found = [
        (LISTS.get(name) or url_for(".queue", name=name), _(queue.label), row[2 * at], _moment(row[2 * at + 1]), _(queue.nothing))
        for at, (name, queue) in enumerate(QUEUES.items())
    ]
    found.append(_licences())
    # What has waited longest comes first; what is empty, last.
    found.sort(key=lambda each: (not each[2], each[3] or clock.now()))
    return render_template("operator/today.html", queues=found, **desk(the_actor()))


def _licences() -> tuple[str, str, int, datetime | None, str]:
    """Licences about to end, as a queue: they wait from the day on which the first warning was due."""
    ending = licences.ending(max(LICENCE_WARN_DAYS))
    since = ending[0][1].licence_expires_on - timedelta(days=max(LICENCE_WARN_DAYS)) if ending else None
    return "/operator/licences", _("快到期的许可"), len(ending), _moment(since), _("九十天内没有到期的许可。")


@bp.get("/queues/<name>")
@needs("operator.read")
def queue(name: str) -> Any:
    """The rows of one queue, oldest first."""
    chosen = QUEUES.get(name)
    if chosen is None:
        raise NotFound("queue.missing", N_("没有这样的队列。"))
    model = chosen.model
    query = (
        select(model, Organisation)
        .join(Organisation, Organisation.id == model.organisation_id)
        .where(chosen.open)
        .order_by(chosen.since, model.id)
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    if after:
        last = by_public_id(model, after)
        at = getattr(last, chosen.since.key)
        query = query.where((chosen.since > at) | ((chosen.since == at) & (model.id > last.id)))
    found = db.session.execute(query).all()
    rows = [
        (*chosen.words(row), owner, _moment(getattr(row, chosen.since.key)), _address(name, row)) for row, owner in found[:PAGE]
    ]
    next_url = url_for(".queue", name=name, after=found[PAGE - 1][0].public_id) if len(found) > PAGE else None
    return render_template(
        "operator/queue.html",
        label=_(chosen.label),
        nothing=_(chosen.nothing),
        rows=rows,
        next_url=next_url,
        crumbs=[(_("今天"), url_for(".today")), (_(chosen.label), None)],
        **desk(the_actor()),
    )


def _address(name: str, row: Any) -> str | None:
    """Where one row of a queue is worked on, if it has a page of its own."""
    pages = {
        "listings": "operator_listings.show", "schemes": "operator_schemes.show", "rules": "operator_rules.show", "distributions": "distribution.show", "payouts": "payout.show",
        "fund_returns": "fund_return.show",
    }  # fmt: skip
    if name == "objections":
        found = db.session.scalar(select(Distribution.public_id).where(Distribution.notice_id == row.notice_id))
        return url_for("distribution.show", public_id=found) + "#objections" if found else None
    return url_for(pages[name], public_id=row.public_id) if name in pages else None


def _moment(at: datetime | date | None) -> datetime | None:
    """A day of a bank waits from its midnight (Beijing) on."""
    return at if at is None or isinstance(at, datetime) else clock.beijing_midnight(at)
