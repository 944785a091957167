"""The cooperative's goods: what is on sale, waiting, returned with reasons; editing one and its packs, submitting, withdrawing, a pause."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import Select, and_, func, or_, select

from marketplace.catalogue import listing_change, listing_check, listing_content, listing_review
from marketplace.catalogue.category import CATEGORIES
from marketplace.catalogue.listing_change import ListingChange
from marketplace.catalogue.listing_check import Finding, ListingRefused
from marketplace.catalogue.listing_content import MOST_TIERS, TEXTS, BadListing
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation.database import by_public_id, db, not_found, transaction
from marketplace.foundation.errors import Conflict
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import said, text
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.approval import Approval
from marketplace.organisations.organisation import Organisation
from marketplace.supply.stock import Stock
from marketplace.web import form_input, key_page, listing_form, spreadsheet
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_goods", __name__, url_prefix="/cooperative/goods")

permission("cooperative.read", COOPERATIVE="*")
permission("listing.edit", COOPERATIVE="clerk director")

PAGE = 25
# What each view holds: states of the product, and states of an open change beside one that is on sale.
VIEWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sale": (("ON_SALE",), ()),
    "waiting": (("SUBMITTED",), ("SUBMITTED",)),
    "returned": (("RETURNED",), ("RETURNED",)),
    "draft": (("DRAFT",), ("DRAFT",)),
    "off": (("SUSPENDED", "WITHDRAWN"), ()),
}
_change = and_(ListingChange.product_id == Product.id, ListingChange.state.in_(listing_change.OPEN))
_free = (
    select(func.coalesce(func.sum(Stock.on_hand - Stock.reserved), 0))
    .join(Pack, Pack.id == Stock.pack_id)
    .where(Pack.product_id == Product.id, Pack.withdrawn_at.is_(None))
    .scalar_subquery()
)
_packs = select(func.count(Pack.id)).where(Pack.product_id == Product.id, Pack.withdrawn_at.is_(None)).scalar_subquery()
SORTS: key_page.Sorts = {
    "new": (Product.id, True), "name": (Product.name_zh, False), "price": (func.coalesce(Product.from_price_fen, 0), False), "left": (_free, False),
}  # fmt: skip


def own_product(public_id: str, actor: Actor) -> Product:
    """The cooperative's product with this outside name; NotFound for anybody else's."""
    product: Product = by_public_id(Product, public_id, scoped(actor, Product))
    return product


def _in_view(view: str) -> Any:
    states, changes = VIEWS[view]
    return or_(Product.state.in_(states), ListingChange.state.in_(changes))


def _wanted(view: str, category: str, words: str, actor: Actor) -> Select[Any]:
    query = (
        select(Product, ListingChange, _packs, _free)
        .outerjoin(ListingChange, _change)
        .where(Product.organisation_id == actor.organisation_id, _in_view(view))
    )
    if category:
        query = query.where(Product.category == category)
    if words:
        query = query.where(Product.name_zh.contains(words, autoescape=True))
    return query


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    counts = _counts(actor)
    view = key_page.chosen("view", VIEWS, "returned" if counts["returned"] else "sale")
    category = key_page.chosen("category", ("", *CATEGORIES), "")
    sort = key_page.chosen("sort", SORTS, "new")
    words = request.args.get("q", "").strip()[:40]
    query = _wanted(view, category, words, actor)
    asked: dict[str, Any] = {name: value for name, value in {"view": view, "category": category, "q": words, "sort": sort if sort != "new" else ""}.items() if value}
    before = request.args.get("before", "")
    last = own_product(before, actor).id if before else None
    rows = db.session.execute(key_page.after(query, Product, SORTS, sort, last).limit(PAGE + 1)).all()
    return render_template(
        "cooperative/goods.html",
        rows=rows[:PAGE],
        view=view,
        counts=counts,
        asked=asked,
        categories=[(code, _(name)) for code, (name, _licence) in CATEGORIES.items()],
        words=_words([(row[0].id, row[1].id if row[1] else None) for row in rows]),
        next_url=url_for(".index", **asked, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None,
        export_url=url_for(".export", **asked),
        **desk(actor),
    )


@bp.get("/export.xlsx")
@needs("cooperative.read")
def export() -> Any:
    """The goods of the list as it is filtered, one row a pack."""
    actor = the_actor()
    view = key_page.chosen("view", VIEWS, "sale")
    chosen = _wanted(view, key_page.chosen("category", ("", *CATEGORIES), ""), request.args.get("q", "").strip()[:40], actor).with_only_columns(Product.id)
    query = (
        select(Product, Pack, func.coalesce(Stock.on_hand, 0), func.coalesce(Stock.reserved, 0))
        .join(Pack, Pack.product_id == Product.id)
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(Product.id.in_(chosen), Pack.withdrawn_at.is_(None))
        .order_by(Product.id.desc(), Pack.position, Pack.id)
    )
    columns = [
        (_("商品"), "text"), (_("类别"), "text"), (_("规格"), "text"), (_("净重（克）"), "whole"), (_("价格（元）"), "fen"), (_("每 500 g（元）"), "fen"),
        (_("库存"), "whole"), (_("已答应"), "whole"), (_("还能卖"), "whole"), (_("上架日"), "day"),
    ]  # fmt: skip
    rows = (
        (
            text(product, "name"), _(CATEGORIES[product.category][0]), text(pack, "name"), pack.net_grams, pack.price_fen, pack.per_500g_fen,
            on_hand, reserved, on_hand - reserved, product.listed_at,
        )
        for product, pack, on_hand, reserved in db.session.execute(query)
    )  # fmt: skip
    return spreadsheet.download(_("商品"), columns, rows)


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return page(own_product(public_id, the_actor()))


@bp.post("/<public_id>")
@needs("listing.edit")
def save(public_id: str) -> Any:
    """Save; with ``then=submit`` hand it in afterwards. What was typed comes back with every error beside its input."""
    actor = the_actor()
    product = own_product(public_id, actor)
    product_id = product.id
    content, errors = listing_form.typed(listing_change.standing(product))
    if errors:
        return page(product, errors, request.form), 422
    version = form_input.version()
    try:
        version = transaction(lambda: listing_review.edit(product_id, content, version=version, actor=actor).version)
    except BadListing as error:
        fields = {name: _(message) for name, message in error.data["fields"].items()}
        return page(own_product(public_id, actor), fields, request.form), 422
    except Conflict as stale:
        if stale.code != "version.stale":
            raise
        return page(own_product(public_id, actor), {"": said(stale)}, request.form, compare=True), 409
    if request.form.get("then") != "submit":
        flash(_("已保存。"), "done")
        return redirect(url_for(".show", public_id=public_id))
    try:
        transaction(lambda: listing_review.submit(product_id, version=version, actor=actor))
    except ListingRefused as refused:
        return page(own_product(public_id, actor), refused=refused.data["findings"]), 422
    flash(_("已提交，县运营方审核后会上架，一般一个工作日内有答复。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/<public_id>/<step>")
@needs("listing.edit")
def move(public_id: str, step: str) -> Any:
    """One step of the listing's way that needs no form: withdraw, take back, pause, resume."""
    actor = the_actor()
    product_id, version = own_product(public_id, actor).id, form_input.version()
    known: dict[str, tuple[Callable[..., Product], dict[str, str], str]] = {
        "withdraw": (listing_review.withdraw, {}, _("已撤下。已经下的订单照常办理。")),
        "take-back": (listing_review.take_back, {}, _("已撤回。")),
        "pause": (listing_review.suspend, {"reason": ""}, _("已暂停销售，可以随时恢复。已经下的订单照常办理。")),
        "resume": (listing_review.resume, {}, _("已恢复销售。")),
    }
    if step not in known:
        raise not_found(Product)
    act, more, words = known[step]
    try:
        transaction(lambda: act(product_id, version=version, actor=actor, **more))
    except ListingRefused as refused:
        return page(own_product(public_id, actor), refused=refused.data["findings"]), 422
    flash(words, "done")
    return redirect(url_for(".show", public_id=public_id))


