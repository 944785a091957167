"""A new product of a cooperative: a draft with its first pack, linked to one of the cooperative's groups from the first moment."""

from dataclasses import dataclass

from sqlalchemy import select

from marketplace.catalogue import listing_content
from marketplace.catalogue.listing_content import Content, PackContent
from marketplace.catalogue.product import Product
from marketplace.foundation import audit, clock
from marketplace.foundation.database import by_public_id, db, new_public_id
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.idempotency import once
from marketplace.foundation.language import N_
from marketplace.households.linkage_group import LinkageGroup
from marketplace.organisations.actor import Actor
from marketplace.organisations.region import Region


@dataclass(frozen=True)
class NewProduct:
    """What is asked first: name, linkage group (public id; it decides the kind of goods), village (code), and the first pack."""

    name_zh: str
    group: str
    village: str
    pack: PackContent
    shelf_life_months: int = 18


def create(wanted: NewProduct, *, actor: Actor, key: str) -> int:
    """Write the draft; the product's id. The same ``key`` again gives the same product.

    Raises BadListing naming every bad input, InvalidInput ``group.ended`` or ``origin.township``, NotFound for another cooperative's group.
    """
    actor.must_have("COOPERATIVE", "clerk", "director")
    pack = {name: value for name, value in vars(wanted.pack).items() if name != "public_id"}
    request = [wanted.name_zh, wanted.group, wanted.village, wanted.shelf_life_months, pack]
    return int(once(f"product:{actor.organisation_id}", key, request, lambda: {"id": _create(wanted, actor)})["id"])


def _create(wanted: NewProduct, actor: Actor) -> int:
    group = by_public_id(LinkageGroup, wanted.group, select(LinkageGroup).where(LinkageGroup.organisation_id == actor.organisation_id))
    if group.ends_on is not None and group.ends_on < clock.business_date():
        raise InvalidInput("group.ended", N_("这个联农组已经到期。"), field="group")
    village = db.session.scalars(select(Region).where(Region.code == wanted.village, Region.kind == "VILLAGE")).one_or_none()
    named_after = db.session.get_one(Region, group.region_id)
    if village is None or village.parent_id not in (named_after.id, named_after.parent_id):
        raise InvalidInput("origin.township", N_("请选联农组所在乡镇的一个村。"), field="village")
    public_id = new_public_id()
    product = Product(
        public_id=public_id,
        organisation_id=actor.organisation_id,
        code=f"P-{public_id}".upper(),
        slug=f"{group.category.replace('_', '-')}-{public_id[:10]}",
        category=group.category,
        linkage_group_id=group.id,
        origin_id=village.id,
        township_id=village.parent_id,
        name_zh=wanted.name_zh,
        shelf_life_months=wanted.shelf_life_months,
        picture="",
        version=1,
    )
    content = Content({"name_zh": wanted.name_zh}, wanted.shelf_life_months, False, "", (wanted.pack,)).tidy()
    listing_content.must_be_good(content, product)
    db.session.add(product)
    db.session.flush()
    listing_content.apply(content, product)
    audit.record("listing.created", product, person_id=actor.person_id)
    return product.id
