"""Every household's part of a distribution with its reasons: grams of all grams, shares by days of all. Paged, searched, exported."""

from typing import Any

from flask import Blueprint, Response, render_template, request, url_for
from sqlalchemy import Select, func, or_, select

from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import db
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_
from marketplace.foundation.language import gettext as _
from marketplace.households.household import Household
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.region import Region
from marketplace.settlement import payout_progress
from marketplace.settlement.distribution import Distribution, DistributionGroup, DistributionShare
from marketplace.settlement.distribution_weights import days_of
from marketplace.web.distribution import basis_words, own, state_words
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.shared_desk import desk
from marketplace.web.spreadsheet import download, streamed

bp = Blueprint("distribution_households", __name__, url_prefix="/distributions")

permission("money.read", COOPERATIVE="*", OPERATOR="administrator reviewer treasurer auditor")

PAGE = 50
MOST_NAMES = 5_000  # names are sealed: they are opened one by one to be searched
MONEY = ("", *payout_progress.PLACES, "fund", "owed")  # where a household's money is
SORTS = {"code": (Household.code, False), "most": (DistributionShare.fen, True)}


def money_words() -> list[tuple[str, str]]:
    """Where a household's money may be."""
    return [
        ("paid", _("已到账")), ("going", _("在路上")), ("unknown", _("还没有结果")), ("back", _("被退回")), ("owed", _("还没有代发")),
        ("fund", _("无人领取，转入基金")),
    ]  # fmt: skip


@bp.get("/<public_id>/households")
@needs("money.read")
def index(public_id: str) -> Any:
    row = own(public_id, the_actor())
    sort = request.args.get("sort", "code")
    if sort not in SORTS:
        raise InvalidInput("sort.bad", N_("不能这样排序。"), field="sort")
    query = _filtered(row)
    count, fen = db.session.execute(
        query.with_only_columns(func.count(), func.coalesce(func.sum(DistributionShare.fen), 0), maintain_column_froms=True)
    ).one()
    rows = db.session.execute(_after(_sorted(query, sort), sort, row).limit(PAGE + 1)).all()
    kept: dict[str, Any] = {key: value for key, value in request.args.items() if key in ("group", "q", "sort", "money") and value}
    groups = db.session.execute(_groups(row)).all()
    first, last = days_of(row.period)
    return render_template(
        "distribution/households.html",
        row=row,
        rows=[(share, house, group, village, masked_name(house.name)) for share, house, group, village in rows[:PAGE]],
        groups=[(each.public_id, each.name_zh) for each, _part in groups],
        bases={part.linkage_group_id: part.basis for _group, part in groups},
        parts={part.linkage_group_id: part for _group, part in groups},
        basis_words=basis_words(),
        days=(last - first).days + 1,
        found=(count, int(fen)),
        kept=kept,
        sort=sort,
        money=money_words() if row.state == "POSTED" else [],
        next_url=url_for(".index", public_id=public_id, **kept, after=_key(rows[PAGE - 1])) if len(rows) > PAGE else None,
        crumbs=[
            (_("收益分配"), url_for("distribution.index")),
            (f"{row.period} · {state_words()[row.state]}", url_for("distribution.show", public_id=public_id)),
            (_("各户的理由"), None),
        ],
        **desk(the_actor()),
    )


