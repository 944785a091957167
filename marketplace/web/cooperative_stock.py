"""The cooperative's stock: each pack on hand, promised and free; what runs low; counting by hand with a reason, and the moves behind it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, or_, select

from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.orders import promise
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.person import Person
from marketplace.supply import stock_count
from marketplace.supply.stock import Stock, StockMove
from marketplace.web import form_input, key_page, spreadsheet
from marketplace.web.cooperative_desk import LOW, desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_stock", __name__, url_prefix="/cooperative/stock")

permission("cooperative.read", COOPERATIVE="*")
permission("supply.record", COOPERATIVE="clerk director")

PAGE = 50
VIEWS = ("all", "low")
_free = func.coalesce(Stock.on_hand - Stock.reserved, 0)
_listed = Pack.withdrawn_at.is_(None) & (Product.state != "WITHDRAWN")  # what is withdrawn is shown while some of it lies there
SORTS: key_page.Sorts = {"left": (_free, False), "name": (Product.name_zh, False)}


def _wanted(actor: Actor, view: str) -> Any:
    query = (
        select(Pack, Product, func.coalesce(Stock.on_hand, 0), func.coalesce(Stock.reserved, 0))
        .select_from(Pack)
        .join(Product, Product.id == Pack.product_id)
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(Pack.organisation_id == actor.organisation_id, or_(_listed, Stock.on_hand > 0))
    )
    return query.where(_free < LOW, Product.state == "ON_SALE", Pack.withdrawn_at.is_(None)) if view == "low" else query


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    view, sort = key_page.chosen("view", VIEWS, "all"), key_page.chosen("sort", SORTS, "left")
    low = db.session.scalar(select(func.count()).select_from(_wanted(actor, "low").subquery()))
    after = request.args.get("after", "")
    query, last = _wanted(actor, view), by_public_id(Pack, after, scoped(actor, Pack)).id if after else None
    at = {"left": select(_free).select_from(Pack).outerjoin(Stock, Stock.pack_id == Pack.id), "name": select(Product.name_zh).join(Pack, Pack.product_id == Product.id)}
    rows = db.session.execute(key_page.after(query, Pack, SORTS, sort, last, at[sort]).limit(PAGE + 1)).all()
    return render_template(
        "cooperative/stock.html",
        rows=rows[:PAGE],
        view=view,
        low=low,
        limit=LOW,
        next_url=url_for(".index", view=view, sort=sort, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".export", view=view),
        **desk(actor),
    )


@bp.get("/export.xlsx")
@needs("cooperative.read")
def export() -> Any:
    query = _wanted(the_actor(), key_page.chosen("view", VIEWS, "all")).order_by(Product.name_zh, Pack.position, Pack.id)
    columns = [(_("商品"), "text"), (_("规格"), "text"), (_("净重（克）"), "whole"), (_("库存"), "whole"), (_("已答应"), "whole"), (_("还能卖"), "whole")]
    rows = (
        (text(product, "name"), text(pack, "name"), pack.net_grams, on_hand, reserved, on_hand - reserved)
        for pack, product, on_hand, reserved in db.session.execute(query)
    )
    return spreadsheet.download(_("库存"), columns, rows)


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return _page(public_id, {})


@bp.post("/<public_id>")
@needs("supply.record")
def count(public_id: str) -> Any:
    actor = the_actor()
    by_public_id(Pack, public_id, scoped(actor, Pack))
    try:
        counted, seen = form_input.whole("counted"), form_input.whole("seen", _("这一页不完整，请刷新后再试。"))
        reason, note, key = form_input.given("reason"), form_input.given("note"), form_input.given("idempotency_key")
        transaction(lambda: stock_count.count(public_id, counted, seen=seen, reason=reason, note=note, actor=actor, key=key))
    except (InvalidInput, Conflict) as error:
        return _page(public_id, {str(error.data.get("field", "")): said(error)}), 422 if isinstance(error, InvalidInput) else 409
    flash(_("库存已改，理由留在记录里。"), "done")
    return redirect(url_for(".show", public_id=public_id))


def _page(public_id: str, errors: dict[str, str]) -> str:
    actor = the_actor()
    pack = by_public_id(Pack, public_id, scoped(actor, Pack))
    product = db.session.get_one(Product, pack.product_id)
    moves = (
        select(StockMove, Person.name_zh)
        .outerjoin(Person, Person.id == StockMove.person_id)
        .where(StockMove.pack_id == pack.id, StockMove.on_hand != 0)
        .order_by(StockMove.id.desc())
        .limit(50)
    )
    return render_template(
        "cooperative/stock_pack.html",
        pack=pack,
        product=product,
        stock=db.session.get(Stock, pack.id),
        moves=db.session.execute(moves).all(),
        promised=promise.of_pack(pack.id),
        waits={"WAITING": _("等付款"), "READY": _("等发货"), "PARTLY_SHIPPED": _("发了一部分")},
        reasons={"COUNTED": _("盘点"), "SPOILED": _("损坏或过期"), "RETURNED": _("退回来的"), "PACKED": _("装好入库"), "SHIPPED": _("发货")},
        values={"idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("库存"), url_for(".index")), (f"{text(product, 'name')} {text(pack, 'name')}", None)],
        **desk(actor),
    )
