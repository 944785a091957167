"""The cooperative's batches: what was harvested, packed, promised and sold; recording a harvest, correcting it, packing it."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, or_, select

from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import clock
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput, MarketError
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.households.linkage_group import LinkageGroup
from marketplace.orders import promise, shipment
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.region import Region
from marketplace.supply import batch_figures, conformity_certificate, harvest, mass_balance, packing
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.harvest import Harvest
from marketplace.supply.mass_balance import MassAnomaly
from marketplace.supply.packing import Packing
from marketplace.supply.stock import Stock
from marketplace.web import form_input, key_page, spreadsheet
from marketplace.web.cooperative_desk import desk
from marketplace.web.origin_choice import groups_and_villages
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_batches", __name__, url_prefix="/cooperative/batches")

permission("cooperative.read", COOPERATIVE="*")
permission("supply.record", COOPERATIVE="clerk director")
permission("anomaly.explain", COOPERATIVE="*")

PAGE = 25
SHOWN = 50  # packings and shipments of a batch; what is older stands in one sum
VIEWS = ("open", "all")
SORTS: key_page.Sorts = {
    "harvest": (Batch.harvested_on, True), "left": (Batch.grams_packed - Batch.grams_sold, True), "code": (Batch.code, False),
}  # fmt: skip


def own_batch(public_id: str, actor: Actor) -> Batch:
    """The cooperative's batch with this outside name; NotFound for anybody else's."""
    row: Batch = by_public_id(Batch, public_id, scoped(actor, Batch))
    return row


def _wanted(actor: Actor, view: str, group: str) -> Any:
    query = (
        select(Batch, Region, LinkageGroup)
        .join(Region, Region.id == Batch.village_id)
        .join(LinkageGroup, LinkageGroup.id == Batch.linkage_group_id)
        .where(Batch.organisation_id == actor.organisation_id)
    )
    if view == "open":
        query = query.where(Batch.grams_sold < Batch.grams_harvested)
    return query.where(LinkageGroup.public_id == group) if group else query


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    view, sort = key_page.chosen("view", VIEWS, "open"), key_page.chosen("sort", SORTS, "harvest")
    groups = [(row.public_id, text(row, "name")) for row in db.session.scalars(select(LinkageGroup).where(LinkageGroup.organisation_id == actor.organisation_id))]
    group = key_page.chosen("group", ("", *(key for key, _name in groups)), "")
    asked: dict[str, Any] = {name: value for name, value in {"view": view, "sort": sort, "group": group}.items() if value}
    after = request.args.get("after", "")
    last = own_batch(after, actor).id if after else None
    rows = db.session.execute(key_page.after(_wanted(actor, view, group), Batch, SORTS, sort, last).limit(PAGE + 1)).all()
    anomalies = select(MassAnomaly, Batch).outerjoin(Batch, Batch.id == MassAnomaly.batch_id)
    anomalies = anomalies.where(MassAnomaly.organisation_id == actor.organisation_id, MassAnomaly.state == "OPEN").order_by(MassAnomaly.id)
    return render_template(
        "cooperative/batches.html",
        rows=rows[:PAGE],
        promised=batch_figures.promised(actor.organisation_id),
        anomalies=db.session.execute(anomalies.limit(50)).all(),
        kinds=anomaly_kinds(),
        view=view,
        asked=asked,
        groups=groups,
        next_url=url_for(".index", **asked, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".export", **asked),
        **desk(actor),
    )


@bp.get("/export.xlsx")
@needs("cooperative.read")
def export() -> Any:
    actor = the_actor()
    query = _wanted(actor, key_page.chosen("view", VIEWS, "open"), request.args.get("group", "")).order_by(Batch.harvested_on.desc(), Batch.id.desc())
    promised = batch_figures.promised(actor.organisation_id)
    columns = [
        (_("批次"), "text"), (_("类别"), "text"), (_("联农组"), "text"), (_("村"), "text"), (_("采收日"), "day"), (_("采收（克）"), "whole"),
        (_("已装（克）"), "whole"), (_("已答应（克）"), "whole"), (_("已卖（克）"), "whole"), (_("还剩（克）"), "whole"),
    ]  # fmt: skip
    rows = (
        (
            batch.code, _(CATEGORIES[batch.category][0]), text(group, "name"), text(village, "name"), batch.harvested_on, batch.grams_harvested,
            batch.grams_packed, promised.get(batch.id, 0), batch.grams_sold, batch.grams_left,
        )
        for batch, village, group in db.session.execute(query)
    )  # fmt: skip
    return spreadsheet.download(_("批次"), columns, rows)


@bp.get("/new")
@needs("supply.record")
def new() -> Any:
    return _new_page({})


@bp.post("/new")
@needs("supply.record")
def record() -> Any:
    actor = the_actor()
    try:
        brought = Harvest(
            group=form_input.given("group"),
            village=form_input.given("village"),
            harvested_on=form_input.day("harvested_on"),
            grams=form_input.kilograms("kilograms"),
            altitude_m=form_input.whole("altitude_m", most=9999) if form_input.given("altitude_m") else None,
            area_mu=form_input.whole("area_mu") if form_input.given("area_mu") else None,
        )
        batch_id = transaction(lambda: harvest.record(brought, actor=actor, key=form_input.given("idempotency_key")))
    except InvalidInput as error:
        return _new_page({_field(error): said(error)}), 422
    batch = db.session.get_one(Batch, batch_id)
    flash(_("批次 %(code)s 已登记。接着登记各户的交货，装成规格，就能发货了。", code=batch.code), "done")
    return redirect(url_for(".show", public_id=batch.public_id))


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return page(own_batch(public_id, the_actor()), {})


@bp.post("/<public_id>/pack")
@needs("supply.record")
def pack(public_id: str) -> Any:
    actor = the_actor()
    batch_id = own_batch(public_id, actor).id
    try:
        packs = form_input.whole("packs", least=-packing.PACKS_MOST, most=packing.PACKS_MOST)
        kind, note, key = form_input.given("pack"), form_input.given("note"), form_input.given("idempotency_key")
        transaction(lambda: packing.pack(batch_id, kind, packs, actor=actor, key=key, note=note))
    except (InvalidInput, Conflict) as error:
        return page(own_batch(public_id, actor), {_field(error): said(error)}), _status(error)
    flash(_("已记下，库存跟着变了。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/<public_id>/correct")
@needs("supply.record")
def correct(public_id: str) -> Any:
    actor = the_actor()
    batch_id = own_batch(public_id, actor).id
    try:
        grams, reason, version = form_input.kilograms("kilograms"), form_input.given("reason"), form_input.version()
        transaction(lambda: harvest.correct(batch_id, grams, reason, version=version, actor=actor))
    except (InvalidInput, Conflict) as error:
        return page(own_batch(public_id, actor), {_field(error): said(error)}), _status(error)
    flash(_("采收量已改，理由留在记录里。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/anomalies/<public_id>")
@needs("anomaly.explain")
def explain(public_id: str) -> Any:
    actor = the_actor()
    row_id = by_public_id(MassAnomaly, public_id, scoped(actor, MassAnomaly)).id
    words, version = form_input.given("words"), form_input.version()
    transaction(lambda: mass_balance.explain(row_id, words, version=version, actor=actor))
    flash(_("说明已记下，县运营方看得到。"), "done")
    return redirect(url_for(".index"))


def anomaly_kinds() -> dict[str, str]:
    """What each kind of anomaly says, with a place for the weight."""
    return {
        "YIELD": _("采收量比面积能产的多 %(grams)s"), "DELIVERED": _("各户交货比采收量多 %(grams)s"),
        "UNDELIVERED": _("卖出的比各户交货多 %(grams)s"), "STOCK": _("货架上的比批次里装好的多 %(grams)s"),
    }  # fmt: skip


def _field(error: MarketError) -> str:
    """The form's input that the error is about; weights are typed in kilograms."""
    field = str(error.data.get("field", ""))
    return "kilograms" if field == "grams" else field


