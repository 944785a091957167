"""Distributions: the list, drafting a month after seeing what it divides, and one distribution with its way, groups and objections."""

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from sqlalchemy import Select, func, select

from marketplace.errands import errand
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db, new_public_id
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.households.linkage_group import LinkageGroup
from marketplace.notices import objection
from marketplace.notices.public_notice import PublicNotice
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.organisation import Organisation
from marketplace.settlement import distribution, distribution_errand, distribution_preview, payout_progress
from marketplace.settlement.distribution import Distribution, DistributionGroup
from marketplace.settlement.distribution_pool import left_out, recoverable
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.web import payout_words
from marketplace.web.distribution_way import next_strip, way
from marketplace.web.errand import Wanted, led_to, once
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk, money_home, names_of
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("distribution", __name__, url_prefix="/distributions")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")
permission("distribution.draft", COOPERATIVE="accountant")

PAGE = 25
VIEWS: dict[str, tuple[str, ...]] = {
    "": distribution.STATES,
    "open": ("DRAFTED", "APPROVED", "PUBLISHED"),
    "posted": ("POSTED",),
    "withdrawn": ("WITHDRAWN",),
}


def state_words() -> dict[str, str]:
    """What a distribution's state is called."""
    return {
        "DRAFTED": _("等审批"), "APPROVED": _("等公示"), "PUBLISHED": _("公示中"), "POSTED": _("已记到各户"), "WITHDRAWN": _("已撤回"),
    }  # fmt: skip


def basis_words() -> dict[str, str]:
    """Where patronage weights came from."""
    return {
        "BATCHES": _("按本月所售批次的交货量"),
        "TWELVE_MONTHS": _("按近十二个月的交货量"),
        "EQUITY_ONLY": _("没有交货记录，全部按股份"),
    }


def own(public_id: str, actor: Actor) -> Distribution:
    """The distribution with this outside name, of one's cooperative; the operator's staff may see all."""
    row: Distribution = by_public_id(Distribution, public_id, scoped(actor, Distribution))
    return row


@bp.get("")
@needs("money.read")
def index() -> Any:
    actor = the_actor()
    view, query = _filtered(actor)
    before = request.args.get("before", "")
    if before:
        query = query.where(Distribution.id < own(before, actor).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    kept: dict[str, Any] = {key: value for key, value in request.args.items() if key in ("view", "cooperative", "period") and value}
    return render_template(
        "distribution/index.html",
        rows=rows[:PAGE],
        paid=payout_progress.of_distributions([row[0].id for row in rows[:PAGE] if row[0].state == "POSTED"]),
        view=view,
        states=state_words(),
        errands=errand.waiting(actor.organisation_id),
        kept=kept,
        next_url=url_for(".index", **kept, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        cooperatives=_cooperatives() if actor.is_operator else [],
        months=[] if actor.is_operator else distribution_preview.months(actor.organisation_id),
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("收益分配"), None)],
        **desk(actor),
    )


@bp.get("/export.xlsx")
@needs("money.read")
def export() -> Response:
    _view, query = _filtered(the_actor())
    states = state_words()
    columns = [
        (_("合作社"), "text"), (_("月份"), "text"), (_("第几份"), "whole"), (_("状态"), "text"), (_("户数"), "whole"), (_("金额"), "fen"),
        (_("拟定"), "day"), (_("公示"), "day"), (_("公示到"), "day"), (_("记到各户"), "day"),
    ]  # fmt: skip
    rows = (
        (owner.name_zh, row.period, row.number, states[row.state], households, row.total_fen, row.drafted_at, row.published_at, ends_on, row.posted_at)
        for row, owner, households, ends_on in streamed(query)
    )
    return download(_("收益分配"), columns, rows)


@bp.get("/new")
@needs("distribution.draft")
def choose() -> Any:
    """Months with something to divide; with ``period``, what would be divided, group by group."""
    actor = the_actor()
    period = request.args.get("period", "")
    many = errand.takes_long(distribution_errand.members(actor.organisation_id, period)) if period else False
    groups = distribution_preview.preview(actor.organisation_id, period, divided=not many) if period else []
    return render_template(
        "distribution/new.html",
        months=distribution_preview.months(actor.organisation_id),
        period=period,
        this_month=clock.period_of(clock.business_date()),
        groups=groups,
        many=many,
        total_fen=sum(group.fen for group in groups),
        refused=[group for group in groups if group.refused],
        bases=basis_words(),
        key=new_public_id(),
        cap_bp=settings().recovery_cap_bp,
        crumbs=[(_("钱"), money_home(actor)), (_("收益分配"), url_for(".index")), (_("拟定"), None)],
        **desk(actor),
    )


