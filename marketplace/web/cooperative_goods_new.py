"""What begins a listing: a new product with its first pack, and the picture of one."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from marketplace.catalogue import listing_change, listing_review, new_product, picture
from marketplace.catalogue.listing_content import BadListing
from marketplace.catalogue.new_product import NewProduct
from marketplace.catalogue.product import Product
from marketplace.foundation.database import db, new_public_id, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.organisations.actor import Actor
from marketplace.web import form_input, listing_form
from marketplace.web.cooperative_desk import desk
from marketplace.web.cooperative_goods import own_product, page
from marketplace.web.origin_choice import groups_and_villages
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
        with sent.stream:
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
    groups, villages = groups_and_villages(actor.organisation_id)
    return render_template(
        "cooperative/good_new.html",
        groups=groups,
        villages=villages,
        values={"idempotency_key": new_public_id(), **request.form},
        errors=errors,
        crumbs=[(_("商品"), url_for("cooperative_goods.index")), (_("新商品"), None)],
        **desk(actor),
    )
