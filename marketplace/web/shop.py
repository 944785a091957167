"""The shop as anybody sees it: home, goods, search, a product, origins, cooperatives. Reads only; no sign-in and no session."""

from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urlencode

from flask import Blueprint, render_template, request, url_for
from sqlalchemy import select

from marketplace import search
from marketplace.catalogue import scheme_proposal, split_scheme
from marketplace.catalogue.category import CATEGORIES
from marketplace.foundation import clock
from marketplace.foundation.config import settings
from marketplace.foundation.database import db
from marketplace.foundation.language import gettext as _
from marketplace.foundation.language import language, text
from marketplace.foundation.money import share_bp
from marketplace.households.linkage_group import LinkageGroup
from marketplace.reporting import county_figures
from marketplace.search import detail, shelf
from marketplace.search.card import Card, Offer
from marketplace.settlement import distribution_rule, rule_proposal
from marketplace.web.permission import public
from marketplace.web.shown import day, grams, money

bp = Blueprint("shop", __name__)

HUNDRED_YUAN = 10_000  # fen


@bp.get("/")
@public
def home() -> Any:
    today = clock.business_date()
    brought = county_figures.brought(today.year)
    figures = [
        (money(brought["pool_fen"]), _("今年分进农户的份额"), {"url": "/transparency", "note": "" if brought["pool_fen"] else _("今年还没有过了退货期的订单")}),
        (money(brought["paid_fen"]), _("今年已经到户"), {"url": "/transparency", "note": "" if brought["paid_fen"] else _("第一次分配公示后才发放")}),
        (f"{brought['linked']:,}", _("户人家有份额"), {"url": url_for("shop.origins")}),
    ]
    goods = _cards(shelf.in_season())
    lead = next((each for each in goods if each.households_bp and not each.sold_out), None)
    of_hundred_fen = share_bp(HUNDRED_YUAN, lead.households_bp or 0) if lead else 0
    return render_template("shop/home.html", goods=goods, figures=figures, categories=_categories(), lead=lead, of_hundred_fen=of_hundred_fen)


@bp.get("/goods")
@public
def goods() -> Any:
    return _list_page("shop.goods", _asked())


@bp.get("/search")
@public
def find() -> Any:
    words = request.args.get("q", "").strip()[:80]
    if not words:
        return _list_page("shop.find", _asked(), query="", ids=[])
    return _list_page("shop.find", _asked(), query=words, ids=search.query(words))


@bp.get("/goods/<slug>")
@public
def product(slug: str) -> Any:
    found = detail.of_slug(slug)
    scheme, first = found.scheme, found.cheapest
    shares = dict(zip(("cooperative_fen", "households_fen", "village_fen", "fund_fen"), scheme.divide(HUNDRED_YUAN, slug), strict=True)) if scheme else None
    packs = [
        (each.pack.public_id, f"{text(each.pack, 'name')}  {money(each.pack.price_fen)}", _pack_note(each))
        for each in found.offers
        if each.free > 0 and not found.suspended
    ]
    return render_template(
        "shop/product.html",
        found=found,
        product=found.product,
        place=f"{text(found.township, 'name')} {text(found.origin, 'name')}",
        category=_(CATEGORIES[found.product.category][0]),
        shares=shares,
        packs=packs,
        sold_out=[each for each in found.offers if each.free <= 0],
        chosen=first.pack.public_id if first and first.free > 0 else (packs[0][0] if packs else ""),
        price=first,
        unit=_unit(first) if first else (None, ""),
    )


@bp.get("/origins")
@public
def origins() -> Any:
    return render_template("shop/origins.html", townships=shelf.origins())


@bp.get("/cooperatives")
@public
def cooperatives() -> Any:
    return render_template("shop/cooperatives.html", cooperatives=shelf.cooperatives())


@bp.get("/cooperatives/<public_id>")
@public
def cooperative(public_id: str) -> Any:
    organisation, seller, cards = shelf.cooperative(public_id)
    scope = [_(CATEGORIES[code][0]) for code in seller.licence_scope.split(";") if code in CATEGORIES]
    rules = distribution_rule.history(organisation.id)
    groups = select(LinkageGroup).where(LinkageGroup.organisation_id == organisation.id).order_by(LinkageGroup.id)
    return render_template(
        "shop/cooperative.html",
        organisation=organisation,
        cooperative=seller,
        scope=scope,
        goods=_cards(cards),
        schemes=[(_(CATEGORIES[code][0]), versions) for code, versions in split_scheme.history(organisation.id).items()],
        reasons=scheme_proposal.reasons(organisation.id),
        today=clock.business_date(),
        groups=[(group, rules.get(group.id, [])) for group in db.session.scalars(groups)],
        rule_reasons=rule_proposal.reasons(organisation.id),
        cap_bp=settings().recovery_cap_bp,
        month=clock.period_of(clock.business_date()),
    )


