"""The reviewer's desk: listings that wait, one listing with what the system found, approving it or returning it with a reason."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import and_, select
from sqlalchemy.orm import aliased

from marketplace.catalogue import listing_change, listing_check, listing_content, listing_review
from marketplace.catalogue.category import Category
from marketplace.catalogue.listing_change import ListingChange
from marketplace.catalogue.listing_check import ListingRefused
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.organisation import Cooperative, Organisation
from marketplace.organisations.region import Region
from marketplace.supply.stock import Stock
from marketplace.web import form_input, key_page, listing_form
from marketplace.web.operator_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("operator_listings", __name__, url_prefix="/operator/listings")

permission("operator.read", OPERATOR="administrator reviewer treasurer auditor")
permission("listing.review", OPERATOR="reviewer")
permission("listing.suspend", OPERATOR="reviewer administrator")

PAGE = 25
VIEWS = ("waiting", "changes", "returned", "sale", "suspended")
STATES = {"waiting": "SUBMITTED", "returned": "RETURNED", "sale": "ON_SALE", "suspended": "SUSPENDED"}
_waits = and_(ListingChange.product_id == Product.id, ListingChange.state == "SUBMITTED")


@bp.get("")
@needs("operator.read")
def index() -> Any:
    """Listings in one state; the longest waiting first, others latest first. ``changes``: of what is on sale, waiting too."""
    view = key_page.chosen("view", VIEWS, "waiting")
    query = (
        select(Product, Organisation, Region, Category, ListingChange)
        .join(Organisation, Organisation.id == Product.organisation_id)
        .join(Region, Region.id == Product.origin_id)
        .join(Category, Category.code == Product.category)
        .limit(PAGE + 1)
    )
    if view == "changes":
        query = query.join(ListingChange, _waits)
        since: Any = select(ListingChange.submitted_at).where(_waits).correlate(Product).scalar_subquery()
    else:
        query = query.outerjoin(ListingChange, _waits).where(Product.state == STATES[view])
        since = Product.submitted_at
    sorts: key_page.Sorts = {"oldest": (since, False), "latest": (Product.id, True)}
    after = request.args.get("after", "")
    last = by_public_id(Product, after).id if after else None
    rows = db.session.execute(key_page.after(query, Product, sorts, "oldest" if view in ("waiting", "changes") else "latest", last)).all()
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
    approved, reason, version = form_input.approves(), request.form.get("reason", ""), form_input.version()
    try:
        transaction(
            lambda: listing_review.decide(product_id, version=version, approved=approved, reason=reason, actor=actor)
        )
    except (ListingRefused, InvalidInput) as error:
        return _page(_submitted_once(public_id), {str(error.data.get("field", "")): said(error)}), 422
    if approved:
        flash(_("已批准，买家看到的就是这一版，几秒后就能搜到。"), "done")
    else:
        flash(_("已退回，合作社看得到理由。"), "done")
    return redirect(url_for(".index"))


@bp.post("/<public_id>/sale")
@needs("listing.suspend")
def sale(public_id: str) -> Any:
    """Suspend the sale with a reason, or resume what the operator suspended."""
    actor = the_actor()
    product_id, version, reason = _submitted_once(public_id).id, form_input.version(), form_input.given("suspend_reason")
    stop = form_input.given("decision") == "suspend"
    try:
        if stop:
            transaction(lambda: listing_review.suspend(product_id, version=version, reason=reason, actor=actor))
        else:
            transaction(lambda: listing_review.resume(product_id, version=version, actor=actor))
    except InvalidInput as error:
        return _page(_submitted_once(public_id), {"suspend_reason": said(error)}), 422
    flash(_("已暂停销售，合作社看得到理由。") if stop else _("已恢复销售。"), "done")
    return redirect(url_for(".show", public_id=public_id))


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
    change = listing_change.of(product.id)
    change = change if change is not None and change.state == "SUBMITTED" else None
    content = listing_content.content_of(product)
    left = select(Pack.public_id, Stock.on_hand - Stock.reserved).join(Stock, Stock.pack_id == Pack.id).where(Pack.product_id == product.id)
    return render_template(
        "operator/listing.html",
        product=product,
        owner=owner,
        cooperative=cooperative,
        origin=origin,
        town=town,
        group=group,
        category=category,
        change=change,
        waits=product.state == "SUBMITTED" or change is not None,
        packs=content.packs,
        left={row[0]: row[1] for row in db.session.execute(left)},
        differences=listing_form.differences(content, change.wanted) if change else [],
        picture=change.wanted.picture if change else product.picture,
        findings=listing_check.findings(product, change.wanted if change else None),
        word=listing_review.last_word(product.id),
        reason=request.form.get("reason", ""),
        errors=errors,
        crumbs=[(_("商品审核"), url_for(".index")), (product.name_zh, None)],
        **desk(the_actor()),
    )
