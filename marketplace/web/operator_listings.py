"""The reviewer's desk: listings that wait, one listing with what the system found, approving it or returning it with a reason."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from marketplace.catalogue import listing_check, listing_review
from marketplace.catalogue.category import Category
from marketplace.catalogue.listing_check import ListingRefused
from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.region import Region
from marketplace.supply.stock import Stock
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_listings", __name__, url_prefix="/operator/listings")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("listing.review", OPERATOR="reviewer")

PAGE = 25
VIEWS: dict[str, str] = {"waiting": "SUBMITTED", "returned": "RETURNED", "sale": "ON_SALE"}


@bp.get("")
@needs("operator.read")
def index() -> Any:
    """Listings in one state; the longest waiting first, others latest first."""
    view = request.args.get("view", "waiting")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    query = (
        select(Product, Organisation, Region, Category)
        .join(Organisation, Organisation.id == Product.organisation_id)
        .join(Region, Region.id == Product.origin_id)
        .join(Category, Category.code == Product.category)
        .where(Product.state == VIEWS[view])
        .limit(PAGE + 1)
    )
    after = request.args.get("after", "")
    last = by_public_id(Product, after) if after else None
    if view == "waiting":
        query = query.order_by(Product.submitted_at, Product.id)
        if last is not None and last.submitted_at is not None:
            beyond = (Product.submitted_at == last.submitted_at) & (Product.id > last.id)
            query = query.where((Product.submitted_at > last.submitted_at) | beyond)
    else:
        query = query.order_by(Product.id.desc())
        if last is not None:
            query = query.where(Product.id < last.id)
    rows = db.session.execute(query).all()
    next_url = url_for(".index", view=view, after=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None
    return render_template("operator/listings.html", rows=rows[:PAGE], view=view, next_url=next_url, **desk(the_actor()))


@bp.get("/<public_id>")
@needs("operator.read")
def show(public_id: str) -> Any:
    return _page(_submitted_once(public_id), {})


@bp.post("/<public_id>/decide")
@needs("listing.review")
def decide(public_id: str) -> Any:
    actor = the_actor()
    product_id = _submitted_once(public_id).id
    decision, reason, version = request.form.get("decision"), request.form.get("reason", ""), request.form.get("version", "")
    if decision not in ("approve", "return") or not (version.isascii() and version.isdigit() and len(version) < 10):
        raise InvalidInput("decision.bad", N_("这一页不完整，请刷新后再试。"), field="decision")
    try:
        transaction(
            lambda: listing_review.decide(product_id, version=int(version), approved=decision == "approve", reason=reason, actor=actor)
        )
    except (ListingRefused, InvalidInput) as error:
        return _page(_submitted_once(public_id), {str(error.data.get("field", "")): said(error)}), 422
    if decision == "approve":
        flash(_("已批准，商品上架了，几秒后就能搜到。"), "done")
    else:
        flash(_("已退回，合作社看得到理由。"), "done")
    return redirect(url_for(".index"))


def _submitted_once(public_id: str) -> Product:
    """A product that its cooperative has shown to the operator: a draft of its own desk is not."""
    return by_public_id(Product, public_id, select(Product).where(Product.state != "DRAFT"))


def _page(product: Product, errors: dict[str, str]) -> str:
    village, township = aliased(Region), aliased(Region)
    owner, cooperative, origin, town, group, category = db.session.execute(
        select(Organisation, Cooperative, village, township, LinkageGroup, Category)
        .select_from(Product)
        .join(Organisation, Organisation.id == Product.organisation_id)
        .outerjoin(Cooperative, Cooperative.organisation_id == Product.organisation_id)
        .join(village, village.id == Product.origin_id)
        .join(township, township.id == Product.township_id)
        .join(LinkageGroup, LinkageGroup.id == Product.linkage_group_id)
        .join(Category, Category.code == Product.category)
        .where(Product.id == product.id)
    ).one()
    packs = db.session.execute(
        select(Pack, func.coalesce(Stock.on_hand - Stock.reserved, 0))
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(Pack.product_id == product.id, Pack.withdrawn_at.is_(None))
        .order_by(Pack.position, Pack.id)
    ).all()
    tiers: dict[int, list[PriceTier]] = {}
    wanted = select(PriceTier).where(PriceTier.pack_id.in_([pack.id for pack, _free in packs]))
    for tier in db.session.scalars(wanted.order_by(PriceTier.min_quantity)):
        tiers.setdefault(tier.pack_id, []).append(tier)
    return render_template(
        "operator/listing.html",
        product=product,
        owner=owner,
        cooperative=cooperative,
        origin=origin,
        town=town,
        group=group,
        category=category,
        packs=packs,
        tiers=tiers,
        findings=listing_check.findings(product),
        word=listing_review.last_word(product.id),
        reason=request.form.get("reason", ""),
        errors=errors,
        crumbs=[(_("商品审核"), url_for(".index")), (product.name_zh, None)],
        **desk(the_actor()),
    )
