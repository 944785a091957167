"""The system's word on a product before people look at it: every reason against listing it at once, and what to beware of.

A finding that refuses keeps the product from being submitted and approved; one that does not is shown to the clerk and to the reviewer.
Higher rungs, which know of stock and batches, add their own rules to ``rules``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from typing import Any

from sqlalchemy import func, or_, select

from marketplace.catalogue import listing_content
from marketplace.catalogue.listing_content import Content
from marketplace.catalogue.product import Pack, Product
from marketplace.catalogue.split_scheme import in_force
from marketplace.foundation import clock
from marketplace.foundation.database import db
from marketplace.foundation.errors import Conflict, InvalidInput
from marketplace.foundation.language import N_, said
from marketplace.foundation.money import format_yuan
from marketplace.households.linkage_group import LinkageGroup, LinkageShare
from marketplace.organisations.organisation import Cooperative
from marketplace.organisations.region import Region

COUNTY = "360925"  # of the licence's region digits
GI_CATEGORY, GI_ALTITUDE_M = "white_tea", 400
LICENCE_WARN_DAYS = (7, 30, 90)
# Guide prices are background knowledge and no law: outside them is a warning, never a refusal. Fen, per category.
PER_500G = {"white_tea": (30_000, 150_000), "honey": (5_000, 12_000)}
PER_FLOWER, PER_50G_FLOWERS = (100, 400), (3_500, 8_800)
PER_500ML, PER_5L = (4_500, 8_000), (38_000, 70_000)
SHELF_LIFE_MONTHS = {"white_tea": (12, 18), "chrysanthemum": (18, 24), "camellia_oil": (18, 18), "honey": (18, 24)}


@dataclass(frozen=True)
class Finding:
    """One thing found. ``field`` names the input of the form that it is about, or is empty."""

    code: str
    message: str
    field: str = ""
    refuses: bool = True
    data: dict[str, Any] = made_by(default_factory=dict)

    def said(self) -> str:
        """The sentence in the reader's language."""
        return said(InvalidInput(self.code, self.message, **self.data))


class ListingRefused(InvalidInput):
    """The product cannot be listed as it is. Data: ``findings``, all that refuse, and ``n``, how many."""


Rule = Callable[[Product, Sequence[Pack]], Iterator[Finding]]
rules: list[Rule] = []


def rule(added: Rule) -> Rule:
    """Register a rule of a higher rung; it is asked at every check."""
    rules.append(added)
    return added


def findings(product: Product, content: Content | None = None) -> list[Finding]:
    """All that is found on the product today (Beijing), what refuses first: as it stands, or as it would stand with ``content``."""
    packs = listing_content.packs_of(product)
    asked = content if content is not None else listing_content.content_of(product)
    if content is not None:
        product, packs = listing_content.as_it_would_be(content, product)
    found = [finding for each in (_linkage, _licence, _origin, _label, _scheme, _guide, *rules) for finding in each(product, packs)]
    return sorted([*found, *_tiers(asked)], key=lambda finding: not finding.refuses)


def must_pass(product: Product, content: Content | None = None) -> None:
    """Raise ListingRefused with all the reasons, if there are any."""
    refusing = [finding for finding in findings(product, content) if finding.refuses]
    if refusing:
        raise ListingRefused("listing.refused", N_("有 %(n)s 处不合上架要求，改好后再提交。"), n=len(refusing), findings=refusing)