def _status(error: MarketError) -> int:
    return 422 if isinstance(error, InvalidInput) else 409


def _new_page(errors: dict[str, str]) -> str:
    actor = the_actor()
    groups, villages = groups_and_villages(actor.organisation_id)
    values = {"harvested_on": f"{clock.business_date()}", "idempotency_key": new_public_id(), **request.form}
    return render_template(
        "cooperative/batch_new.html",
        groups=groups,
        villages=villages,
        values=values,
        errors=errors,
        crumbs=[(_("批次"), url_for("cooperative_batches.index")), (_("登记采收"), None)],
        **desk(actor),
    )


def page(batch: Batch, errors: dict[str, str]) -> str:
    """The page of one batch: its figures, what may still be packed, its packings, deliveries and papers."""
    actor = the_actor()
    village = db.session.get_one(Region, batch.village_id)
    packs = db.session.execute(
        select(Pack, Product)
        .join(Product, Product.id == Pack.product_id)
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(Product.linkage_group_id == batch.linkage_group_id, or_(Pack.withdrawn_at.is_(None), Stock.on_hand > 0))
        .order_by(Product.name_zh, Pack.position)
    ).all()
    packed = db.session.execute(select(Packing, Pack).join(Pack, Pack.id == Packing.pack_id).where(Packing.batch_id == batch.id).order_by(Packing.id.desc()).limit(SHOWN)).all()
    sold = shipment.from_batch(batch.id, SHOWN)
    delivered = select(func.coalesce(func.sum(Delivery.grams), 0), func.count(Delivery.household_id.distinct()))
    grams, households = db.session.execute(delivered.where(Delivery.batch_id == batch.id, Delivery.voided_at.is_(None))).one()
    return render_template(
        "cooperative/batch.html",
        batch=batch,
        village=village,
        group=db.session.get_one(LinkageGroup, batch.linkage_group_id),
        category=_(CATEGORIES[batch.category][0]),
        faults=batch.gi_faults(village),
        promised=batch_figures.promised(batch.organisation_id).get(batch.id, 0),
        packs=[(pack.public_id, f"{text(product, 'name')} {text(pack, 'name')}") for pack, product in packs],
        packed=packed,
        packed_before=batch.grams_packed - sum(row.grams for row, _pack in packed),
        promised_to=promise.of_group(batch.linkage_group_id),
        sold=sold,
        sold_before=batch.grams_sold - sum(grams for _order, _at, grams in sold),
        delivered=grams,
        households=households,
        certificates=conformity_certificate.of(batch.id),
        bases={code: _(name) for code, name in conformity_certificate.BASES.items()},
        values={"idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("批次"), url_for("cooperative_batches.index")), (batch.code, None)],
        **desk(actor),
    )
