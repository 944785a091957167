"""All orders of the market, for the county office to look into: filtered in the address, paged by key, exported."""

from datetime import date
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db
from marketplace.foundation.errors import InvalidInput, NotFound
from marketplace.foundation.language import N_, text
from marketplace.foundation.language import gettext as _
from marketplace.orders.order import Order
from marketplace.organisations.organisation import Organisation
from marketplace.organisations.region import Region
from marketplace.procurement.directed_order import DirectedOrder
from marketplace.settlement.settlement import Settlement, SettlementLine
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor
from marketplace.web.spreadsheet import download, streamed
from marketplace.web.unit_desk import states
from marketplace.web.unit_review import asked_year

bp = Blueprint("operator_orders", __name__, url_prefix="/operator/orders")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")

PAGE = 50
KINDS = ("PUBLIC", "DIRECTED")
BASES = ("placed", "settled")


@bp.get("")
@needs("operator.read")
def index() -> Any:
    year, kind, basis = asked_year(), request.args.get("kind", ""), request.args.get("basis", "placed")
    if (kind and kind not in KINDS) or basis not in BASES:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    seller, place = _seller(), _place()
    query = _query(year, kind, basis, seller, place)
    count, fen = db.session.execute(
        query.with_only_columns(func.count(), func.coalesce(func.sum(_amount(basis, place)), 0)).order_by(None)
    ).one()
    if "export" in request.args:
        return _exported(streamed(query), year)
    after = request.args.get("after", "")
    if after:
        query = query.where(Order.id < by_public_id(Order, after).id)
    rows = db.session.execute(query.limit(PAGE + 1)).all()
    here: dict[str, Any] = {
        "year": year, "kind": kind or None, "basis": basis if basis != "placed" else None,
        "seller": seller.public_id if seller else None, "place": place.code if place else None,
    }  # fmt: skip
    return render_template(
        "operator/orders.html",
        rows=rows[:PAGE],
        count=count,
        fen=int(fen),
        year=year,
        kind=kind,
        basis=basis,
        seller=seller,
        place=place,
        sellers=_sellers(),
        years=[(str(each), str(each)) for each in range(clock.business_date().year, clock.business_date().year - 3, -1)],
        next_url=url_for(".index", **here, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".index", **here, export=1),
        states=states(),
        **desk(the_actor()),
    )


def _query(year: int, kind: str, basis: str, seller: Organisation | None, place: Region | None) -> Select[Any]:
    """(order, buyer, cooperative, unit's side, fen of the basis): placed in the year and not cancelled, or settled in its periods."""
    buyer, cooperative = aliased(Organisation), aliased(Organisation)
    query = (
        select(Order, buyer, cooperative, DirectedOrder, _amount(basis, place).label("fen"))
        .join(buyer, buyer.id == Order.buyer_id)
        .join(cooperative, cooperative.id == Order.organisation_id)
        .outerjoin(DirectedOrder, DirectedOrder.order_id == Order.id)
        .order_by(Order.id.desc())
    )
    if basis == "settled":
        query = query.join(Settlement, Settlement.order_id == Order.id).where(Settlement.period.like(f"{year}-%"))
        if place is not None:
            query = query.where(_from_place(place).exists())
    else:
        query = query.where(Order.placed_on.between(date(year, 1, 1), date(year, 12, 31)), Order.fulfilment != "CANCELLED")
    if kind:
        query = query.where(Order.kind == kind)
    if seller is not None:
        query = query.where(Order.organisation_id == seller.id)
    return query


def _from_place(place: Region) -> Select[Any]:
    """Lines of the order's settlement that came from a village, or from a township's villages."""
    village = aliased(Region)
    return (
        select(func.sum(SettlementLine.base_fen))
        .join(village, village.id == SettlementLine.village_id)
        .where(SettlementLine.settlement_id == Settlement.id, (village.id == place.id) | (village.parent_id == place.id))
        .correlate(Settlement)
    )


def _amount(basis: str, place: Region | None) -> Any:
    if basis != "settled":
        return Order.goods_fen
    return Settlement.base_fen if place is None else _from_place(place).scalar_subquery()


def _place() -> Region | None:
    code = request.args.get("place", "")[:12]
    if not code:
        return None
    found = db.session.scalars(select(Region).where(Region.code == code)).one_or_none()
    if found is None:
        raise NotFound("region.missing", N_("没有这个乡镇。"))
    if request.args.get("basis") != "settled":
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    return found


def _seller() -> Organisation | None:
    asked = request.args.get("seller", "")
    return by_public_id(Organisation, asked, select(Organisation).where(Organisation.kind == "COOPERATIVE")) if asked else None


def _sellers() -> list[tuple[str, str]]:
    query = select(Organisation).where(Organisation.kind == "COOPERATIVE").order_by(Organisation.name_zh)
    return [(each.public_id, text(each, "name")) for each in db.session.scalars(query)]


def _exported(rows: Any, year: int) -> Any:
    columns = [
        (_("下单"), "day"), (_("采购单"), "text"), (_("买家"), "text"), (_("合作社"), "text"), (_("发货"), "text"), (_("付款"), "text"),
        (_("货款"), "fen"), (_("已付"), "fen"), (_("已退"), "fen"), (_("本页金额"), "fen"),
    ]  # fmt: skip
    words = states()
    lines = (
        (
            order.placed_on, directed.reference if directed else None, buyer.name_zh if buyer.kind != "PERSON" else _("市民"), seller.name_zh,
            words.get(order.fulfilment, ""), words[order.payment], order.goods_fen, order.paid_fen, order.refunded_fen, int(fen or 0),
        )
        for order, buyer, seller, directed, fen in rows
    )  # fmt: skip
    return download(_("%(year)s 年订单", year=year), columns, lines)
