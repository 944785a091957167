"""The cooperative's money: settled, waiting and why, given to households, and what may leave for villages, fund and the cooperative itself."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import Select, select

from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.households.linkage_group import LinkageGroup
from marketplace.ledger import balance
from marketplace.orders.order import Order
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.region import Region
from marketplace.reporting import cooperative_money
from marketplace.settlement import distribution_preview, remittance
from marketplace.settlement.distribution import Distribution
from marketplace.settlement.distribution_pool import recoverable
from marketplace.settlement.payout_batch import PayoutBatch
from marketplace.settlement.settlement import Settlement, window_ends
from marketplace.web import distribution, payout_words
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shown import money
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("cooperative_money", __name__, url_prefix="/cooperative/money")

permission("cooperative.read", COOPERATIVE="*")

PAGE = 50
LATEST = 6


def wait_words() -> dict[str, str]:
    """Why money that was paid is not settled yet."""
    return {
        "unpaid": _("只付了一部分"), "not_shipped": _("等发货"), "not_received": _("等收货"), "return_window": _("等退货期满"),
        "return_open": _("等答复退货申请"), "refund_going": _("退款在路上"), "refund_refused": _("退款没退成，等人重办"), "match_asked": _("等决定核销撤不撤销"), "due": _("已到期，今天内结算"),
    }  # fmt: skip


@bp.get("")
@needs("cooperative.read")
def show() -> Any:
    actor = the_actor()
    own = actor.organisation_id
    month = clock.period_of(clock.business_date())
    found = select(Distribution).where(Distribution.organisation_id == own).order_by(Distribution.id.desc()).limit(LATEST)
    batches = select(PayoutBatch).where(PayoutBatch.organisation_id == own).order_by(PayoutBatch.id.desc()).limit(LATEST)
    waiting = cooperative_money.waiting(own)
    book = balance.of_book(own, *remittance.EACH, "pool_recoverable")
    this_month, ever = cooperative_money.settled(own, month)
    return render_template(
        "money/show.html",
        month=month,
        waiting=waiting,
        waiting_fen=sum(each.fen for each in waiting),
        words=wait_words(),
        this_month=this_month,
        ever=ever,
        households=cooperative_money.households(own),
        available=remittance.available(own, book),
        months=distribution_preview.months(own),
        recoverable=_recoverable(own, book),
        shares_recoverable=_shares_recoverable(book),
        cap_bp=settings().recovery_cap_bp,
        distributions=list(db.session.scalars(found)),
        distribution_states=distribution.state_words(),
        batches=list(db.session.scalars(batches)),
        batch_states=payout_words.state_words(),
        **desk(actor),
    )


@bp.get("/orders")
@needs("cooperative.read")
def orders() -> Any:
    """Paid orders that are not settled, each with its reason; the longest paid first."""
    actor = the_actor()
    why, query = _filtered(actor)
    after = request.args.get("after", "")
    if after:
        last = by_public_id(Order, after, scoped(actor, Order, "organisation_id"))
        query = query.where((Order.paid_at > last.paid_at) | ((Order.paid_at == last.paid_at) & (Order.id > last.id)))
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    waiting = cooperative_money.waiting(actor.organisation_id)
    return render_template(
        "money/orders.html",
        rows=[(order, reason, buyer, window_ends(order)) for order, reason, buyer in rows[:PAGE]],
        why=why,
        words=wait_words(),
        waiting=waiting,
        next_url=url_for(".orders", why=why or None, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        crumbs=[(_("钱"), url_for(".show")), (_("等着结算的订单"), None)],
        **desk(actor),
    )


@bp.get("/orders.xlsx")
@needs("cooperative.read")
def export() -> Response:
    _why, query = _filtered(the_actor())
    words = wait_words()
    columns = [
        (_("订单"), "text"), (_("付款"), "day"), (_("收货"), "day"), (_("退货期到"), "day"), (_("为什么等"), "text"), (_("货款"), "fen"),
        (_("运费"), "fen"), (_("已付"), "fen"), (_("已退"), "fen"),
    ]  # fmt: skip
    rows = (
        (
            order.public_id, order.paid_at, order.received_at, window_ends(order), words[reason], order.goods_fen,
            order.freight_fen, order.paid_fen, order.refunded_fen,
        )
        for order, reason, _buyer in streamed(query)
    )  # fmt: skip
    return download(_("等着结算的订单"), columns, rows)


@bp.get("/settled")
@needs("cooperative.read")
def settled() -> Any:
    """Settled orders, the latest first, of one month or of all: what each gave to whom. They sum to the figures that lead here."""
    actor = the_actor()
    month = _month()
    query = cooperative_money.settled_orders(actor.organisation_id, month)
    after = request.args.get("after", "")
    if after:
        query = query.where(Settlement.id < by_public_id(Settlement, after, scoped(actor, Settlement)).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    of_month, ever = cooperative_money.settled(actor.organisation_id, month)
    return render_template(
        "money/settled.html",
        rows=rows[:PAGE],
        month=month,
        whole=of_month if month else ever,
        next_url=url_for(".settled", month=month or None, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        crumbs=[(_("钱"), url_for(".show")), (_("已结算的订单"), None)],
        **desk(actor),
    )


@bp.get("/settled.xlsx")
@needs("cooperative.read")
def export_settled() -> Response:
    columns = [
        (_("订单"), "text"), (_("结算"), "day"), (_("货款"), "fen"), (_("运费"), "fen"), (_("合作社"), "fen"), (_("农户"), "fen"),
        (_("村集体"), "fen"), (_("防贫基金"), "fen"),
    ]  # fmt: skip
    query = cooperative_money.settled_orders(the_actor().organisation_id, _month())
    rows = (
        (
            order.public_id, row.settled_at, row.base_fen, row.freight_fen, row.cooperative_fen, row.pool_fen, row.village_fen, row.fund_fen,
        )
        for row, order in streamed(query)
    )  # fmt: skip
    return download(_("已结算的订单"), columns, rows)


def _recoverable(own: int, book: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
    """Groups that refunds after distribution still take from, and how much."""
    owed = recoverable(own, book)
    groups = db.session.scalars(select(LinkageGroup).where(LinkageGroup.id.in_(owed)).order_by(LinkageGroup.id)) if owed else ()
    return [(text(group, "name"), money(owed[group.id])) for group in groups]


def _shares_recoverable(book: Mapping[tuple[str, str], int]) -> list[tuple[str, str]]:
    """Villages, and the fund, that were given more than refunds left them, and how much."""
    owed = {int(ref.partition(":")[2]): fen for (kind, ref), fen in book.items() if kind == "village_recoverable" and fen}
    rows = []
    if owed:
        villages = db.session.scalars(select(Region).where(Region.id.in_(owed)).order_by(Region.code))
        rows = [(_("%(village)s村集体", village=text(each, "name")), money(owed[each.id])) for each in villages]
    fund_fen = book.get(("fund_recoverable", ""), 0)
    return rows + ([(_("防贫基金"), money(fund_fen))] if fund_fen else [])


def _month() -> str:
    """The month asked for, ``YYYY-MM``, or "" for all."""
    month = request.args.get("month", "")
    if month and not re.fullmatch(r"2\d{3}-(0[1-9]|1[0-2])", month, re.ASCII):
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="month")
    return month


def _filtered(actor: Actor) -> tuple[str, Select[*tuple[Any, ...]]]:
    why = request.args.get("why", "")
    if why and why not in cooperative_money.WAITS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="why")
    return why, cooperative_money.waiting_orders(actor.organisation_id, why).order_by(Order.paid_at, Order.id)
