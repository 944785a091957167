"""The review of a listing: a clerk edits and submits, the system checks, another person of the operator approves or returns it.

What buyers see was approved as it stands: an edit of a product on sale takes it off sale until it is approved again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import select

from marketplace.catalogue import listing_check
from marketplace.catalogue.product import Pack, Product
from marketplace.foundation import audit, clock, outbox
from marketplace.foundation.database import db, locked, not_found
from marketplace.foundation.errors import Conflict, InvalidInput, NotAllowed
from marketplace.foundation.language import N_
from marketplace.organisations import approval
from marketplace.organisations.actor import Actor
from marketplace.organisations.approval import Approval

INDEX = "search.product"  # the kind of message that search answers to; it lives on a higher rung
EDITABLE = ("DRAFT", "RETURNED", "ON_SALE", "WITHDRAWN")
FEN_MOST = 99_999_999
# Longest text of each, in characters; the first is required.
TEXTS = {
    "name_zh": 120, "name_en": 160, "summary_zh": 300, "summary_en": 400, "story_zh": 8000, "story_en": 12000,
    "storage_zh": 200, "storage_en": 300, "standard_code": 60,
}  # fmt: skip


@dataclass(frozen=True)
class Edited:
    """What the clerk typed: texts by column, months, the mark of origin, and fen by pack (public id)."""

    texts: Mapping[str, str]
    shelf_life_months: int
    gi_mark: bool
    prices_fen: Mapping[str, int]


class BadListing(InvalidInput):
    """What was typed cannot be kept. Data: ``fields``, a msgid for each input."""


def edit(product_id: int, edited: Edited, *, version: int, actor: Actor) -> Product:
    """Save the product and its packs' prices. What was returned or on sale becomes a draft, off the shelf, if anything changed.

    Raises BadListing with every bad input, Conflict ``version.stale`` or ``listing.state``, NotFound for another cooperative's.
    """
    product = _own(product_id, actor)
    _must_be(product, *EDITABLE)
    packs = {pack.public_id: pack for pack in _packs(product)}
    _must_be_good(edited, packs)
    product.must_be_version(version)
    changed = []
    wanted = {name: _typed(edited.texts[name], name) for name in TEXTS if name in edited.texts}
    for name, value in {**wanted, "shelf_life_months": edited.shelf_life_months, "gi_mark": edited.gi_mark}.items():
        if getattr(product, name) != value:
            setattr(product, name, value)
            changed.append(name)
    for public_id, fen in edited.prices_fen.items():
        pack = packs[public_id]
        if pack.price_fen != fen:
            pack.price_fen = fen
            pack.version += 1
            changed.append(f"price:{pack.id}")
    product.from_price_fen = min((pack.price_fen for pack in packs.values()), default=None)
    if changed:
        _off_sale(product)
        product.state = "DRAFT"
        audit.record("listing.edited", product, person_id=actor.person_id, changed=changed)
    db.session.flush()
    return product


def submit(product_id: int, *, version: int, actor: Actor) -> Product:
    """Hand the product to the operator. Raises ListingRefused with every reason, Conflict, NotFound; off sale meanwhile."""
    product = _own(product_id, actor)
    _must_be(product, *EDITABLE)
    product.must_be_version(version)
    listing_check.must_pass(product)
    _off_sale(product)
    product.state = "SUBMITTED"
    product.submitted_by_id, product.submitted_at = actor.person_id, clock.now()
    audit.record("listing.submitted", product, person_id=actor.person_id)
    db.session.flush()
    return product


def withdraw(product_id: int, *, version: int, actor: Actor) -> Product:
    """Take the product off sale, or a submitted one back to the desk as a draft. Orders already placed stand."""
    product = _own(product_id, actor)
    _must_be(product, "DRAFT", "RETURNED", "ON_SALE", "SUBMITTED")
    product.must_be_version(version)
    _off_sale(product)
    product.state = "DRAFT" if product.state == "SUBMITTED" else "WITHDRAWN"
    audit.record("listing.withdrawn", product, person_id=actor.person_id)
    db.session.flush()
    return product


def decide(product_id: int, *, version: int, approved: bool, reason: str = "", actor: Actor) -> Approval:
    """The reviewer's word. Approved, it is on sale at once and searchable within seconds; returned, the reason says what to change.

    Raises OwnWork for whoever submitted it, ListingRefused if it no longer passes the checks, Conflict if it is not waiting or changed.
    """
    actor.must_have("OPERATOR", "reviewer")
    product = locked(Product, product_id)
    _must_be(product, "SUBMITTED")
    if product.submitted_by_id is None:
        raise NotAllowed("listing.nobody", N_("不知道是谁提交的，请合作社重新提交。"))
    product.must_be_version(version)
    if approved:
        listing_check.must_pass(product)
    word = approval.decide(
        product,
        version=version,
        maker_id=product.submitted_by_id,
        checker_id=actor.person_id,
        organisation_id=actor.organisation_id,
        approved=approved,
        reason=reason[:2000],
    )
    product.state = "ON_SALE" if approved else "RETURNED"
    if approved:
        product.listed_at = clock.now()
        product.from_price_fen = min(pack.price_fen for pack in _packs(product))
        _index(product)
    db.session.flush()
    return word


def last_word(product_id: int) -> Approval | None:
    """The latest decision on the product."""
    return approval.last_word(Product.__tablename__, product_id)


def _own(product_id: int, actor: Actor) -> Product:
    actor.must_have("COOPERATIVE", "clerk", "director")
    product = locked(Product, product_id)
    if product.organisation_id != actor.organisation_id:
        raise not_found(Product)
    return product


def _packs(product: Product) -> list[Pack]:
    query = select(Pack).where(Pack.product_id == product.id, Pack.withdrawn_at.is_(None)).order_by(Pack.position, Pack.id)
    return list(db.session.scalars(query))


def _must_be(product: Product, *states: str) -> None:
    if product.state not in states:
        raise Conflict("listing.state", N_("这件商品现在不能这样办，可能已经有人办过。请刷新后再看。"), state=product.state)


def _must_be_good(edited: Edited, packs: Mapping[str, Pack]) -> None:
    fields: dict[str, str] = {}
    if not edited.texts.get("name_zh", "").strip():
        fields["name_zh"] = N_("请写商品名称。")
    for name, longest in TEXTS.items():
        if len(edited.texts.get(name, "")) > longest:
            fields[name] = N_("太长了，请写短一些。")
    if not 0 <= edited.shelf_life_months <= 120:
        fields["shelf_life_months"] = N_("保质期请写 0 到 120 之间的月数。")
    for public_id, fen in edited.prices_fen.items():
        if public_id not in packs:
            raise not_found(Pack)
        if not 0 < fen <= FEN_MOST:
            fields[f"price-{public_id}"] = N_("价格要大于零，最多 999,999.99 元。")
    if fields:
        raise BadListing("listing.input", N_("有几处填得不对，什么都还没有保存。"), fields=fields)


def _typed(value: str, name: str) -> str | None:
    value = value.replace("\r\n", "\n").strip()
    return value or (None if name.endswith("_en") else "")


def _off_sale(product: Product) -> None:
    if product.state == "ON_SALE":
        _index(product)


def _index(product: Product) -> None:
    outbox.put(INDEX, str(product.id), {"product_id": product.id})