def page(
    product: Product,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    refused: list[Finding] | None = None,
    compare: bool = False,
) -> str:
    """The page of one product: its form with what was typed, else what is kept, and what the system found."""
    change = listing_change.of(product.id)
    content = listing_content.content_of(product)
    wanted = change.wanted if change is not None else content
    editable = product.state in listing_review.EDITABLE and (change is None or change.state != "SUBMITTED")
    kept = listing_form.inputs(wanted)
    shown = {**kept, "gi_mark": "", **typed} if typed is not None else kept
    errors = dict(errors or {})
    if compare:
        differing = {name: now for name, now in kept.items() if shown.get(name, "").replace("\r\n", "\n").strip() != now.strip()}
        errors |= {name: _("现在保存着的是：%(now)s", now=now or _("（空）")) for name, now in differing.items()}
    left = select(Pack.public_id, Stock.on_hand - Stock.reserved).join(Stock, Stock.pack_id == Pack.id).where(Pack.product_id == product.id)
    return render_template(
        "cooperative/good.html",
        product=product,
        change=change,
        content=content,
        packs=wanted.packs,
        left={row[0]: row[1] for row in db.session.execute(left)},
        differences=listing_form.differences(content, wanted) if change is not None else [],
        values=shown,
        errors=errors,
        refused=refused or [],
        findings=listing_check.findings(product, wanted if change is not None else None) if editable else [],
        editable=editable,
        texts=listing_form.labels(),
        lengths=TEXTS,
        tiers=range(1, MOST_TIERS + 1),
        picture=wanted.picture,
        suspended_by=db.session.get(Organisation, product.suspended_by_id) if product.suspended_by_id else None,
        word=_words([(product.id, change.id if change else None)]).get(product.id),
        crumbs=[(_("商品"), url_for("cooperative_goods.index")), (text(product, "name"), None)],
        **desk(the_actor()),
    )


def _counts(actor: Actor) -> dict[str, int]:
    query = (
        select(Product.state, ListingChange.state, func.count())
        .outerjoin(ListingChange, _change)
        .where(Product.organisation_id == actor.organisation_id)
        .group_by(Product.state, ListingChange.state)
    )
    found = [(row[0], row[1], row[2]) for row in db.session.execute(query)]
    return {view: sum(n for state, change, n in found if state in states or change in changes) for view, (states, changes) in VIEWS.items()}


def _words(pairs: list[tuple[int, int | None]]) -> dict[int, Approval]:
    """The latest decision on each product (or on its open change), by product."""
    of_change = {change_id: product_id for product_id, change_id in pairs if change_id}
    query = select(Approval).where(
        or_(
            and_(Approval.subject_type == Product.__tablename__, Approval.subject_id.in_([product_id for product_id, _change_id in pairs])),
            and_(Approval.subject_type == ListingChange.__tablename__, Approval.subject_id.in_(of_change)),
        )
    )
    found: dict[int, Approval] = {}
    for word in db.session.scalars(query.order_by(Approval.id)):
        found[word.subject_id if word.subject_type == Product.__tablename__ else of_change[word.subject_id]] = word
    return found