def _linkage(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    group, today = db.session.get_one(LinkageGroup, product.linkage_group_id), clock.business_date()
    if group.organisation_id != product.organisation_id or group.category != product.category:
        yield Finding("linkage.other", N_("联农组要是本社的、同一类商品的。"))
    if not group.starts_on <= today <= (group.ends_on or today):
        yield Finding("linkage.ended", N_("这个联农组现在不在有效期内，没有有效的利益联结不能上架。"))
    members = db.session.scalar(
        select(func.count(LinkageShare.household_id.distinct())).where(
            LinkageShare.group_id == group.id,
            LinkageShare.starts_on <= today,
            or_(LinkageShare.ends_on.is_(None), LinkageShare.ends_on >= today),
        )
    )
    if not members:
        yield Finding("linkage.empty", N_("这个联农组现在没有农户，没有带动农户的商品不能上架。"))


def _licence(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    own = db.session.scalars(select(Cooperative).where(Cooperative.organisation_id == product.organisation_id)).one_or_none()
    if own is None:
        yield Finding("licence.missing", N_("合作社还没有登记食品生产许可。"))
        return
    if not own.may_sell(product.category):
        yield Finding("licence.scope", N_("食品生产许可的范围里没有这类商品。"))
    if own.food_licence[5:11] != COUNTY:
        yield Finding("licence.region", N_("食品生产许可登记的地区不是靖安县，和产地不符。"))
    days = (own.licence_expires_on - clock.business_date()).days
    if days < 0:
        yield Finding("licence.expired", N_("食品生产许可已经到期，请先换证。"))
        return
    near = next((limit for limit in LICENCE_WARN_DAYS if days <= limit), None)
    if near is not None:
        yield Finding(f"licence.ends_{near}", N_("食品生产许可还有 %(days)s 天到期，请尽快换证。"), refuses=False, data={"days": days})


def _origin(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    village = db.session.get_one(Region, product.origin_id)
    named_after = db.session.get_one(Region, db.session.get_one(LinkageGroup, product.linkage_group_id).region_id)
    if village.kind != "VILLAGE" or village.parent_id != product.township_id or not village.code.startswith(COUNTY):
        yield Finding("origin.bad", N_("产地要写到靖安县的一个村。"))
    elif product.township_id not in (named_after.id, named_after.parent_id):
        yield Finding("origin.linkage", N_("产地和联农组不在同一个乡镇。"))
    if not product.gi_mark:
        return
    if product.category != GI_CATEGORY:
        yield Finding("gi.category", N_("地理标志只用于靖安白茶。"), "gi_mark")
    elif not village.gi_area or village.altitude_m is None or village.altitude_m < GI_ALTITUDE_M:
        message = N_("地理标志只用于保护范围内、海拔 %(metres)s 米以上的产地。")
        yield Finding("gi.area", message, "gi_mark", data={"metres": GI_ALTITUDE_M})


def _label(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    if not product.summary_zh.strip():
        yield Finding("label.summary", N_("请写一句话介绍，买家先看到的就是它。"), "summary_zh")
    if not product.standard_code.strip():
        yield Finding("label.standard", N_("请写明产品执行的标准，如 GB/T 11765。"), "standard_code")
    if product.shelf_life_months <= 0:
        yield Finding("label.shelf_life", N_("请写明保质期（月）。"), "shelf_life_months")
        return
    low, high = SHELF_LIFE_MONTHS.get(product.category, (1, 60))
    if not low <= product.shelf_life_months <= high:
        message = N_("这类商品的保质期一般是 %(low)s–%(high)s 个月，请核对标签。")
        yield Finding("label.shelf_life_unusual", message, "shelf_life_months", refuses=False, data={"low": low, "high": high})


def _scheme(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    try:
        in_force(product.organisation_id, product.category)
    except Conflict as missing:
        yield Finding(missing.code, missing.message)


def _tiers(content: Content) -> Iterator[Finding]:
    """The unit price guard: no unit pays more than the public."""
    for pack in content.packs:
        for _quantity, price_fen in pack.tiers:
            if price_fen > pack.price_fen:
                message = N_("%(pack)s：单位价 ¥%(unit)s 高过公开价 ¥%(public)s。")
                data = {"pack": pack.name_zh, "unit": format_yuan(price_fen), "public": format_yuan(pack.price_fen)}
                yield Finding("price.tier", message, f"price-{pack.public_id}", data=data)


def _guide(product: Product, packs: Sequence[Pack]) -> Iterator[Finding]:
    if not packs:
        yield Finding("pack.none", N_("至少要有一个规格。"))
    for pack in packs:
        price, (low, high), per = _measured(product.category, pack)
        if price is not None and not low <= price <= high:
            message = N_("%(pack)s：折合每 %(per)s ¥%(price)s，不在参考价 ¥%(low)s–%(high)s 内，请核对。")
            if per == "":
                message = N_("%(pack)s：折合每朵 ¥%(price)s，不在参考价 ¥%(low)s–%(high)s 内，请核对。")
            data = {"pack": pack.name_zh, "per": per, "price": format_yuan(price), "low": format_yuan(low), "high": format_yuan(high)}
            yield Finding("price.guide", message, f"price-{pack.public_id}", refuses=False, data=data)


def _measured(category: str, pack: Pack) -> tuple[int | None, tuple[int, int], str]:
    """What the guide measures of this pack, in fen, with its range and the measure (empty: a flower); None where there is no guide."""
    if category == "chrysanthemum":
        if pack.per_piece_fen is not None:
            return pack.per_piece_fen, PER_FLOWER, ""
        return pack.price_fen * 50 // pack.net_grams, PER_50G_FLOWERS, "50 g"
    if category == "camellia_oil":
        if not pack.net_ml:
            return None, PER_500ML, ""
        if pack.net_ml >= 5000:
            return pack.price_fen * 5000 // pack.net_ml, PER_5L, "5 l"
        return pack.price_fen * 500 // pack.net_ml, PER_500ML, "500 ml"
    if category in PER_500G:
        return pack.per_500g_fen, PER_500G[category], "500 g"
    return None, (0, 0), ""
