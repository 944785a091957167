"""What a listing says: its texts, label, picture, and packs with their prices. It is checked, compared and applied as a whole.

A product that is not for sale takes new content at once; one that is keeps what was approved until the new content is approved too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from sqlalchemy import delete, inspect, select

from marketplace.catalogue.picture import must_be_own
from marketplace.catalogue.product import Pack, PriceTier, Product
from marketplace.foundation import clock
from marketplace.foundation.database import db, new_public_id, not_found
from marketplace.foundation.errors import InvalidInput
from marketplace.foundation.language import N_

FEN_MOST = 99_999_999
MOST_PACKS, MOST_TIERS, GRAMS_MOST = 12, 3, 100_000
# Longest text of each, in characters; the first is required.
TEXTS = {
    "name_zh": 120, "name_en": 160, "summary_zh": 300, "summary_en": 400, "story_zh": 8000, "story_en": 12000,
    "storage_zh": 200, "storage_en": 300, "standard_code": 60,
}  # fmt: skip
PACK_NAMES = {"name_zh": 80, "name_en": 120}


class BadListing(InvalidInput):
    """What was typed cannot be kept. Data: ``fields``, a msgid for each input."""


@dataclass(frozen=True)
class PackContent:
    """A pack under its outside name. ``tiers`` are units' prices: (from how many packs on, fen a pack)."""

    public_id: str
    name_zh: str
    net_grams: int
    price_fen: int
    name_en: str = ""
    net_ml: int | None = None
    pieces: int | None = None
    tiers: tuple[tuple[int, int], ...] = ()

    @classmethod
    def new(cls, **given: Any) -> "PackContent":
        """A pack that does not exist yet, under the name that it will have."""
        return cls(public_id=new_public_id(), **given)