@bp.post("/new")
@needs("distribution.draft")
def draft() -> Any:
    actor, period, key = the_actor(), request.form.get("period", ""), request.form.get("idempotency_key", "")
    subject, members = distribution_errand.of_month(actor.organisation_id, period), distribution_errand.members(actor.organisation_id, period)
    given = {"period": period}

    def work() -> dict[str, Any]:
        return {"public_id": distribution.draft(actor.organisation_id, period, actor=actor).public_id}

    wanted = Wanted("distribution.draft", subject, actor.organisation_id, period, members, url_for(".index"), given)
    made = once(wanted, work, key=key, request=given, actor=actor)
    if "errand" in made:
        return led_to(made["errand"])
    flash(_("已拟定，等理事长审批。"), "done")
    return redirect(url_for(".show", public_id=made["public_id"]), 303)


@bp.get("/<public_id>")
@needs("money.read")
def show(public_id: str) -> Any:
    return page(own(public_id, the_actor()), {})


def page(row: Distribution, errors: dict[str, str]) -> str:
    """One distribution as its reader may see and move it."""
    actor = the_actor()
    notice = db.session.get(PublicNotice, row.notice_id) if row.notice_id else None
    groups = db.session.execute(
        select(DistributionGroup, LinkageGroup)
        .join(LinkageGroup, LinkageGroup.id == DistributionGroup.linkage_group_id)
        .where(DistributionGroup.distribution_id == row.id)
        .order_by(LinkageGroup.name_zh)
    ).all()
    spoken = objection.counted(row.notice_id)
    batches = list(db.session.scalars(select(PayoutBatch).where(PayoutBatch.distribution_id == row.id).order_by(PayoutBatch.id)))
    people = names_of((row.drafted_by_id, row.approved_by_id, row.withdrawn_by_id))
    progress = payout_progress.of_distribution(row) if row.state == "POSTED" else None
    return render_template(
        "distribution/show.html",
        row=row,
        owner=db.session.get_one(Organisation, row.organisation_id),
        notice=notice,
        groups=groups,
        objections=objection.at_desk(row.notice_id) if spoken.all else [],
        spoken=spoken,
        batches=batches,
        batch_states=payout_words.state_words(),
        people=people,
        states=state_words(),
        bases=basis_words(),
        steps=way(row, notice, spoken, people, paid_fen=progress.paid[1] if progress else 0),
        progress=progress,
        of_batches=payout_progress.of_batches([each.id for each in batches]),
        strip=next_strip(row, notice, spoken, batches, actor),
        errand=errand.standing(distribution_errand.of(row.id), row.version),
        recoverable=recoverable(row.organisation_id),
        left_out=_left_out(row) if row.state in ("DRAFTED", "APPROVED") else [],
        cap_bp=settings().recovery_cap_bp,
        recovered_fen=sum(group.recovered_fen for group, _group in groups),
        workdays=settings().notice_workdays,
        errors=errors,
        values=request.form,
        crumbs=[(_("钱") if not actor.is_operator else _("今天"), money_home(actor)), (_("收益分配"), url_for("distribution.index")), (row.period, None)],
        **desk(actor),
    )


def _left_out(row: Distribution) -> list[tuple[LinkageGroup, int]]:
    """Groups of the month that this one has no part of, and what waits for them."""
    fen = left_out(row)
    groups = db.session.scalars(select(LinkageGroup).where(LinkageGroup.id.in_(fen)).order_by(LinkageGroup.name_zh)) if fen else ()
    return [(group, fen[group.id]) for group in groups]


def _filtered(actor: Actor) -> tuple[str, Select[Any]]:
    view, cooperative, period = (request.args.get(name, "") for name in ("view", "cooperative", "period"))
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    households = (
        select(func.sum(DistributionGroup.households)).where(DistributionGroup.distribution_id == Distribution.id).scalar_subquery()
    )
    query = (
        select(Distribution, Organisation, households, PublicNotice.ends_on)
        .join(Organisation, Organisation.id == Distribution.organisation_id)
        .outerjoin(PublicNotice, PublicNotice.id == Distribution.notice_id)
        .where(Distribution.state.in_(VIEWS[view]))
        .order_by(Distribution.id.desc())
    )
    if not actor.is_operator:
        query = query.where(Distribution.organisation_id == actor.organisation_id)
    elif cooperative:
        query = query.where(Organisation.public_id == cooperative)
    return view, query.where(Distribution.period == period) if period else query


def _cooperatives() -> list[tuple[str, str]]:
    query = select(Organisation).where(Organisation.kind == "COOPERATIVE").order_by(Organisation.name_zh)
    return [(each.public_id, each.name_zh) for each in db.session.scalars(query)]
