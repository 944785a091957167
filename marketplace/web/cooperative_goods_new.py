"""What begins a listing: a new product with its first pack, and the picture of one."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import or_, select

from marketplace.catalogue import listing_change, listing_review, new_product, picture
from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.listing_content import BadListing
from marketplace.catalogue.new_product import NewProduct
from marketplace.catalogue.product import Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.actor import Actor
from marketplace.organisations.region import Region
from marketplace.web import form_input, listing_form
from marketplace.web.cooperative_desk import desk
from marketplace.web.cooperative_goods import own_product, page
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_goods_new", __name__, url_prefix="/cooperative/goods")

permission("listing.edit", COOPERATIVE="clerk director")


@bp.get("/new")
@needs("listing.edit")
def new() -> Any:
    return _page({})


@bp.post("/new")
@needs("listing.edit")
def create() -> Any:
    actor = the_actor()
    errors: dict[str, str] = {}
    pack = listing_form.new_pack(errors)
    if pack is None:
        return _page(errors), 422
    wanted = NewProduct(form_input.given("name_zh"), form_input.given("group"), form_input.given("village"), pack)
    try:
        product_id = transaction(lambda: new_product.create(wanted, actor=actor, key=form_input.given("idempotency_key")))
    except BadListing as error:
        own = {name.replace(pack.public_id, listing_form.NEW): _(message) for name, message in error.data["fields"].items()}
        return _page(own), 422
    except InvalidInput as error:
        return _page({str(error.data.get("field", "")): said(error)}), 422
    flash(_("草稿已保存。接着写介绍、放图片、登记库存，然后提交审核。"), "done")
    return redirect(url_for("cooperative_goods.show", public_id=db.session.get_one(Product, product_id).public_id))


@bp.post("/<public_id>/picture")
@needs("listing.edit")
def bring(public_id: str) -> Any:
    """Put another picture on the product: drawn anew, and shown to buyers once it is approved."""
    actor = the_actor()
    product = own_product(public_id, actor)
    product_id, version = product.id, form_input.version()
    sent = request.files.get("picture")
    try:
        if sent is None or not sent.filename:
            return page(product, {"picture": _("请选择一张图片。")}), 422
        drawn = picture.draw(sent.stream.read(picture.LARGEST + 1))
        transaction(lambda: _put(product_id, drawn, version, actor))
    except InvalidInput as error:
        return page(own_product(public_id, actor), {"picture": said(error)}), 422
    except Conflict as stale:
        if stale.code != "version.stale":
            raise
        return page(own_product(public_id, actor), {"": said(stale)}), 409
    flash(_("图片已保存，方形，去掉了拍摄地点等信息。审核通过后买家看得到。"), "done")
    return redirect(url_for("cooperative_goods.show", public_id=public_id))


def _put(product_id: int, drawn: picture.Drawn, version: int, actor: Actor) -> None:
    name = f"{picture.UPLOADED}{picture.keep(drawn, actor=actor).public_id}"
    content = listing_change.standing(db.session.get_one(Product, product_id))
    listing_review.edit(product_id, replace(content, picture=name), version=version, actor=actor)


def _page(errors: dict[str, str]) -> str:
    actor = the_actor()
    today = clock.business_date()
    groups = db.session.execute(
        select(LinkageGroup, Region)
        .join(Region, Region.id == LinkageGroup.region_id)
        .where(LinkageGroup.organisation_id == actor.organisation_id, or_(LinkageGroup.ends_on.is_(None), LinkageGroup.ends_on >= today))
        .order_by(LinkageGroup.id)
    ).all()
    townships = {region.parent_id if region.kind == "VILLAGE" else region.id for _group, region in groups}
    names = {row.id: text(row, "name") for row in db.session.scalars(select(Region).where(Region.id.in_(townships)))}
    villages: dict[int, list[tuple[str, str]]] = {}
    query = select(Region).where(Region.kind == "VILLAGE", Region.parent_id.in_(townships)).order_by(Region.code)
    for village in db.session.scalars(query):
        villages.setdefault(village.parent_id or 0, []).append((village.code, text(village, "name")))
    return render_template(
        "cooperative/good_new.html",
        groups=[(group.public_id, f"{text(group, 'name')} · {_(CATEGORIES[group.category][0])}") for group, _region in groups],
        villages=[(names[township], own) for township, own in villages.items()],
        values={"idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("商品"), url_for("cooperative_goods.index")), (_("新商品"), None)],
        **desk(actor),
    )
