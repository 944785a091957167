"""The bulletin (通报): each figure opens on the units behind it, each unit on the orders behind its figures."""

from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.organisations.organisation import Organisation
from marketplace.procurement import scorecard
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.procurement.scorecard import OrderFigures
from marketplace.reporting import bulletin
from marketplace.reporting.bulletin import VIEWS, Bulletin, UnitRow
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download
from marketplace.web.unit_desk import states
from marketplace.web.unit_review import asked_year
from marketplace.web.unit_target import stages

bp = Blueprint("operator_bulletin", __name__, url_prefix="/operator/bulletin")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")

PAGE = 50


@bp.get("")
@needs("operator.read")
def show() -> Any:
    year = asked_year()
    said = bulletin.bulletin(year)
    if "export" in request.args:
        return exported(said)
    this = clock.business_date().year
    return render_template(
        "operator/bulletin.html",
        it=said,
        year=year,
        today=clock.business_date(),
        years=[(str(each), url_for(".show", year=each), each == year) for each in (this, this - 1)],
        **desk(the_actor()),
    )


@bp.get("/units")
@needs("operator.read")
def units() -> Any:
    """The ranking, or the units behind one figure of the bulletin."""
    year, view = asked_year(), request.args.get("view", "all")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    rows = bulletin.units(year)
    shown = [row for row in rows if row.stands_in(view)]
    if "export" in request.args:
        return exported_units(shown, year)
    after = request.args.get("after", "")
    at = next((n + 1 for n, row in enumerate(shown) if row.filing.unit.public_id == after), 0)
    more = len(shown) > at + PAGE
    return render_template(
        "operator/bulletin_units.html",
        year=year,
        view=view,
        views=_words(),
        counts={name: sum(row.stands_in(name) for row in rows) for name in VIEWS},
        rows=shown[at : at + PAGE],
        stages=stages(),
        next_url=url_for(".units", year=year, view=view, after=shown[at + PAGE - 1].filing.unit.public_id) if more else None,
        crumbs=[(_("通报"), url_for(".show", year=year)), (_("各单位"), None)],
        **desk(the_actor()),
    )


@bp.get("/units/<public_id>")
@needs("operator.read")
def unit(public_id: str) -> Any:
    """The orders behind a unit's figures: they sum to what the bulletin says of it."""
    year = asked_year()
    own = by_public_id(Organisation, public_id, select(Organisation).where(Organisation.kind == "UNIT"))
    rows = scorecard.by_order(own.id, year)
    if "export" in request.args:
        return exported_orders(rows, own.name_zh, year)
    return render_template(
        "operator/bulletin_unit.html",
        unit=own,
        year=year,
        figures=scorecard.figures(own.id, year),
        rows=rows,
        known=known_orders(rows),
        states=states(),
        crumbs=[(_("通报"), url_for(".show", year=year)), (_("各单位"), url_for(".units", year=year)), (text(own, "name"), None)],
        **desk(the_actor()),
    )


def known_orders(rows: list[OrderFigures]) -> dict[int, tuple[DirectedOrder, Organisation]]:
    """Order id → its unit's side and its cooperative, in one query."""
    query = (
        select(DirectedOrder, Organisation)
        .join(Organisation, Organisation.id == DirectedOrder.cooperative_id)
        .where(DirectedOrder.order_id.in_([each.order.id for each in rows]))
    )
    return {row[0].order_id: (row[0], row[1]) for row in db.session.execute(query)}


def exported_orders(rows: list[OrderFigures], name: str, year: int) -> Any:
    """A unit's orders of a year with their four figures, as Excel."""
    columns = [
        (_("采购单"), "text"), (_("下单"), "day"), (_("合作社"), "text"), (_("审批"), "text"), (_("发货"), "text"), (_("付款"), "text"), (_("工会采购"), "text"),
        (_("已下单"), "fen"), (_("已验收"), "fen"), (_("已付款"), "fen"), (_("已计入"), "fen"),
    ]  # fmt: skip
    known, words = known_orders(rows), states()
    lines = []
    for each in rows:
        directed, seller = known[each.order.id]
        sums = each.sums
        lines.append(
            (
                directed.reference, each.order.placed_on, seller.name_zh, words[directed.approval], words.get(each.order.fulfilment, ""),
                words[each.order.payment], _("是") if each.is_trade_union else _("否"),
                sums.ordered_fen, sums.accepted_fen, sums.paid_fen, sums.counted_fen,
            )
        )  # fmt: skip
    return download(_("%(name)s %(year)s 年采购单", name=name, year=year), columns, lines)


def exported(said: Bulletin) -> Any:
    """The bulletin as Excel: each percentage beside the two numbers it was computed from."""
    columns = [(_("项目"), "text"), (_("数"), "whole"), (_("总数"), "whole"), (_("比率"), "bp"), (_("金额"), "fen")]
    rows: list[tuple[Any, ...]] = [
        (label, share.part, share.whole, share.bp, None)
        for label, share in (
            (_("开通账号的单位"), said.signed), (_("申报了的单位"), said.filed), (_("买了的单位（占有任务的）"), said.bought),
            (_("有货在卖的合作社"), said.cooperatives), (_("上架的商品（占提交过的）"), said.products),
        )
    ]  # fmt: skip
    rows += [(label, said.count(view), len(said.units), None, None) for label, view in ((_("没申报的单位"), "unfiled"), (_("申报了没买的单位"), "idle"))]
    rows += [
        (_("预留份额"), None, None, None, said.reserved_fen), (_("下单金额"), None, None, None, said.ordered_fen),
        (_("计入金额"), None, None, said.progress.bp, said.counted_fen), (_("工会另计"), None, None, None, said.union_fen),
    ]  # fmt: skip
    rows += [(_("第 %(n)s 名：%(name)s", n=row.rank, name=text(row.filing.unit, "name")), None, None, row.figures.completion_rate_bp, row.figures.counted_fen) for row in said.top]
    return download(_("%(year)s 年消费帮扶通报", year=said.year), columns, rows)


def exported_units(rows: list[UnitRow], year: int) -> Any:
    """The ranking as Excel."""
    columns = [
        (_("名次"), "whole"), (_("单位"), "text"), (_("主管单位"), "text"), (_("申报"), "text"), (_("预留份额"), "fen"), (_("已下单"), "fen"),
        (_("已验收"), "fen"), (_("已付款"), "fen"), (_("已计入"), "fen"), (_("完成率"), "bp"), (_("工会另计"), "fen"),
    ]  # fmt: skip
    words = stages()
    lines = [
        (
            row.rank, row.filing.unit.name_zh, row.filing.parent.name_zh if row.filing.parent else None, words[row.filing.stage], row.figures.reserved_fen,
            row.figures.ordered_fen, row.figures.accepted_fen, row.figures.paid_fen, row.figures.counted_fen, row.figures.completion_rate_bp,
            row.figures.union.counted_fen,
        )
        for row in rows
    ]  # fmt: skip
    return download(_("%(year)s 年完成率排名", year=year), columns, lines)


def _words() -> dict[str, str]:
    return {
        "all": _("全部"), "signed": _("开通了账号"), "unsigned": _("没开通账号"), "filed": _("申报了"), "unfiled": _("没申报"),
        "duty": _("有任务"), "bought": _("买了"), "idle": _("申报了没买"), "exempt": _("没有任务"),
    }  # fmt: skip