@bp.get("/<public_id>/households.xlsx")
@needs("money.read")
def export(public_id: str) -> Response:
    row = own(public_id, the_actor())
    bases = {part.linkage_group_id: basis_words()[part.basis] for _group, part in db.session.execute(_groups(row))}
    columns = [
        (_("户编号"), "text"), (_("户主"), "text"), (_("村"), "text"), (_("联农组"), "text"), (_("交货（克）"), "whole"),
        (_("全组交货（克）"), "whole"), (_("按交货"), "fen"), (_("股·天"), "whole"), (_("全组股·天"), "whole"), (_("按股份"), "fen"),
        (_("合计"), "fen"), (_("依据"), "text"), (_("不能劳动（份）"), "whole"), (_("救助"), "fen"), (_("应付保底"), "fen"), (_("保底"), "fen"),
    ]  # fmt: skip
    rows = (
        (
            house.code, masked_name(house.name), village.name_zh, group.name_zh, share.grams, share.total_grams, share.patronage_fen,
            share.share_days, share.total_share_days, share.equity_fen, share.fen, bases[share.linkage_group_id],
            share.relief_units, share.relief_fen, share.guaranteed_due_fen, share.guaranteed_fen,
        )
        for share, house, group, village in streamed(_sorted(_filtered(row), "code"))
    )  # fmt: skip
    return download(f"{row.period} {_('收益分配各户')}", columns, rows)


def _groups(row: Distribution) -> Select[LinkageGroup, DistributionGroup]:
    return (
        select(LinkageGroup, DistributionGroup)
        .join(DistributionGroup, DistributionGroup.linkage_group_id == LinkageGroup.id)
        .where(DistributionGroup.distribution_id == row.id)
        .order_by(LinkageGroup.name_zh)
    )


def _filtered(row: Distribution) -> Select[*tuple[Any, ...]]:
    query: Select[*tuple[Any, ...]] = (
        select(DistributionShare, Household, LinkageGroup, Region)
        .join(Household, Household.id == DistributionShare.household_id)
        .join(LinkageGroup, LinkageGroup.id == DistributionShare.linkage_group_id)
        .join(Region, Region.id == Household.village_id)
        .where(DistributionShare.distribution_id == row.id)
    )
    group, words, money = request.args.get("group", ""), request.args.get("q", "").strip()[:40], request.args.get("money", "")
    if money not in MONEY:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="money")
    if group:
        query = query.where(LinkageGroup.public_id == group)
    if money:
        query = query.where(Household.id.in_(payout_progress.households_at(row, money)))
    if words:
        found = or_(Household.code.icontains(words, autoescape=True), Region.name_zh.contains(words, autoescape=True))
        query = query.where(or_(found, Household.id.in_(_named(row, words))))
    return query


def _named(row: Distribution, words: str) -> list[int]:
    """Ids of its households whose name holds the words; the first 500."""
    if words.isascii():
        return []
    everybody = (
        select(Household)
        .where(Household.id.in_(select(DistributionShare.household_id).where(DistributionShare.distribution_id == row.id)))
        .limit(MOST_NAMES)
    )
    return [house.id for house in db.session.scalars(everybody) if words in house.name][:500]


def _sorted(query: Select[*tuple[Any, ...]], sort: str) -> Select[*tuple[Any, ...]]:
    column, down = SORTS[sort]
    return query.order_by(column.desc() if down else column, DistributionShare.id)


def _key(found: Any) -> str:
    """A share's outside name: its household and its group."""
    return f"{found[1].public_id}.{found[2].public_id}"


def _after(query: Select[*tuple[Any, ...]], sort: str, row: Distribution) -> Select[*tuple[Any, ...]]:
    typed = request.args.get("after", "")
    if not typed:
        return query
    household, _dot, group = typed.partition(".")
    last = db.session.execute(
        select(DistributionShare, Household.code)
        .join(Household, Household.id == DistributionShare.household_id)
        .join(LinkageGroup, LinkageGroup.id == DistributionShare.linkage_group_id)
        .where(DistributionShare.distribution_id == row.id, Household.public_id == household, LinkageGroup.public_id == group)
    ).one_or_none()
    if last is None:
        raise InvalidInput("after.bad", N_("这一页不完整，请刷新后再试。"), field="after")
    share, code = last
    column, down = SORTS[sort]
    value = share.fen if sort == "most" else code
    beyond = column < value if down else column > value
    return query.where(beyond | ((column == value) & (DistributionShare.id > share.id)))
