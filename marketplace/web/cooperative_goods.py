"""The cooperative's goods: what is on sale, waiting, returned with reasons; editing one and its packs, submitting, withdrawing."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import func, select

from marketplace.catalogue import listing_check, listing_review
from marketplace.catalogue.listing_check import Finding, ListingRefused
from marketplace.catalogue.listing_review import TEXTS, BadListing, Edited
from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation.database import by_public_id, db, transaction
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.language import gettext as _
from marketplace.foundation.money import format_yuan, parse_yuan
from marketplace.organisations.actor import Actor, scoped
from marketplace.organisations.approval import Approval
from marketplace.supply.stock import Stock
from marketplace.web.cooperative_desk import desk
from marketplace.web.permission import needs, permission, the_actor

bp = Blueprint("cooperative_goods", __name__, url_prefix="/cooperative/goods")

permission("cooperative.read", COOPERATIVE="*")
permission("listing.edit", COOPERATIVE="clerk director")

PAGE = 25
VIEWS: dict[str, tuple[str, ...]] = {
    "sale": ("ON_SALE",),
    "waiting": ("SUBMITTED",),
    "returned": ("RETURNED",),
    "draft": ("DRAFT",),
    "off": ("SUSPENDED", "WITHDRAWN"),
}


def own_product(public_id: str, actor: Actor) -> Product:
    """The cooperative's product with this outside name; NotFound for anybody else's."""
    product: Product = by_public_id(Product, public_id, scoped(actor, Product))
    return product


@bp.get("")
@needs("cooperative.read")
def index() -> Any:
    actor = the_actor()
    own = Product.organisation_id == actor.organisation_id
    per_state = {row[0]: row[1] for row in db.session.execute(select(Product.state, func.count()).where(own).group_by(Product.state))}
    counts = {view: sum(per_state.get(state, 0) for state in states) for view, states in VIEWS.items()}
    view = request.args.get("view") or ("returned" if counts["returned"] else "sale")
    if view not in VIEWS:
        raise InvalidInput("view.bad", N_("没有这样的筛选。"), field="view")
    free = func.coalesce(func.sum(Stock.on_hand - Stock.reserved), 0)
    query = (
        select(Product, func.count(Pack.id), free)
        .outerjoin(Pack, (Pack.product_id == Product.id) & Pack.withdrawn_at.is_(None))
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(own, Product.state.in_(VIEWS[view]))
        .group_by(Product.id)
        .order_by(Product.id.desc())
        .limit(PAGE + 1)
    )
    before = request.args.get("before", "")
    if before:
        query = query.where(Product.id < own_product(before, actor).id)
    rows = db.session.execute(query).all()
    next_url = url_for(".index", view=view, before=rows[PAGE - 1][0].public_id) if len(rows) > PAGE else None
    return render_template(
        "cooperative/goods.html",
        rows=rows[:PAGE],
        view=view,
        counts=counts,
        words=_words([row[0].id for row in rows]),
        next_url=next_url,
        **desk(actor),
    )


@bp.get("/<public_id>")
@needs("cooperative.read")
def show(public_id: str) -> Any:
    return _page(own_product(public_id, the_actor()))


@bp.post("/<public_id>")
@needs("listing.edit")
def save(public_id: str) -> Any:
    """Save; with ``then=submit`` hand it in afterwards. What was typed comes back with every error beside its input."""
    actor = the_actor()
    product = own_product(public_id, actor)
    product_id = product.id
    edited, errors = _typed()
    if errors:
        return _page(product, errors, request.form), 422
    version = _version()
    try:
        version = transaction(lambda: listing_review.edit(product_id, edited, version=version, actor=actor).version)
    except BadListing as error:
        fields = {name: _(message) for name, message in error.data["fields"].items()}
        return _page(own_product(public_id, actor), fields, request.form), 422
    except Conflict as stale:
        if stale.code != "version.stale":
            raise
        return _page(own_product(public_id, actor), {"": said(stale)}, request.form, compare=True), 409
    if request.form.get("then") != "submit":
        flash(_("已保存。"), "done")
        return redirect(url_for(".show", public_id=public_id))
    try:
        transaction(lambda: listing_review.submit(product_id, version=version, actor=actor))
    except ListingRefused as refused:
        return _page(own_product(public_id, actor), refused=refused.data["findings"]), 422
    flash(_("已提交，县运营方审核后会上架，一般一个工作日内有答复。"), "done")
    return redirect(url_for(".show", public_id=public_id))


@bp.post("/<public_id>/withdraw")
@needs("listing.edit")
def withdraw(public_id: str) -> Any:
    actor = the_actor()
    product_id, version = own_product(public_id, actor).id, _version()
    transaction(lambda: listing_review.withdraw(product_id, version=version, actor=actor))
    flash(_("已撤下。已经下的订单照常办理。"), "done")
    return redirect(url_for(".show", public_id=public_id))


def _version() -> int:
    typed = request.form.get("version", "")
    if not (typed.isascii() and typed.isdigit() and len(typed) < 10):
        raise InvalidInput("version.missing", N_("这一页不完整，请刷新后再试。"), field="version")
    return int(typed)


def _typed() -> tuple[Edited, dict[str, str]]:
    """What the form holds, and what in it is no number or no price."""
    errors: dict[str, str] = {}
    months = request.form.get("shelf_life_months", "").strip()
    if not (months.isascii() and months.isdigit() and len(months) < 4):
        errors["shelf_life_months"] = _("保质期请写月数，如 18。")
        months = "0"
    prices: dict[str, int] = {}
    for name, value in request.form.items():
        if name.startswith("price-"):
            try:
                prices[name.removeprefix("price-")] = parse_yuan(value)
            except ValueError:
                errors[name] = _("请写一个金额，如 136.00。")
    texts = {name: request.form[name] for name in TEXTS if name in request.form}
    return Edited(texts, int(months), request.form.get("gi_mark") == "1", prices), errors


def _page(
    product: Product,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    *,
    refused: list[Finding] | None = None,
    compare: bool = False,
) -> str:
    packs = db.session.execute(
        select(Pack, func.coalesce(Stock.on_hand - Stock.reserved, 0))
        .outerjoin(Stock, Stock.pack_id == Pack.id)
        .where(Pack.product_id == product.id, Pack.withdrawn_at.is_(None))
        .order_by(Pack.position, Pack.id)
    ).all()
    kept: dict[str, Any] = {name: getattr(product, name) or "" for name in TEXTS}
    kept |= {"shelf_life_months": str(product.shelf_life_months), "gi_mark": "1" if product.gi_mark else ""}
    kept |= {f"price-{pack.public_id}": format_yuan(pack.price_fen) for pack, _free in packs}
    shown = {**kept, "gi_mark": "", **typed} if typed is not None else kept
    errors = dict(errors or {})
    if compare:
        differing = {name: now for name, now in kept.items() if shown.get(name, "").replace("\r\n", "\n").strip() != str(now).strip()}
        errors |= {name: _("现在保存着的是：%(now)s", now=now or _("（空）")) for name, now in differing.items()}
    tiers: dict[int, list[PriceTier]] = {}
    wanted = select(PriceTier).where(PriceTier.pack_id.in_([pack.id for pack, _free in packs]))
    for tier in db.session.scalars(wanted.order_by(PriceTier.min_quantity)):
        tiers.setdefault(tier.pack_id, []).append(tier)
    return render_template(
        "cooperative/good.html",
        product=product,
        packs=packs,
        tiers=tiers,
        values=shown,
        errors=errors,
        refused=refused or [],
        findings=listing_check.findings(product) if product.state in listing_review.EDITABLE else [],
        editable=product.state in listing_review.EDITABLE,
        lengths=TEXTS,
        word=_words([product.id]).get(product.id),
        **desk(the_actor()),
    )


def _words(product_ids: list[int]) -> dict[int, Approval]:
    """The latest decision on each of these products."""
    query = select(Approval).where(Approval.subject_type == Product.__tablename__, Approval.subject_id.in_(product_ids))
    return {word.subject_id: word for word in db.session.scalars(query.order_by(Approval.id))}