@dataclass(frozen=True)
class Content:
    """The whole of what a clerk edits. Packs that stand and are left out are withdrawn."""

    texts: Mapping[str, str]
    shelf_life_months: int
    gi_mark: bool
    picture: str
    packs: tuple[PackContent, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Content":
        packs = tuple(PackContent(**{**pack, "tiers": tuple((tier[0], tier[1]) for tier in pack["tiers"])}) for pack in kept["packs"])
        return cls(**{**kept, "packs": packs})

    def tidy(self) -> "Content":
        """The same with line ends and blanks as they are kept."""
        texts = {name: self.texts.get(name, "").replace("\r\n", "\n").strip() for name in TEXTS}
        packs = tuple(replace(each, name_zh=each.name_zh.strip(), name_en=each.name_en.strip(), tiers=tuple(sorted(each.tiers))) for each in self.packs)
        return replace(self, texts=texts, packs=packs)


def content_of(product: Product) -> Content:
    """What the product says now. Two statements."""
    packs = packs_of(product)
    tiers: dict[int, list[tuple[int, int]]] = {}
    query = select(PriceTier).where(PriceTier.pack_id.in_([pack.id for pack in packs])).order_by(PriceTier.min_quantity)
    for tier in db.session.scalars(query):
        tiers.setdefault(tier.pack_id, []).append((tier.min_quantity, tier.price_fen))
    return Content(
        texts={name: getattr(product, name) or "" for name in TEXTS},
        shelf_life_months=product.shelf_life_months,
        gi_mark=product.gi_mark,
        picture=product.picture,
        packs=tuple(
            PackContent(pack.public_id, pack.name_zh, pack.net_grams, pack.price_fen, pack.name_en or "", pack.net_ml, pack.pieces, tuple(tiers.get(pack.id, ())))
            for pack in packs
        ),
    )  # fmt: skip


def packs_of(product: Product) -> list[Pack]:
    """Its packs that are not withdrawn, in order."""
    query = select(Pack).where(Pack.product_id == product.id, Pack.withdrawn_at.is_(None)).order_by(Pack.position, Pack.id)
    return list(db.session.scalars(query))


def must_be_good(content: Content, product: Product) -> None:
    """Raise BadListing naming every input that cannot be kept, NotFound for a pack or a picture of somebody else's."""
    faults = dict(_text_faults(content))
    standing = {pack.public_id: pack for pack in packs_of(product)}
    for pack in content.packs:
        faults.update(_pack_faults(pack, standing.get(pack.public_id), listed=product.listed_at is not None))
    if not content.packs:
        faults["new-name_zh"] = N_("至少要有一个规格。")
    if len(content.packs) > MOST_PACKS:
        faults["new-name_zh"] = N_("规格太多了，最多 12 个。")
    strangers = [pack.public_id for pack in content.packs if pack.public_id not in standing]
    if strangers and db.session.scalar(select(Pack.id).where(Pack.public_id.in_(strangers)).limit(1)) is not None:
        raise not_found(Pack)
    if content.picture != product.picture:
        must_be_own(content.picture, product.organisation_id)
    if faults:
        raise BadListing("listing.input", N_("有几处填得不对，什么都还没有保存。"), fields=faults)


def _text_faults(content: Content) -> dict[str, str]:
    faults = {name: N_("太长了，请写短一些。") for name, longest in TEXTS.items() if len(content.texts.get(name, "")) > longest}
    if not content.texts.get("name_zh", "").strip():
        faults["name_zh"] = N_("请写商品名称。")
    if not 0 <= content.shelf_life_months <= 120:
        faults["shelf_life_months"] = N_("保质期请写 0 到 120 之间的月数。")
    return faults


def _pack_faults(pack: PackContent, standing: Pack | None, *, listed: bool) -> dict[str, str]:
    key, faults = pack.public_id, {}
    for name, longest in PACK_NAMES.items():
        if len(getattr(pack, name)) > longest:
            faults[f"{name}-{key}"] = N_("太长了，请写短一些。")
    if not pack.name_zh.strip():
        faults[f"name_zh-{key}"] = N_("请写规格的名称，如 50 g 罐。")
    if not 0 < pack.price_fen <= FEN_MOST:
        faults[f"price-{key}"] = N_("价格要大于零，最多 999,999.99 元。")
    if not 0 < pack.net_grams <= GRAMS_MOST:
        faults[f"net_grams-{key}"] = N_("净重请写 1 到 100,000 之间的克数。")
    elif standing is not None and listed and (pack.net_grams, pack.net_ml, pack.pieces) != (standing.net_grams, standing.net_ml, standing.pieces):
        # What lies on the shelf and in buyers' orders has the old weight.
        faults[f"net_grams-{key}"] = N_("上过架的规格不能改净含量。请撤下它，另加一个新规格。")
    least, most = 1, pack.price_fen
    for number, (quantity, price_fen) in enumerate(sorted(pack.tiers), 1):
        if quantity <= least or not 0 < price_fen <= most or number > MOST_TIERS:
            faults[f"tier-{key}-{number}"] = N_("单位价要从 2 件起，件数越多越便宜，不能高过公开价。")
        least, most = quantity, price_fen
    return faults


def apply(content: Content, product: Product) -> list[str]:
    """Write the content into the product and its packs; the names of what changed, empty if nothing did."""
    changed = []
    wanted: dict[str, Any] = {name: value or (None if name.endswith("_en") else "") for name, value in content.texts.items()}
    wanted |= {name: getattr(content, name) for name in ("shelf_life_months", "gi_mark", "picture")}
    for name, value in wanted.items():
        if getattr(product, name) != value:
            setattr(product, name, value)
            changed.append(name)
    standing = {pack.public_id: pack for pack in packs_of(product)}
    for position, each in enumerate(content.packs, 1):
        changed += _apply_pack(each, standing.pop(each.public_id, None), product, position)
    for pack in standing.values():
        pack.withdrawn_at = clock.now()
        pack.version += 1
        changed.append(f"withdrawn:{pack.id}")
    product.from_price_fen = min((each.price_fen for each in content.packs), default=None)
    db.session.flush()
    return changed


def _apply_pack(each: PackContent, pack: Pack | None, product: Product, position: int) -> list[str]:
    if pack is None:
        pack = Pack(
            public_id=each.public_id, organisation_id=product.organisation_id, product_id=product.id, version=1,
            sku=f"{product.code[:20]}-{each.net_grams}G-{each.public_id[:6]}".upper(), name_zh=each.name_zh, name_en=each.name_en or None,
            net_grams=each.net_grams, net_ml=each.net_ml, pieces=each.pieces, price_fen=each.price_fen, position=position,
        )  # fmt: skip
        db.session.add(pack)
        db.session.flush()
        changed = [f"pack:{pack.id}"]
    else:
        wanted = {**{field.name: getattr(each, field.name) for field in fields(each)}, "name_en": each.name_en or None, "position": position}
        changed = [name for name, value in wanted.items() if name not in ("tiers", "position") and getattr(pack, name) != value]
        for name, value in wanted.items():
            if name != "tiers":
                setattr(pack, name, value)
        pack.version += bool(changed)
        changed = [f"{name}:{pack.id}" for name in changed]
    query = select(PriceTier.min_quantity, PriceTier.price_fen).where(PriceTier.pack_id == pack.id).order_by(PriceTier.min_quantity)
    if [tuple(row) for row in db.session.execute(query)] != list(each.tiers):
        db.session.execute(delete(PriceTier).where(PriceTier.pack_id == pack.id))
        db.session.add_all(
            PriceTier(organisation_id=pack.organisation_id, pack_id=pack.id, min_quantity=quantity, price_fen=fen) for quantity, fen in each.tiers
        )
        changed.append(f"tiers:{pack.id}")
    return changed


def as_it_would_be(content: Content, product: Product) -> tuple[Product, list[Pack]]:
    """The product and its packs as they would stand, as rows that belong to no session: to be checked, never saved."""
    columns = inspect(Product).columns.keys()
    shadow = Product(**{name: getattr(product, name) for name in columns})
    for name in TEXTS:
        setattr(shadow, name, content.texts.get(name, ""))
    shadow.shelf_life_months, shadow.gi_mark, shadow.picture = content.shelf_life_months, content.gi_mark, content.picture
    ids = {pack.public_id: pack.id for pack in packs_of(product)}
    packs = [
        Pack(id=ids.get(each.public_id), **{name: value for name, value in vars(each).items() if name != "tiers"}, organisation_id=product.organisation_id)
        for each in content.packs
    ]
    return shadow, packs
