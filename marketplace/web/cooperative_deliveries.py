"""Deliveries to a batch: who brought how much, recording one, letting a wrong one count no more."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.foundation.crypto import masked_name
from marketplace.foundation.database import by_public_id, db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households import privacy
from marketplace.households.household import Household
from marketplace.supply import delivery
from marketplace.supply.batch import Batch, Delivery
from marketplace.supply.delivery import NewDelivery
from marketplace.web import form_input, key_page, spreadsheet
from marketplace.web.cooperative_batches import own_batch
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_deliveries", __name__, url_prefix="/cooperative/deliveries")

permission("member.read", COOPERATIVE="*")
permission("supply.record", COOPERATIVE="clerk director")

PAGE = 50  # households
SORTS: key_page.Sorts = {"code": (Household.code, False)}


@bp.get("/<batch_id>")
@needs("member.read")
def index(batch_id: str) -> Any:
    return _page(own_batch(batch_id, the_actor()), {})


@bp.get("/<batch_id>/export.xlsx")
@needs("member.read")
def export(batch_id: str) -> Any:
    actor = the_actor()
    batch = own_batch(batch_id, actor)
    name = batch.code
    query = select(Delivery, Household).join(Household, Household.id == Delivery.household_id).where(Delivery.batch_id == batch.id)
    found = db.session.execute(query.order_by(Delivery.id)).all()
    columns = [
        (_("户编号"), "text"), (_("户主"), "text"), (_("重量（克）"), "whole"), (_("交货日"), "day"), (_("保底价（元/公斤）"), "fen"), (_("作废"), "moment"),
    ]  # fmt: skip
    rows = [(home.code, masked_name(home.name), row.grams, row.delivered_on, row.floor_price_fen_per_kg, row.voided_at) for row, home in found]
    ids = {row.household_id for row, _home in found}
    db.session.expunge_all()
    transaction(lambda: privacy.looked_at(batch, ids, actor=actor))
    return spreadsheet.download(f"{_('交货')} {name}", columns, rows)


@bp.post("/<batch_id>")
@needs("supply.record")
def record(batch_id: str) -> Any:
    actor = the_actor()
    own_id = own_batch(batch_id, actor).id
    try:
        new = NewDelivery(form_input.given("code"), form_input.kilograms("kilograms"), form_input.day("delivered_on"), form_input.fen("price"))
        transaction(lambda: delivery.record(own_id, new, actor=actor, key=form_input.given("idempotency_key")))
    except InvalidInput as error:
        return _page(own_batch(batch_id, actor), {str(error.data.get("field", "")): said(error)}), 422
    flash(_("已记下。"), "done")
    return redirect(url_for(".index", batch_id=batch_id))


@bp.post("/<batch_id>/void")
@needs("supply.record")
def void(batch_id: str) -> Any:
    actor = the_actor()
    batch = own_batch(batch_id, actor)
    own_id = batch.id
    brought = select(Delivery.household_id).where(Delivery.batch_id == batch.id)
    home_id = by_public_id(Household, form_input.given("household"), select(Household).where(Household.id.in_(brought))).id
    try:
        day, grams, reason = form_input.day("day"), form_input.whole("grams", most=10**10), form_input.given("reason")
        transaction(lambda: delivery.void(own_id, home_id, day, grams, reason, actor=actor))
    except (InvalidInput, Conflict) as error:
        return _page(own_batch(batch_id, actor), {"": said(error)}), 422 if isinstance(error, InvalidInput) else 409
    flash(_("已作废，不再计入交货量；记录还在。"), "done")
    return redirect(url_for(".index", batch_id=batch_id))


def _page(batch: Batch, errors: dict[str, str]) -> str:
    actor = the_actor()
    brought = select(Household).where(Household.id.in_(select(Delivery.household_id).where(Delivery.batch_id == batch.id)))
    after = request.args.get("after", "")
    last = by_public_id(Household, after, brought).id if after else None
    homes = list(db.session.scalars(key_page.after(brought, Household, SORTS, "code", last).limit(PAGE + 1)))
    names = {home.id: (home.public_id, home.code, masked_name(home.name)) for home in homes[:PAGE]}
    counted = select(func.coalesce(func.sum(Delivery.grams), 0)).where(Delivery.batch_id == batch.id, Delivery.voided_at.is_(None))
    query = select(Delivery, counted.scalar_subquery()).join(Household, Household.id == Delivery.household_id)
    query = query.where(Delivery.batch_id == batch.id, Delivery.household_id.in_(names)).order_by(Household.code, Delivery.delivered_on, Delivery.id)
    found = db.session.execute(query).all()
    next_url = url_for(".index", batch_id=batch.public_id, after=homes[PAGE - 1].public_id) if len(homes) > PAGE else None
    db.session.expunge_all()  # shown as it was read: the record of the look is a transaction of its own
    transaction(lambda: privacy.looked_at(batch, set(names), actor=actor))
    return render_template(
        "cooperative/deliveries.html",
        batch=batch,
        deliveries=[(row, *names[row.household_id]) for row, _total in found],
        total=found[0][1] if found else 0,
        next_url=next_url,
        export_url=url_for(".export", batch_id=batch.public_id),
        values={"delivered_on": f"{batch.harvested_on}", "idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("批次"), url_for("cooperative_batches.index")), (batch.code, url_for("cooperative_batches.show", public_id=batch.public_id)), (_("交货"), None)],
        **desk(actor),
    )