def _asked() -> dict[str, str]:
    """The list's filters from the address; what the shop does not know finds nothing, a sort it does not know is the usual one."""
    given = {name: request.args.get(name, "").strip()[:40] for name in ("category", "township", "sort", "after")}
    if given["sort"] not in shelf.SORTS:
        given["sort"] = ""
    return given


def _list_page(endpoint: str, asked: dict[str, str], query: str | None = None, ids: list[int] | None = None) -> Any:
    found = shelf.listing(
        category=asked["category"], township=asked["township"], sort=asked["sort"] or "new", after=asked["after"], ids=ids
    )

    action = url_for(endpoint)

    def address(**changed: str) -> str:
        wanted = {"q": query or "", **asked, "after": "", **changed}
        asks = urlencode({name: value for name, value in wanted.items() if value})
        return f"{action}?{asks}" if asks else action

    by_category, by_township = (found.facets.categories, found.facets.townships) if found.facets else (None, None)
    categories = [(_("全部"), address(category=""), not asked["category"], by_category.total() if by_category else None)]
    categories += [
        (_(name), address(category=code), asked["category"] == code, by_category[code] if by_category else None)
        for code, (name, _licence) in CATEGORIES.items()
    ]
    townships = [(each.code, f"{text(each, 'name')} ({by_township[each.code]})" if by_township else text(each, "name")) for each in found.townships]
    sorts = [
        ("", _("最相关") if ids is not None else _("最新上架")), ("price", _("价格从低到高")), ("expensive", _("价格从高到低")), ("popular", _("卖得多的在前")),
    ]  # fmt: skip
    return render_template(
        "shop/list.html",
        goods=_cards(found.cards),
        categories=categories,
        townships=townships,
        sorts=sorts,
        asked=asked,
        query=query,
        action=action,
        first_url=address() if asked["after"] else None,
        next_url=address(after=found.after) if found.after else None,
        clear_url=address(category="", township="", sort=""),
    )


def _categories() -> list[tuple[str, str, bool]]:
    return [(_(name), url_for("shop.goods", category=code), False) for code, (name, _licence) in CATEGORIES.items()]


class Good(NamedTuple):
    """What the product card shows; amounts in fen of the cheapest pack. Equal goods make equal cards, so the text of one is kept."""

    url: str
    name: str
    place: str
    note: str
    picture: str
    price_fen: int
    unit_fen: int | None
    unit_label: str
    several_packs: bool
    households_fen: int
    households_bp: int | None
    village_bp: int
    fund_bp: int
    sold_out: bool
    mark: str
    language: str
    households: int | None = None


def _cards(found: Iterable[Card]) -> list[Good]:
    code = language()
    address = url_for("shop.product", slug="-").removesuffix("-")
    return [_card(each, address, code) for each in found]


def _card(each: Card, address: str, code: str) -> Good:
    offer, scheme = each.cheapest, each.scheme
    unit_fen, unit_label = _unit(offer) if offer else (None, "")
    price = offer.pack.price_fen if offer else 0
    return Good(
        url=address + each.product.slug,
        name=text(each.product, "name"),
        place=text(each.origin, "name"),
        note=text(offer.pack, "name") if offer else "",
        picture=each.product.picture,
        price_fen=price,
        unit_fen=unit_fen,
        unit_label=unit_label,
        several_packs=len(each.offers) > 1,
        households_fen=share_bp(price, scheme.household_pool_bp) if scheme else 0,
        households_bp=scheme.household_pool_bp if scheme else None,
        village_bp=scheme.village_collective_bp if scheme else 0,
        fund_bp=scheme.relief_fund_bp if scheme else 0,
        sold_out=not each.in_stock,
        mark=_("%(day)s 采", day=day(each.harvested_on)) if each.harvested_on else "",
        language=code,
    )


def _unit(offer: Offer) -> tuple[int, str]:
    """Price of a flower where flowers are counted, else of 500 g, with its name."""
    if offer.pack.per_piece_fen is not None:
        return offer.pack.per_piece_fen, _("每朵")
    return offer.pack.per_500g_fen, _("每 500 g")


def _pack_note(offer: Offer) -> str:
    unit_fen, unit = _unit(offer)
    left = _("只剩 %(n)s 件", n=offer.free) if offer.free <= 20 else _("有货")
    return f"{unit} {money(unit_fen)} · {grams(offer.pack.net_grams)} · {left}"
